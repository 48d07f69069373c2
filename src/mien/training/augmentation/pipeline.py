"""Build the augmentation of a config from Keras layers, which run inside the compiled graph."""

from typing import Any

import keras
from keras import layers

from mien.training.augmentation.degradation import RandomDegradation
from mien.training.augmentation.erasing import RandomErasing
from mien.training.augmentation.geometry import RandomAffine
from mien.training.augmentation.levels import Augmentation, resolve
from mien.training.config import TrainConfig


def augmentation_layers(transforms: Augmentation, seed: int) -> list[Any]:
    """Return Keras layers for images (N, H, W, C), [0, 255], that act in training only.

    Order: geometry in one resampling, brightness and contrast, degradation, erasing.
    """
    t = transforms
    found: list[Any] = []
    if t.flip or t.rotation or t.zoom or t.translation:
        found.append(RandomAffine(t.flip, t.rotation, t.zoom, t.translation, seed=seed))
    if t.brightness:
        found.append(layers.RandomBrightness(t.brightness, value_range=(0, 255), seed=seed + 4))
    if t.contrast:
        found.append(layers.RandomContrast(t.contrast, value_range=(0, 255), seed=seed + 5))
    if t.degradation:
        found.append(RandomDegradation(t.degradation, seed=seed + 7))
    if t.erasing:
        found.append(RandomErasing(t.erasing, seed=seed + 6))
    return found


def augmented(network: Any, config: TrainConfig) -> Any:
    """Return a model that augments images and passes them to a network; it shares the network's weights."""
    image = keras.Input(network.input.shape[1:], name="image")
    x = image
    for layer in augmentation_layers(resolve(config), config.seed):
        x = layer(x)
    return keras.Model(image, network(x), name=f"augmented_{network.name}")
