"""Random flip, rotation, scale and shift in one resampling: three in a row would blur a small picture."""

import math
from typing import Any

from keras import ops

from mien.training.augmentation.base import RandomLayer


class RandomAffine(RandomLayer):
    """Moves each picture (N, H, W, C) of a batch by its own draw; in training only.

    flip: mirror half of them. rotation: up to this many degrees either way. zoom: the content grows or
    shrinks by a factor drawn from [1 / (1 + zoom), 1 + zoom], evenly in its logarithm. translation: up to
    this share of the side, each way. New ground repeats the edge in half of the pictures; in the others it
    is one random tone, as beside a face cut out by a detector.
    """

    def __init__(
        self, flip: bool = False, rotation: float = 0, zoom: float = 0, translation: float = 0, seed: int = 0
    ) -> None:
        super().__init__(seed)
        self._flip, self._rotation, self._zoom, self._translation = flip, rotation, zoom, translation

    def change(self, pictures: Any) -> Any:
        """Return the pictures moved."""
        count, height, width, _ = ops.shape(pictures)
        moves = self._moves(count, height, width)
        moved = ops.image.affine_transform(pictures, moves, fill_mode="nearest")
        inside = ops.image.affine_transform(ops.ones_like(pictures), moves, fill_mode="constant", fill_value=0)
        tone = self.draw(count, 0, 255)
        plain = inside * moved + (1 - inside) * tone
        return ops.where(self.draw(count, 0, 1) < 0.5, moved, plain)

    def _moves(self, count: Any, height: int, width: int) -> Any:
        """Affine matrices (N, 8) that take a place in the result to its place in the source."""
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
        """One number per picture, (N,)."""
        return ops.reshape(self.draw(count, low, high), (count,))
