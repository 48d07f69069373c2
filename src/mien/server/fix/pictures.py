"""Shrink the images of a dataset for the page, once each, into a cache of bounded memory."""

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from mien.errors import ImageError
from mien.io.images.decoding import open_image
from mien.io.images.pixels import MAX_READ_PIXELS
from mien.results import Box
from mien.runtime.cores import available_cores

#: `large` is all of an image, `tile` what is around its face, for many at once.
PictureSize = Literal["large", "tile"]
#: Longest side of a picture, in pixels.
SIDES: dict[PictureSize, int] = {"large": 1280, "tile": 360}
#: Memory of the pictures that are kept, in bytes.
CACHE_BYTES = 64 * 2**20
#: What is shown around a face, in sides of its box.
_CONTEXT = 2.0
_QUALITY = 88


@dataclass(frozen=True)
class Picture:
    """A JPEG, and the size of the upright image in full, in pixels."""

    jpeg: bytes
    width: int
    height: int


class Pictures:
    """The shrunken images of a dataset; several threads may ask.

    Args:
        read: returns the bytes of a file by its name; raises ImageError.
        limit: memory of the pictures that are kept, in bytes.
    """

    def __init__(self, read: Callable[[str], bytes], limit: int = CACHE_BYTES) -> None:
        self._read, self._limit, self.used = read, limit, 0
        self._kept: OrderedDict[tuple[str, str, PictureSize], Picture] = OrderedDict()
        self._lock = threading.Lock()
        # A page asks for 50 at once: no more are decoded at the same time than there are cores.
        self._slots = threading.Semaphore(available_cores())

    def get(self, name: str, digest: str, size: PictureSize, face: Box | None = None) -> Picture:
        """Return the picture of a file whose content is known.

        Args:
            name: of the file in the dataset.
            digest: sha256 of its bytes when it was checked, in hexadecimal.
            size: how large, and how much of it; a tile without a face shows all.
            face: its largest face, in pixels of the upright image.

        Raises:
            ImageError: it cannot be read any more, or its content is another one.
        """
        key = (name, digest, size)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        data = self._read(name)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ImageError(name, "has changed since it was checked")
        with self._slots:
            made = shrink(data, name, size, face)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self.used += len(made.jpeg)
            while self.used > self._limit and len(self._kept) > 1:
                self.used -= len(self._kept.popitem(last=False)[1].jpeg)
        return made


def shrink(data: bytes, name: str, size: PictureSize, face: Box | None = None) -> Picture:
    """Decode an image, crop a tile around the face, and shrink it; raise ImageError if it is damaged."""
    side = SIDES[size]
    near = face if size == "tile" else None
    with open_image(
        data, name, shrink_to=None if near else side, max_pixels=MAX_READ_PIXELS, isolated="costly"
    ) as seen:  # fmt: skip
        image, width, height = Image.fromarray(seen.rgb), seen.width, seen.height
        if near is not None:
            image = image.crop(_around(near, image.width / width, image.size))
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY)
    return Picture(stream.getvalue(), width, height)


def _around(face: Box, scale: float, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the corners of a square around a face, inside an image of this size, whose pixels are scaled."""
    half = scale * _CONTEXT * max(face.width, face.height) / 2
    x, y = scale * (face.x + face.width / 2), scale * (face.y + face.height / 2)
    left, top = max(round(x - half), 0), max(round(y - half), 0)
    return left, top, max(min(round(x + half), size[0]), left + 1), max(min(round(y + half), size[1]), top + 1)
