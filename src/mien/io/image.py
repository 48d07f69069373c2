"""Any picture in, upright RGB out: files, bytes and arrays; EXIF, colour modes and size limits."""

import io
import math
import os
import stat
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from mien.arrays import Float32, UInt8
from mien.errors import ImageError, InputError

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | UInt8
RGB: TypeAlias = UInt8

#: What the names of picture files end in, in lower case.
IMAGE_SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".avif",
        ".heic",
        ".heif",
        ".svg",
        ".ico",
        ".jp2",
    ]
)

#: What most pictures begin with, whatever their name says.
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a")

#: Pictures with more pixels than this are refused before decoding (where Pillow itself holds a file for a bomb).
MAX_PIXELS = 178_956_970

#: Pictures that take more memory than this once decoded are refused before that, in bytes: 117 million pixels of
#: colour, 179 of grey, 52 as WebP.
MAX_DECODED = 448 * 2**20

#: Pictures of more than four times as many pixels are converted in strips of about this many: few copies are held.
_STRIP_PIXELS = 1_000_000

#: Files larger than this are refused before reading, in bytes.
MAX_BYTES = 512 * 2**20

#: Bytes per pixel of Pillow's modes in memory, where that is not 4.
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}

#: The same for formats whose decoders hold several copies; at the peak they take so many times as much (measured).
_FORMAT_BYTES = {"WEBP": 9, "JPEG2000": 10, "AVIF": 5}
_DECODER_COPIES = 2

#: Bytes per pixel while a picture is turned upright: two copies of 3 bytes, two of Pillow's 4.
_TURNING_BYTES = 14

#: What turns a picture upright, by its EXIF orientation; 1 and everything else is upright as stored.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(source: ImageSource, *, shrink_to: int | None = None) -> RGB:
    """Decode one picture to upright RGB.

    `source` is a path, the bytes of an image file, or a uint8 array in [0, 255] of shape (H, W),
    (H, W, 1), (H, W, 3) in RGB order or (H, W, 4) in RGBA order. Transparency is laid on white, 16-bit
    values are scaled to 8 bits, of an animation the first frame is read, EXIF orientation is applied.
    `shrink_to` (pixels) lets a large JPEG be decoded at 1/2, 1/4 or 1/8 of its size, never below that
    many pixels on a side.

    Returns uint8 (H, W, 3), RGB, [0, 255]. Raises ImageError for a file or bytes that cannot be read,
    InputError for an array of another type or shape.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, bytes):
        return decode(source, "<bytes>", shrink_to=shrink_to)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return decode(read_file(path), str(source), shrink_to=shrink_to)
    raise InputError(f"a picture is a path, bytes or a uint8 array, not {type(source).__name__}")


def read_file(path: Path) -> bytes:
    """Return the bytes of a regular file; ImageError says why it cannot be read."""
    name = str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(name, _not_a_file(status.st_mode), "not-a-file")
        if status.st_size > MAX_BYTES:
            raise ImageError(name, f"is larger than {MAX_BYTES >> 20} MiB; is it an image?", "too-large")
        return path.read_bytes()
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(name, "no such file", "missing") from None
    except PermissionError:
        raise ImageError(name, "permission denied; make the file readable", "denied") from None
    except (OSError, ValueError) as error:
        raise ImageError(name, f"cannot be read ({_first_line(error)})") from None


def _not_a_file(mode: int) -> str:
    return "is a folder" if stat.S_ISDIR(mode) else "is not a regular file"


def begins_like_picture(head: bytes) -> bool:
    """Whether the first 12 bytes of a file are those of a JPEG, PNG, GIF or WebP."""
    return head.startswith(_BEGINNINGS) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def decode(data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None) -> RGB:
    """Decode the bytes of an image file as `load_image` does; `name` is what errors call it.

    A picture with more than `max_pixels` is shrunk by a whole number, so that it has at most that many, and
    is never held in full beside its decoded form.
    """
    return decode_with_size(data, name, shrink_to=shrink_to, max_pixels=max_pixels)[0]


def decode_with_size(
    data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None
) -> tuple[RGB, int, int]:
    """Decode as `decode` does; with the width and height, in pixels, of the upright picture before it was shrunk."""
    header = open_header(data, name)
    size, mode = header.size, header.mode
    image = _load(header, name, shrink_to, max_pixels)
    # Not before it is loaded: a PNG's EXIF may stand behind its pixels, and Pillow decodes them to look.
    turned = orientation(image)
    try:
        rgb = _pixels(image, max_pixels)
        del header, image  # this may be half a gigabyte, which turning need not hold as well
        upright = rgb if turned == 1 else np.asarray(Image.fromarray(rgb).transpose(_TURNS[turned]))
    except Exception as error:  # a colour mode that Pillow does not convert, or too little memory
        raise ImageError(
            name, f"cannot be converted from {mode} to RGB ({_first_line(error)})", "unsupported"
        ) from None
    return (upright, *(size if turned < 5 else size[::-1]))


def decoding_bytes(data: bytes, name: str, *, shrink_to: int | None = None, max_pixels: int | None = None) -> int:
    """Return about how many bytes `decode` holds at its peak, told by the header alone; ImageError as `open_header`."""
    image = open_header(data, name)
    turned = (image.format != "PNG" or "exif" in image.info) and orientation(image) != 1
    _draft(image, shrink_to, max_pixels)
    pixels = image.width * image.height
    shown = min(pixels, max_pixels or pixels)
    copies = _DECODER_COPIES if image.format in _FORMAT_BYTES else 1
    return len(data) + max(copies * _decoded_bytes(image) + 3 * shown, _TURNING_BYTES * shown * turned)


def _pixels(image: Image.Image, max_pixels: int | None) -> RGB:
    """Convert a decoded picture to RGB as stored, shrunk to at most `max_pixels`."""
    width, height = image.size
    factor = max(1, math.ceil(math.sqrt(width * height / (max_pixels or math.inf))))
    if factor == 1 and width * height <= 4 * _STRIP_PIXELS:
        return np.asarray(to_rgb(image))
    found = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    scale = _deep_scale(image) if _is_deep(image) else None
    rows = max(_STRIP_PIXELS // width // factor, 1) * factor
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        rgb = to_rgb(strip) if scale is None else _deep_to_8_bit(strip, scale).convert("RGB")
        found[top // factor : (top + rows) // factor] = np.asarray(rgb.reduce(factor) if factor > 1 else rgb)
    return found


def open_upright(data: bytes, name: str, *, shrink_to: int | None = None) -> Image.Image:
    """Open, decode and turn upright, in the file's own colour mode; ImageError where that fails."""
    return load_upright(open_header(data, name), name, shrink_to=shrink_to)


def load_upright(image: Image.Image, name: str, *, shrink_to: int | None = None) -> Image.Image:
    """Decode what `open_header` has opened, and turn it upright; ImageError where that fails."""
    image = _load(image, name, shrink_to, None)
    turn = _TURNS.get(orientation(image))
    try:
        return image if turn is None else image.transpose(turn)
    except Exception as error:  # too little memory
        raise ImageError(name, f"cannot be turned upright ({_first_line(error)})") from None


def _load(image: Image.Image, name: str, shrink_to: int | None, max_pixels: int | None) -> Image.Image:
    """Decode a picture, a JPEG perhaps at 1/2, 1/4 or 1/8 of its size."""
    try:
        _draft(image, shrink_to, max_pixels)
        if _decoded_bytes(image) > MAX_DECODED:
            raise ImageError(name, f"takes more than {MAX_DECODED >> 20} MiB once decoded", "too-much-memory")
        image.load()
    except ImageError:
        raise
    except Exception as error:  # each decoder raises its own
        raise ImageError(name, f"is truncated or damaged ({_first_line(error)})", "damaged") from None
    return image


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
    """Return how many bytes Pillow's own copy of a picture takes."""
    return image.width * image.height * _FORMAT_BYTES.get(image.format or "", _BYTES.get(image.mode, 4))


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF says nothing against the pixels
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def open_header(data: bytes, name: str) -> Image.Image:
    """Read an image file's header only: format, mode and size, checked against the limits."""
    if not data:
        raise ImageError(name, "is empty (zero bytes)", "empty")
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ImageError(name, "is not an image that can be decoded", "not-an-image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels(name) from None
    except Exception as error:
        raise ImageError(name, f"has a damaged header ({_first_line(error)})", "damaged") from None
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels(name)
    return image


def _too_many_pixels(name: str) -> ImageError:
    return ImageError(name, f"has more than {MAX_PIXELS} pixels", "too-many-pixels")


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: transparency on white, 16- and 32-bit values scaled to 8."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if _is_deep(image):
        return _deep_to_8_bit(image, _deep_scale(image)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def to_grey(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to 8-bit grey (ITU-R 601-2 luma), by the same rules as `to_rgb`."""
    return image if image.mode == "L" and "transparency" not in image.info else to_rgb(image).convert("L")


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _deep_scale(image: Image.Image) -> float:
    """Return what 16-bit grey, or floats in [0, 1], are multiplied by; 1 for values that fit in 8 bits already."""
    if image.mode.startswith("I;16"):
        return 1 / 257
    rows = max(_STRIP_PIXELS // image.width, 1)
    strips = (image.crop((0, top, image.width, min(top + rows, image.height))) for top in range(0, image.height, rows))
    largest = max(float(_deep_values(strip).max(initial=0)) for strip in strips)
    if largest > 255:
        return 1 / 257
    return 255.0 if image.mode == "F" and largest <= 1 else 1.0


def _deep_values(image: Image.Image) -> Float32:
    return np.nan_to_num(np.asarray(image, dtype=np.float32))


def _deep_to_8_bit(image: Image.Image, scale: float) -> Image.Image:
    values = _deep_values(image) * np.float32(scale)
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _from_array(array: UInt8) -> RGB:
    if array.dtype != np.uint8:
        raise InputError(f"an array of {array.dtype}: give uint8 values in 0-255, (array * 255).astype('uint8')")
    if array.ndim == 2:
        array = array[..., np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise InputError(f"an array of shape {array.shape}: give (H, W), (H, W, 3) RGB or (H, W, 4) RGBA")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise InputError(f"an array of shape {array.shape}: has more than {MAX_PIXELS} pixels")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if array.shape[2] == 4:
        return np.asarray(to_rgb(Image.fromarray(array)))
    return array


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:160]
