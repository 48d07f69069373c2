"""Decode images of any kind to upright RGB: in this process what is known to cost little, in others the rest."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

from mien.arrays import RGB
from mien.errors import ImageError
from mien.io.images.costs.bounds import is_unbounded
from mien.io.images.headers import SMALL_SECONDS, OpenedImage, open_with_cost
from mien.io.images.isolation import DECODING_BUDGET, run_isolated
from mien.io.images.loading import Decoded, decode_opened
from mien.io.images.pixels import MAX_READ_PIXELS, array_to_rgb
from mien.io.images.source import EncodedImage, ImageSource, open_source, read_file
from mien.io.sniffing import head_of
from mien.runtime.memory import release_freed_memory

#: Which images are decoded in a process of their own: none but those whose header does not bound the cost; also those
#: that may cost more than `CHEAP`; all but tiny ones, `_TINY`, which wait for a process as long as for their decoder.
Isolation = Literal["unbounded", "costly", "all"]
#: Bytes and pixels, each, of an image that is decoded at once. What it costs beside them is little, too.
CHEAP, _TINY = 2**21, 2**16

#: Memory for decoding is returned to the system if it was more than this, in bytes.
_RELEASE_ABOVE = 32 * 2**20


def load_image(
    source: ImageSource, *, shrink_to: int | None = None, max_pixels: int | None = None,
    isolated: Isolation = "unbounded",
) -> RGB:  # fmt: skip
    """Decode one image to upright RGB, when the process has memory for it.

    Transparency is laid on white, 16-bit values are scaled to 8 bits, an animation gives its first frame, and the
    EXIF orientation is applied.

    Args:
        source: a path, the bytes of an image file, a file opened for reading bytes, a Pillow image of any mode, or a
            uint8 array in [0, 255] of shape (H, W), (H, W, 1), (H, W, 3) in RGB order or (H, W, 4) in RGBA order.
        shrink_to: pixels; a large JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, never below this on a side.
        max_pixels: the image of a file with more pixels is shrunk by a whole number to at most so many; None: not.
        isolated: as in `open_image`.

    Returns:
        uint8 (H, W, 3), RGB, [0, 255].

    Raises:
        ImageError: a file or bytes that cannot be decoded.
        InputError: an array of another type or shape, or an object that is not an image at all.

    Examples:
        >>> load_image(np.zeros((48, 64), np.uint8)).shape
        (48, 64, 3)
    """
    name, plain = open_source(source)
    if isinstance(plain, ImageError):
        raise plain
    if isinstance(plain, np.ndarray):
        return array_to_rgb(plain)
    with open_image(
        plain, name, shrink_to=shrink_to, max_pixels=max_pixels, isolated=isolated, lend=False
    ) as image:  # fmt: skip
        return image.rgb


@contextmanager
def open_image(
    source: EncodedImage, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None,
    isolated: Isolation = "unbounded", lend: bool = True,
) -> Iterator[Decoded]:  # fmt: skip
    """Decode as `decode_with_size` does, when the process has memory for it; reserve that while the block runs.

    Decode nothing else in the block: it would wait for ever. Keep no view of the pixels: after the block, they may be
    those of another image.

    Args:
        source: the path or the bytes of an image file.
        name: what errors call it.
        shrink_to: as in `load_image`.
        max_pixels: as in `decode_with_size`.
        isolated: which images are decoded in a process of their own (`images.isolation`), so that one which takes too
            much time or memory ends that. It takes a moment to start, so it is for many images and those of others.
        lend: False: the pixels stay what they are after the block. That costs a copy of those of a decoder.

    Raises:
        ImageError: the image cannot be decoded.
    """
    options = {"shrink_to": shrink_to, "max_pixels": max_pixels}
    with ExitStack() as held:
        small = None if isolated == "unbounded" else open_small(source, name, CHEAP if isolated == "costly" else _TINY)
        here = small is not None or (isolated == "unbounded" and _is_here(source))
        reply = None if here else run_isolated("decode", source, name, options, held, lend)
        if reply is not None and reply.pixels is not None:
            yield Decoded(reply.pixels, **reply.facts)
            return
        opened, data = small or (None, source if isinstance(source, bytes) else read_file(Path(source)))
        needed: list[int] = []

        def reserve(size: int) -> None:
            needed.append(size)
            held.enter_context(DECODING_BUDGET.reserve(size))

        try:
            found = decode_opened(opened or open_with_cost(data, name), data, name, shrink_to, max_pixels, reserve)
        except MemoryError:
            raise ImageError(name, "takes more memory than there is; shrink it", "too-much-memory") from None
        if max(needed) > _RELEASE_ABOVE:
            release_freed_memory()
        yield found


def _is_here(source: EncodedImage) -> bool:
    """Return whether the format of an image bounds its cost, so that it may be decoded in this process."""
    return not is_unbounded(source if isinstance(source, bytes) else head_of(os.fsdecode(source)))


def open_small(source: EncodedImage, name: str, limit: int) -> tuple[OpenedImage, bytes] | None:
    """Open the header of an image that has so few bytes and pixels, and costs little by its header; None for others."""
    if not isinstance(source, bytes):
        try:
            if Path(source).stat().st_size > limit:
                return None
        except (OSError, ValueError):
            return None
        source = read_file(Path(source))
    if len(source) > limit or is_unbounded(source):
        return None
    opened = open_with_cost(source, name)
    image, cost = opened
    small = image.width * image.height <= limit and cost.seconds <= SMALL_SECONDS and cost.bytes <= 8 * limit
    return (opened, source) if small else None


def decode(source: EncodedImage, name: str, *, shrink_to: int | None = None) -> RGB:
    """Decode one of many images as `open_image` does, at most `MAX_READ_PIXELS`, isolated if it is costly."""
    with open_image(
        source, name, shrink_to=shrink_to, max_pixels=MAX_READ_PIXELS, isolated="costly", lend=False
    ) as image:  # fmt: skip
        return image.rgb
