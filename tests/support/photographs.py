"""Photographs as phones take them, and the same pixels as PNG, which must get the same answers."""

import io
from collections.abc import Callable

import numpy as np
from heif_files import encode_heic
from PIL import Image
from skimage import data

from mien.io.images.decoding import load_image

#: A face that the shipped model finds and calls happy.
ASTRONAUT = Image.fromarray(data.astronaut())  # type: ignore[no-untyped-call]


def turned_heic(image: Image.Image) -> bytes:
    """Return a HEIC file of an image held on its side, which shows it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode_heic(image.rotate(90, expand=True), exif=exif.tobytes())


def encode_avif(image: Image.Image) -> bytes:
    """Return an AVIF file."""
    return as_file(image, "AVIF", quality=90)


def as_file(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


#: How photographs are stored, by their names.
STORED: dict[str, Callable[[Image.Image], bytes]] = {
    "turned.heic": turned_heic,
    "with-thumbnail.heic": lambda image: encode_heic(image, thumbnails=[128]),
    "photo.avif": encode_avif,
}


def twin(stored: bytes) -> bytes:
    """Return what a photograph shows as a PNG."""
    return as_file(Image.fromarray(np.asarray(load_image(stored))), "PNG")
