"""Explained images are shrunk like Pillow does it."""

import numpy as np
import pytest
from PIL import Image

from mien.results import FaceHeat
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
