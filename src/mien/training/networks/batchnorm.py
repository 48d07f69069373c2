"""Batch normalisation by the backend's fused kernel: weights and results of Keras's layer, but faster."""

from typing import Any

import keras
from keras import layers

from mien.training.backend import fused_batch_norm


class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]  # Keras ships no types
    """Keras's batch normalisation; in training, computed by one kernel if the backend has one.

    Used only in the training copy of a network, so that saved models hold plain Keras layers.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise (N, H, W, C), in its own dtype, and update the running mean and variance."""
        found = None
        if training and self.trainable:
            gamma, beta = (keras.ops.convert_to_tensor(weight.value) for weight in (self.gamma, self.beta))
            found = fused_batch_norm(inputs, gamma, beta, self.epsilon)
        if found is None:
            return super().call(inputs, training=training, mask=mask)
        result, mean, variance = found
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            old = keras.ops.convert_to_tensor(average.value)
            average.assign(old * self.momentum + value * (1.0 - self.momentum))
        return result
