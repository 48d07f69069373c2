"""Decode the bytes of an image file in this process. Which process that is: `images.decoding`."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from PIL import Image

from mien.arrays import RGB
from mien.errors import ImageError
from mien.io.images.costs.bounds import cost_of
from mien.io.images.headers import OpenedImage, check_needed, draft, needed_bytes, open_header, open_with_cost
from mien.io.images.jpeg import CUT_SHORT, completed
from mien.io.images.libtiff import silence_libtiff
from mien.io.images.pixels import MAX_READ_PIXELS, orientation, shrunk_rgb, turned_upright
from mien.text import first_line


class Decoded(NamedTuple):
    """Upright, uint8 (H, W, 3) RGB; its width and height in full, in pixels; a note on the file; its format."""

    rgb: RGB
    width: int
    height: int
    note: str | None = None
    format: str = ""


def decode_with_size(
    data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None,
    reserve: Callable[[int], None] = lambda needed: None,
) -> Decoded:  # fmt: skip
    """Decode the bytes of an image file, with the width and height, in pixels, of the upright image in full.

    An image with more than `max_pixels` is shrunk by a whole number to at most that many. It is never held in
    full beside its decoded form. `reserve` is called with the bytes that this holds at its peak, before.
    """
    return decode_opened(open_with_cost(data, name), data, name, shrink_to, max_pixels, reserve)


def decode_opened(
    opened: OpenedImage, data: bytes, name: str, shrink_to: int | None, max_pixels: int | None,
    reserve: Callable[[int], None],
) -> Decoded:  # fmt: skip
    """Do what `decode_with_size` does for an image whose header is read."""
    header, cost = opened
    size, mode, kind = header.size, header.mode, header.format or ""
    smaller = partial(draft, shrink_to=shrink_to, max_pixels=max_pixels)
    smaller(header)
    needed = needed_bytes(header, cost, len(data), max_pixels)
    check_needed(name, needed)
    reserve(needed)
    image, note = _load(header, data, name, smaller)
    # Not before it is loaded: a PNG's EXIF may stand behind its pixels, and Pillow decodes them to look.
    turn = orientation(image)
    try:
        upright = turned_upright(shrunk_rgb(image, max_pixels), turn)
    except MemoryError:
        raise
    except Exception as error:  # a colour mode that Pillow does not convert
        reason = f"cannot be converted from {mode} to RGB: {first_line(error)}"
        raise ImageError(name, reason, "unsupported") from None
    return Decoded(upright, *(size if turn < 5 else size[::-1]), note, kind)


def load_stored(
    header: Image.Image, data: bytes, name: str, *, shrink_to: int, reserve: Callable[[int], None]
) -> tuple[Image.Image, str | None]:
    """Decode what `open_header` has opened, not turned, a JPEG at no less than `shrink_to`; with a note on the file."""
    smaller = partial(draft, shrink_to=shrink_to, max_pixels=None)
    smaller(header)
    # As if it was read: what is examined can also be trained on.
    needed = needed_bytes(header, cost_of(data), len(data), MAX_READ_PIXELS)
    check_needed(name, needed)
    reserve(needed)
    return _load(header, data, name, smaller)


def _load(
    image: Image.Image, data: bytes, name: str, smaller: Callable[[Image.Image], None]
) -> tuple[Image.Image, str | None]:
    """Decode an image, as large as it is drafted; with a note if its file lacks its end."""
    if image.format == "TIFF":
        silence_libtiff()
    elif image.format == "WEBP":
        _free_canvases(image)
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # each decoder raises its own
        image.__dict__.pop("load_prepare", None)
        whole = completed(data, image.size) if image.format in ("JPEG", "MPO") else None
        if whole is not None:
            header = open_header(whole, name)
            smaller(header)
            return _load(header, whole, name, smaller)[0], CUT_SHORT
        raise ImageError(name, f"is truncated or damaged: {first_line(error)}", "damaged") from None
    return image, None


def _free_canvases(image: Image.Image) -> None:
    """Let a WebP's decoder go once its pixels are copied: its two canvases take 8 of 16 bytes per pixel."""
    prepare = image.load_prepare  # type: ignore[attr-defined]

    def free_and_prepare() -> None:
        del image.load_prepare  # type: ignore[attr-defined]  # it would keep the image until garbage collection
        image._decoder = None  # type: ignore[attr-defined]
        prepare()

    image.load_prepare = free_and_prepare  # type: ignore[attr-defined]
