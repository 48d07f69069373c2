"""The base class of random augmentation layers."""

from typing import Any

import keras
from keras import layers


class RandomLayer(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Transform images (N, H, W, C), [0, 255], in training only; each image has its own random draw.

    Subclasses override `transform`.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(dtype="float32")
        self.seed = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Return the transformed images, or the images themselves outside training."""
        return self.transform(images) if training else images

    def transform(self, images: Any) -> Any:
        """Return the transformed images (N, H, W, C)."""
        raise NotImplementedError

    def uniform(self, count: Any, low: float, high: float) -> Any:
        """Draw one number in [low, high) per image: (N, 1, 1, 1)."""
        return keras.random.uniform((count, 1, 1, 1), low, high, seed=self.seed)
