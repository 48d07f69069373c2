"""Small ONNX graphs, some of which show only when they run that they are no use."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper


def model_bytes(
    nodes: Sequence[onnx.NodeProto], inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, npt.NDArray[Any]],
) -> bytes:  # fmt: skip
    """Return a graph as an ONNX file."""
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "made", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def odd_maps(kind: str) -> bytes:
    """A graph whose maps are of an open shape that the config cannot check, or not numbers."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 16, 16, 3])
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["M", "h", "w", "k"]),
    ]
    constants: dict[str, npt.NDArray[Any]] = {
        "weights": np.ones((3, 2), np.float32), "nan": np.array(np.nan, np.float32), "first": np.array([True, False]),
    }  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["image", "weights"], ["all"]),
        helper.make_node("ReduceMean", ["all"], ["logits"], axes=[1, 2], keepdims=0),
    ]
    if kind == "labels":
        nodes.append(helper.make_node("Compress", ["all", "first"], ["maps"], axis=3))
    else:
        nodes.append(helper.make_node("Mul", ["all", "nan"], ["maps"]))
    return model_bytes(nodes, [image], outputs, constants)


def convolving() -> bytes:
    """A seeded graph with maps, size 16, whose answer and maps depend on left and right: a strided convolution."""
    rng, number = np.random.default_rng(2), TensorProto.FLOAT
    image = helper.make_tensor_value_info("image", number, ["N", 16, 16, 3])
    outputs = [
        helper.make_tensor_value_info("logits", number, ["N", 2]),
        helper.make_tensor_value_info("maps", number, ["N", 8, 8, 2]),
    ]
    kernel = rng.normal(0, 0.01, (8, 3, 3, 3)).astype(np.float32)
    constants: dict[str, npt.NDArray[Any]] = {"kernel": kernel, "weights": rng.normal(size=(8, 2)).astype(np.float32)}
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        # Keras pads so for `same`: nothing at the left, one column at the right.
        helper.make_node("Conv", ["planes", "kernel"], ["convolved"], strides=[2, 2], pads=[0, 0, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["active"]),
        helper.make_node("Transpose", ["active"], ["features"], perm=[0, 2, 3, 1]),
        helper.make_node("MatMul", ["features", "weights"], ["maps"]),
        helper.make_node("ReduceMean", ["maps"], ["logits"], axes=[1, 2], keepdims=0),
    ]
    return model_bytes(nodes, [image], outputs, constants)


def endless() -> bytes:
    """A graph with a loop of 10^15 steps."""
    info, number = helper.make_tensor_value_info, TensorProto.FLOAT
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go on"]), helper.make_node("Mul", ["x", "one"], ["y"])], "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("x", number, ["N", 2])],
        [info("go on", TensorProto.BOOL, []), info("y", number, ["N", 2])],
        [numpy_helper.from_array(np.array(1, np.float32), "one")],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["means", "weights"], ["x0"]),
        helper.make_node("Loop", ["steps", "true", "x0"], ["logits"], body=body),
    ]
    constants: dict[str, npt.NDArray[Any]] = {
        "weights": np.ones((3, 2), np.float32), "steps": np.array(10**15, np.int64), "true": np.array(True),
    }  # fmt: skip
    image, logits = info("image", number, ["N", 16, 16, 3]), info("logits", number, ["N", 2])
    return model_bytes(nodes, [image], [logits], constants)
