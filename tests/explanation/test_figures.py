"""Figures stay small, whatever the size and shape of the image."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mien.explanation.figures import MAX_DRAWN_PIXELS, MAX_SIDE, heatmap_figure
from mien.results import Box, Face, FaceHeat, ImageResult


@given(side=st.integers(1, 12), length=st.integers(1, 300_000), lying=st.booleans())
@example(side=1, length=300_000, lying=True)
@example(side=1, length=1, lying=False)
@settings(max_examples=12)
def test_a_strip_is_drawn_small(side: int, length: int, lying: bool) -> None:
    width, height = (length, side) if lying else (side, length)
    box = Box(0, 0, width, height)
    face = Face(box, None, "happy", 0.9, None, {"happy": 0.9, "sad": 0.1})
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    heat = FaceHeat("happy", "occlusion", np.ones((8, 8), np.float32), np.zeros((8, 8, 3), np.uint8), corners)
    result = ImageResult("strip.png", "ok", None, width, height, "m", (face,), detect=False)
    drawn = heatmap_figure(np.full((height, width, 3), 90, np.uint8), result, [heat])
    assert drawn.width <= MAX_SIDE
    assert drawn.height <= MAX_SIDE + 2000, "and the caption below, which is narrow below a narrow image"
    if max(width, height) <= 300:
        assert drawn.width >= width


def test_a_large_image_is_drawn_within_its_pixels_and_its_face_keeps_its_place() -> None:
    image = np.full((7000, 7000, 3), 90, np.uint8)
    corners = np.array([(3500, 0), (7000, 0), (7000, 3500), (3500, 3500)], np.float64)
    face = Face(Box(3500, 0, 3500, 3500), None, "happy", 0.9, None, {"happy": 0.9, "sad": 0.1})
    heat = FaceHeat("happy", "occlusion", np.ones((8, 8), np.float32), np.zeros((8, 8, 3), np.uint8), corners)
    result = ImageResult("large.png", "ok", None, 7000, 7000, "m", (face,), detect=True)
    drawn = np.asarray(heatmap_figure(image, result, [heat]))
    side = drawn.shape[1]
    assert side == 3500
    assert side * side <= MAX_DRAWN_PIXELS
    coloured = (drawn[:side] != 90).any(axis=2)
    assert coloured[100:1600, 1900:3400].all()
    assert not coloured[1900:, :1600].any()
