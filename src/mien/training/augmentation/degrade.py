"""What cameras and files do to a face before a network sees it: blur, low resolution, JPEG, noise, uneven light."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from mien.arrays import Float32, Float64
from mien.training.augmentation.base import RandomLayer

_FACTORS = (1.5, 2.0, 3.0)  # how much smaller a low-resolution picture was
_LOWEST_QUALITY, _HIGHEST_QUALITY = 15.0, 70.0
_NOISE = 14.0  # largest standard deviation, of 255
_GAMMA = 2.0
_SHADE = 0.6  # how much darker one side may be, as a share
_GAIN = 1.6  # how much too long or too short the exposure was
_PLAIN, _GRAINY = 0.5, 0.2  # shares of the covers that are of one tone, and of one tone with grain
_GRAIN = 80.0  # largest standard deviation of a cover's grain, of 255

#: The luminance quantisation table of the JPEG standard (ITU-T T.81, 1992, annex K).
_JPEG_TABLE = np.array(
    [[16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
     [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
     [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
     [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], np.float32,
)  # fmt: skip


class RandomDegradation(RandomLayer):
    """Applies each kind of damage to each picture (N, H, W, C), [0, 255], with probability `rate`; in training only."""

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self._rate = rate

    def change(self, pictures: Any) -> Any:
        """Return the pictures with their damage."""
        for damage in (self._light, self._blur, self._low_resolution, self._noise, self._jpeg):
            pictures = self._some(pictures, damage)
        return pictures

    def _some(self, pictures: Any, damage: Callable[[Any, Any], Any]) -> Any:
        """Damage a random part of the batch: damaging all and keeping some would take several times as long."""
        total = ops.shape(pictures)[0]
        count = ops.cast(ops.ceil(ops.cast(total, "float32") * self._rate), "int32")
        lots = keras.random.uniform((total,), seed=self.seed)
        places = ops.argsort(lots)[:count]
        part = ops.take(pictures, places, axis=0)
        # The part is rounded up; so that the rate holds in small batches too, some of it stays as it is.
        hit = self.draw(count, 0, 1) * ops.cast(count, "float32") < self._rate * ops.cast(total, "float32")
        damaged = ops.where(hit, ops.clip(damage(part, count), 0, 255), part)
        return ops.scatter_update(pictures, ops.expand_dims(places, 1), damaged)

    def _light(self, x: Any, count: Any) -> Any:
        """A random exposure and gamma, and light from one side."""
        gain = ops.exp(self.draw(count, -1, 1) * math.log(_GAIN))
        gamma = ops.exp(self.draw(count, -1, 1) * math.log(_GAMMA))
        height, width = x.shape[1:3]
        angle = self.draw(count, 0, 2 * math.pi)
        across = ops.reshape(ops.linspace(-0.5, 0.5, width), (1, 1, width, 1))
        down = ops.reshape(ops.linspace(-0.5, 0.5, height), (1, height, 1, 1))
        ramp = ops.cos(angle) * across + ops.sin(angle) * down
        shade = 1 - self.draw(count, 0, _SHADE) * (ramp + 0.5)
        return 255 * ops.power(ops.clip(gain * x / 255, 1e-6, 1), gamma) * shade

    def _blur(self, x: Any, count: Any) -> Any:
        """A Gaussian of 1/32 of the side, at a random strength."""
        sigma = max(1.0, x.shape[1] / 32)
        reach = math.ceil(2 * sigma)
        bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        bell = np.tile((bell / bell.sum()).astype(np.float32)[:, None, None, None], (1, 1, x.shape[3], 1))
        padded = ops.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="symmetric")
        soft = ops.depthwise_conv(ops.depthwise_conv(padded, bell), bell.transpose(1, 0, 2, 3))
        return x + self.draw(count, 0, 1) * (soft - x)

    def _low_resolution(self, x: Any, count: Any) -> Any:
        """Shrink by one of three factors and enlarge again."""
        height, width = x.shape[1:3]
        pick = self.draw(count, 0, len(_FACTORS))
        found = x
        for number, factor in enumerate(_FACTORS):
            small = ops.image.resize(x, (round(height / factor), round(width / factor)), antialias=True)
            found = ops.where(ops.floor(pick) == number, ops.image.resize(small, (height, width)), found)
        return found

    def _noise(self, x: Any, count: Any) -> Any:
        return x + self.draw(count, 0, _NOISE) * keras.random.normal(ops.shape(x), seed=self.seed)

    def _jpeg(self, x: Any, count: Any) -> Any:
        """Quantise the cosine transform of every 8×8 block as JPEG does; colour channels like luminance."""
        height, width, channels = x.shape[1:]
        extra = (-height % 8, -width % 8)
        padded = ops.pad(x, ((0, 0), (0, extra[0]), (0, extra[1]), (0, 0)), mode="symmetric")
        rows, columns = (height + extra[0]) // 8, (width + extra[1]) // 8
        blocks = ops.transpose(ops.reshape(padded, (-1, rows, 8, columns, 8, channels)), (0, 1, 3, 5, 2, 4)) - 128
        quality = self.draw(count, _LOWEST_QUALITY, _HIGHEST_QUALITY)
        scale = ops.where(quality < 50, 50 / quality, 2 - quality / 50)
        table = ops.clip(_JPEG_TABLE * ops.reshape(scale, (-1, 1, 1, 1, 1, 1)), 1, 255)
        basis = _cosines()
        waves = ops.round(basis @ blocks @ basis.T / table) * table
        blocks = ops.transpose(basis.T @ waves @ basis + 128, (0, 1, 4, 2, 5, 3))
        return ops.reshape(blocks, (-1, 8 * rows, 8 * columns, channels))[:, :height, :width]


def _cosines() -> Float32:
    """The orthonormal 8×8 matrix of the discrete cosine transform (type II)."""
    k, n = np.mgrid[:8, :8]
    found: Float64 = np.sqrt(2 / 8) * np.cos(np.pi * (2 * n + 1) * k / 16)
    found[0] /= math.sqrt(2)
    return found.astype(np.float32)


class RandomErasing(RandomLayer):
    """Covers a random rectangle of each picture (N, H, W, C) with probability `rate`; in training only.

    The rectangle has 2 to 25 % of the area and sides of at most 1:3 (Zhong et al., "Random Erasing Data
    Augmentation", 2020). Half of them are of one tone, as hair and skin are nearly; the others hold what stands at
    their place in another picture of the batch turned upside down, or grain: a network that knows plain tones alone
    is lost behind a patterned sleeve.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self._rate = rate

    def change(self, pictures: Any) -> Any:
        """Return the pictures with their rectangles."""
        count, height, width, _ = ops.shape(pictures)
        area = self.draw(count, 0.02, 0.25)
        shape = ops.exp(self.draw(count, -1, 1) * math.log(3) / 2)
        across = self._covered(count, (1, 1, width, 1), ops.sqrt(area * shape))
        down = self._covered(count, (1, height, 1, 1), ops.sqrt(area / shape))
        hit = self.draw(count, 0, 1) < self._rate
        covered = ops.logical_and(hit, ops.logical_and(down, across))
        return ops.where(covered, self._cover(pictures, count), pictures)

    def _cover(self, pictures: Any, count: Any) -> Any:
        """What each picture is covered by, as large as the picture."""
        tone, kind = self.draw(count, 0, 255), self.draw(count, 0, 1)
        grain = tone + self.draw(count, 0, _GRAIN) * keras.random.normal(ops.shape(pictures), seed=self.seed)
        others = ops.flip(ops.roll(pictures, 1, axis=0), axis=1)
        pattern = ops.where(kind < 1 - _GRAINY, others, ops.clip(grain, 0, 255))
        return ops.where(kind < _PLAIN, tone, pattern)

    def _covered(self, count: Any, shape: tuple[int, ...], share: Any) -> Any:
        """Which places along one side, of that shape, a stretch of that share covers, randomly placed: bool (N, …)."""
        side = math.prod(shape)
        length = share * side
        start = self.draw(count, 0, 1) * (side - length)
        place = ops.reshape(ops.arange(side, dtype="float32"), shape) + 0.5
        return ops.logical_and(place >= start, place < start + length)
