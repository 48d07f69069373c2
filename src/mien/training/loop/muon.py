"""Muon (Jordan et al., 2024) for convolutional networks: updates are orthogonalised matrices.

Keras's Muon orthogonalises the updates of dense layers only and leaves convolutions, nearly all weights of a
convolutional network, to AdamW. Here a kernel (height, width, in, out) is the matrix (height * width * in, out).
"""

from typing import Any

import keras
from keras import ops

KERNEL_DIMENSIONS = 4


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras's Muon, extended to convolution kernels. AdamW updates head, normalisation and biases at the same rate.

    Updates are scaled to the size of AdamW's (Liu et al., 2025), so that its learning rates work.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        if len(variable.shape) == KERNEL_DIMENSIONS:
            return bool(variable.shape[-1] == 1)  # depthwise: filters of one channel are not a matrix
        return bool(super()._should_use_adamw(variable))

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """Return the orthogonalised matrix (or kernel), in the shape and dtype of `x`."""
        # The iteration needs no more precision, and takes a third of the time.
        orthogonal = super().zeropower_via_newtonschulz5(ops.cast(_matrix(x), "bfloat16"), steps)
        return ops.cast(ops.reshape(orthogonal, x.shape), x.dtype)

    def lr_adjust(self, x: Any) -> Any:
        """Return the update scaled by the sides of its matrix."""
        return ops.reshape(super().lr_adjust(_matrix(x)), x.shape)


def _matrix(x: Any) -> Any:
    return ops.reshape(x, (-1, x.shape[-1]))
