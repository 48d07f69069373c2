"""Augmentation as Keras layers, inside the compiled graph: each picture of a batch gets its own draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from mien.train.config import TrainConfig


@dataclass(frozen=True)
class Augmentation:
    """How far each transform goes; units as in TrainConfig. The defaults change nothing."""

    flip: bool = False
    rotation: float = 0.0
    zoom: float = 0.0
    translation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    erasing: float = 0.0


LEVELS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "light": Augmentation(True, rotation=10, zoom=0.1, translation=0.06, brightness=0.1, contrast=0.15),
    "strong": Augmentation(True, 20, zoom=0.25, translation=0.12, brightness=0.25, contrast=0.35, erasing=0.4),
}


def resolve(config: TrainConfig) -> Augmentation:
    """Return the level's transforms with the single ones that the config sets."""
    level = LEVELS[config.augment]
    names = Augmentation.__dataclass_fields__
    chosen = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    return Augmentation(**{**{name: getattr(level, name) for name in names}, **chosen})


def augmentation_layers(transforms: Augmentation, seed: int) -> list[Any]:
    """Return Keras layers for pictures (N, H, W, C), [0, 255]; they act in training only.

    Geometry comes first and fills new ground by repeating the edge; erasing comes last.
    """
    t = transforms
    found: list[Any] = []
    if t.flip:
        found.append(layers.RandomFlip("horizontal", seed=seed))
    if t.rotation:
        found.append(layers.RandomRotation(t.rotation / 360, fill_mode="nearest", seed=seed + 1))
    if t.zoom:
        found.append(layers.RandomZoom((-t.zoom, t.zoom), fill_mode="nearest", seed=seed + 2))
    if t.translation:
        found.append(layers.RandomTranslation(t.translation, t.translation, fill_mode="nearest", seed=seed + 3))
    if t.brightness:
        found.append(layers.RandomBrightness(t.brightness, value_range=(0, 255), seed=seed + 4))
    if t.contrast:
        found.append(layers.RandomContrast(t.contrast, value_range=(0, 255), seed=seed + 5))
    if t.erasing:
        found.append(layers.RandomErasing(factor=t.erasing, scale=(0.02, 0.2), value_range=(0, 255), seed=seed + 6))
    return found


def augmented(network: Any, config: TrainConfig) -> Any:
    """Put the augmentation before a network, sharing its weights; the network itself stays free of it."""
    image = keras.Input(network.input.shape[1:], name="image")
    x = image
    for layer in augmentation_layers(resolve(config), config.seed):
        x = layer(x)
    return keras.Model(image, network(x), name=f"augmented_{network.name}")
