"""Examine an image file for `mien check`: its header and a small grey version. `data.inspection` judges them."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

from PIL import Image

from mien.arrays import UInt8
from mien.errors import ImageError, ImageErrorCode
from mien.io.images.decoding import CHEAP, open_small
from mien.io.images.headers import open_header
from mien.io.images.isolation import DECODING_BUDGET, run_isolated
from mien.io.images.loading import load_stored
from mien.io.images.pixels import orientation, shrunk_grey

#: Frames of an animation that are counted.
MAX_FRAMES = 1000


class Examined(NamedTuple):
    """What is in an image file.

    Attributes:
        format: Pillow's name of its format.
        width: in pixels as stored, like `height`.
        height: see `width`.
        frames: number of frames of an animation, 1 for others; at most `MAX_FRAMES` are counted.
        mode: Pillow's name of its colour mode.
        transparent: whether it has transparency.
        turned: whether EXIF turns it.
        note: what is unusual about the file.
        error: why it cannot be decoded.
        error_code: which kind of reason that is.
    """

    format: str
    width: int
    height: int
    frames: int = 1
    mode: str = ""
    transparent: bool = False
    turned: bool = False
    note: str | None = None
    error: str | None = None
    error_code: ImageErrorCode = "damaged"


def examine(
    data: bytes, name: str, *, min_side: int, max_aspect: float, grey_side: int,
    reserve: Callable[[int], None] = lambda needed: None, header: Image.Image | None = None,
) -> tuple[UInt8 | None, dict[str, Any]]:  # fmt: skip
    """Open an image file, and decode it if it is no animation and its sides are within limits.

    Args:
        data: the bytes of the file.
        name: what errors call it.
        min_side: an image with a shorter side, in pixels, is not decoded.
        max_aspect: nor is one that is longer than this many times its short side.
        grey_side: the grey version is shrunk by a whole number to at least this many pixels on its short side.
        reserve: called with the bytes that decoding takes, before it.
        header: that of the file, if it was opened already.

    Returns:
        The grey version, uint8 (h, w), or None; and the fields of `Examined` by name.

    Raises:
        ImageError: the header cannot be read.
    """
    header = open_header(data, name) if header is None else header
    found = Examined(header.format or "", header.width, header.height)
    try:
        if header.format not in {"MPO", "TIFF", "HEIF"}:
            found = found._replace(frames=_count_frames(header))
        short, long = sorted(header.size)
        if found.frames > 1 or short < min_side or long > max_aspect * short:
            return None, found._asdict()
        # Read before and after decoding: a PNG may store it behind its pixels, a TIFF loses it there.
        turned = header.format != "PNG" and orientation(header) != 1
        stored, note = load_stored(header, data, name, shrink_to=grey_side, reserve=reserve)
        short, turn = min(stored.size), orientation(stored)
        grey = shrunk_grey(stored, short // grey_side if short > 2 * grey_side else 1, turn)
        turned = turned or turn != 1
    except MemoryError:
        raise
    except Exception as error:  # counting frames reads the whole file, and each decoder raises its own
        damaged = ImageError(name, f"is damaged ({type(error).__name__})", "damaged")
        known = error if isinstance(error, ImageError) else damaged
        return None, found._replace(error=known.reason, error_code=known.code)._asdict()
    transparent = header.mode in ("RGBA", "LA", "PA") or "transparency" in header.info
    found = found._replace(mode=header.mode, transparent=transparent, turned=turned, note=note)
    return grey, found._asdict()


def examine_isolated(
    data: bytes, name: str, min_side: int, max_aspect: float, grey_side: int
) -> tuple[UInt8 | None, Examined]:  # fmt: skip
    """Do what `examine` does: at once for an image that costs little, in a process of its own for others.

    An image that would be decoded at once if it was one of many (`images.decoding`) is so here. A GIF is not: all its
    frames may be decoded to count them.
    """
    options: dict[str, Any] = {"min_side": min_side, "max_aspect": max_aspect, "grey_side": grey_side}
    with ExitStack() as held:
        try:
            small = open_small(data, name, CHEAP)
            header = small[0].image if small and small[0].image.format != "GIF" else None
            reply = None if header else run_isolated("examine", data, name, options, held)
            if reply is not None:
                return reply.pixels, Examined(**reply.facts)
            reserve = partial(_reserve, held)
            grey, facts = examine(data, name, reserve=reserve, header=header, **options)
        except MemoryError:
            raise ImageError(name, "takes more memory than there is; shrink it", "too-much-memory") from None
        return grey, Examined(**facts)


def _reserve(held: ExitStack, needed: int) -> None:
    held.enter_context(DECODING_BUDGET.reserve(needed))


def _count_frames(image: Image.Image) -> int:
    """Return the number of frames, without reading a long animation to its end."""
    if not getattr(image, "is_animated", False):
        return 1
    if image.format != "GIF":  # the others say it in the header
        return min(getattr(image, "n_frames", 2), MAX_FRAMES)
    count = 1
    try:
        for count in range(1, MAX_FRAMES + 1):
            image.seek(count)
    except EOFError:
        pass
    return count
