"""Random flip, rotation, zoom and shift in one resampling: several in a row would blur a small image."""

import math
from typing import Any

from keras import ops

from mien.training.augmentation.base import RandomLayer


class RandomAffine(RandomLayer):
    """Apply a random affine transform to each image (N, H, W, C); in training only.

    Pixels from outside the image repeat its edge in half of the images. In the others they have one random tone, as
    beside a face crop that reaches over the border.

    Args:
        flip: mirror left and right with probability 0.5.
        rotation: largest angle in degrees, in both directions.
        zoom: scale by a factor from [1 / (1 + zoom), 1 + zoom], uniform in its logarithm.
        translation: largest shift, as a fraction of the side, in both directions.
        seed: of all draws.
    """

    def __init__(
        self, flip: bool = False, rotation: float = 0, zoom: float = 0, translation: float = 0, seed: int = 0
    ) -> None:
        super().__init__(seed)
        self._flip, self._rotation, self._zoom, self._translation = flip, rotation, zoom, translation

    def transform(self, images: Any) -> Any:
        """Return the transformed images."""
        count, height, width, _ = ops.shape(images)
        matrices = self._matrices(count, height, width)
        moved = ops.image.affine_transform(images, matrices, fill_mode="nearest")
        inside = ops.image.affine_transform(ops.ones_like(images), matrices, fill_mode="constant", fill_value=0)
        tone = self.uniform(count, 0, 255)
        plain = inside * moved + (1 - inside) * tone
        return ops.where(self.uniform(count, 0, 1) < 0.5, moved, plain)

    def _matrices(self, count: Any, height: int, width: int) -> Any:
        """Return affine matrices (N, 8) that map positions in the result to positions in the source."""
        angle = self._number(count, -1, 1) * math.radians(self._rotation)
        step = ops.exp(self._number(count, -1, 1) * math.log1p(self._zoom))
        mirror = ops.where(self._number(count, 0, 1) < 0.5, -1.0, 1.0) if self._flip else ops.ones(count)
        a, b = ops.cos(angle) * step, ops.sin(angle) * step
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        shift_x = self._number(count, -1, 1) * self._translation * width + middle_x
        shift_y = self._number(count, -1, 1) * self._translation * height + middle_y
        rows = [
            mirror * a, -b, shift_x - mirror * a * middle_x + b * middle_y,
            mirror * b, a, shift_y - mirror * b * middle_x - a * middle_y,
            ops.zeros(count), ops.zeros(count),
        ]  # fmt: skip
        return ops.stack(rows, axis=1)

    def _number(self, count: Any, low: float, high: float) -> Any:
        """Draw one number per image: (N,)."""
        return ops.reshape(self.uniform(count, low, high), (count,))
