"""Deletion and insertion curves on classifiers whose reasons are known."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper, numpy_helper

import mien
from mien.errors import DataError
from mien.explanation.explainer import make_explainer
from mien.explanation.faithfulness import (
    BASELINES,
    CURVES,
    STEPS,
    blur,
    centre_map,
    measure_faithfulness,
    perturbation_steps,
    random_map,
)

MakeBundle = Callable[..., Path]
Crops = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def corner_reader(make_bundle: MakeBundle) -> mien.Reader:
    """A bundle that answers `sad` by how bright the upper left quarter is, and sees nothing else."""
    weights = np.zeros((16, 16, 1, 2), np.float32)
    weights[:8, :8, 0, 1] = 6 / 64 / 64
    nodes = [
        helper.make_node("Sub", ["image", "middle"], ["centred"]),
        helper.make_node("Flatten", ["centred"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    constants = [
        numpy_helper.from_array(np.array(100, np.float32), "middle"),
        numpy_helper.from_array(weights.reshape(256, 2), "weights"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 16, 16, 1])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "corner", [image], [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return mien.load(make_bundle(graph=model.SerializeToString(), channels=1), threads=1)


@pytest.fixture(scope="module")
def crops() -> Crops:
    """Images whose upper left quarter is bright, in part, and the rest mostly dark."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 120, (30, 16, 16, 1))
    found[:, :8, :8] = rng.integers(140, 256, (30, 8, 8, 1))
    return found.astype(np.uint8)


def corner(crops: Crops, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    heat = np.zeros(crops.shape[:3], np.float32)
    heat[:, :8, :8] = 1
    return heat


def far_corner(crops: Crops, labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return corner(crops, labels)[:, ::-1, ::-1]


SAD = np.ones(30, np.int64)


def test_the_true_reason_is_better_than_every_baseline_on_both_curves(corner_reader: mien.Reader, crops: Crops) -> None:
    found = measure_faithfulness(corner_reader, crops, SAD, corner, "cam")
    assert all(found.differences[curve][name].better for curve in CURVES for name in BASELINES)
    assert found.conclusion.endswith("significantly better than every baseline on both curves.")
    # A quarter of the pixels taken away is all that counts; then nothing changes any more.
    curve = found.curves["deletion"]["cam"]
    assert curve[0] > 0.9 and np.ptp(curve[6:]) < 0.02 and curve[6] < curve[2] < curve[0]


def test_a_wrong_reason_loses_to_every_baseline(corner_reader: mien.Reader, crops: Crops) -> None:
    found = measure_faithfulness(corner_reader, crops, SAD, far_corner, "cam")
    differences = [found.differences[curve][name] for curve in CURVES for name in BASELINES]
    assert all(one.mean < 0 and not one.better for one in differences)
    assert "not shown to be better than chance" in found.conclusion


def test_chance_is_not_better_than_chance(corner_reader: mien.Reader, crops: Crops) -> None:
    rng = np.random.default_rng(7)
    found = measure_faithfulness(
        corner_reader, crops, SAD, lambda crops, labels: rng.random(crops.shape[:3]).astype(np.float32), "cam"
    )
    low, high = found.differences["deletion"]["random"].interval
    assert low < 0 < high


def test_occlusion_is_faithful_to_a_model_that_it_can_see_through(corner_reader: mien.Reader, crops: Crops) -> None:
    explainer = make_explainer(corner_reader, "occlusion")
    found = measure_faithfulness(corner_reader, crops[:12], SAD[:12], explainer, "occlusion")
    assert found.differences["deletion"]["patches"].better
    assert found.differences["insertion"]["patches"].better


def test_the_same_seed_gives_the_same_values(corner_reader: mien.Reader, crops: Crops) -> None:
    one, same, other = (
        measure_faithfulness(corner_reader, crops[:6], SAD[:6], corner, "cam", seed).to_dict() for seed in (0, 0, 1)
    )
    assert one == same != other
    assert one["images"] == 6 and len(one["deletion"]["cam"]["curve"]) == STEPS
    assert one["deletion"]["random"]["interval"][0] < one["deletion"]["random"]["method_better_by"]


def test_one_image_has_no_interval(corner_reader: mien.Reader, crops: Crops) -> None:
    with pytest.raises(DataError, match="1 images; at least 2"):
        measure_faithfulness(corner_reader, crops[:1], SAD[:1], corner, "cam")


def test_pixels_go_in_the_order_of_their_heat() -> None:
    crop, other = np.zeros((10, 10, 3), np.uint8), np.full((10, 10, 3), 9, np.uint8)
    heat = np.random.default_rng(0).random((10, 10)).astype(np.float32)
    found = perturbation_steps(crop, other, heat, np.random.default_rng(1))
    assert found.shape == (STEPS, 10, 10, 3)
    np.testing.assert_array_equal(found[0], crop)
    np.testing.assert_array_equal(found[-1], other)
    for number, one in enumerate(found[1:-1], 1):
        changed = (one == 9).all(axis=2)
        assert changed.sum() == 5 * number
        assert heat[changed].min() > heat[~changed].max()


def test_pixels_of_equal_heat_go_in_no_order() -> None:
    crop, other = np.zeros((10, 10, 1), np.uint8), np.ones((10, 10, 1), np.uint8)
    half = perturbation_steps(crop, other, np.zeros((10, 10), np.float32), np.random.default_rng(0))[10, ..., 0]
    assert half.sum() == 50
    assert 10 < half[:5].sum() < 40 and 10 < half[:, :5].sum() < 40


def test_the_baselines_know_nothing_of_the_image() -> None:
    bell = centre_map(16)
    np.testing.assert_allclose(bell, bell[::-1, ::-1], atol=1e-6)
    assert bell[7:9, 7:9].min() == bell.max() and bell[0, 0] == pytest.approx(bell.min())
    noise = [random_map(np.random.default_rng(0), 48, cells) for cells in (48, 6)]
    steps = [np.abs(np.diff(one)).mean() / one.std() for one in noise]
    assert steps[0] > 5 * steps[1]  # the second is smooth


@pytest.mark.parametrize("channels", [1, 3])
def test_what_insertion_begins_from_shows_little(channels: int) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (48, 48, channels), np.uint8)
    assert blur(crop).shape == crop.shape
    assert blur(crop).std() < 0.1 * crop.std()
