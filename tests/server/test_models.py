"""Models that cannot answer are refused, and explained images are shrunk like Pillow does it."""

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
from mien.server.models import MAX_EXPLAINED_SIDE, shrink


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
