"""Fill the HTML templates of a room; all text is escaped, and kept on one line (`mien.text.one_line`)."""

from collections.abc import Callable
from typing import Any

from mien.errors import MissingExtraError
from mien.text import one_line


def require_jinja(what: str, extra: str) -> None:
    """Raise MissingExtraError if Jinja2, which fills templates, is not installed."""
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(what, extra) from error


def templates(room: str, finish: Callable[[str], str] = one_line) -> Any:
    """Return Jinja2's environment for the folder `templates` of a room; a missing value is an error.

    Args:
        room: the name of the room, like `report`.
        finish: called with each text that a template shows, before it is escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader(f"mien.{room}"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
        finalize=lambda value: finish(value) if type(value) is str else value,  # what is markup stays as it is
    )  # fmt: skip
