"""Rewriting a graph changes how it is computed, never what: outputs stay, the slow nodes go."""

from collections import Counter
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from mien.runtime.providers import quiet_onnxruntime
from mien.training.config import TrainConfig
from mien.training.export.graph import fuse_pooling, fuse_standardisation
from mien.training.export.onnx import _onnx_bytes, export_model
from mien.training.networks.networks import build

RNG = np.random.default_rng(2)


def run(model: Any, image: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    onnx.checker.check_model(model, full_check=True)
    session = quiet_onnxruntime().InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[np.ndarray[Any, Any]] = session.run(None, {session.get_inputs()[0].name: image})
    return found


def kinds(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


@pytest.mark.parametrize("colour", ["grey", "rgb"])
def test_our_residual_network_is_standardised_in_one_step(colour: str, tmp_path: Any) -> None:
    network = build(TrainConfig.make({"network": "residual", "size": 32, "width": 0.25, "colour": colour}), 3)
    model = onnx.load_from_string(_onnx_bytes(export_model(network, 3), tmp_path))
    # A image of weak contrast, where a wrong ε would show, and one of full range.
    shape = (2, 32, 32, 1 if colour == "grey" else 3)
    images = RNG.integers(0, 256, shape) * np.array([0.02, 1.0]).reshape(2, 1, 1, 1) + [[[[90]]], [[[0]]]]
    before = run(model, images.astype(np.float32))
    fuse_standardisation(model)
    assert kinds(model)["InstanceNormalization"] == 1
    assert {"ReduceMean", "Sqrt", "Reciprocal", "Sub"}.isdisjoint(kinds(model))
    for ours, theirs in zip(run(model, images.astype(np.float32)), before, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_normalising_over_less_than_a_image_stays(tmp_path: Any) -> None:
    image = keras.Input((16, 16, 3))
    rows = layers.LayerNormalization(axis=(2, 3), center=False, scale=False)(image)
    network = keras.Model(image, layers.Dense(2)(layers.Flatten()(rows)))
    model = onnx.load_from_string(_onnx_bytes(export_model(network, 2), tmp_path))
    before = model.SerializeToString()
    fuse_standardisation(model)
    assert kinds(onnx.load_from_string(before)) == kinds(model)


def pooled(kernel: int = 2, stride: int = 2, pads: int = 0, ceil: int = 0, conv: int = 1, side: int = 12) -> Any:
    """Average pooling, then a convolution, as ONNX."""
    weights = RNG.normal(size=(5, 3, conv, conv)).astype(np.float32)
    bias = RNG.normal(size=5).astype(np.float32)
    pool: dict[str, Any] = {
        "kernel_shape": [kernel] * 2,
        "strides": [stride] * 2,
        "pads": [pads] * 4,
        "ceil_mode": ceil,
    }
    nodes = [
        helper.make_node("AveragePool", ["x"], ["mean"], "pool", **pool),
        helper.make_node("Conv", ["mean", "weights", "bias"], ["y"], "conv", kernel_shape=[conv] * 2),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, side, side])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5, None, None])
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, "pooled", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)


@pytest.mark.parametrize(("kernel", "side"), [(2, 12), (2, 13), (3, 12)])
def test_pooling_joins_the_convolution_after_it(kernel: int, side: int) -> None:
    model = pooled(kernel, kernel, side=side)
    image = RNG.normal(size=(2, 3, side, side)).astype(np.float32)
    before = run(model, image)
    fuse_pooling(model)
    assert kinds(model) == {"Conv": 1}
    np.testing.assert_allclose(run(model, image)[0], before[0], atol=1e-5)


@pytest.mark.parametrize(
    "different",
    [{"kernel": 3}, {"stride": 1}, {"pads": 1, "kernel": 2}, {"ceil": 1, "side": 13}, {"conv": 3}],
    ids=str,
)
def test_other_pooling_stays(different: dict[str, int]) -> None:
    model = pooled(**different)
    before = model.SerializeToString()
    fuse_pooling(model)
    assert model.SerializeToString() == before


def test_pooling_that_others_read_stays() -> None:
    model = pooled()
    model.graph.output.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["N", 3, 6, 6]))
    fuse_pooling(model)
    assert kinds(model) == {"AveragePool": 1, "Conv": 1}
    assert len(run(model, np.ones((1, 3, 12, 12), np.float32))) == 2
