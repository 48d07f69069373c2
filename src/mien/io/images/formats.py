"""List the image formats that mien opens, at every door. Decoding: `images.decoding`."""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from PIL import Image

#: Pillow's names of the formats that are opened, and the extensions that match each. Pillow knows others; some of their
#: decoders start other programs (EPS starts Ghostscript), others take far more memory than the header says (ICO).
#: The usual ones come first: those that Pillow has not imported yet take it a while.
FORMAT_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "JPEG2000": (".jp2", ".j2k", ".jpf", ".jpx"),
    "AVIF": (".avif",),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
}

#: What Pillow opens of these: it finds MPO (several JPEGs in one file) as JPEG, and old versions have no AVIF.
FORMATS = tuple(
    name for name in FORMAT_SUFFIXES if name != "MPO" and (name != "AVIF" or find_spec("PIL.AvifImagePlugin"))
)


def open_listed(source: bytes | Path | IO[bytes]) -> Image.Image:
    """Read the header of an image file of a listed format; raise as `Image.open` does.

    Examples:
        >>> open_listed(b"P5 2 1 255 ab").size
        (2, 1)
    """
    return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
