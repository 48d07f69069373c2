"""The settings of training under headings, with their defaults in words, for help pages and docs. Needs no Keras."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mien.training.augmentation.levels import LEVELS, Augmentation
from mien.training.config import FROM_SCRATCH, TrainConfig
from mien.training.network_defaults import NETWORK_DEFAULTS

#: The fields of TrainConfig under the headings of help pages and docs; a newcomer needs the first ones.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "Start here": ("detect", "start_from", "epochs", "minutes", "augment"),
    "Network": ("network", "size", "colour", "width", "dropout", "activation", "backbone", "backbone_weights"),
    "Optimisation": (
        "freeze_epochs", "head_learning_rate", "optimizer", "learning_rate", "weight_decay", "momentum", "schedule",
        "warmup_epochs", "plateau_patience", "plateau_factor", "batch_size", "label_smoothing", "weight_average",
        "class_weight", "patience", "precision",
    ),
    "Augmentation": (
        "flip", "rotation", "zoom", "translation", "brightness", "contrast", "erasing", "degradation", "mixup",
        "mirror",
    ),
    "Data": ("validation_share", "test_share", "seed"),
    "Output": ("deterministic", "tensorboard"),
}  # fmt: skip

#: A column of the table of defaults for networks that start from trained weights.
FINE_TUNED = "tuned"
#: Defaults that depend on more than the network.
_SPECIAL = {
    "network": "residual",
    "detect": "decided by a sample of the images",
    "start_from": "mien for a small dataset, else none",
    "backbone_weights": "imagenet with --backbone",
}


def defaults_by_network() -> dict[str, TrainConfig]:
    """Return the config that each network has if nothing else is set, and that of a fine-tuned model.

    A backbone starts from its ImageNet weights, so that it is fine-tuned too.

    Examples:
        >>> defaults_by_network()["stack"].epochs
        40
    """
    found = {name: TrainConfig.make({"network": name}) for name in NETWORK_DEFAULTS}
    return found | {FINE_TUNED: TrainConfig.make({"start_from": "mien"})}


def differing_settings() -> tuple[str, ...]:
    """Return the names of the settings whose default depends on the network, in the order of TrainConfig."""
    configs = defaults_by_network().values()
    return tuple(
        field.name
        for field in dataclasses.fields(TrainConfig)
        if field.name not in ("network", "start_from", "backbone", "backbone_weights")
        and len({getattr(config, field.name) for config in configs}) > 1
    )


def default_words(name: str) -> str:
    """Return the default of a setting in a few words.

    Examples:
        >>> default_words("seed"), default_words("rotation"), default_words("epochs")
        ('0', 'by --augment: light 10, strong 20', 'by network')
    """
    if name in _SPECIAL:
        return _SPECIAL[name]
    if name in Augmentation.__dataclass_fields__:
        strengths = {level: getattr(transforms, name) for level, transforms in LEVELS.items()}
        return "by --augment: " + ", ".join(
            f"{level} {show_value(value)}" for level, value in strengths.items() if value
        )
    if name in differing_settings():
        return "by network"
    return show_value(getattr(TrainConfig(), name))


def show_value(value: Any) -> str:
    """Return a value as a user would write it.

    Examples:
        >>> show_value(0.001), show_value(True), show_value(None)
        ('0.001', 'yes', 'none')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return FROM_SCRATCH if value is None else str(value)
