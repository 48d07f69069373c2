"""Text on a terminal: the console that tables are printed on, and names from outside made safe for one line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # rich is imported when something is drawn: JSON into a pipe needs none of it
    from rich.console import Console


def console(err: bool = False) -> "Console":
    """Return a console that is never narrower than a readable table."""
    from rich.console import Console

    found = Console(stderr=err, highlight=False)
    return found if found.is_terminal else Console(stderr=err, highlight=False, width=120)


def one_line(text: str) -> str:
    """Escape line breaks, control sequences and bytes that are not UTF-8, as in `\\n`."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
