"""Inspecting a file finds every issue by its name, and no issue in a sound file."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.data.inspection import inspect_file
from mien.data.issues import ISSUE_KINDS
from mien.data.synthetic.faces import draw_face

RGB = draw_face("sad", 8, 64)
IMAGE = Image.fromarray(RGB)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rotated(kind: str, value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encode(IMAGE, kind, exif=exif)


SOUND = {
    "a.jpg": encode(IMAGE, "JPEG"),
    "b.JPEG": encode(IMAGE, "JPEG", progressive=True),
    "c.png": encode(IMAGE, "PNG"),
    "d.bmp": encode(IMAGE, "BMP"),
    "e.webp": encode(IMAGE, "WEBP"),
    "f.tif": encode(IMAGE, "TIFF"),
    "g.ppm": encode(IMAGE, "PPM"),
    "h.png": encode(IMAGE.convert("L"), "PNG"),
    "i.png": encode(IMAGE.convert("1"), "PNG"),
    "k.jpg": rotated("JPEG", 1),
    "l.jpg": rotated("JPEG", 0),
    "m.pgm": b"P2 16 16 255\n" + b"7 " * 256,
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_have_no_issue(name: str) -> None:
    found = inspect_file(name, SOUND[name])
    assert (found.kinds, found.reason, found.usable) == ((), None, True)
    assert found.size == len(SOUND[name])
    assert len(found.digest) == 64
    assert found.grey is not None
    assert found.grey.dtype == np.uint8
    assert found.grey.ndim == 2


NOTED = {
    "wrong-extension": ("a.jpg", encode(IMAGE, "PNG")),
    "wrong-extension ": ("a", encode(IMAGE, "PNG")),
    "cmyk": ("a.jpg", encode(IMAGE.convert("CMYK"), "JPEG")),
    "palette": ("a.gif", encode(IMAGE.quantize(16), "GIF")),
    "palette ": ("a.png", encode(IMAGE.quantize(16), "PNG")),
    "sixteen-bit": ("a.png", encode(Image.fromarray(RGB[..., 0].astype(np.uint16) * 257), "PNG")),
    "sixteen-bit ": ("a.tif", encode(Image.fromarray(RGB[..., 0].astype(np.float32)), "TIFF")),
    "alpha": ("a.png", encode(IMAGE.convert("RGBA"), "PNG")),
    "alpha ": ("a.png", encode(IMAGE, "PNG", transparency=(1, 2, 3))),
    "exif-rotated": ("a.jpg", rotated("JPEG", 6)),
    "exif-rotated ": ("a.png", rotated("PNG", 3)),
    "exif-rotated  ": ("a.tif", rotated("TIFF", 8)),
    "exif-rotated   ": ("a.webp", rotated("WEBP", 5)),
}


@pytest.mark.parametrize("case", NOTED)
def test_unusual_files_are_noted_and_usable(case: str) -> None:
    found = inspect_file(*NOTED[case])
    assert found.kinds == (case.strip(),)
    assert found.usable
    assert found.grey is not None


def test_several_notes_stand_together() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    found = inspect_file("a.png", encode(IMAGE.convert("CMYK"), "JPEG", exif=exif))
    assert set(found.kinds) == {"wrong-extension", "cmyk", "exif-rotated"}


FRAMES = [IMAGE, IMAGE.rotate(90)]
HTML = b"\xef\xbb\xbf\n <!DOCTYPE HTML>\n<html>404</html>"


def png_head(width: int, height: int) -> bytes:
    """The header of a PNG of eight bits per colour."""
    body = b"IHDR" + width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + body + zlib.crc32(body).to_bytes(4)


BROKEN = {
    "zero-bytes": b"",
    "html": HTML,
    "html ": b"<html><body>no</body></html>",
    "text": b"not found\n",
    "text ": b"x" + "ü".encode() * 4000,  # the look at its head cuts a character in two
    "lfs-pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "not-an-image": bytes(range(256)) * 4,
    "not-an-image ": b"\0" * 100,
    "unsupported-type": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "unsupported-type pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "unsupported-type ico": encode(IMAGE, "ICO"),
    "unsupported-type gif": encode(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]),
    "unsupported-type webp": encode(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:]),
    "unsupported-type png": encode(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    "too-small": encode(IMAGE.resize((15, 40)), "PNG"),
    "absurd-size": encode(IMAGE.resize((20, 130)), "PNG"),
    "absurd-size bomb": encode(Image.new("1", (14_000, 14_000)), "PNG", compress_level=1),
    "too-slow": b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000,
    "too-much-memory": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + (9_499).to_bytes(3, "little") * 2,
    "too-much-memory png": png_head(12_500, 10_000) + (4).to_bytes(4) + b"IDAT" + bytes(8),
    "truncated jpeg": SOUND["a.jpg"][:-200],
    "truncated jpeg head": SOUND["a.jpg"][:200],
    "truncated png": SOUND["c.png"][:-2000],
    "truncated png head": SOUND["c.png"][:20],
    "truncated gif": encode(IMAGE.quantize(64), "GIF")[:-500],
    "truncated bmp": SOUND["d.bmp"][:-500],
    "truncated webp": SOUND["e.webp"][:-100],
    "truncated tiff": SOUND["f.tif"][:500],
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.filterwarnings("ignore:::PIL")
def test_unusable_files_have_one_issue_and_one_reason(case: str) -> None:
    found = inspect_file("happy/a.jpg", BROKEN[case])
    assert found.kinds == (case.split(maxsplit=1)[0],)
    assert not found.usable
    assert found.reason
    assert "\n" not in found.reason
    assert found.grey is None


def test_the_smallest_and_longest_allowed() -> None:
    assert inspect_file("a.png", encode(IMAGE.resize((16, 16)), "PNG")).usable
    assert inspect_file("a.png", encode(IMAGE.resize((20, 120)), "PNG")).usable


def test_strict_extensions_keep_four_endings() -> None:
    for name in ("a.jpg", "c.png", "d.bmp", "b.JPEG"):
        assert inspect_file(name, SOUND[name], strict_extensions=True).usable
    for name in ("e.webp", "f.tif", "g.ppm"):
        found = inspect_file(name, SOUND[name], strict_extensions=True)
        assert found.kinds == ("strict-extension",)
        assert "jpg, jpeg, png or bmp" in (found.reason or "")


def test_the_grey_version_is_upright_and_small() -> None:
    big = IMAGE.resize((1000, 1500))
    stored = big.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("JPEG", "PNG"):
        found = inspect_file("a." + kind.lower(), encode(stored, kind, exif=exif))
        assert (found.width, found.height) == (1500, 1000)
        assert found.grey is not None
        height, width = found.grey.shape
        assert 128 <= width <= 300
        assert height == pytest.approx(1.5 * width, rel=0.02)
        expected = np.asarray(IMAGE.convert("L").resize((width, height))).astype(int)
        assert np.abs(found.grey.astype(int) - expected).mean() < 8


def test_every_kind_is_in_the_catalogue() -> None:
    kinds = {case.split()[0] for case in (*NOTED, *BROKEN)} | {"strict-extension"}
    assert kinds <= set(ISSUE_KINDS)


@pytest.mark.filterwarnings("ignore:::PIL")
@given(
    data=st.sampled_from([*SOUND.values(), *(data for _, data in NOTED.values()), *BROKEN.values()]).filter(
        lambda data: len(data) < 100_000
    ),
    hits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    keep=st.floats(0.05, 1),
)
@settings(max_examples=250)
def test_whatever_the_bytes_there_is_an_answer(data: bytes, hits: list[tuple[float, int]], keep: float) -> None:
    damaged = bytearray(data[: max(1, int(len(data) * keep))]) or bytearray(1)
    for place, value in hits:
        damaged[int(place**2 * (len(damaged) - 1))] = value
    found = inspect_file("a.jpg", bytes(damaged))
    assert set(found.kinds) <= set(ISSUE_KINDS)
    assert found.usable == (found.reason is None)
    assert found.usable or len(found.kinds) == 1
