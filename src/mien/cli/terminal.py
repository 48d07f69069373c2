"""Print safely on a terminal: the console for tables, and text from outside on one line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rich is imported when something is drawn: JSON into a pipe needs none of it
    from rich.console import Console


def console(err: bool = False) -> "Console":
    """Return a console, 120 columns wide if it is not a terminal, so that tables stay readable."""
    from rich.console import Console

    found = Console(stderr=err, highlight=False)
    return found if found.is_terminal else Console(stderr=err, highlight=False, width=120)


def one_line(text: str) -> str:
    """Escape line breaks, control sequences and bytes that are not UTF-8, as in `\\n`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
