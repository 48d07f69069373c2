"""Open the header of an image file: its size, and what decoding it takes, before that is paid."""

import math
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from mien.errors import ImageError
from mien.io.images.costs.bounds import MAX_BYTES, check_cost, is_unbounded
from mien.io.images.costs.cost import Cost
from mien.io.images.formats import open_listed
from mien.io.images.pixels import MAX_PIXELS, orientation, shrink_factor, too_many_pixels
from mien.io.sniffing import not_an_image
from mien.text import first_line

#: An image that costs less than this is decoded where it is, in seconds.
SMALL_SECONDS = 0.1

#: Bytes per pixel of Pillow's modes in memory, where that is not 4.
_MODE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}

#: The same for formats whose decoders hold several copies, at their peak (measured). WebP: `costs.bounds`.
_FORMAT_BYTES = {"JPEG2000": 20, "AVIF": 12, "HEIF": 8}
_HEIF_ALPHA_BYTES = 12


class OpenedImage(NamedTuple):
    """An image whose header is read, and what decoding takes beside its pixels."""

    image: Image.Image
    cost: Cost


class Header(NamedTuple):
    """Width and height in pixels, before the image is turned upright; and whether it takes only what they say."""

    width: int
    height: int
    plain: bool


def read_header(data: bytes, name: str) -> Header:
    """Read the size of an image and judge what decoding takes; ImageError as `open_header`."""
    image, cost = open_with_cost(data, name)
    return Header(image.width, image.height, cost.seconds <= SMALL_SECONDS and not is_unbounded(data))


def open_header(data: bytes, name: str) -> Image.Image:
    """Read an image file's header only: format, mode and size, checked against the limits."""
    return open_with_cost(data, name).image


def open_with_cost(data: bytes, name: str) -> OpenedImage:
    """Read a header; with what decoding may take beside the pixels."""
    if not data:
        raise ImageError(name, "is empty (zero bytes)", "empty")
    cost = check_cost(data, name)
    try:
        image = open_listed(data)
    except UnidentifiedImageError:
        known = not_an_image(data)
        reason = f"{known.reason}; {known.fix}" if known else "is not an image that can be decoded"
        other_kind = known is not None and known.kind == "unsupported-type"
        raise ImageError(name, reason, "unsupported" if other_kind else "not-an-image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_many_pixels(name) from None
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(name, f"has a damaged header: {first_line(error)}", "damaged") from None
    if image.width * image.height > MAX_PIXELS:
        raise too_many_pixels(name)
    return OpenedImage(image, cost)


def draft(image: Image.Image, shrink_to: int | None, max_pixels: int | None) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, if that is wanted."""
    if image.format != "JPEG":
        return
    if shrink_to is not None:
        image.draft(None, (shrink_to, shrink_to))
    if max_pixels is not None and image.width * image.height > max_pixels:
        factor = math.ceil(math.sqrt(image.width * image.height / max_pixels))
        image.draft(None, (image.width // factor, image.height // factor))


def decoding_bytes(data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None) -> int:
    """Estimate from the header how many bytes decoding holds at its peak; ImageError as `open_header`."""
    image, cost = open_with_cost(data, name)
    draft(image, shrink_to, max_pixels)
    return needed_bytes(image, cost, len(data), max_pixels)


def needed_bytes(image: Image.Image, cost: Cost, file_bytes: int, max_pixels: int | None) -> int:
    """Estimate how many bytes decoding a file holds at its peak; its image is as large as it is to be decoded.

    The file counts twice: it is in this process and in the decoder's. While an image is converted, Pillow's copy and
    the result are held; while it is turned, two results beside that copy.
    """
    pixels = image.width * image.height
    own = pixels * _MODE_BYTES.get(image.mode, 4)
    shown = 3 * (pixels if max_pixels is None else pixels // shrink_factor(pixels, max_pixels) ** 2)
    decoder = pixels * _FORMAT_BYTES.get(image.format or "", 0)
    if image.format == "HEIF" and image.mode == "RGBA":
        decoder = pixels * _HEIF_ALPHA_BYTES
    turned = (image.format != "PNG" or "exif" in image.info) and orientation(image) != 1
    return 2 * file_bytes + max(decoder, own + cost.bytes + shown * (1 + turned))


def check_needed(name: str, needed: int) -> None:
    """Raise ImageError if an image takes more memory than `MAX_BYTES`."""
    if needed > MAX_BYTES:
        what = f"takes more than {MAX_BYTES >> 20} MiB to decode; shrink it, or save it again as JPEG"
        raise ImageError(name, what, "too-much-memory")
