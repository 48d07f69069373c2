"""What every random change of pictures shares: it acts in training only, and each picture has its own draw."""

from typing import Any

import keras
from keras import layers


class RandomLayer(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Changes pictures (N, H, W, C), [0, 255], in training only; a subclass says how in `change`."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(dtype="float32")
        self.seed = keras.random.SeedGenerator(seed)

    def call(self, pictures: Any, training: bool | None = None) -> Any:
        """Return the pictures changed; as they are outside training."""
        return self.change(pictures) if training else pictures

    def change(self, pictures: Any) -> Any:
        """Return the pictures (N, H, W, C) changed, in the same shape."""
        raise NotImplementedError

    def draw(self, count: Any, low: float, high: float) -> Any:
        """One number in [low, high) per picture, (N, 1, 1, 1)."""
        return keras.random.uniform((count, 1, 1, 1), low, high, seed=self.seed)
