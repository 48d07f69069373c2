"""Words for the sentences of a report."""

import math
from collections.abc import Sequence


def listed(words: Sequence[str]) -> str:
    """Return one or more words as a list in a sentence: `a, b and c`."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def percent(share: float, digits: int = 1) -> str:
    """Return a share in [0, 1] as `92.7 %`, or `undefined` for nan."""
    if math.isnan(share):
        return "undefined"
    return "100 %" if share == 1 else f"{100 * share:.{digits}f} %"


def counted(number: int, what: str) -> str:
    """Return `1 picture` or `1,234 pictures`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
