"""Thresholds as users give them: a number, or a number for each of some answers. The rule: `decision`."""

from collections.abc import Mapping

from mien.errors import ConfigError

#: The probability from which the second of two labels is the answer, or from which each label named is.
Threshold = float | Mapping[str, float]


def parse_threshold(text: str) -> Threshold:
    """Parse `0.6`, or `sad=0.6` and `happy=0.5,sad=0.6`, as the command and HTTP take it; ConfigError for other text.

    Examples:
        >>> parse_threshold("0.6"), parse_threshold("happy=0.5,sad=0.6")
        (0.6, {'happy': 0.5, 'sad': 0.6})
    """
    try:
        if "=" not in text:
            return float(text)
        pairs = [pair.rpartition("=") for pair in text.split(",")]
        return {label.strip(): float(value) for label, _, value in pairs}
    except ValueError:
        raise ConfigError(
            f"{quoted_threshold(text)}: give a number between 0 and 1, or ANSWER=NUMBER, like sad=0.6"
        ) from None


def quoted_threshold(threshold: object) -> str:
    """Return how errors name a threshold."""
    return f"`threshold={threshold!r:.60}`"


def checked_threshold(value: object, quoted: str) -> float:
    """Return a number in (0, 1); ConfigError for anything else, which names it as `quoted`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ConfigError(f"{quoted}: give a number between 0 and 1")
    return value
