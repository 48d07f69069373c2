"""Rewrite ONNX graphs to compute the same function in fewer or faster operations.

Each function changes a model in place, and leaves it unchanged if its pattern does not occur.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Model = Any  # onnx.ModelProto; onnx is imported only when a graph is rewritten
Step = tuple[str, str, tuple[str, ...]]

#: Keras's LayerNormalization over a whole image as the converter writes it: (result, operation, operands).
_STANDARDISATION: tuple[Step, ...] = (
    ("whole", "Add", ("scaled", "shift")),
    ("scaled", "Mul", ("x", "inverse")),
    ("shift", "Mul", ("minus", "inverse")),
    ("minus", "Neg", ("mean",)),
    ("inverse", "Reciprocal", ("root",)),
    ("root", "Sqrt", ("floored",)),
    ("floored", "Add", ("variance", "epsilon")),
    ("variance", "ReduceMean", ("square",)),
    ("square", "Mul", ("apart", "apart")),
    ("apart", "Sub", ("x", "mean")),
    ("mean", "ReduceMean", ("x",)),
)
_MEANS = ("mean", "variance")
_LARGE = 4096  # numbers; smaller constants are not worth a Cast
#: A Rescaling before it.
_RESCALING: tuple[Step, ...] = (
    ("x", "Add", ("product", "offset")),
    ("product", "Mul", ("image", "factor")),
)


def replace_erfc(model: Model) -> None:
    """Replace Erfc, which TensorFlow's gelu uses and ONNX lacks, by 1 - Erf."""
    from onnx import helper

    for node in [node for node in model.graph.node if node.op_type == "Erfc"]:
        one, inner = _constant(model, np.array(1.0, np.float32), f"{node.output[0]}/one"), f"{node.output[0]}/erf"
        steps = [
            helper.make_node("Erf", list(node.input), [inner], f"{node.name}/erf"),
            helper.make_node("Sub", [one, inner], list(node.output), node.name),
        ]
        _replace(model, node, steps)


def fuse_standardisation(model: Model) -> None:
    """Fuse the standardisation of each image, to mean 0 and variance 1, into one InstanceNormalization.

    The converter writes (x - mean) / sqrt(variance + ε) over (H, W, C) as eleven nodes, and a Rescaling before it,
    which only changes ε, as two.
    """
    from onnx import helper

    for node in list(model.graph.node):
        found = _standardised(model, node.output[0])
        if found is None:
            continue
        source, epsilon = found
        out = node.output[0]
        sizes = _sizes(model, source)
        if not sizes:
            continue
        flat = _constant(model, np.array([-1, 1, np.prod(sizes)], np.int64), f"{out}/flat")
        back = _constant(model, np.array([-1, *sizes], np.int64), f"{out}/shape")
        one, zero = (_constant(model, np.full(1, value, np.float32), f"{out}/{value:.0f}") for value in (1, 0))
        rows, normal = f"{out}/rows", f"{out}/normal"
        steps = [
            helper.make_node("Reshape", [source, flat], [rows], rows),
            helper.make_node("InstanceNormalization", [rows, one, zero], [normal], normal, epsilon=epsilon),
            helper.make_node("Reshape", [normal, back], [out], out),
        ]
        _replace(model, node, steps)
    _drop_unused(model)


def fuse_pooling(model: Model) -> None:
    """Fuse average pooling by k and the 1×1 convolution after it into one k×k convolution with stride k.

    Integer kernels pool slowly: pooling takes most of the time in the shortcuts of a residual network.
    """
    from onnx import helper, numpy_helper

    weights = {constant.name: constant for constant in model.graph.initializer}
    for pool in [node for node in model.graph.node if node.op_type == "AveragePool"]:
        after = [node for node in model.graph.node if pool.output[0] in node.input]
        if not _tiles(pool) or len(after) != 1:
            continue
        conv = after[0]
        if conv.op_type != "Conv" or conv.input[1] not in weights or not _is_pointwise(conv):
            continue
        kernel = _attribute(pool, "kernel_shape", [])
        small = numpy_helper.to_array(weights[conv.input[1]])
        large = np.tile(small / np.float32(np.prod(kernel)), (1, 1, *kernel))
        name = _constant(model, large, f"{conv.input[1]}/pooled")
        inputs = [pool.input[0], name, *conv.input[2:]]
        new = helper.make_node("Conv", inputs, conv.output, conv.name, kernel_shape=kernel, strides=kernel)
        _replace(model, conv, [new])
    _drop_unused(model)


def halve_weights(graph: bytes) -> bytes:
    """Store the large constants of an ONNX file in half precision, and return the bytes of the smaller file.

    Each has a Cast after it, which onnxruntime computes once as it loads; the arithmetic stays single. Constants that
    do not fit half precision stay.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(graph)
    casts = []
    for constant in list(model.graph.initializer):
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or values.size < _LARGE or not np.abs(values).max() < np.finfo(np.float16).max:
            continue
        model.graph.initializer.remove(constant)
        name = _constant(model, values.astype(np.float16), f"{constant.name}/half")
        casts.append(helper.make_node("Cast", [name], [constant.name], name, to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    found: bytes = model.SerializeToString()
    return found


def read_weights(graph: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """Return the constants of single precision in an ONNX file, after `halve_weights`, too.

    Raises ValueError if the bytes are no ONNX graph.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, numpy_helper

    try:
        model = onnx.load_from_string(graph)
    except DecodeError:
        raise ValueError("its model.onnx is not an ONNX graph") from None
    restore_weights(model)
    inside = [constant for constant in model.graph.initializer if constant.data_location != TensorProto.EXTERNAL]
    return {
        constant.name: numpy_helper.to_array(constant) for constant in inside if constant.data_type == TensorProto.FLOAT
    }


def restore_weights(model: Model) -> None:
    """Undo `halve_weights`, for tools that look for the weights of a layer among the constants."""
    from onnx import TensorProto, numpy_helper

    halves = {constant.name: constant for constant in model.graph.initializer if constant.raw_data}
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.input[0] in halves and _attribute(node, "to", 0) == TensorProto.FLOAT:
            model.graph.node.remove(node)
            _constant(model, numpy_helper.to_array(halves[node.input[0]]).astype(np.float32), node.output[0])
    _drop_unused(model)


def _standardised(model: Model, tensor: str) -> tuple[str, float] | None:
    """Return (x, ε) if `tensor` is x standardised over each image, else None."""
    producers = {name: node for node in model.graph.node for name in node.output}
    names = _bind(_STANDARDISATION, producers, tensor)
    if names is None or any(_attribute(producers[names[mean]], "axes", ()) != [1, 2, 3] for mean in _MEANS):
        return None
    source, epsilon = names["x"], _scalar(model, names["epsilon"])
    rescaled = _bind(_RESCALING, producers, source)
    if rescaled and epsilon is not None and _scalar(model, rescaled["offset"]) is not None:
        factor = _scalar(model, rescaled["factor"])
        if factor is not None and factor > 0:
            return rescaled["image"], epsilon / factor**2
    return None if epsilon is None else (source, epsilon)


def _bind(steps: tuple[Step, ...], producers: dict[str, Any], tensor: str) -> dict[str, str] | None:
    """Return the tensor of each name in `steps` if they compute `tensor`, else None."""
    names = {steps[0][0]: tensor}
    for result, operation, operands in steps:
        node = producers.get(names[result])
        if node is None or node.op_type != operation or len(node.input) != len(operands):
            return None
        if any(names.setdefault(name, given) != given for name, given in zip(operands, node.input, strict=True)):
            return None
    return names


def _scalar(model: Model, name: str) -> float | None:
    from onnx import numpy_helper

    values = [numpy_helper.to_array(value) for value in model.graph.initializer if value.name == name]
    return float(values[0].reshape(())) if values and values[0].size == 1 else None


def _attribute(node: Any, name: str, default: Any) -> Any:
    from onnx import helper

    return next((helper.get_attribute_value(value) for value in node.attribute if value.name == name), default)


def _tiles(pool: Any) -> bool:
    """Return whether the windows of a pooling tile the input, unpadded, and drop an incomplete last window."""
    plain = _attribute(pool, "auto_pad", b"NOTSET") in (b"NOTSET", b"VALID") and not _attribute(pool, "ceil_mode", 0)
    apart = _attribute(pool, "strides", None) == _attribute(pool, "kernel_shape", [])
    return plain and apart and not any(_attribute(pool, "pads", ()))


def _is_pointwise(conv: Any) -> bool:
    ones = all(value == 1 for name in ("kernel_shape", "strides") for value in _attribute(conv, name, ()))
    return ones and _attribute(conv, "group", 1) == 1 and not any(_attribute(conv, "pads", ()))


def _sizes(model: Model, tensor: str) -> list[int]:
    """Return the sizes of a tensor's axes after the first; empty if the graph does not fix them."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    for value in (*graph.value_info, *graph.input):
        if value.name == tensor:
            sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim[1:]]
            return sizes if all(sizes) else []
    return []


def _constant(model: Model, values: npt.NDArray[Any], name: str) -> str:
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _replace(model: Model, node: Any, steps: list[Any]) -> None:
    """Replace a node by `steps`; the last step has the node's outputs."""
    nodes = list(model.graph.node)
    place = nodes.index(node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:place], *steps, *nodes[place + 1 :]])


def _drop_unused(model: Model) -> None:
    """Remove nodes and constants that no output depends on."""
    needed = {value.name for value in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    constants = [constant for constant in model.graph.initializer if constant.name in needed]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(reversed(kept))
    model.graph.initializer.extend(constants)
