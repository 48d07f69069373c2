"""Build the augmentation of a config from Keras layers, which run inside the compiled graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from mien.training.augmentation.degradation import RandomDegradation
from mien.training.augmentation.erasing import RandomErasing
from mien.training.augmentation.geometry import RandomAffine
from mien.training.config import TrainConfig


@dataclass(frozen=True)
class Augmentation:
    """Strength of each transform, in the units of TrainConfig. The defaults change nothing."""

    flip: bool = False
    rotation: float = 0.0
    zoom: float = 0.0
    translation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    erasing: float = 0.0
    degradation: float = 0.0


LEVELS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "light": Augmentation(True, rotation=10, zoom=0.1, translation=0.06, brightness=0.1, contrast=0.15),
    "strong": Augmentation(
        True, 20, zoom=0.4, translation=0.1, brightness=0.25, contrast=0.35, erasing=0.4, degradation=0.15
    ),
}


def resolve(config: TrainConfig) -> Augmentation:
    """Return the transforms of the config's level, overridden by those that it sets.

    Examples:
        >>> resolve(TrainConfig(augment="light", rotation=30)).rotation
        30
    """
    level = LEVELS[config.augment]
    names = Augmentation.__dataclass_fields__
    chosen = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    return Augmentation(**{**{name: getattr(level, name) for name in names}, **chosen})


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
