"""The one crop: right pixels, right shape, right kind of grey."""

import numpy as np
import pytest
from PIL import Image

from mien.crop import crop
from mien.result import Box
from mien.synthetic import draw_face

RGB = draw_face("sad", 5, 96)


@pytest.mark.parametrize("size", [1, 48, 96, 200])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type(size: int, channels: int) -> None:
    found = crop(RGB, size, channels)
    assert found.shape == (size, size, channels)
    assert found.dtype == np.uint8


def test_the_same_size_is_the_same_picture() -> None:
    assert np.array_equal(crop(RGB, 96, 3), RGB)
    assert np.array_equal(crop(RGB, 96, 1)[..., 0], np.asarray(Image.fromarray(RGB).convert("L")))


def test_a_box_is_cut_where_it_says() -> None:
    found = crop(RGB, 30, 3, Box(x=10, y=40, width=30, height=30))
    assert np.array_equal(found, RGB[40:70, 10:40])


def test_downscaling_averages_instead_of_picking() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(crop(stripes, 16, 3).astype(int) - 127)[2:-2, 2:-2].max() <= 8


def test_the_whole_picture_is_squeezed_whatever_its_shape() -> None:
    wide = np.zeros((20, 80, 3), np.uint8)
    wide[:, 40:] = 200
    found = crop(wide, 20, 1)[..., 0]
    assert found[:, :8].max() == 0
    assert found[:, 12:].min() == 200


def test_the_picture_is_not_changed_and_may_be_a_view() -> None:
    before = RGB.copy()
    flipped = RGB[:, ::-1]
    assert np.array_equal(crop(flipped, 96, 3), before[:, ::-1])
    assert np.array_equal(RGB, before)
