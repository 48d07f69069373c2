"""Command-line options for all settings of a training run, generated from TrainConfig."""

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from mien.arguments import flag, to_flags
from mien.cli.options import BY_SAMPLE, Number, detect_option
from mien.training.config import TrainConfig
from mien.training.defaults import GROUPS, default_words, defaults_by_network, differing_settings, show_value

_METAVARS = {
    "start_from": "NAME|FOLDER|none",
    "backbone": "NAME",
    "backbone_weights": "imagenet|FILE|none",
    "size": "PIXELS",
    "activation": "NAME",
    "rotation": "DEGREES",
}


def setting_options(
    names: Sequence[str], defaults: Mapping[str, str] | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds `--config FILE` and an option for each of these fields of TrainConfig.

    `defaults` are words for the defaults of a verb that differ from those of training.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        kinds = get_type_hints(TrainConfig)
        for field in reversed(dataclasses.fields(TrainConfig)):
            if field.name in names:
                words = (defaults or {}).get(field.name) or default_words(field.name)
                function = _option(field.name, kinds[field.name], to_flags(field.metadata["help"]), words)(function)
        return click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="TOML file of settings; flags override it",
        )(function)

    return decorate


def training_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each field of TrainConfig, and `--config FILE`."""
    return setting_options([field.name for field in dataclasses.fields(TrainConfig)])(function)


def training_headings(first: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Return the headings of the training options; the options `first` stand before the settings of the first one."""
    title = next(iter(GROUPS))
    return {**GROUPS, title: (*first, *GROUPS[title]), "Data": ("folds", "fixes", "no_fixes", *GROUPS["Data"])}


def default_tables() -> Mapping[str, Sequence[str]]:
    """Return the table of the defaults that depend on the network, as lines."""
    configs = defaults_by_network()
    rows = [["", *configs]]
    rows += [
        [flag(name), *(show_value(getattr(config, name)) for config in configs.values())]
        for name in differing_settings()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return {"Defaults by network (tuned: fine-tuning a small dataset, or --from)": lines}


def _option(name: str, kind: Any, meaning: str, words: str) -> Callable[..., Any]:
    if name == "detect":
        return detect_option(BY_SAMPLE)
    inner = [one for one in get_args(kind) if one is not type(None)] if isinstance(kind, types.UnionType) else [kind]
    shown: dict[str, Any] = {"default": None, "help": meaning, "show_default": words}
    if inner[0] is bool:
        return click.option(f"{flag(name)}/--no-{flag(name)[2:]}", name, **shown)
    literal = get_origin(inner[0]) is Literal
    kind = click.Choice(get_args(inner[0])) if literal else Number() if inner[0] is float else inner[0]
    return click.option(flag(name), name, type=kind, metavar=_METAVARS.get(name), **shown)
