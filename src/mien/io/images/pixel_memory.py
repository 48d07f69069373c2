"""Memory that a decoder and its parent share, so that pixels are not copied through a pipe. Linux alone has it."""

import contextlib
import mmap
import os
from collections.abc import Sequence
from math import prod

import numpy as np

from mien.arrays import UInt8

#: Most bytes of an image: those of `MAX_READ_PIXELS`. Memory is taken as it is used.
_SIZE = 72 * 2**20
#: Fewer bytes come through a pipe at once: they are not worth holding a decoder.
MIN_BYTES = 2**20
#: Pages that stay, in bytes; those of larger images are returned to the system.
_KEPT = 16 * 2**20


def create_pixel_memory() -> int | None:
    """Return a descriptor of new memory, to be closed once both sides have opened it; None if the system has none."""
    if not hasattr(os, "memfd_create"):
        return None
    try:
        found = os.memfd_create("mien-pixels")
    except OSError:
        return None
    try:
        os.ftruncate(found, _SIZE)
    except OSError:  # a limit on the size of files
        os.close(found)
        return None
    return found


def open_pixel_memory(descriptor: int | None) -> "PixelMemory | None":
    """Return the memory of a descriptor; None if there is none or no room for it."""
    try:
        return None if descriptor is None else PixelMemory(mmap.mmap(descriptor, _SIZE))
    except (OSError, ValueError):
        return None


class PixelMemory:
    """The pixels of one image at a time: a decoder stores them, its parent looks at them."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory, self._used = memory, 0

    def store(self, pixels: UInt8) -> bool:
        """Copy the pixels into this memory; False if they are too many or too few."""
        if not MIN_BYTES <= pixels.nbytes <= _SIZE:
            return False
        np.copyto(np.frombuffer(self._memory, np.uint8, pixels.size).reshape(pixels.shape), pixels)
        return True

    def view(self, shape: Sequence[int]) -> UInt8:
        """Return the pixels, to be read until the decoder is asked for the next image."""
        self._used = prod(shape)
        found = np.frombuffer(self._memory, np.uint8, self._used).reshape(shape)
        found.flags.writeable = False
        return found

    def trim(self) -> None:
        """Return the pages of a large image to the system; its pixels become zeros."""
        if self._used > _KEPT and hasattr(mmap, "MADV_REMOVE"):
            with contextlib.suppress(OSError):
                self._memory.madvise(mmap.MADV_REMOVE, _KEPT)
        self._used = 0
