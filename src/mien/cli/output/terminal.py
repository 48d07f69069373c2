"""Print safely on a terminal: the only place of the command that writes text for people.

Whatever a stranger has named, a file, a class or a model, is text on it: no control character leaves this module, but
those that rich makes for colours and bars.
"""

import os
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from mien.arguments import to_flags
from mien.errors import ModelNameWarning
from mien.text import UNSAFE, one_line

if TYPE_CHECKING:  # rich is imported when something is drawn: JSON into a pipe needs none of it
    from rich.console import Console

    from mien.inference.reader import Reader


def console(err: bool = False) -> "Console":
    """Return a console as wide as the terminal or COLUMNS; 120 columns if there is neither, to keep tables readable.

    Text is never markup, and what a terminal would obey in it is escaped.
    """
    make = _safe_console()
    found = make(stderr=err, highlight=False, markup=False, emoji=False)
    if found.is_terminal or os.environ.get("COLUMNS", "").isdigit():
        return found
    return make(stderr=err, highlight=False, markup=False, emoji=False, width=120)


@cache
def _safe_console() -> "type[Console]":
    from collections.abc import Iterable

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class SafeConsole(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(_visible(text), style)

    return SafeConsole


def _visible(text: str) -> str:
    """Escape what a terminal would obey; lines stay lines."""
    return UNSAFE.sub(lambda one: one[0].encode("unicode_escape").decode(), text)


def say(text: str, err: bool = False) -> None:
    """Write one line to standard output, or to stderr."""
    click.echo(one_line(text), err=err)


def say_to_stderr(text: str) -> None:
    """Write one line of the library to stderr, with its arguments as flags."""
    say(to_flags(text), err=True)


def say_device(reader: "Reader") -> None:
    """Say where a reader's networks run, if something was asked for or chosen."""
    if reader.device_note:
        say_to_stderr(f"mien: {reader.device_note}")


def say_warnings() -> None:
    """Say warnings about names of models in a line of our own each, once; Python shows all others."""
    others, said = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, ModelNameWarning):
            others(message, category, *place, **more)
        elif str(message) not in said:
            said.add(str(message))
            say_to_stderr(f"mien: {message}")

    warnings.showwarning = show


def print_help(page: Any) -> None:
    """Write the lines of a help page as they are: nobody but mien has named anything in it."""
    click.echo(page)
