"""Pictures for the page: shrunk once, cropped around a face, in bounded memory, and never of another content."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import ImageError
from mien.io.images.source import read_file
from mien.results import Box
from mien.server.fix.pictures import SIDES, Pictures, shrink


def stored(path: Path, size: tuple[int, int] = (2000, 1000)) -> str:
    """Write a picture with a red square, and return the sha256 of the file."""
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[100:300, 1500:1700] = (255, 0, 0)
    Image.fromarray(pixels).save(path, quality=95)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pixels_of(jpeg: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def pictures(folder: Path) -> Pictures:
    return Pictures(lambda name: read_file(folder / name))


def test_pictures_are_shrunk_and_say_how_large_the_image_is(pictures: Pictures, folder: Path) -> None:
    digest = stored(folder / "a.jpg")
    large = pictures.get("a.jpg", digest, "large")
    assert (large.width, large.height) == (2000, 1000)
    assert pixels_of(large.jpeg).shape == (640, SIDES["large"], 3)
    assert pixels_of(pictures.get("a.jpg", digest, "tile").jpeg).shape == (180, SIDES["tile"], 3)


def test_an_image_is_turned_upright(folder: Path, pictures: Pictures) -> None:
    image = Image.new("RGB", (300, 100))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    digest = hashlib.sha256((folder / "turned.jpg").read_bytes()).hexdigest()
    found = pictures.get("turned.jpg", digest, "large")
    assert (found.width, found.height) == (100, 300)
    assert pixels_of(found.jpeg).shape == (300, 100, 3)


def test_the_face_is_shown_with_what_is_around_it(folder: Path) -> None:
    stored(folder / "a.jpg")
    shown = pixels_of(shrink((folder / "a.jpg").read_bytes(), "a.jpg", "tile", Box(1500, 100, 200, 200)).jpeg)
    assert shown.shape == (SIDES["tile"], SIDES["tile"], 3)
    red = (shown[..., 0] > 128).mean()
    assert red == pytest.approx(0.25, abs=0.02), "the face is half as wide as what is shown"


def test_a_face_at_the_border_is_shown_as_far_as_there_is_an_image(folder: Path) -> None:
    stored(folder / "a.jpg")
    data = (folder / "a.jpg").read_bytes()
    assert pixels_of(shrink(data, "a.jpg", "tile", Box(0, 0, 100, 100)).jpeg).shape == (150, 150, 3)


def test_an_image_is_read_and_shrunk_once(folder: Path) -> None:
    digest = stored(folder / "a.jpg")
    reads: list[str] = []
    pictures = Pictures(lambda name: reads.append(name) or read_file(folder / name))  # type: ignore[func-returns-value]
    first = pictures.get("a.jpg", digest, "large")
    assert pictures.get("a.jpg", digest, "large") is first
    assert reads == ["a.jpg"]


def test_memory_is_bounded_and_the_latest_pictures_are_kept(folder: Path) -> None:
    digests = {name: stored(folder / name, (1700, 300 + 10 * n)) for n, name in enumerate(("a.jpg", "b.jpg", "c.jpg"))}
    one = len(shrink((folder / "a.jpg").read_bytes(), "a.jpg", "large").jpeg)
    reads: list[str] = []
    pictures = Pictures(lambda name: reads.append(name) or read_file(folder / name), limit=int(2.5 * one))  # type: ignore[func-returns-value]
    for name in ("a.jpg", "b.jpg", "a.jpg", "c.jpg"):
        pictures.get(name, digests[name], "large")
        assert pictures.used <= 2.5 * one
    pictures.get("a.jpg", digests["a.jpg"], "large")
    assert reads == ["a.jpg", "b.jpg", "c.jpg"], "a was used after b, so b had to go"


def test_a_file_that_has_changed_or_gone_is_not_shown(pictures: Pictures, folder: Path) -> None:
    digest = stored(folder / "a.jpg")
    stored(folder / "a.jpg", (1800, 900))
    with pytest.raises(ImageError, match="has changed since it was checked"):
        pictures.get("a.jpg", digest, "large")
    (folder / "a.jpg").unlink()
    with pytest.raises(ImageError):
        pictures.get("a.jpg", digest, "large")
