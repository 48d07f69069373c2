"""Models that cannot answer are refused, and explained images are shrunk like Pillow does it."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from graphs import endless, odd_maps
from PIL import Image

import mien
from mien.errors import BundleError
from mien.results import FaceHeat
from mien.server import create_app
from mien.server.jobs import LATER
from mien.server.models import MAX_EXPLAINED_SIDE, QUICK_BYTES, Models, may_be_quick, shrink
from mien.server.stream import StreamPredictor
from mien.server.uploads import Upload


@pytest.mark.parametrize(("height", "width"), [(1281, 900), (2600, 2570), (3001, 5003), (100, 9999), (1, 6000)])
def test_a_large_image_is_shrunk_like_pillow(height: int, width: int) -> None:
    """The strips leave no seams."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    heat = np.zeros((4, 4), np.float32)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    found, (face,) = shrink(image, [FaceHeat("happy", "cam", heat, np.zeros((4, 4, 3), np.uint8), corners)])
    size = found.shape[1], found.shape[0]
    assert max(size) == MAX_EXPLAINED_SIDE
    expected = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    assert np.array_equal(found, np.asarray(expected))
    assert face.corners[2].tolist() == pytest.approx(size)


def test_a_small_image_is_unchanged() -> None:
    image = np.zeros((MAX_EXPLAINED_SIDE, 10, 3), np.uint8)
    assert shrink(image, [])[0] is image


@pytest.mark.parametrize(
    ("kind", "says"), [("labels", r"maps \(1, 16, 16, 1\) for 1 crops"), ("nan", "maps that are not numbers")]
)
def test_a_model_whose_maps_are_none_is_not_served(make_bundle: Callable[..., Path], kind: str, says: str) -> None:
    """The file does not say how large they are: only a run shows it."""
    good, odd = mien.load(make_bundle(), threads=1), mien.load(make_bundle(graph=odd_maps(kind), maps=True), threads=1)
    with pytest.raises(BundleError, match=says):
        create_app({"good": good, "odd": odd})


def test_a_model_that_never_answers_is_not_served(
    make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.server.models.TRIAL_SECONDS", 0.2)
    with pytest.raises(BundleError, match=r"more than 0\.2 s"):
        create_app(mien.load(make_bundle(graph=endless()), threads=1))


def texts(count: int, kind: bytes, before: bytes) -> bytes:
    """Return a small PNG with texts that each unpack to a megabyte, 1 KB long."""
    stream = io.BytesIO()
    Image.fromarray(np.zeros((48, 48), np.uint8)).save(stream, "PNG")
    packed = before + zlib.compress(bytes(1_000_000))
    chunk = struct.pack(">I", len(packed)) + kind + packed + struct.pack(">I", zlib.crc32(kind + packed))
    return stream.getvalue()[:33] + count * chunk + stream.getvalue()[33:]


@pytest.mark.parametrize(("kind", "before"), [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0")])
def test_an_image_whose_header_takes_long_to_read_is_no_quick_one(
    make_bundle: Callable[..., Path], kind: bytes, before: bytes
) -> None:
    """Reading it would take the time of thirty crops, in a thread that crops wait for."""
    slow, crop = Upload("slow", texts(60, kind, before)), Upload("crop", texts(1, kind, before))
    reader = mien.load(make_bundle(), threads=1, detect=False)
    models = Models(reader, 50_000_000)
    quick, late = models.batch_functions(reader)
    found = quick([[crop], [slow], [crop] * 5 + [slow]])
    assert [each is LATER for each in found] == [False, True, True]
    assert b'"status":"ok"' in late([[slow]])[0]  # type: ignore[operator]
    assert StreamPredictor(reader, models).predict_quick([(0.0, slow.data)]) == [LATER]


def test_a_request_of_many_bytes_is_no_quick_one() -> None:
    half = bytes(QUICK_BYTES // 2)
    assert may_be_quick([Upload("a", half), Upload("b", half)])
    assert not may_be_quick([Upload("a", half), Upload("b", half + b"x")])
