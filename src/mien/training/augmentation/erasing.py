"""Random erasing: occlude a random rectangle of each image."""

import math
from typing import Any

import keras
from keras import ops

from mien.training.augmentation.base import RandomLayer

_PLAIN, _GRAINY = 0.5, 0.2  # fractions of the rectangles of one tone, and of one tone with noise
_GRAIN = 80.0  # largest standard deviation of that noise, on the scale of 0-255


class RandomErasing(RandomLayer):
    """Occlude a random rectangle of each image (N, H, W, C) with probability `rate`; in training only.

    The rectangle has 2 to 25 % of the area and an aspect ratio of at most 1:3 (Zhong et al., "Random Erasing Data
    Augmentation", 2020). Half of them have one tone, which resembles hair and skin. The others show another image of
    the batch, upside down, or noise: a network trained on plain tones alone fails behind a patterned sleeve.
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__(seed)
        self._rate = rate

    def transform(self, images: Any) -> Any:
        """Return the images with their rectangles."""
        count, height, width, _ = ops.shape(images)
        area = self.uniform(count, 0.02, 0.25)
        shape = ops.exp(self.uniform(count, -1, 1) * math.log(3) / 2)
        across = self._interval(count, (1, 1, width, 1), ops.sqrt(area * shape))
        down = self._interval(count, (1, height, 1, 1), ops.sqrt(area / shape))
        hit = self.uniform(count, 0, 1) < self._rate
        occluded = ops.logical_and(hit, ops.logical_and(down, across))
        return ops.where(occluded, self._filling(images, count), images)

    def _filling(self, images: Any, count: Any) -> Any:
        """Return the content of each image's rectangle, in the size of the image."""
        tone, kind = self.uniform(count, 0, 255), self.uniform(count, 0, 1)
        grain = tone + self.uniform(count, 0, _GRAIN) * keras.random.normal(ops.shape(images), seed=self.seed)
        others = ops.flip(ops.roll(images, 1, axis=0), axis=1)
        pattern = ops.where(kind < 1 - _GRAINY, others, ops.clip(grain, 0, 255))
        return ops.where(kind < _PLAIN, tone, pattern)

    def _interval(self, count: Any, shape: tuple[int, ...], fraction: Any) -> Any:
        """Return which pixels along one side lie in a randomly placed interval of that length: bool (N, …)."""
        side = math.prod(shape)
        length = fraction * side
        start = self.uniform(count, 0, 1) * (side - length)
        place = ops.reshape(ops.arange(side, dtype="float32"), shape) + 0.5
        return ops.logical_and(place >= start, place < start + length)
