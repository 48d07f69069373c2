"""Muon (Jordan et al., 2024) for convolutional networks: each step's matrix is made orthogonal before it is taken.

Keras's own Muon does so for dense layers alone and leaves convolutions to AdamW, which in a convolutional network
is nearly everything. Here a kernel (height, width, in, out) is treated as the matrix (height * width * in, out).
"""

from typing import Any

import keras
from keras import ops

KERNEL_DIMENSIONS = 4


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras's Muon, extended to convolution kernels; head, norms and biases are updated by AdamW, at the same rate.

    Steps are scaled to the size of AdamW's (Liu et al., 2025), so that its learning rates fit.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        if len(variable.shape) == KERNEL_DIMENSIONS:
            return bool(variable.shape[-1] == 1)  # depthwise: filters of one channel, no matrix
        return bool(super()._should_use_adamw(variable))

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """Return the matrix (or kernel) made orthogonal, in the shape and type of `x`."""
        # The iteration has no need of more precision, and takes a third of the time.
        turned = super().zeropower_via_newtonschulz5(ops.cast(_matrix(x), "bfloat16"), steps)
        return ops.cast(ops.reshape(turned, x.shape), x.dtype)

    def lr_adjust(self, x: Any) -> Any:
        """Return the step scaled by the sides of its matrix."""
        return ops.reshape(super().lr_adjust(_matrix(x)), x.shape)


def _matrix(x: Any) -> Any:
    return ops.reshape(x, (-1, x.shape[-1]))
