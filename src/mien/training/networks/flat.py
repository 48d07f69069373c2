"""Flatten a Keras model for inference: nested models unrolled, layers without effect dropped, constants plain.

Converters and gradient methods then see one graph of plain layers, however the model was put together.
"""

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers

from mien.training.backend import grouped_convolution

#: Layers that pass their input through at inference. The random layers of `keras.layers` join them, see `_passes`.
_PASSING = (
    layers.Identity, layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.SpatialDropout3D,
    layers.AlphaDropout, layers.GaussianDropout, layers.GaussianNoise, layers.ActivityRegularization,
)  # fmt: skip
#: Augmentations whose names do not begin with Random.
_AUGMENTATIONS = ("RandAugment", "AugMix", "MixUp", "CutMix")
#: Names that an export gives to its own layers.
_RESERVED = (
    "image", "raw_to_input", "logits", "logits_first", "logits_columns", "maps", "maps_first", "maps_columns",
    "score_maps", "score_mean",
)  # fmt: skip
#: Policies that compute or store less exactly (or more) than single precision.
_OTHER_PRECISION = ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64")


@dataclass(frozen=True)
class Step:
    """One operation of a flat graph, its name in the model, the tensors that it reads and the one that it returns."""

    name: str
    operation: Any
    inputs: tuple[Any, ...]
    output: Any


@dataclass
class FlatGraph:
    """A model as one list of plain operations.

    Attributes:
        image: the tensor that the model was called with.
        output: what the model returns.
        steps: in an order in which they can be computed.
    """

    image: Any
    output: Any = None
    steps: list[Step] = field(default_factory=list)

    def producer(self, tensor: Any) -> Step | None:
        """Return the step that computes a tensor; None for the input."""
        return next((step for step in reversed(self.steps) if step.output is tensor), None)

    def call(self, operation: Any, *inputs: Any) -> Any:
        """Append a step and return its output."""
        output = operation(*inputs)
        self.steps.append(Step(operation.name, operation, inputs, output))
        return output


def flatten(network: Any, image: Any) -> FlatGraph:
    """Return a model, called with `image`, as one graph of copied layers in single precision.

    Nested models are unrolled. Dropout, noise and random augmentation are left out. The network does not change.

    Args:
        network: a functional or sequential Keras model with one input and one output.
        image: a symbolic tensor that the model takes, or an operation on one.
    """
    graph = FlatGraph(image)
    graph.output = _Unroller(graph).unroll(network, image)
    return graph


class _Unroller:
    def __init__(self, graph: FlatGraph) -> None:
        self._graph = graph
        self._copies: dict[int, Any] = {}  # a layer that is called twice keeps one copy
        self._names = set(_RESERVED)

    def unroll(self, model: Any, *inputs: Any, **options: Any) -> Any:
        """Call every operation of a model, of its nested models too, on the given tensors."""
        if isinstance(model, keras.Sequential | layers.Pipeline):
            (x,) = inputs
            for layer in model.layers:
                x = self._call(layer, x, **options)
            return x
        # Keras has no public way to call a functional model operation by operation on tensors that it did not make.
        return model._run_through_graph(inputs, operation_fn=lambda operation: operation, call_fn=self._call)

    def _call(self, operation: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(operation, layers.InputLayer):
            return inputs[0]
        if isinstance(operation, keras.Sequential | keras.Model | layers.Pipeline):
            return self.unroll(operation, *inputs)
        if _is_random(operation):
            return inputs[0]
        options.pop("training", None)  # Keras ignores it too when the whole model is called for inference
        copy = self._copies.get(id(operation))
        is_new = copy is None
        if copy is None:
            copy = self._copies[id(operation)] = _plain_copy(operation, self._unique(operation.name))
        output = copy(*_plain(inputs), **_plain(options))
        if is_new and isinstance(copy, layers.Layer) and copy.weights:
            copy.set_weights(operation.get_weights())
        tensors = [x for x in keras.tree.flatten((inputs, options)) if isinstance(x, keras.KerasTensor)]
        self._graph.steps.append(Step(operation.name, copy, tuple(tensors), output))
        return output

    def _unique(self, name: str) -> str:
        """Return a name that no other operation has: nested models may use the same."""
        found, number = name, 1
        while found in self._names:
            found, number = f"{name}_{number}", number + 1
        self._names.add(found)
        return found


def _is_random(layer: Any) -> bool:
    """Return whether a layer acts in training only. RandomCrop also crops at inference."""
    name = type(layer).__name__
    own = type(layer).__module__.startswith("keras.")
    random = own and (name in _AUGMENTATIONS or (name.startswith("Random") and name != "RandomCrop"))
    return random or isinstance(layer, _PASSING)


def _plain(values: Any) -> Any:
    """Return arguments with arrays in place of the backend's tensors, which a converter would take for inputs."""

    def plain(value: Any) -> Any:
        return np.asarray(value) if keras.ops.is_tensor(value) and not isinstance(value, keras.KerasTensor) else value

    return keras.tree.map_structure(plain, values)


def _plain_copy(operation: Any, name: str) -> Any:
    """Return an operation with its weights in single precision, written so that a converter knows it."""
    if isinstance(operation, layers.Normalization):
        return _rescaling(operation, name)
    config = operation.get_config()
    if isinstance(operation, layers.Layer) and operation.dtype_policy.name in _OTHER_PRECISION:
        config["dtype"] = "float32"
    copy = type(operation).from_config(config)
    copy.name = name
    if not isinstance(operation, layers.Layer):
        return copy
    return GroupedConvolution(copy, name) if getattr(copy, "groups", 1) > 1 and _is_convolution(copy) else copy


def _is_convolution(layer: Any) -> bool:
    return isinstance(layer, layers.Conv2D) and layer.data_format == "channels_last"


def _rescaling(layer: Any, name: str) -> Any:
    """Return a Normalization with its mean and variance as factor and offset: Keras keeps them as tensors."""
    mean, deviation = np.asarray(layer.mean, np.float64), np.sqrt(np.asarray(layer.variance, np.float64))
    deviation = np.maximum(deviation, keras.config.epsilon())
    if layer.invert:
        return layers.Rescaling(deviation.astype(np.float32), mean.astype(np.float32), name=name)
    return layers.Rescaling((1 / deviation).astype(np.float32), (-mean / deviation).astype(np.float32), name=name)


class GroupedConvolution(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A grouped convolution that converters know; Keras compiles it for a CPU into a form that they do not."""

    def __init__(self, convolution: Any, name: str) -> None:
        super().__init__(name=name)
        self.convolution = convolution

    def build(self, input_shape: Any) -> None:
        """Create the weights of the convolution."""
        self.convolution.build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Convolve (N, H, W, C), add the bias and activate."""
        layer = self.convolution
        x = grouped_convolution(inputs, layer.kernel, layer.strides, layer.padding, layer.dilation_rate)
        return layer.activation(x + layer.bias if layer.use_bias else x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (N, H', W', filters)."""
        return self.convolution.compute_output_shape(input_shape)
