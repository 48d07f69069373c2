"""Decode image files, bytes and arrays to upright RGB, within limits of size and memory."""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from mien.arrays import RGB
from mien.errors import ImageError
from mien.io.images.costs.bounds import check_cost, cost_of, is_unbounded
from mien.io.images.costs.cost import Cost
from mien.io.images.formats import open_listed
from mien.io.images.isolation import DECODING_BUDGET, run_isolated
from mien.io.images.jpeg import CUT_SHORT, completed
from mien.io.images.libtiff import silence_libtiff
from mien.io.images.pixels import MAX_PIXELS, TRANSPOSES, array_to_rgb, orientation, shrunk_rgb, too_many_pixels
from mien.io.images.source import EncodedImage, ImageSource, open_source, read_file
from mien.io.sniffing import head_of, not_an_image
from mien.runtime.memory import release_freed_memory
from mien.text import first_line

#: Images that take more memory than this once decoded are refused before that, in bytes: 117 million pixels of
#: colour, 179 of grey, 52 as WebP.
MAX_DECODED = 448 * 2**20

#: Which images are decoded in a process of their own: none but those whose header does not bound the cost; also those
#: that may cost more than `_CHEAP`; all but tiny ones, `_TINY`, which wait for a process as long as for their decoder.
Isolation = Literal["unbounded", "costly", "all"]
#: Bytes and pixels, each, of an image that is decoded at once. What it costs beside them is little, too.
_CHEAP, _TINY = 2**21, 2**16
_SMALL_SECONDS = 0.1

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
    """Upright, uint8 (H, W, 3) RGB; its width and height in full, in pixels; a note on the file; its format."""

    rgb: RGB
    width: int
    height: int
    note: str | None = None
    format: str = ""


class _Opened(NamedTuple):
    """An image whose header is read, and what decoding takes beside its pixels."""

    image: Image.Image
    cost: Cost


def load_image(source: ImageSource, *, shrink_to: int | None = None, isolated: Isolation = "unbounded") -> RGB:
    """Decode one image to upright RGB, when the process has memory for it.

    Transparency is laid on white, 16-bit values are scaled to 8 bits, an animation gives its first frame, and the
    EXIF orientation is applied.

    Args:
        source: a path, the bytes of an image file, a file opened for reading bytes, a Pillow image of any mode, or a
            uint8 array in [0, 255] of shape (H, W), (H, W, 1), (H, W, 3) in RGB order or (H, W, 4) in RGBA order.
        shrink_to: pixels; a large JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, never below this on a side.
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
    with open_image(plain, name, shrink_to=shrink_to, isolated=isolated) as image:
        return image.rgb


@contextmanager
def open_image(
    source: EncodedImage, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None,
    isolated: Isolation = "unbounded",
) -> Iterator[Decoded]:  # fmt: skip
    """Decode as `decode_with_size` does, when the process has memory for it; reserve that while the block runs.

    Decode nothing else in the block: it would wait for ever.

    Args:
        source: the path or the bytes of an image file.
        name: what errors call it.
        shrink_to: as in `load_image`.
        max_pixels: as in `decode_with_size`.
        isolated: which images are decoded in a process of their own (`images.isolation`), so that one which takes too
            much time or memory ends that. It takes a moment to start, so it is for many images and those of others.

    Raises:
        ImageError: the image cannot be decoded.
    """
    options = {"shrink_to": shrink_to, "max_pixels": max_pixels}
    with ExitStack() as held:
        small = (
            None if isolated == "unbounded" else _open_small(source, name, _CHEAP if isolated == "costly" else _TINY)
        )
        here = small is not None or (isolated == "unbounded" and _is_here(source))
        reply = None if here else run_isolated("decode", source, name, options, held)
        if reply is not None and reply.pixels is not None:
            yield Decoded(reply.pixels, **reply.facts)
            return
        opened, data = small or (None, source if isinstance(source, bytes) else read_file(Path(source)))
        needed: list[int] = []

        def reserve(size: int) -> None:
            needed.append(size)
            held.enter_context(DECODING_BUDGET.reserve(size))

        try:
            found = _decode(opened or _open(data, name), data, name, shrink_to, max_pixels, reserve)
        except MemoryError:
            raise ImageError(name, "takes more memory than there is; shrink it", "too-much-memory") from None
        if max(needed) > _RELEASE_ABOVE:
            release_freed_memory()
        yield found


def _is_here(source: EncodedImage) -> bool:
    """Return whether the format of an image bounds its cost, so that it may be decoded in this process."""
    return not is_unbounded(source if isinstance(source, bytes) else head_of(Path(source)))


def _open_small(source: EncodedImage, name: str, limit: int) -> tuple[_Opened, bytes] | None:
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
    opened = _open(source, name)
    image, cost = opened
    small = image.width * image.height <= limit and cost.seconds <= _SMALL_SECONDS and cost.bytes <= 8 * limit
    return (opened, source) if small else None


def decode(
    source: EncodedImage, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None
) -> RGB:  # fmt: skip
    """Decode one of many images as `open_image` does, isolated if it is costly."""
    with open_image(source, name, shrink_to=shrink_to, max_pixels=max_pixels, isolated="costly") as image:
        return image.rgb


def decode_with_size(
    data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None,
    reserve: Callable[[int], None] = lambda needed: None,
) -> Decoded:  # fmt: skip
    """Decode the bytes of an image file, with the width and height, in pixels, of the upright image in full.

    An image with more than `max_pixels` is shrunk by a whole number to at most that many. It is never held in
    full beside its decoded form. `reserve` is called with the bytes that this holds at its peak, before.
    """
    return _decode(_open(data, name), data, name, shrink_to, max_pixels, reserve)


def _decode(
    opened: _Opened, data: bytes, name: str, shrink_to: int | None, max_pixels: int | None,
    reserve: Callable[[int], None],
) -> Decoded:  # fmt: skip
    header, cost = opened
    size, mode, kind = header.size, header.mode, header.format or ""
    draft = partial(_draft, shrink_to=shrink_to, max_pixels=max_pixels)
    draft(header)
    reserve(_needed(header, cost, len(data), max_pixels))
    image, note = _load(header, data, name, draft)
    # Not before it is loaded: a PNG's EXIF may stand behind its pixels, and Pillow decodes them to look.
    turned = orientation(image)
    try:
        rgb = shrunk_rgb(image, max_pixels)
        del header, image  # this may be half a gigabyte, which turning need not hold as well
        upright = rgb if turned == 1 else np.asarray(Image.fromarray(rgb).transpose(TRANSPOSES[turned]))
    except MemoryError:
        raise
    except Exception as error:  # a colour mode that Pillow does not convert
        reason = f"cannot be converted from {mode} to RGB: {first_line(error)}"
        raise ImageError(name, reason, "unsupported") from None
    return Decoded(upright, *(size if turned < 5 else size[::-1]), note, kind)


def decoding_bytes(data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None) -> int:
    """Estimate from the header how many bytes decoding holds at its peak; ImageError as `open_header`."""
    header, cost = _open(data, name)
    _draft(header, shrink_to, max_pixels)
    return _needed(header, cost, len(data), max_pixels)


def _needed(image: Image.Image, cost: Cost, file_bytes: int, max_pixels: int | None) -> int:
    """Estimate how many bytes decoding a file holds at its peak; its image is as large as it is to be decoded."""
    turned = (image.format != "PNG" or "exif" in image.info) and orientation(image) != 1
    pixels = image.width * image.height
    shown = min(pixels, max_pixels or pixels)
    copies = _DECODER_COPIES if image.format in _FORMAT_BYTES else 1
    peak = max(copies * _decoded_bytes(image) + cost.bytes + 3 * shown, _TRANSPOSE_BYTES * shown * turned)
    return file_bytes + peak


def load_upright(
    header: Image.Image, data: bytes, name: str, *, shrink_to: int | None = None,
    reserve: Callable[[int], None] = lambda needed: None,
) -> tuple[Image.Image, str | None]:  # fmt: skip
    """Decode what `open_header` has opened, and turn it upright; ImageError if that fails. With a note on the file."""
    draft = partial(_draft, shrink_to=shrink_to, max_pixels=None)
    draft(header)
    reserve(_needed(header, cost_of(data), len(data), None))
    image, note = _load(header, data, name, draft)
    turn = TRANSPOSES.get(orientation(image))
    return (image if turn is None else image.transpose(turn)), note


def open_header(data: bytes, name: str) -> Image.Image:
    """Read an image file's header only: format, mode and size, checked against the limits."""
    return _open(data, name).image


class Header(NamedTuple):
    """Width and height in pixels, before the image is turned upright; and whether it takes only what they say."""

    width: int
    height: int
    plain: bool


def read_header(data: bytes, name: str) -> Header:
    """Read the size of an image and judge what decoding takes; ImageError as `open_header`."""
    image, cost = _open(data, name)
    return Header(image.width, image.height, cost.seconds <= _SMALL_SECONDS and not is_unbounded(data))


def _open(data: bytes, name: str) -> _Opened:
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
    except Exception as error:
        raise ImageError(name, f"has a damaged header: {first_line(error)}", "damaged") from None
    if image.width * image.height > MAX_PIXELS:
        raise too_many_pixels(name)
    return _Opened(image, cost)


def _load(
    image: Image.Image, data: bytes, name: str, draft: Callable[[Image.Image], None]
) -> tuple[Image.Image, str | None]:
    """Decode an image, as large as it is drafted; with a note if its file lacks its end."""
    if image.format == "TIFF":
        silence_libtiff()
    if _decoded_bytes(image) > MAX_DECODED:
        raise ImageError(name, f"takes more than {MAX_DECODED >> 20} MiB once decoded", "too-much-memory")
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # each decoder raises its own
        whole = completed(data, image.size) if image.format in ("JPEG", "MPO") else None
        if whole is not None:
            header = open_header(whole, name)
            draft(header)
            return _load(header, whole, name, draft)[0], CUT_SHORT
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
