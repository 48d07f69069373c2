"""Print safely on a terminal: the console for tables, and text from outside on one line."""

import os
from typing import TYPE_CHECKING

import click

from mien.arguments import to_flags

if TYPE_CHECKING:  # rich is imported when something is drawn: JSON into a pipe needs none of it
    from rich.console import Console


def console(err: bool = False) -> "Console":
    """Return a console as wide as the terminal or COLUMNS; 120 columns if there is neither, to keep tables readable."""
    from rich.console import Console

    found = Console(stderr=err, highlight=False)
    if found.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return found
    return Console(stderr=err, highlight=False, width=120)


def say_to_stderr(text: str) -> None:
    """Write one line of the library to stderr, with its arguments as flags."""
    click.echo(one_line(to_flags(text)), err=True)


def one_line(text: str) -> str:
    """Escape line breaks, control sequences and bytes that are not UTF-8, as in `\\n`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
