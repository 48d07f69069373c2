"""Decode image files, bytes and arrays to upright RGB, within limits of size and memory."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from mien.arrays import RGB
from mien.errors import ImageError
from mien.io.images.formats import open_listed
from mien.io.images.jpeg import CUT_SHORT, completed
from mien.io.images.libtiff import silence_libtiff
from mien.io.images.pixels import MAX_PIXELS, TRANSPOSES, array_to_rgb, orientation, shrunk_rgb, too_many_pixels
from mien.io.images.source import ImageSource, open_source, read_file
from mien.io.sniffing import not_an_image
from mien.runtime import MemoryBudget, release_freed_memory
from mien.text import first_line

#: Images that take more memory than this once decoded are refused before that, in bytes: 117 million pixels of
#: colour, 179 of grey, 52 as WebP.
MAX_DECODED = 448 * 2**20

#: Images that this process is decoding share this memory, 512 MiB; one that needs more is decoded alone.
DECODING_BUDGET = MemoryBudget(512 * 2**20)

#: Memory for decoding is returned to the system if it was more than this, in bytes.
_RELEASE_ABOVE = 32 * 2**20

#: Bytes per pixel of Pillow's modes in memory, where that is not 4.
_MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}

#: The same for formats whose decoders hold several copies; at the peak they take so many times as much (measured).
_FORMAT_BYTES = {"WEBP": 9, "JPEG2000": 10, "AVIF": 5, "HEIF": 4}
_DECODER_COPIES = 2

#: Bytes per pixel while an image is turned upright: two copies of 3 bytes, two of Pillow's 4.
_TRANSPOSE_BYTES = 14


class Decoded(NamedTuple):
    """An upright image, uint8 (H, W, 3) RGB; its width and height in full, in pixels; and a note on the file."""

    rgb: RGB
    width: int
    height: int
    note: str | None = None


def load_image(source: ImageSource, *, shrink_to: int | None = None) -> RGB:
    """Decode one image to upright RGB, when the process has memory for it.

    Transparency is laid on white, 16-bit values are scaled to 8 bits, an animation gives its first frame, and the
    EXIF orientation is applied.

    Args:
        source: a path, the bytes of an image file, a file opened for reading bytes, a Pillow image of any mode, or a
            uint8 array in [0, 255] of shape (H, W), (H, W, 1), (H, W, 3) in RGB order or (H, W, 4) in RGBA order.
        shrink_to: pixels; a large JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, never below this on a side.

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
    data = plain if isinstance(plain, bytes) else read_file(Path(plain))
    with open_image(data, name, shrink_to=shrink_to) as image:
        return image.rgb


@contextmanager
def open_image(
    data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None
) -> Iterator[Decoded]:
    """Decode as `decode_with_size` does, when the process has memory for it; reserve that while the block runs.

    Decode nothing else in the block: it would wait for ever.
    """
    needed = decoding_bytes(data, name, shrink_to=shrink_to, max_pixels=max_pixels)
    with DECODING_BUDGET.reserve(needed):
        found = decode_with_size(data, name, shrink_to=shrink_to, max_pixels=max_pixels)
        if needed > _RELEASE_ABOVE:
            release_freed_memory()
        yield found


def decode(data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None) -> RGB:
    """Decode the bytes of an image file as `load_image` does; `name` is what errors call it.

    An image with more than `max_pixels` is shrunk by a whole number to at most that many. It is never held in
    full beside its decoded form.
    """
    return decode_with_size(data, name, shrink_to=shrink_to, max_pixels=max_pixels).rgb


def decode_with_size(data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None) -> Decoded:
    """Decode as `decode` does; with the width and height, in pixels, of the upright image before it was shrunk."""
    header = open_header(data, name)
    size, mode = header.size, header.mode
    image, note = _load(header, data, name, shrink_to, max_pixels)
    # Not before it is loaded: a PNG's EXIF may stand behind its pixels, and Pillow decodes them to look.
    turned = orientation(image)
    try:
        rgb = shrunk_rgb(image, max_pixels)
        del header, image  # this may be half a gigabyte, which turning need not hold as well
        upright = rgb if turned == 1 else np.asarray(Image.fromarray(rgb).transpose(TRANSPOSES[turned]))
    except Exception as error:  # a colour mode that Pillow does not convert, or too little memory
        reason = f"cannot be converted from {mode} to RGB: {first_line(error)}"
        raise ImageError(name, reason, "unsupported") from None
    return Decoded(upright, *(size if turned < 5 else size[::-1]), note)


def decoding_bytes(data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None) -> int:
    """Estimate from the header how many bytes `decode` holds at its peak; ImageError as `open_header`."""
    image = open_header(data, name)
    turned = (image.format != "PNG" or "exif" in image.info) and orientation(image) != 1
    _draft(image, shrink_to, max_pixels)
    pixels = image.width * image.height
    shown = min(pixels, max_pixels or pixels)
    copies = _DECODER_COPIES if image.format in _FORMAT_BYTES else 1
    return len(data) + max(copies * _decoded_bytes(image) + 3 * shown, _TRANSPOSE_BYTES * shown * turned)


def load_upright(
    header: Image.Image, data: bytes, name: str, *, shrink_to: int | None = None
) -> tuple[Image.Image, str | None]:
    """Decode what `open_header` has opened, and turn it upright; ImageError if that fails. With a note on the file."""
    image, note = _load(header, data, name, shrink_to, None)
    turn = TRANSPOSES.get(orientation(image))
    try:
        return (image if turn is None else image.transpose(turn)), note
    except Exception as error:  # too little memory
        raise ImageError(name, f"cannot be turned upright: {first_line(error)}") from None


def open_header(data: bytes, name: str) -> Image.Image:
    """Read an image file's header only: format, mode and size, checked against the limits."""
    if not data:
        raise ImageError(name, "is empty (zero bytes)", "empty")
    try:
        image = open_listed(data)
    except UnidentifiedImageError:
        known = not_an_image(data)
        reason = f"{known.reason}; {known.fix}" if known else "is not an image that can be decoded"
        other_kind = known is not None and known.kind == "unsupported-type"
        raise ImageError(name, reason, "unsupported" if other_kind else "not-an-image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels(name) from None
    except Exception as error:
        raise ImageError(name, f"has a damaged header: {first_line(error)}", "damaged") from None
    if image.width * image.height > MAX_PIXELS:
        raise too_many_pixels(name)
    return image


def _load(
    image: Image.Image, data: bytes, name: str, shrink_to: int | None, max_pixels: int | None
) -> tuple[Image.Image, str | None]:
    """Decode an image, a JPEG perhaps at 1/2, 1/4 or 1/8 of its size; with a note if its file lacks its end."""
    if image.format == "TIFF":
        silence_libtiff()
    try:
        _draft(image, shrink_to, max_pixels)
        if _decoded_bytes(image) > MAX_DECODED:
            raise ImageError(name, f"takes more than {MAX_DECODED >> 20} MiB once decoded", "too-much-memory")
        image.load()
    except ImageError:
        raise
    except Exception as error:  # each decoder raises its own
        whole = completed(data, image.size) if image.format in ("JPEG", "MPO") else None
        if whole is not None:
            return _load(open_header(whole, name), whole, name, shrink_to, max_pixels)[0], CUT_SHORT
        raise ImageError(name, f"is truncated or damaged: {first_line(error)}", "damaged") from None
    return image, None


def _draft(image: Image.Image, shrink_to: int | None, max_pixels: int | None) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, if that is wanted."""
    if image.format != "JPEG":
        return
    if shrink_to is not None:
        image.draft(None, (shrink_to, shrink_to))
    if max_pixels is not None and image.width * image.height > max_pixels:
        factor = math.ceil(math.sqrt(image.width * image.height / max_pixels))
        image.draft(None, (image.width // factor, image.height // factor))


def _decoded_bytes(image: Image.Image) -> int:
    """Return how many bytes Pillow's own copy of an image takes."""
    return image.width * image.height * _FORMAT_BYTES.get(image.format or "", _MODE_BYTES.get(image.mode, 4))
