"""Only the listed formats are opened, and no other program is ever started."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.inspection import inspect_file
from mien.errors import ImageError
from mien.io.images.decoding import load_image
from mien.io.images.formats import FORMAT_SUFFIXES, FORMATS
from mien.io.images.headers import open_header
from mien.io.sniffing import is_image_name

FACE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


def encode(kind: str) -> bytes:
    buffer = io.BytesIO()
    FACE.save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_every_listed_format_is_read(kind: str) -> None:
    header = open_header(encode(kind), "a")
    assert header.format == kind
    assert load_image(encode(kind)).shape == (32, 32, 3)
    assert all(map(is_image_name, (f"a{suffix}" for suffix in FORMAT_SUFFIXES[kind])))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode("ICO"), "is an icon (ICO); save it as JPEG or PNG"),
        (encode("TGA"), "is a Targa image (TGA); save it as JPEG or PNG"),
        (encode("DDS"), "is a texture (DDS); save it as JPEG or PNG"),
        (encode("SGI"), "is an SGI image; save it as JPEG or PNG"),
        (encode("QOI") if "QOI" in Image.SAVE else b"qoif" + bytes(20), "is a QOI image; save it as JPEG or PNG"),
        (b"8BPS\0\1" + bytes(40), "is a Photoshop document; save it as JPEG or PNG"),
        (POSTSCRIPT, "is a PostScript drawing; save it as JPEG or PNG"),
    ],
)
def test_other_formats_are_named_with_the_fix(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        load_image(data)
    assert (caught.value.reason, caught.value.code) == (reason, "unsupported")
    assert inspect_file("photo.jpg", data).kinds == ("unsupported-type",)


def test_no_other_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(POSTSCRIPT)
    with Image.open(photo) as opened:
        assert opened.format == "EPS"
        for source in (photo, POSTSCRIPT, opened):
            with pytest.raises(ImageError, match="save it as JPEG or PNG"):
                load_image(source)
    assert not (tmp_path / "started").exists()
