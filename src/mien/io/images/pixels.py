"""Convert the pixels of decoded images and arrays to upright 8-bit RGB or grey. Files and limits: `images.decoding`."""

import math
from functools import partial

import numpy as np
from PIL import Image

from mien.arrays import RGB, Float32, UInt8
from mien.errors import ImageError, InputError

#: Images with more pixels than this are refused before decoding (Pillow's own limit against decompression bombs).
MAX_PIXELS = 178_956_970

#: Images are read at no more pixels than this: a larger one is shrunk by a whole number.
MAX_READ_PIXELS = 24_000_000

#: Images of more than four times as many pixels are converted in strips of about this many, to hold few copies.
_STRIP_PIXELS = 1_000_000

#: What turns an image upright, by its EXIF orientation; 1 and everything else is upright as stored.
TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) if there is none, it cannot be read, or does not count.

    A HEIF file has an orientation of its own. libheif has applied it, and what EXIF and XMP say is a copy. Of AVIF,
    Pillow has put that orientation into the EXIF data, where a different one in XMP must not replace it.
    """
    if image.format == "HEIF" or (image.format == "AVIF" and "exif" not in image.info):
        return 1
    try:
        value = image.getexif().get(0x0112, 1)
    except Exception:  # damaged EXIF says nothing against the pixels
        return 1
    return value if isinstance(value, int) and value in TRANSPOSES else 1


def array_to_rgb(array: UInt8) -> RGB:
    """Return a uint8 array (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA as RGB (H, W, 3); InputError for others.

    Examples:
        >>> array_to_rgb(np.zeros((2, 4), np.uint8)).shape
        (2, 4, 3)
    """
    if array.dtype != np.uint8:
        scaled = "array" if array.size and array.dtype.kind in "iuf" and array.max() > 1 else "(array * 255)"
        raise InputError(f"an array of {array.dtype}: give uint8 values in 0-255, {scaled}.astype('uint8')")
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


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: transparency on white, 16- and 32-bit values scaled to 8.

    Examples:
        >>> to_rgb(Image.new("LA", (1, 1), (0, 0))).getpixel((0, 0))
        (255, 255, 255)
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if _is_deep(image):
        return _deep_to_8_bit(image, _deep_scale(image)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def to_grey(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to 8-bit grey (ITU-R 601-2 luma), by the same rules as `to_rgb`."""
    return image if image.mode == "L" and "transparency" not in image.info else to_rgb(image).convert("L")


def shrunk_grey(image: Image.Image, factor: int, turn: int = 1) -> UInt8:
    """Convert a decoded image to grey by the rules of `to_grey`, upright and shrunk by a whole number, in strips.

    Args:
        image: as stored.
        factor: how many pixels of a side become one.
        turn: its EXIF orientation, as `orientation` returns it.

    Returns:
        uint8 (H, W), each side divided by the factor and rounded up.
    """
    width, height = image.size if turn < 5 else image.size[::-1]
    if width * height <= 4 * _STRIP_PIXELS:
        return np.asarray(to_grey(_transposed(image, turn)).reduce(factor))
    convert = partial(_deep_to_8_bit, scale=_deep_scale(image)) if _is_deep(image) else to_grey
    rows = max(_STRIP_PIXELS // width // factor, 1) * factor
    strips = (
        _transposed(image.crop(_stored_rows(image.size, turn, top, rows)), turn) for top in range(0, height, rows)
    )
    return np.concatenate([np.asarray(convert(strip).reduce(factor)) for strip in strips])


def _stored_rows(size: tuple[int, int], turn: int, top: int, rows: int) -> tuple[int, int, int, int]:
    """Return where an image as stored has the rows from `top` of its upright version: left, top, right, bottom."""
    width, height = size
    across = turn >= 5
    length = width if across else height
    start, end = top, min(top + rows, length)
    if turn in (3, 4, 7, 8):  # the upright image begins at the other end
        start, end = length - end, length - start
    return (start, 0, end, height) if across else (0, start, width, end)


def _transposed(image: Image.Image, turn: int) -> Image.Image:
    method = TRANSPOSES.get(turn)
    return image if method is None else image.transpose(method)


def turned_upright(rgb: RGB, turn: int) -> RGB:
    """Turn uint8 (H, W, 3) by an EXIF orientation, a large one in strips: Pillow would hold four copies.

    Examples:
        >>> turned_upright(np.zeros((2, 3, 3), np.uint8), 6).shape
        (3, 2, 3)
    """
    if turn not in TRANSPOSES:
        return rgb
    height, width = rgb.shape[:2]
    if height * width <= 4 * _STRIP_PIXELS:
        return np.asarray(_transposed(Image.fromarray(rgb), turn))
    shape = (height, width) if turn < 5 else (width, height)
    found = np.empty((*shape, 3), np.uint8)
    rows = max(_STRIP_PIXELS // shape[1], 1)
    for top in range(0, shape[0], rows):
        left, upper, right, lower = _stored_rows((width, height), turn, top, rows)
        strip = Image.fromarray(np.ascontiguousarray(rgb[upper:lower, left:right]))
        found[top : top + rows] = np.asarray(_transposed(strip, turn))
    return found


def shrink_factor(pixels: int, max_pixels: int | None) -> int:
    """Return the whole number by which the sides are divided so that at most `max_pixels` are left; None: any number.

    Examples:
        >>> shrink_factor(100, 25), shrink_factor(101, 25), shrink_factor(100, None)
        (2, 3, 1)
    """
    return max(1, math.ceil(math.sqrt(pixels / (max_pixels or math.inf))))


def shrunk_rgb(image: Image.Image, max_pixels: int | None) -> RGB:
    """Convert a decoded image to RGB as stored, shrunk by a whole number to at most `max_pixels` (None: not shrunk)."""
    width, height = image.size
    factor = shrink_factor(width * height, max_pixels)
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


def reduced(rgb: RGB, factor: int) -> RGB:
    """Reduce uint8 (H, W, 3) by a whole number like `Image.reduce`, in strips: Pillow would copy the whole image.

    Examples:
        >>> reduced(np.zeros((5, 4, 3), np.uint8), 2).shape
        (3, 2, 3)
    """
    rows = max(_STRIP_PIXELS // rgb.shape[1] // factor, 1) * factor
    strips = (np.ascontiguousarray(rgb[top : top + rows]) for top in range(0, len(rgb), rows))
    return np.concatenate([np.asarray(Image.fromarray(strip).reduce(factor)) for strip in strips])


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _deep_scale(image: Image.Image) -> float:
    """Return the factor that scales 16-bit grey, or floats in [0, 1], to 8 bits; 1 for values that fit already."""
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


def too_many_pixels(name: str) -> ImageError:
    """Return the error for an image of more than `MAX_PIXELS`."""
    return ImageError(name, f"has more than {MAX_PIXELS} pixels", "too-many-pixels")
