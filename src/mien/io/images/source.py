"""Take an image in any form: a path, bytes, an open file, a Pillow image, an array. Decoding: `images.decoding`."""

import os
import stat
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from PIL import Image

from mien.arrays import RGB, UInt8
from mien.errors import ImageError, InputError
from mien.io.images.costs.bounds import MAX_BYTES
from mien.io.images.formats import FORMAT_SUFFIXES
from mien.io.images.libtiff import silence_libtiff
from mien.io.images.pixels import MAX_PIXELS, orientation, shrunk_rgb, too_many_pixels, turned_upright
from mien.text import first_line

#: A path, the bytes of an image file, a file opened for reading bytes, a Pillow image, or an array as `array_to_rgb`
#: takes it.
ImageSource: TypeAlias = str | os.PathLike[str] | bytes | IO[bytes] | Image.Image | UInt8

#: An image that is not decoded yet: a path, or the bytes of the file.
EncodedImage: TypeAlias = str | os.PathLike[str] | bytes

#: Files larger than this are refused before reading, in bytes: a file counts twice of what decoding may take
#: (`images.headers`), so none of them would be decoded.
MAX_FILE_BYTES = MAX_BYTES // 2
#: The same of a file that is not called an image, such as a table of pixels.
MAX_OTHER_BYTES = 512 * 2**20


def open_source(source: ImageSource) -> tuple[str, str | os.PathLike[str] | bytes | UInt8 | ImageError]:
    """Return what rows and errors call an image, and the image as a path, bytes or array that any thread may use.

    An open file is read from its start, and a Pillow image is turned upright and converted as its file would be. If
    that fails, an ImageError takes the image's place.

    Raises:
        InputError: an object that is not an image at all.

    Examples:
        >>> open_source("me.jpg"), open_source(b"...")
        (('me.jpg', 'me.jpg'), ('<bytes>', b'...'))
    """
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source), source
    if isinstance(source, bytes | bytearray | memoryview):
        large = memoryview(source).nbytes > MAX_FILE_BYTES
        return "<bytes>", _too_large("<bytes>") if large else bytes(source)
    if isinstance(source, np.ndarray):
        return "<array>", source
    if isinstance(source, Image.Image):
        name = os.fsdecode(getattr(source, "filename", "") or "<image>")
        return name, _pillow_image(source, name)
    if hasattr(source, "read"):
        named = getattr(source, "name", None)
        name = named if isinstance(named, str) else "<file>"
        return name, _read_stream(source, name)
    fix = "; convert it with numpy.asarray" if hasattr(source, "__array__") else ""
    raise InputError(
        "an image is a path, bytes, an open file, a Pillow image or a uint8 array, "
        f"not {type(source).__module__}.{type(source).__name__}{fix}".replace("not builtins.", "not ")
    )


def is_single_image(source: object) -> bool:
    """Return whether an object is one image, not several; an array of several has four axes, (N, H, W, C).

    Examples:
        >>> is_single_image("me.jpg"), is_single_image(["me.jpg"]), is_single_image(np.zeros((3, 48, 48, 3)))
        (True, False, False)
    """
    if isinstance(source, np.ndarray):
        return source.ndim != 4 and source.dtype.kind in "biufc"  # others hold names
    kinds = (str, bytes, bytearray, memoryview, os.PathLike, Image.Image)
    return isinstance(source, kinds) or hasattr(source, "read")


def read_file(path: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a regular file, at most `limit`, or raise ImageError with the reason."""
    name = str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            reason = "is a folder" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
            raise ImageError(name, reason, "not-a-file")
        if status.st_size > limit:
            raise _too_large(name, limit)
        return path.read_bytes()
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(name, "no such file", "missing") from None
    except PermissionError:
        raise ImageError(name, "permission denied; make the file readable", "denied") from None
    except (OSError, ValueError) as error:
        raise ImageError(name, f"cannot be read: {first_line(error)}") from None


def _pillow_image(image: Image.Image, name: str) -> RGB | bytes | ImageError:
    """Return the pixels of an image; of a file that Pillow alone does not decode to its end, the bytes."""
    file: IO[bytes] | None = getattr(image, "fp", None)  # open as long as the pixels are not loaded
    found = _pillow_to_rgb(image, name)
    if isinstance(found, ImageError) and file is not None and not file.closed and image.tell() == 0:
        return _read_stream(file, name)
    return found


def _pillow_to_rgb(image: Image.Image, name: str) -> RGB | ImageError:
    if image.width * image.height > MAX_PIXELS:
        return too_many_pixels(name)
    if not image.width * image.height:
        return ImageError(name, "has no pixels", "empty")
    if image.format and image.format not in FORMAT_SUFFIXES and getattr(image, "fp", None) is not None:
        # Not loaded yet: that would start its decoder, for some formats another program.
        return ImageError(name, f"is of type {image.format}, which is not read; save it as JPEG or PNG", "unsupported")
    if image.format == "TIFF":
        silence_libtiff()
    try:
        image.load()
        return turned_upright(shrunk_rgb(image, None), orientation(image))
    except Exception as error:  # each decoder raises its own
        return ImageError(name, f"is truncated or damaged: {first_line(error)}", "damaged")


def _read_stream(stream: IO[bytes], name: str) -> bytes | ImageError:
    """Read a file from its start: where one has just been written, its position is at the end."""
    try:
        if stream.seekable():
            stream.seek(0)
        data = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError, AttributeError) as error:
        return ImageError(name, f"cannot be read: {first_line(error)}")
    if not isinstance(data, bytes):
        raise InputError(f"{name}: is open as text; open it for reading bytes, open(path, 'rb')")
    if len(data) > MAX_FILE_BYTES:
        return _too_large(name)
    return data


def _too_large(name: str, limit: int = MAX_FILE_BYTES) -> ImageError:
    fix = "save it again as JPEG" if limit == MAX_FILE_BYTES else "divide it"
    return ImageError(name, f"is larger than {limit >> 20} MiB; {fix}", "too-large")
