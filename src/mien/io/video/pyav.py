"""PyAV, which comes with the extra `video`, and what its errors say."""

from typing import Any

from mien.errors import MissingExtraError
from mien.text import first_line


def require_av() -> Any:
    """Return PyAV; MissingExtraError if it is not installed."""
    try:
        import av
    except ImportError:
        raise MissingExtraError("video", "video") from None
    return av


def error_text(error: BaseException) -> str:
    """Return the first line of a PyAV error, without its number and file name."""
    said = getattr(error, "strerror", None)
    return first_line(RuntimeError(said) if said else error, 120)
