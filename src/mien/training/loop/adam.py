"""Keras's Adam and AdamW, which update a weight and both of its averages in one pass if the backend can."""

from typing import Any

import keras

from mien.training.backend import fused_adam


class _OnePass:
    """Keras makes a pass over all weights for each of a dozen operations, which a large dense layer feels."""

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight and its averages."""
        index = self._get_variable_index(variable)
        averages = self._momentums[index], self._velocities[index]
        if not fused_adam(self, variable, averages, gradient, learning_rate):
            super().update_step(gradient, variable, learning_rate)  # type: ignore[misc]  # of the class beside it


class Adam(_OnePass, keras.optimizers.Adam):  # type: ignore[misc]  # Keras ships no types
    """Adam (Kingma and Ba, 2015)."""


class AdamW(_OnePass, keras.optimizers.AdamW):  # type: ignore[misc]
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""
