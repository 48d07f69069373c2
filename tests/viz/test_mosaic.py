"""Mosaics show every image where it belongs."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.errors import OutputError
from mien.viz.mosaic import MOST_ROWS, mosaic, save_png


def plain(value: int, height: int = 20, width: int = 20, channels: int = 3) -> np.ndarray:
    return np.full((height, width, channels), value, np.uint8)


def count(sheet: Image.Image, grey: int) -> int:
    return int((np.asarray(sheet) == grey).all(axis=2).sum())


def test_every_image_is_drawn_whole() -> None:
    sheet = mosaic({"happy": [plain(7)] * 3, "sad": [plain(90, channels=1)] * 12}, "title", tile=40, per_line=10)
    assert sheet.mode == "RGB"
    assert count(sheet, 7) == 3 * 40 * 40
    assert count(sheet, 90) == 12 * 40 * 40


def test_proportions_are_kept() -> None:
    sheet = mosaic({"wide": [plain(7, 10, 40)]}, "title", tile=40)
    assert count(sheet, 7) == 10 * 40
    sheet = mosaic({"strip": [plain(7, 1, 600)]}, "title", tile=40)
    assert count(sheet, 7) == 40


def test_more_rows_make_a_taller_sheet_of_one_width() -> None:
    one = mosaic({"a": [plain(1)] * 10}, "t")
    two = mosaic({"a": [plain(1)] * 11, "b": []}, "t")
    assert two.width == one.width
    assert two.height > one.height


def test_small_images_show_their_pixels() -> None:
    checks = np.indices((4, 4)).sum(axis=0).astype(np.uint8)[..., None] % 2 * 255
    sheet = mosaic({"": [checks]}, "", tile=40)
    tile = np.asarray(sheet)[-16 - 4 - 40 : -16 - 4, 16:56]
    assert set(np.unique(tile)) == {0, 255}


@pytest.mark.parametrize("text", ["ünï 😀", "a\nb", "x" * 500, "", "[red]", "caf\udce9"])
def test_odd_titles_do_no_harm(text: str) -> None:
    assert mosaic({text: [plain(3)]}, text).height > 0


def test_a_png_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "grid.png"
    save_png(mosaic({"a": [plain(1)]}, "t"), path)
    with Image.open(path) as image:
        assert image.format == "PNG"
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        save_png(Image.new("RGB", (4, 4)), tmp_path / "file" / "grid.png")


@given(count=st.integers(1, 20_000))
@settings(max_examples=15)
def test_a_sheet_does_not_grow_with_the_number_of_classes(count: int) -> None:
    rows = {f"class {number}": [plain(7)] for number in range(count)}
    height = mosaic(rows, "title", tile=20).height
    assert height <= 2 * 16 + 30 + (MOST_ROWS + 1) * (26 + 20 + 4)
    if count <= MOST_ROWS:
        assert height == 2 * 16 + 30 + count * (26 + 20 + 4), "every class is there"
