"""Batch normalisation with the backend's fused kernel: the same weights and results as Keras's, sooner."""

from typing import Any

import keras
from keras import layers

from mien.training.backend import fused_batch_norm


class FusedBatchNormalization(layers.BatchNormalization):  # type: ignore[misc]  # Keras ships no types
    """Keras's batch normalisation, in training computed by one kernel where the backend has one.

    Only ever part of the training twin of a network, so that saved models hold plain Keras layers.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise (N, H, W, C) in the dtype it comes in, and follow its mean and variance."""
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
