"""Command-line options for every setting of a training run, made from TrainConfig itself."""

import dataclasses
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from mien.training.config import TrainConfig, flag, read_training_settings
from mien.training.networks.pretrained import configured

_METAVARS = {
    "activation": "NAME",
    "start_from": "NAME|FOLDER|none",
    "backbone": "NAME",
    "backbone_weights": "imagenet|FILE|none",
}


def training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add one option per field of TrainConfig, and `--config FILE`."""
    kinds = get_type_hints(TrainConfig)
    for field in reversed(dataclasses.fields(TrainConfig)):
        function = _option(field.name, kinds[field.name], field.metadata["help"])(function)
    return click.option(
        "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE", help="settings as TOML; flags win"
    )(function)


def _option(name: str, kind: Any, meaning: str) -> Callable[..., Any]:
    inner = [one for one in get_args(kind) if one is not type(None)] if isinstance(kind, types.UnionType) else [kind]
    if inner[0] is bool:
        return click.option(f"{flag(name)}/--no-{flag(name)[2:]}", name, default=None, help=meaning)
    if get_origin(inner[0]) is Literal:
        choice = click.Choice(get_args(inner[0]))
        return click.option(flag(name), name, type=choice, default=None, metavar=_METAVARS.get(name), help=meaning)
    return click.option(flag(name), name, type=inner[0], default=None, metavar=_METAVARS.get(name), help=meaning)


def join_settings(config_file: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    """Join a settings file and flags, flags winning; only what is set is in the result."""
    settings = read_training_settings(config_file) if config_file else {}
    return settings | {name: value for name, value in flags.items() if value is not None}


def make_config(config_file: Path | None, flags: dict[str, Any]) -> TrainConfig:
    """Join a settings file and flags; the defaults of the network, or of what it starts from, fill the rest."""
    return configured(join_settings(config_file, flags))
