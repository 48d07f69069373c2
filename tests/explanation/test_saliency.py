"""Arithmetic of heatmaps, against what it is defined to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mien.explanation.saliency import (
    class_activation,
    heatmaps,
    log_odds,
    occlude,
    occlusion_map,
    occlusion_squares,
    resize_maps,
)
from mien.inference.calibration import probabilities

maps_of = arrays(np.float32, array_shapes(min_dims=3, max_dims=3, max_side=8), elements=st.floats(-50, 50, width=32))


def random_maps(classes: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(5, 4, 6, classes)).astype(np.float32)


def test_the_mean_of_a_class_activation_map_is_the_logit() -> None:
    maps, labels = random_maps(7), np.array([0, 3, 6, 2, 1])
    logits = maps.mean(axis=(1, 2))
    found = class_activation(maps, labels)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), logits[np.arange(5), labels], atol=1e-6)


def test_of_two_labels_the_maps_are_opposite_also_where_one_logit_is_always_zero() -> None:
    maps = random_maps(2)
    maps[..., 0] = 0  # how a sigmoid unit is exported
    first, second = (class_activation(maps, np.full(5, label)) for label in (0, 1))
    np.testing.assert_array_equal(first, -second)
    np.testing.assert_array_equal(second, maps[..., 1])


@given(arrays(np.float64, (4, 5), elements=st.floats(-20, 20)), st.integers(0, 4))
def test_log_odds_are_those_of_the_softmax(logits: np.ndarray, label: int) -> None:
    p = probabilities(logits)[:, label]
    rest = np.delete(probabilities(logits), label, axis=1).sum(axis=1)
    np.testing.assert_allclose(log_odds(logits, np.full(4, label)), np.log(p) - np.log(rest), atol=1e-4)


@given(maps_of, st.integers(1, 20))
def test_heat_is_between_0_and_1_and_reaches_1_if_there_is_evidence(maps: np.ndarray, size: int) -> None:
    found = heatmaps(maps, size)
    assert found.shape == (len(maps), size, size) and found.dtype == np.float32
    assert np.isfinite(found).all() and found.min(initial=0) >= 0 and found.max(initial=0) <= 1
    for one, heat in zip(resize_maps(maps, size), found, strict=True):
        assert heat.max() == (pytest.approx(1) if one.max() > 0 else 0)
        assert not heat[one <= 0].any()


def test_heat_is_strongest_where_the_map_is() -> None:
    maps = np.zeros((1, 6, 6), np.float32)
    maps[0, 4, 1] = 3
    heat = heatmaps(maps, 48)[0]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (row // 8, column // 8) == (4, 1)


@pytest.mark.parametrize("size", [8, 16, 48, 57, 256])
def test_occluded_squares_leave_nothing_out_and_stay_inside(size: int) -> None:
    squares = occlusion_squares(size)
    assert squares.min() == 0 and squares.max() == size
    count = np.zeros((size, size), int)
    for top, left, bottom, right in squares:
        assert bottom - top == right - left > 0
        count[top:bottom, left:right] += 1
    assert count.min() >= 1
    assert len(squares) <= 150


def test_an_occluded_crop_differs_in_its_square_alone() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    squares = occlusion_squares(16)
    for copy, (top, left, bottom, right) in zip(occlude(crop, squares), squares, strict=True):
        inside = np.zeros((16, 16), bool)
        inside[top:bottom, left:right] = True
        np.testing.assert_array_equal(copy[~inside], crop[~inside])
        assert (copy[inside] == crop.mean(axis=(0, 1)).round()).all()


def test_occlusion_points_at_the_square_that_counts() -> None:
    squares = occlusion_squares(16)
    hits = (squares[:, 0] <= 12) & (squares[:, 2] > 12) & (squares[:, 1] <= 3) & (squares[:, 3] > 3)
    found = occlusion_map(hits.astype(float), squares, 16)
    assert found[12, 3] == found.max() == 1
    assert found[2, 12] == 0
