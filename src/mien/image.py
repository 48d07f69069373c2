"""Any picture in, upright RGB out: files, bytes and arrays; EXIF, colour modes and size limits."""

import io
import os
import stat
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from mien.errors import ImageError, InputError

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | npt.NDArray[np.uint8]
RGB: TypeAlias = npt.NDArray[np.uint8]

#: Pictures with more pixels than this are refused before decoding (Pillow's own bomb warning level).
MAX_PIXELS = 89_478_485

#: Files larger than this are refused before reading, in bytes.
MAX_BYTES = 512 * 2**20

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
            raise ImageError(name, "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
        if status.st_size > MAX_BYTES:
            raise ImageError(name, f"is larger than {MAX_BYTES >> 20} MiB; is it an image?")
        return path.read_bytes()
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(name, "no such file") from None
    except PermissionError:
        raise ImageError(name, "permission denied; make the file readable") from None
    except (OSError, ValueError) as error:
        raise ImageError(name, f"cannot be read ({_first_line(error)})") from None


def decode(data: bytes, name: str, *, shrink_to: int | None = None) -> RGB:
    """Decode the bytes of an image file as `load_image` does; `name` is what errors call it."""
    image = open_upright(data, name, shrink_to=shrink_to)
    try:
        return np.asarray(to_rgb(image))
    except Exception as error:  # a colour mode that Pillow does not convert, or too little memory
        raise ImageError(name, f"cannot be converted from {image.mode} to RGB ({_first_line(error)})") from None


def open_upright(data: bytes, name: str, *, shrink_to: int | None = None) -> Image.Image:
    """Open, decode and turn upright, in the file's own colour mode; ImageError where that fails."""
    return load_upright(open_header(data, name), name, shrink_to=shrink_to)


def load_upright(image: Image.Image, name: str, *, shrink_to: int | None = None) -> Image.Image:
    """Decode what `open_header` has opened, and turn it upright; ImageError where that fails."""
    try:
        if shrink_to is not None and image.format == "JPEG":
            image.draft(None, (shrink_to, shrink_to))
        image.load()
        turn = _TURNS.get(orientation(image))
        return image if turn is None else image.transpose(turn)
    except Exception as error:  # each decoder raises its own
        raise ImageError(name, f"is truncated or damaged ({_first_line(error)})") from None


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
        raise ImageError(name, "is empty (zero bytes)")
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ImageError(name, "is not an image that can be decoded") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(name, f"has more than {MAX_PIXELS} pixels") from None
    except Exception as error:
        raise ImageError(name, f"has a damaged header ({_first_line(error)})") from None
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(name, f"has more than {MAX_PIXELS} pixels")
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB: transparency on white, 16- and 32-bit values scaled to 8."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_to_8_bit(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def to_grey(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to 8-bit grey (ITU-R 601-2 luma), by the same rules as `to_rgb`."""
    return image if image.mode == "L" and "transparency" not in image.info else to_rgb(image).convert("L")


def _deep_to_8_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey, or floats in [0, 1], to 8 bits; values that already fit in 8 bits are kept."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    if image.mode.startswith("I;16") or values.max(initial=0) > 255:
        values = values / 257.0
    elif image.mode == "F" and values.max(initial=0) <= 1:
        values = values * 255.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _from_array(array: npt.NDArray[np.uint8]) -> RGB:
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
