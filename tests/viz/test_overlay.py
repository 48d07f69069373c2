"""Colours and places of heatmaps on images."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mien
from mien.explanation.explainer import Explanation, explain_image, explain_labels
from mien.explanation.figures import cut_out
from mien.results import FaceHeat
from mien.viz.overlay import colours, heat_layer, overlay, overlay_faces, place_heatmap


def square(left: float, top: float, side: float, degrees: float = 0) -> np.ndarray:
    turn = np.radians(degrees)
    across, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    start = np.array([left, top], float)
    return np.stack([start, start + side * across, start + side * (across + down), start + side * down])


def lightness(rgb: np.ndarray) -> np.ndarray:
    """CIE 1976 L* of sRGB."""
    linear = np.where(rgb <= 10.31475, rgb / 255 / 12.92, ((rgb / 255 + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.asarray(np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y))


def test_the_colours_grow_lighter_evenly() -> None:
    steps = np.diff(lightness(colours(np.linspace(0, 1, 33)).astype(float)))
    assert steps.min() > 0.6 * steps.mean() and steps.max() < 1.4 * steps.mean()


def test_the_colours_are_viridis() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    values = np.linspace(0, 1, 500)
    theirs = matplotlib.colormaps["viridis"](values)[:, :3] * 255
    assert np.abs(theirs - colours(values)).max() < 8


def test_colours_take_any_shape_and_what_is_no_number() -> None:
    assert colours(np.zeros((2, 3, 4))).shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(colours(np.array([np.nan, -1, 2])), colours(np.array([0, 0, 1])))


@given(st.floats(-30, 60), st.floats(-30, 60), st.floats(3, 50), st.floats(-180, 180))
def test_a_heatmap_lies_between_its_corners_and_nowhere_else(x: float, y: float, side: float, turn: float) -> None:
    corners = square(x, y, side, turn)
    found = place_heatmap((40, 50), np.ones((8, 8), np.float32), corners)
    rows, columns = np.mgrid[:40, :50] + 0.5
    across, down = (corners[1] - corners[0]) / side, (corners[3] - corners[0]) / side
    u = (columns - x) * across[0] + (rows - y) * across[1]
    v = (columns - x) * down[0] + (rows - y) * down[1]
    inside = (np.minimum(u, v) > 0.6) & (np.maximum(u, v) < side - 0.6)
    outside = (np.minimum(u, v) < -0.6) | (np.maximum(u, v) > side + 0.6)
    assert np.isnan(found[outside]).all()
    np.testing.assert_allclose(found[inside], 1, atol=1e-4)


@pytest.mark.parametrize(("degrees", "place"), [(0, (15, 15)), (90, (15, 25)), (180, (25, 25)), (-90, (25, 15))])
def test_the_hottest_place_turns_with_the_face(degrees: int, place: tuple[int, int]) -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[:2, :2] = 1  # the upper left of the crop
    starts = {0: (10, 10), 90: (30, 10), 180: (30, 30), -90: (10, 30)}
    found = place_heatmap((40, 40), heat, square(*starts[degrees], 20, degrees))
    assert found[place] > 0.9
    assert found[40 - place[0], 40 - place[1]] < 0.1


def test_outside_the_face_the_image_is_left_alone() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    found = overlay(rgb, np.ones((8, 8), np.float32), square(10, 10, 20))
    changed = (found != rgb).any(axis=2)
    assert changed[12:28, 12:28].mean() > 0.95
    changed[10:30, 10:30] = False
    assert not changed.any()
    np.testing.assert_array_equal(overlay(rgb, np.ones((8, 8), np.float32), square(10, 10, 20), 0.0), rgb)


def face(heat: np.ndarray, corners: np.ndarray) -> FaceHeat:
    return FaceHeat("happy", "cam", heat.astype(np.float32), np.zeros((8, 8, 1), np.uint8), corners)


def test_if_faces_overlap_the_stronger_heat_is_seen() -> None:
    rgb = np.full((40, 40, 3), 128, np.uint8)
    strong, weak = face(np.ones((8, 8)), square(5, 5, 20)), face(np.full((8, 8), 0.1), square(10, 10, 20))
    both = overlay_faces(rgb, [strong, weak])
    np.testing.assert_array_equal(both, overlay_faces(rgb, [weak, strong]))
    np.testing.assert_array_equal(both[15, 15], overlay_faces(rgb, [strong])[15, 15])


def test_the_layer_is_transparent_outside_faces_and_solid_at_the_strongest() -> None:
    layer = heat_layer((40, 50, 3), [face(np.ones((8, 8)), square(10, 10, 20))])
    assert layer.shape == (40, 50, 4) and layer.dtype == np.uint8
    assert layer[20, 20].tolist() == [*colours(np.array(1.0)), 255]
    assert not layer[:9, :, 3].any() and not layer[:, 32:, 3].any()
    assert not heat_layer((10, 10), [])[..., 3].any()


# Whole images to look at


@pytest.fixture(scope="module")
def reader(three_way: Path) -> mien.Reader:
    return mien.load(three_way, threads=1)


@pytest.mark.parametrize("size", [(8, 8), (48, 48), (300, 20), (20, 300), (640, 900)])
def test_a_strip_below_says_what_is_seen_at_any_size(reader: mien.Reader, size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    image = explain_image(reader, rgb, "sad").figure()
    factor = max(1, -(-320 // max(size)))
    assert image.width == size[1] * factor
    strip = np.asarray(image)[size[0] * factor :]
    assert 20 <= len(strip) <= 900
    assert (strip == 255).all(axis=2).any() and (strip < 90).all(axis=2).any()  # paper, and words on it
    ramp = {tuple(colour) for colour in colours(np.linspace(0, 1, 400)).tolist()}
    if image.width > 150:
        assert len(ramp & {tuple(pixel) for pixel in strip.reshape(-1, 3).tolist()}) > 20


def test_a_sheet_has_a_panel_for_each_label_and_row_for_each_face(reader: mien.Reader) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    one = explain_labels(reader, rgb, reader.config.labels).figure()
    assert one.width > 7 * 200
    found = explain_labels(reader, rgb, ("happy", "sad"))
    result = mien.ImageResult("x", "ok", None, 60, 60, "m", found.result.faces * 2)
    twice = Explanation(result, found.image, tuple(row * 2 for row in found.heatmaps))
    assert found.figure().width == twice.figure().width < one.width
    assert twice.figure().height > found.figure().height + 200


def test_an_image_without_a_face_says_so(reader: mien.Reader) -> None:
    rgb = np.full((200, 300, 3), 90, np.uint8)
    found = explain_image(reader.variant(detect=True), rgb)
    assert found.figure().height > 200
    assert Explanation(found.result, found.image, found.heatmaps * 2).figure().height > 50


def test_a_face_is_cut_out_upright() -> None:
    rgb = np.zeros((40, 40, 3), np.uint8)
    rgb[10:20, 20:30] = 255
    found = cut_out(rgb, square(30, 10, 20, 90), 20)  # turned a quarter clockwise: its upper left is at (30, 10)
    assert found[:8, :8].mean() > 240 and found[12:, 12:].mean() < 15
    assert (cut_out(rgb, square(-30, -30, 20), 20) == 128).all()


def test_a_large_image_of_many_faces_is_coloured_as_each_of_them_alone() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (700, 60, 3), np.uint8)
    faces = [face(np.eye(8), square(10, top, 30)) for top in range(0, 700, 35)]
    both, alone = overlay_faces(rgb, faces), rgb
    for one in faces:
        alone = overlay_faces(alone, [one])
    np.testing.assert_array_equal(both, alone)
    assert (both != rgb).any(axis=2).mean() > 0.3


def test_the_image_that_was_given_stays_as_it_is() -> None:
    rgb = np.full((40, 50, 3), 7, np.uint8)
    overlay(rgb, np.ones((8, 8), np.float32), square(10, 10, 20))
    assert (rgb == 7).all()
