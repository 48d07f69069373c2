"""Muon (Jordan et al., 2024) for convolutional networks: each step's matrix is made orthogonal before it is taken.

Keras's own Muon does so for dense layers alone and leaves convolutions to AdamW, which in a convolutional network
is nearly everything. Here a kernel (height, width, in, out) is treated as the matrix (height * width * in, out).
"""

import math
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

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, gradient + m * (self.momentum - 1))
        step = gradient + self.momentum * m
        matrix = (math.prod(variable.shape[:-1]), variable.shape[-1])
        # The iteration has no need of more precision, and half as much memory traffic is twice the speed.
        flat = ops.cast(ops.reshape(step, matrix), "bfloat16")
        turned = ops.cast(self.zeropower_via_newtonschulz5(flat, self.ns_steps), variable.dtype)
        scale = self.rms_rate * math.sqrt(max(matrix))
        self.assign_sub(variable, ops.reshape(lr * scale * turned, variable.shape))
