"""Find the logits of a classifier: the tensor before its sigmoid or softmax, wherever that stands."""

from math import prod
from typing import Any

import keras
from keras import layers

from mien.errors import ExportError
from mien.training.networks.flat import FlatGraph, Step

SIGMOID, SOFTMAX, LINEAR = "sigmoid", "softmax", "linear"
#: Operations that only arrange values, so that they may change places with a softmax over all of them.
_ARRANGING = ("Reshape", "Flatten", "Permute", "Squeeze", "ExpandDims", "Activation", "Cast")
#: Operations after which probabilities may still be probabilities, such as the average of an ensemble.
_MIXING = (
    *_ARRANGING, "GlobalAveragePooling2D", "AveragePooling2D", "Mean", "Average", "Concatenate", "Stack", "Add",
    "Subtract", "Multiply", "Divide", "TrueDivide", "Sum", "Rescaling", "Clip", "Minimum", "Maximum",
)  # fmt: skip
#: Smallest probability that a logarithm is taken of.
_SMALLEST = 1e-9


def activation(operation: Any) -> str:
    """Return the name of the activation in a layer or operation; `linear` if it has none.

    Examples:
        >>> activation(layers.Dense(1, activation="sigmoid"))
        'sigmoid'
    """
    kind = type(operation).__name__
    if kind in ("Softmax", "Sigmoid"):
        return kind.lower()
    return str(getattr(getattr(operation, "activation", None), "__name__", LINEAR))


def add_logits(graph: FlatGraph, classes: int | None = None) -> Any:
    """Append what computes the logits to a flat graph, and return them: (N, K), or (N, 1) of one sigmoid.

    A sigmoid or softmax at the end is left out. Where other operations follow it, such as the average of an ensemble,
    the logits are the logarithms of the probabilities.

    Args:
        graph: a flattened classifier.
        classes: number of classes; None: as many as the model has.

    Raises:
        ExportError: the output has another shape, or holds neither logits nor probabilities.
    """
    output = _as_row(graph, classes)
    units = output.shape[-1]
    step, after = _before_arranging(graph, output)
    kind = LINEAR if step is None else activation(step.operation)
    if kind == SOFTMAX and units == 1:
        raise ExportError("the model ends in a softmax over one unit, which is always 1; use a sigmoid and train again")
    if step is not None and _squashes(step, kind, units):
        z = _without_activation(graph, step)
        for following in reversed(after):
            z = graph.call(following.operation, z)
        return z
    if kind == SIGMOID:
        raise ExportError(
            f"the model ends in {units} separate sigmoids, whose outputs do not add up to 1; train it with a softmax, "
            "or with one sigmoid unit for two classes"
        )
    if _holds_probabilities(graph, output):
        return _log_odds(output)
    if kind not in (LINEAR, "log_softmax"):  # the softmax of logarithms is the probabilities again
        raise ExportError(f"the model ends in '{kind}'; sigmoid, softmax or a linear layer is needed")
    return output


def _as_row(graph: FlatGraph, classes: int | None) -> Any:
    """Return the output of a graph as (N, K); ExportError if it has another shape."""
    output = graph.output
    if not isinstance(output, keras.KerasTensor):
        raise ExportError("the model must have one input and one output")
    if len(output.shape) > 2 and output.shape[-1] == prod(size or 0 for size in output.shape[1:]):
        output = graph.call(layers.Flatten(), output)
    if len(output.shape) != 2:
        raise ExportError(f"the model's output is {tuple(output.shape)}; one row of numbers per image is needed")
    units = output.shape[-1]
    if classes is not None and (units not in (1, classes) or (units == 1 and classes != 2)):
        raise ExportError(f"the model has {units} outputs for {classes} labels; name as many labels as outputs")
    return output


def _before_arranging(graph: FlatGraph, tensor: Any) -> tuple[Step | None, list[Step]]:
    """Return the last step that does more than arrange values, and those after it, the last first."""
    after: list[Step] = []
    step = graph.producer(tensor)
    while step and type(step.operation).__name__ in _ARRANGING and activation(step.operation) == LINEAR:
        after.append(step)
        step = graph.producer(step.inputs[0])
    return step, after


def _squashes(step: Step, kind: str, units: int) -> bool:
    """Return whether a step makes all of a model's probabilities at once, so that its input holds the logits."""
    shape = step.output.shape
    if kind == SIGMOID:
        return units == 1 and prod(size or 0 for size in shape[1:]) == 1
    axis = getattr(step.operation, "axis", -1) if type(step.operation).__name__ == "Softmax" else -1
    axes = [axis] if isinstance(axis, int) else axis
    chosen = prod(shape[axis] or 0 for axis in axes if shape[axis] is not None)
    return kind == SOFTMAX and chosen == units == prod(size or 0 for size in shape[1:])


def _without_activation(graph: FlatGraph, step: Step) -> Any:
    """Return what a step computes before its sigmoid or softmax."""
    layer, (source, *_) = step.operation, step.inputs
    if isinstance(layer, layers.Activation) or not getattr(layer, "weights", []):
        return source
    linear = type(layer).from_config({**layer.get_config(), "activation": LINEAR, "name": f"{layer.name}_linear"})
    z = graph.call(linear, source)
    linear.set_weights(layer.get_weights())
    return z


def _holds_probabilities(graph: FlatGraph, tensor: Any) -> bool:
    """Return whether a tensor is put together from probabilities only."""
    step = graph.producer(tensor)
    if step is None or not step.inputs:
        return False
    if activation(step.operation) in (SIGMOID, SOFTMAX):
        return True
    mixes = type(step.operation).__name__ in _MIXING and activation(step.operation) == LINEAR
    return mixes and all(_holds_probabilities(graph, source) for source in step.inputs)


def _log_odds(probabilities: Any) -> Any:
    """Return logits of the given probabilities: their logarithms, or those of the odds for one unit."""
    floored = keras.ops.maximum(probabilities, _SMALLEST)
    if probabilities.shape[-1] > 1:
        return keras.ops.log(floored)
    return keras.ops.log(floored) - keras.ops.log(keras.ops.maximum(1.0 - probabilities, _SMALLEST))
