"""Make images of the largest sizes that are answered, and larger ones, for `doors.py`."""

import io
import zlib
from collections.abc import Callable
from functools import partial

from PIL import Image

from mien.data.synthetic.faces import draw_face

#: A face, so that large images are answered, not only decoded.
FACE = draw_face("happy", 3, 200)


def encoded(width: int, height: int, kind: str, mode: str = "RGB", **options: object) -> bytes:
    """Return an image with a face in its middle, in any format and mode."""
    canvas = Image.new("L" if mode in ("P", "1", "L") else "RGB", (width, height), 90)
    side = min(width, height) // 2
    canvas.paste(Image.fromarray(FACE).resize((side, side)), ((width - side) // 2, (height - side) // 2))
    if mode != canvas.mode:
        canvas = canvas.convert(mode)
    buffer = io.BytesIO()
    canvas.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """Return a black PNG of any size, made row by row; colour 0 is grey, 2 RGB, 6 RGBA."""
    channels = {0: 1, 2: 3, 6: 4}[colour]
    packer = zlib.compressobj(1)
    row = bytes(1 + -(-width * depth * channels // 8))
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = width.to_bytes(4) + height.to_bytes(4) + bytes((depth, colour, 0, 0, 0))
    chunks = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    parts = (len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4) for name, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def turned(value: int) -> Image.Exif:
    """Return EXIF data of an orientation."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


#: By name, a function that makes the file.
LARGE: dict[str, Callable[[], bytes]] = {
    "ordinary.jpg": partial(encoded, 1200, 900, "JPEG"),
    "jpeg-24.jpg": partial(encoded, 6000, 4000, "JPEG"),
    "jpeg-24-turned.jpg": partial(encoded, 6000, 4000, "JPEG", exif=turned(6)),
    "jpeg-108.jpg": partial(encoded, 12_000, 9_000, "JPEG"),
    "jpeg-176.jpg": partial(encoded, 16_000, 11_000, "JPEG"),
    "progressive-24.jpg": partial(encoded, 6000, 4000, "JPEG", progressive=True),
    "progressive-100.jpg": partial(encoded, 10_000, 10_000, "JPEG", progressive=True),
    "gif-169.gif": partial(encoded, 13_000, 13_000, "GIF", "P"),
    "png-24.png": partial(png, 6000, 4000),
    "png-24-turned.png": partial(encoded, 6000, 4000, "PNG", exif=turned(6), compress_level=1),
    "png-64.png": partial(png, 8000, 8000),
    "png-90.png": partial(png, 9500, 9500),
    "png-100-alpha.png": partial(png, 10_000, 10_000, 8, 6),
    "png-117.png": partial(png, 10_900, 10_700),
    "png-144-deep.png": partial(png, 12_000, 12_000, 16, 0),
    "png-176-grey.png": partial(png, 13_300, 13_300, 8, 0),
    "png-176-bit.png": partial(png, 13_300, 13_300, 1, 0),
    "webp-12.webp": partial(encoded, 4000, 3000, "WEBP"),
    "webp-24.webp": partial(encoded, 6000, 4000, "WEBP"),
    "webp-33.webp": partial(encoded, 6600, 5000, "WEBP"),
    "webp-33-lossless.webp": partial(encoded, 6600, 5000, "WEBP", lossless=True, method=0),
    "webp-51.webp": partial(encoded, 8500, 6000, "WEBP"),
    "tiff-24.tif": partial(encoded, 6000, 4000, "TIFF"),
    "tiff-40.tif": partial(encoded, 8000, 5000, "TIFF"),
    "tiff-50-lzw.tif": partial(encoded, 8000, 6250, "TIFF", compression="tiff_lzw"),
    "tiff-100.tif": partial(encoded, 10_000, 10_000, "TIFF"),
    "bmp-40.bmp": partial(encoded, 8000, 5000, "BMP"),
    "ppm-100.ppm": partial(encoded, 10_000, 10_000, "PPM"),
    "j2k-12.jp2": partial(encoded, 4000, 3000, "JPEG2000"),
    "j2k-20.jp2": partial(encoded, 5000, 4000, "JPEG2000"),
    "avif-35.avif": partial(encoded, 7000, 5000, "AVIF", speed=10),
    "avif-24.avif": partial(encoded, 6000, 4000, "AVIF", speed=10),
}
