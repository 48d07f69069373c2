"""Whatever holds an image gives the answer that its file gives."""

import io
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from packaging.version import Version
from PIL import Image

import mien
from mien.io.images.decoding import load_image
from mien.io.images.source import open_source


@pytest.fixture(scope="module")
def reader(make_bundle: Callable[..., Path]) -> mien.Reader:
    return mien.load(make_bundle(), threads=1)


def drawn(mode: str) -> Image.Image:
    """An image of a Pillow mode, light on the left and dark on the right."""
    grey = Image.fromarray(np.tile(np.linspace(250, 5, 40).astype(np.uint8), (30, 1)))
    if mode.startswith("I;16"):
        return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    if mode in ("LA", "RGBA"):
        image = grey.convert(mode)
        image.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))))
        return image
    return grey.convert("RGB").convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"),
        ("CMYK", "TIFF"), ("F", "TIFF"), ("LAB", "TIFF"),
        pytest.param("YCbCr", "TIFF", marks=pytest.mark.skipif(
            Version(metadata.version("pillow")) < Version("13"), reason="Pillow 13 is the first to read it")),
    ],
)  # fmt: skip
def test_a_pillow_image_of_any_mode_is_its_file(reader: mien.Reader, tmp_path: Path, mode: str, kind: str) -> None:
    path = tmp_path / f"image.{kind.lower()}"
    drawn(mode).save(path, kind)
    file = reader.predict(path)
    with Image.open(path) as lazy:
        assert lazy.mode == mode
        opened = reader.predict(lazy)
    assert opened == file  # also its name
    assert np.array_equal(load_image(drawn(mode)), load_image(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pillow_image_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    drawn("RGB").save(path, exif=exif)
    with Image.open(path) as image:
        assert np.array_equal(load_image(image), load_image(path))
        assert image.size == (40, 30), "the caller's image stays as it is"


def test_files_bytes_and_arrays(reader: mien.Reader, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    drawn("RGB").save(path)
    faces = reader.predict(path).faces
    written = io.BytesIO()
    drawn("RGB").save(written, "PNG")  # its position is at the end
    with path.open("rb") as file:
        sources: list[Any] = [
            path, str(path), file, written, path.read_bytes(), bytearray(path.read_bytes()),
            memoryview(path.read_bytes()), np.asarray(drawn("RGB")), drawn("RGB"),
        ]  # fmt: skip
        results = list(reader.predict_many([*sources, written, sources[-1]]))
        assert [result.faces for result in results] == [faces] * 11
        assert reader.predict(file).source == str(path)


def test_what_cannot_be_read_is_a_row(reader: mien.Reader, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    drawn("RGB").save(path)
    data = path.read_bytes()
    closed = io.BytesIO(data)
    closed.close()
    cut = Image.open(io.BytesIO(data[:-30]))
    found = list(reader.predict_many([io.BytesIO(b"text"), io.BytesIO(), closed, cut, io.BytesIO(data)]))
    assert [result.status for result in found] == ["unreadable"] * 4 + ["ok"]
    assert [str(result.reason).split(":")[0] for result in found[:4]] == [
        "is text, not an image; give an image", "is empty (zero bytes)", "cannot be read", "is truncated or damaged",
    ]  # fmt: skip


class Tensor:
    """As of a training framework."""

    def __array__(self) -> Any:
        return np.zeros((8, 8, 3), np.uint8)


def test_other_objects_say_how_to_convert_them(reader: mien.Reader) -> None:
    with pytest.raises(mien.InputError, match=r"not .*Tensor; convert it with numpy\.asarray"):
        reader.predict(Tensor())  # type: ignore[arg-type]
    for array, words in (
        (np.full((8, 8), 0.5), r"\(array \* 255\).astype"),
        (np.full((8, 8), 90.0), "0-255, array.as"),
    ):
        with pytest.raises(mien.InputError, match=words):
            reader.predict(array)


def test_a_reader_explains_as_the_function_does() -> None:
    image = Image.fromarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    reader = mien.load(threads=1)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    ours, theirs = reader.explain(stream, label="happy"), mien.explain(image, model=reader, label="happy")
    assert np.array_equal(ours.faces[0].heat, theirs.faces[0].heat)
    assert (ours.result.source, theirs.result.source) == ("<file>", "<image>")


def test_the_name_of_a_stream_is_text() -> None:
    assert open_source(io.BytesIO(b"x"))[0] == "<file>"


def test_a_reader_says_what_it_is(make_bundle: Callable[..., Path]) -> None:
    assert repr(mien.load(threads=1)) == (
        "<mien.Reader mien: angry, disgust, fear, happy, neutral, sad, surprise; reads each face (found first) "
        "with their mirror images; answers happy from 0.45, sad from 0.2 and 2.75 times neutral, else neither>"
    )
    own = mien.load(make_bundle(), threads=1, threshold={"sad": 0.7}, faces="largest")
    assert repr(own) == (
        "<mien.Reader linear: happy, sad; reads whole images; answers sad from 0.7, else happy "
        "(not the model's own rule)>"
    )
    assert "reads the largest face" in repr(own.variant(detect=True))
