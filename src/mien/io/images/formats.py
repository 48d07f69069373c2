"""List the image formats that mien opens, at every door. Decoding: `images.decoding`."""

import io
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from PIL import Image

from mien.io.images.heif import HEIF_HEAD, is_heif, open_heif

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
    "HEIF": (".heic", ".heif", ".hif", ".heics", ".heifs"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
}

#: What Pillow opens of these: it finds MPO (several JPEGs in one file) as JPEG, old versions have no AVIF, and HEIF is
#: opened with libheif.
FORMATS = tuple(
    name
    for name in FORMAT_SUFFIXES
    if name not in ("MPO", "HEIF") and (name != "AVIF" or find_spec("PIL.AvifImagePlugin"))
)


def open_listed(source: bytes | Path | IO[bytes]) -> Image.Image:
    """Read the header of an image file of a listed format; raise as `Image.open` does.

    Examples:
        >>> open_listed(b"P5 2 1 255 ab").size
        (2, 1)
    """
    if isinstance(source, Path):
        source = source.read_bytes()
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    head = stream.read(HEIF_HEAD)
    stream.seek(0)
    return open_heif(stream.read()) if is_heif(head) else Image.open(stream, formats=FORMATS)
