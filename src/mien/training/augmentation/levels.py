"""The strength of each random transform, and the levels of `--augment`. Needs no Keras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from mien.errors import ConfigError


class Settings(Protocol):
    """What is read here of a `TrainConfig`, which checks itself by this module; it also has the fields below."""

    @property
    def augment(self) -> str:
        """The level."""

    @property
    def mirror(self) -> str:
        """Whether readers average with mirror images: auto, yes or no."""


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


def resolve(config: Settings) -> Augmentation:
    """Return the transforms of the config's level, overridden by those that it sets.

    Examples:
        >>> from mien.training.config import TrainConfig
        >>> resolve(TrainConfig(augment="light", rotation=30)).rotation
        30
    """
    level = LEVELS[config.augment]
    names = Augmentation.__dataclass_fields__
    chosen = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    return Augmentation(**{**{name: getattr(level, name) for name in names}, **chosen})


def check_mirror(config: Settings) -> None:
    """Raise ConfigError if mirror images are to be averaged by a network that is not trained on flipped images."""
    if config.mirror == "yes" and not resolve(config).flip:
        raise ConfigError(
            "`mirror='yes'`: training does not flip images, as if left and right meant something; add `flip=True`, or "
            "leave it out"
        )
