"""Read the output of a Keras model, as it is: are these probabilities, their logarithms or logits?

The values decide, and the last operation where values cannot. What the export makes of the model plays no part, so
that a mistake of the export shows.
"""

import warnings
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from mien.arrays import Float32, Float64
from mien.errors import ExportError

#: What the output of a model is.
Output = Literal["probabilities", "log-probabilities", "logits"]

_TOLERANCE = 1e-3
_PROBES, _PROBE_SCALES = 8, (0.1, 10.0, 1000.0)
#: Layers and operations that change the shape of a tensor at inference, or nothing.
_SAME_VALUES = frozenset(["Reshape", "Flatten", "Identity", "Dropout", "Squeeze", "ExpandDims", "Cast", "Ravel"])
_WEIGHTED = (layers.Dense, layers.EinsumDense, layers.Conv2D, layers.SeparableConv2D)


def read_output(network: Any) -> Output:
    """Return what the output of a model with one input and one output is.

    The model sees noise of very different strength. Only probabilities stay in [0, 1] and add up to 1.

    Raises:
        ExportError: it computes values that are not numbers.
    """
    rng = np.random.default_rng(0)
    shape = (_PROBES, *network.inputs[0].shape[1:])
    noise = [rng.normal(scale=scale, size=shape).astype(np.float32) for scale in _PROBE_SCALES]
    try:
        found = np.concatenate([run(network, block) for block in noise])
    except ExportError:  # a root or logarithm inside the model takes no values below 0
        found = np.concatenate([run(network, np.abs(block)) for block in noise])
    if found.shape[1] > 1 and not _are_probabilities(found):
        return "log-probabilities" if found.max() <= _TOLERANCE and _are_probabilities(np.exp(found)) else "logits"
    if found.shape[1] == 1 and (_ends_linear(network) or not _are_probabilities(found)):
        return "logits"
    return "probabilities"


def run(network: Any, images: Float32) -> Float32:
    """Return the output (N, K) of a Keras model at inference; ExportError if it is not numbers."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The structure of `inputs`")  # a list of one input, as some files have it
        found = np.asarray(network(images, training=False), np.float32).reshape(len(images), -1)
    if not np.isfinite(found).all():
        raise ExportError("the network computes outputs that are not numbers; train it again")
    return found


def as_probabilities(output: Float32, kind: Output) -> Float64:
    """Return probabilities (N, K) of the output (N, K) of a model. One unit is the second of two labels.

    Examples:
        >>> as_probabilities(np.array([[0.25]], np.float32), "probabilities").tolist()
        [[0.75, 0.25]]
    """
    rows = np.asarray(output, np.float64)
    if rows.shape[1] == 1:
        second = 0.5 + 0.5 * np.tanh(rows / 2) if kind == "logits" else rows
        return np.concatenate([1 - second, second], axis=1)
    if kind == "probabilities":
        return rows
    rows = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _are_probabilities(found: Float32) -> bool:
    inside = found.min() >= -_TOLERANCE and found.max() <= 1 + _TOLERANCE
    return bool(inside and (found.shape[1] == 1 or np.abs(found.sum(axis=1) - 1).max() <= _TOLERANCE))


def _ends_linear(network: Any) -> bool:
    """Return whether the last layer that changes values is a linear one, whose values have no bounds."""
    tensor = network.outputs[0]
    while True:
        operation, index, _ = tensor._keras_history
        linear = getattr(getattr(operation, "activation", None), "__name__", "linear") == "linear"
        if isinstance(operation, keras.Model):
            return _ends_linear(operation)
        if type(operation).__name__ in _SAME_VALUES or (isinstance(operation, layers.Activation) and linear):
            tensor = operation._inbound_nodes[index].input_tensors[0]
            continue
        return linear and isinstance(operation, _WEIGHTED)
