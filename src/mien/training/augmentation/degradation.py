"""Random image degradations, as from cameras and files: light, blur, low resolution, noise, JPEG artefacts."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from mien.arrays import Float32, Float64
from mien.training.augmentation.base import RandomLayer

_FACTORS = (1.5, 2.0, 3.0)  # downscaling factors of low resolution
_LOWEST_QUALITY, _HIGHEST_QUALITY = 15.0, 70.0
_NOISE = 14.0  # largest standard deviation, on the scale of 0-255
_GAMMA = 2.0  # largest gamma, and 1 / the smallest
_SHADE = 0.6  # largest darkening of one side, as a fraction
_GAIN = 1.6  # largest gain of the exposure, and 1 / the smallest

#: The luminance quantisation table of the JPEG standard (ITU-T T.81, 1992, annex K).
_JPEG_TABLE = np.array(
    [[16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
     [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
     [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
     [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], np.float32,
)  # fmt: skip


class RandomDegradation(RandomLayer):
    """Apply each degradation to each image (N, H, W, C), [0, 255], with probability `rate`; in training only."""

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self._rate = rate

    def transform(self, images: Any) -> Any:
        """Return the degraded images."""
        for degrade in (self._light, self._blur, self._low_resolution, self._noise, self._jpeg):
            images = self._apply(images, degrade)
        return images

    def _apply(self, images: Any, degrade: Callable[[Any, Any], Any]) -> Any:
        """Degrade a random subset of the batch, which is several times faster than to degrade all and keep some."""
        total = ops.shape(images)[0]
        count = ops.cast(ops.ceil(ops.cast(total, "float32") * self._rate), "int32")
        order = ops.argsort(keras.random.uniform((total,), seed=self.seed))[:count]
        subset = ops.take(images, order, axis=0)
        # The size of the subset is rounded up. To keep the rate exact in small batches, some of it stays unchanged.
        hit = self.uniform(count, 0, 1) * ops.cast(count, "float32") < self._rate * ops.cast(total, "float32")
        degraded = ops.where(hit, ops.clip(degrade(subset, count), 0, 255), subset)
        return ops.scatter_update(images, ops.expand_dims(order, 1), degraded)

    def _light(self, x: Any, count: Any) -> Any:
        """Change exposure and gamma, and darken one side."""
        gain = ops.exp(self.uniform(count, -1, 1) * math.log(_GAIN))
        gamma = ops.exp(self.uniform(count, -1, 1) * math.log(_GAMMA))
        height, width = x.shape[1:3]
        angle = self.uniform(count, 0, 2 * math.pi)
        across = ops.reshape(ops.linspace(-0.5, 0.5, width), (1, 1, width, 1))
        down = ops.reshape(ops.linspace(-0.5, 0.5, height), (1, height, 1, 1))
        ramp = ops.cos(angle) * across + ops.sin(angle) * down
        shade = 1 - self.uniform(count, 0, _SHADE) * (ramp + 0.5)
        return 255 * ops.power(ops.clip(gain * x / 255, 1e-6, 1), gamma) * shade

    def _blur(self, x: Any, count: Any) -> Any:
        """Blend with a Gaussian blur whose sigma is 1/32 of the side, by a random weight."""
        sigma = max(1.0, x.shape[1] / 32)
        reach = math.ceil(2 * sigma)
        bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        bell = np.tile((bell / bell.sum()).astype(np.float32)[:, None, None, None], (1, 1, x.shape[3], 1))
        padded = ops.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="symmetric")
        soft = ops.depthwise_conv(ops.depthwise_conv(padded, bell), bell.transpose(1, 0, 2, 3))
        return x + self.uniform(count, 0, 1) * (soft - x)

    def _low_resolution(self, x: Any, count: Any) -> Any:
        """Downscale by one of three factors and upscale again."""
        height, width = x.shape[1:3]
        pick = self.uniform(count, 0, len(_FACTORS))
        found = x
        for number, factor in enumerate(_FACTORS):
            small = ops.image.resize(x, (round(height / factor), round(width / factor)), antialias=True)
            found = ops.where(ops.floor(pick) == number, ops.image.resize(small, (height, width)), found)
        return found

    def _noise(self, x: Any, count: Any) -> Any:
        return x + self.uniform(count, 0, _NOISE) * keras.random.normal(ops.shape(x), seed=self.seed)

    def _jpeg(self, x: Any, count: Any) -> Any:
        """Quantise the cosine transform of every 8×8 block as JPEG does; colour channels are treated like luminance."""
        height, width, channels = x.shape[1:]
        extra = (-height % 8, -width % 8)
        padded = ops.pad(x, ((0, 0), (0, extra[0]), (0, extra[1]), (0, 0)), mode="symmetric")
        rows, columns = (height + extra[0]) // 8, (width + extra[1]) // 8
        blocks = ops.transpose(ops.reshape(padded, (-1, rows, 8, columns, 8, channels)), (0, 1, 3, 5, 2, 4)) - 128
        quality = self.uniform(count, _LOWEST_QUALITY, _HIGHEST_QUALITY)
        scale = ops.where(quality < 50, 50 / quality, 2 - quality / 50)
        table = ops.clip(_JPEG_TABLE * ops.reshape(scale, (-1, 1, 1, 1, 1, 1)), 1, 255)
        basis = _cosines()
        waves = ops.round(basis @ blocks @ basis.T / table) * table
        blocks = ops.transpose(basis.T @ waves @ basis + 128, (0, 1, 4, 2, 5, 3))
        return ops.reshape(blocks, (-1, 8 * rows, 8 * columns, channels))[:, :height, :width]


def _cosines() -> Float32:
    """Return the orthonormal 8×8 matrix of the discrete cosine transform (type II)."""
    k, n = np.mgrid[:8, :8]
    found: Float64 = np.sqrt(2 / 8) * np.cos(np.pi * (2 * n + 1) * k / 16)
    found[0] /= math.sqrt(2)
    return found.astype(np.float32)
