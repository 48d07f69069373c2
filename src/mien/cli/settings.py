"""Command-line options for all settings of a training run, generated from TrainConfig."""

import dataclasses
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from mien.training.config import TrainConfig, flag

_METAVARS = {
    "start_from": "NAME|FOLDER|none",
    "backbone": "NAME",
    "backbone_weights": "imagenet|FILE|none",
}


def training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each field of TrainConfig, and `--config FILE`."""
    kinds = get_type_hints(TrainConfig)
    for field in reversed(dataclasses.fields(TrainConfig)):
        function = _option(field.name, kinds[field.name], field.metadata["help"])(function)
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="TOML file of settings; flags override it",
    )(function)


def _option(name: str, kind: Any, meaning: str) -> Callable[..., Any]:
    inner = [one for one in get_args(kind) if one is not type(None)] if isinstance(kind, types.UnionType) else [kind]
    if inner[0] is bool:
        return click.option(f"{flag(name)}/--no-{flag(name)[2:]}", name, default=None, help=meaning)
    if get_origin(inner[0]) is Literal:
        choice = click.Choice(get_args(inner[0]))
        return click.option(flag(name), name, type=choice, default=None, metavar=_METAVARS.get(name), help=meaning)
    return click.option(flag(name), name, type=inner[0], default=None, metavar=_METAVARS.get(name), help=meaning)
