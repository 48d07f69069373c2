"""Options that several verbs share, and checks of their values."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mien.errors import ConfigError
from mien.labels import parse_classes, parse_rename

Function = TypeVar("Function", bound=Callable[..., Any])


def data_options(function: Function) -> Function:
    """Add `--classes` and `--map`, which every verb that reads labelled data takes."""
    function = click.option("--map", "rename", multiple=True, metavar="OLD=NEW", help="rename classes")(function)
    return click.option("--classes", metavar="A,B", help="use only these classes, in this order")(function)


def model_option(function: Function) -> Function:
    """Add `--model`, which every verb that runs a model takes."""
    return click.option(
        "--model",
        metavar="NAME|FOLDER",
        show_default="mien, the shipped one",
        help="a shipped model, a bundle or a run folder",
    )(function)


def parse_data_options(classes: str | None, rename: tuple[str, ...]) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """Parse the values of `data_options`: the classes, None for all, and the renamed classes."""
    return (parse_classes(classes) if classes else None), parse_rename(rename)


def only_one(given: dict[str, Any]) -> str | None:
    """Return the name of the one option that is not None, or None; raise ConfigError for several."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ConfigError(f"--{names[0]} and --{names[1]}: give only one of them")
    return names[0] if names else None
