"""Check arguments of public functions that no type checker has seen."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from mien.errors import ConfigError
from mien.text import did_you_mean, join_words

Choice = TypeVar("Choice", bound=str)


def path_argument(name: str, value: object, what: str) -> Path:
    """Return an argument as a path.

    Args:
        name: of the argument.
        value: what the caller gave.
        what: what is expected, for the error.

    Raises:
        ConfigError: the value is not a path.

    Examples:
        >>> path_argument("data", "faces", "a labelled folder").name
        'faces'
    """
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise ConfigError(f"`{name}={value!r:.40}`: give {what}, not {type(value).__name__}")


def choice_argument(name: str, value: Choice, known: Sequence[str]) -> Choice:
    """Return an argument that is one of some words; ConfigError suggests the nearest.

    Examples:
        >>> choice_argument("faces", "largest", ["all", "largest"])
        'largest'
    """
    if isinstance(value, str) and value in known:
        return value
    raise ConfigError(f"`{name}={value!r:.40}`: is none of {join_words(known)}{did_you_mean(str(value), known)}")
