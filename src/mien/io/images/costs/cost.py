"""What decoding an image takes at most. The bounds by format: `images.costs`."""

from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds of one core and bytes beside the pixels, at most; and what takes them."""

    seconds: float = 0.0
    bytes: int = 0
    why: str = ""


NOTHING = Cost()


def larger(a: Cost, b: Cost) -> Cost:
    """Return the maximum of seconds and bytes of two costs, with the reason of the one that takes more.

    Examples:
        >>> larger(Cost(1, 0, "scans"), Cost(0, 2**20, "tiles"))
        Cost(seconds=1, bytes=1048576, why='scans')
    """
    why = b.why if b.seconds + b.bytes / 2**27 > a.seconds + a.bytes / 2**27 else a.why
    return Cost(max(a.seconds, b.seconds), max(a.bytes, b.bytes), why)
