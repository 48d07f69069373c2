"""Max pooling before the bias and the activation of the layer before it: the same results from fewer operations.

A bias is the same everywhere, and an increasing activation keeps the largest number the largest. So the pooling may
come first. Bias, activation and their gradients then see a quarter of the numbers: a fifth of a step of `classic`.
"""

from collections import Counter
from typing import Any

import keras
from keras import layers, ops

#: Activations that never fall.
_INCREASING = ("linear", "relu", "leaky_relu", "elu", "selu", "tanh")


class _Pooled:
    """Pools inside a layer, without a layer of its own: Keras builds some layers at once, and locks them."""

    def __init__(self, pooling: Any, **config: Any) -> None:
        super().__init__(**config)
        self.window = (pooling.pool_size, pooling.strides, pooling.padding)

    def pool(self, x: Any) -> Any:
        """Return the largest numbers of (N, H, W, C)."""
        return ops.max_pool(x, *self.window)

    def compute_output_shape(self: Any, input_shape: Any) -> Any:
        """Return the shape after pooling."""
        whole = super().compute_output_shape(input_shape)  # type: ignore[misc]  # of the class beside it
        size, strides, padding = self.window
        return layers.MaxPooling2D(size, strides, padding).compute_output_shape(whole)


class PooledConv2D(_Pooled, layers.Conv2D):  # type: ignore[misc]  # Keras ships no types
    """A convolution and the max pooling after it. Its weights are those of the convolution."""

    def call(self, inputs: Any) -> Any:
        """Return the pooled features (N, H, W, C)."""
        x = self.pool(self.convolution_op(inputs, self.kernel))
        return self.activation(ops.add(x, ops.reshape(self.bias, (1, 1, 1, -1))) if self.use_bias else x)


class PooledActivation(_Pooled, layers.Activation):  # type: ignore[misc]
    """An activation and the max pooling after it."""

    def call(self, inputs: Any) -> Any:
        """Return the pooled features (N, H, W, C)."""
        return self.activation(self.pool(inputs))


#: What a layer becomes together with the pooling after it.
POOLED = {layers.Conv2D: PooledConv2D, layers.Activation: PooledActivation}


def movable_poolings(network: Any) -> dict[str, Any]:
    """Return the max poolings that may come before the bias and activation of a layer, by the name of that layer."""
    if any(isinstance(layer, keras.Model) for layer in network.layers):
        return {}  # which of its layers another one reads is hidden in it
    read = Counter(id(x) for layer in network.layers for x in keras.tree.flatten(layer.input))
    makers = {id(layer.output): layer for layer in network.layers if type(layer) in POOLED}
    found = {}
    for pooling in network.layers:
        if type(pooling) is not layers.MaxPooling2D or pooling.data_format != "channels_last":
            continue
        maker = makers.get(id(pooling.input))
        if maker is None or read[id(maker.output)] > 1 or maker.output is network.output:
            continue
        if maker.get_config()["activation"] in _INCREASING:
            found[maker.name] = pooling
    return found
