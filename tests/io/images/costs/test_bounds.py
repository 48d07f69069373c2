"""Small files that would take minutes or gigabytes are refused by their headers; ordinary ones are not."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.errors import ImageError
from mien.io.images.costs.bounds import MAX_SECONDS, cost_of
from mien.io.images.decoding import load_image
from mien.io.images.formats import FORMATS
from mien.io.images.loading import decode_with_size

FACE = Image.fromarray(draw_face("happy", 3, 64))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


JPEG, PNG, GIF = encode(FACE, "JPEG"), encode(FACE, "PNG"), encode(FACE.quantize(), "GIF")


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)


def directory(count: int, size: int) -> bytes:
    """A TIFF directory: so many tags that all point to the same bytes."""
    tags = b"".join(struct.pack("<HHII", 1000 + number, 7, size, 8) for number in range(count))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + tags + bytes(4 + size)


def tiff(width: int, height: int, tags: list[tuple[int, int, int, int]], tail: bytes) -> bytes:
    """A grey TIFF; a tag is its number, type, count of values and value, which is an offset from the tail if -1."""
    base = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1), *tags]
    at = 10 + 12 * len(base) + 4
    entries = b"".join(
        struct.pack("<HHII", *tag[:3], at if tag[3] < 0 else tag[3]) for tag in sorted(base, key=lambda tag: tag[0])
    )
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(base)) + entries + bytes(4) + tail


def scans(side: int, count: int) -> bytes:
    """A progressive JPEG of one grey level, with so many empty scans before its last one."""
    base = encode(Image.new("L", (side, side)), "JPEG", progressive=True, quality=50)
    last = base.rindex(b"\xff\xda")
    return base[:last] + b"\xff\xda\0\x08\x01\x01\0\x01\x3f\x01" * count + base[last:]


def exif_in_segments(payload: bytes) -> bytes:
    pieces = [payload[at : at + 65_000] for at in range(0, len(payload), 65_000)]
    return (
        JPEG[:2]
        + b"".join(b"\xff\xe1" + struct.pack(">H", len(one) + 8) + b"Exif\0\0" + one for one in pieces)
        + JPEG[2:]
    )


def bmp(width: int, height: int, data: bytes) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(data), 0, 0, 1078) + head + bytes(1024) + data


def jpeg2000(side: int, tile: int, exponent: int, precinct: int | None = None) -> bytes:
    """The headers of a codestream; code-blocks are 4 << exponent wide, precincts 1 << precinct."""
    size = struct.pack(">HIIIIIIIIH", 0, side, side, 0, 0, tile, tile, 0, 0, 1) + b"\x07\x01\x01"
    style = b"\0" if precinct is None else b"\x01"
    sizes = b"" if precinct is None else bytes([precinct | precinct << 4])
    coding = style + b"\0\0\x01\0" + bytes([0, exponent, exponent, 0, 1]) + sizes
    segments = ((b"\xff\x51", size), (b"\xff\x52", coding), (b"\xff\x5c", b"\x40\x40"))
    head = b"".join(marker + struct.pack(">H", len(body) + 2) + body for marker, body in segments)
    return b"\xff\x4f" + head + b"\xff\x90\0\x0a\0\0\0\0\0\0\0\x01\xff\x93" + bytes(8) + b"\xff\xd9"


STRIPS = 700_000
BOMBS = {
    "JPEG segments": JPEG[:2] + b"\xff\xfe\0\2" * 600_000 + JPEG[2:],
    "JPEG fill bytes": JPEG[:2] + b"\xff" * 3_000_000 + JPEG[2:],
    "JPEG bytes between segments": JPEG[:4] + b"\0\x04ab" + b"\xff\0" * 1_500_000 + JPEG[2:],
    "JPEG scans": scans(4000, 200),
    "JPEG EXIF": exif_in_segments(directory(20_000, 200_000)),
    "JPEG list of images": JPEG[:2] + b"\xff\xe2\xea\x66MPF\0" + directory(4500, 60_000)[:60_000] + JPEG[2:],
    "PNG chunks": PNG[:33] + chunk(b"tEXt", b"a\0b") * 700_000 + PNG[33:],
    "PNG chunks behind the pixels": PNG[:-12] + chunk(b"tEXt", b"a\0b") * 700_000 + PNG[-12:],
    "PNG EXIF": PNG[:33] + chunk(b"eXIf", directory(20_000, 200_000)) + PNG[33:],
    "WebP EXIF": encode(FACE, "WEBP", exif=b"Exif\0\0" + directory(20_000, 200_000)),
    "GIF comments": GIF[:781] + b"\x21\xfe" + (b"\xff" + b"a" * 255) * 20_000 + b"\0" + GIF[781:],
    "GIF pieces": GIF[:781] + b"\x21\xfe" + b"\x01a" * 3_000_000 + b"\0" + GIF[781:],
    "GIF bytes between blocks": GIF[:781] + b"\1" * 3_000_000 + GIF[781:],
    "BMP runs": bmp(5000, 4000, b"\1\1\0\0" * 10),
    "PPM numbers": b"P3 3000 3000 255\n" + b"1 " * 15_000_000,
    "PPM comment": b"P6 #" + b"a" * 30_000_000 + b"\n16 16 255\n" + bytes(768),
    "PPM spaces": b"P6" + b" " * 5_000_000 + b"16 16 255\n" + bytes(768),
    "PPM spaces before the last number": b"P5 16 16" + b"\n" * 20_000_000 + b"255\n" + bytes(256),
    "PPM spaces and bits": b"P4 16" + b"\t" * 20_000_000 + b"16\n" + bytes(32),
    "PPM spaces before numbers": b"P2" + b" " * 20_000_000 + b"1 1 255\n1",
    "PFM spaces": b"Pf" + b" " * 20_000_000 + b"16 16 -1.0\n" + bytes(1024),
    "PPM scale": b"P6 2000 2000 100\n" + bytes(12_000_000),
    "TIFF tiles": tiff(
        16, 16, [(259, 3, 1, 8), (322, 4, 1, 40_000), (323, 4, 1, 47_488), (324, 4, 1, -1), (325, 4, 1, 9)], bytes(9)
    ),
    "TIFF strips": tiff(1, STRIPS, [(259, 3, 1, 1), (273, 4, STRIPS, -1), (278, 4, 1, 1), (279, 4, STRIPS, -1)],
                        struct.pack("<I", 8) * STRIPS),
    "TIFF tags": directory(60_000, 20_000),
    "JPEG 2000 code-blocks": jpeg2000(12_000, 12_000, 0),
    "JPEG 2000 precincts": jpeg2000(6000, 6000, 4, 1),
    "JPEG 2000 tiles": jpeg2000(6000, 4, 4),
    "JPEG 2000 boxes": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x08free" * 700_000 + bytes(8),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_what_takes_too_long_or_too_much_is_refused_before_it_is_paid(name: str) -> None:
    for door in (load_image, lambda data: decode_with_size(data, "a").rgb):
        with pytest.raises(ImageError) as caught:
            door(BOMBS[name])
        assert caught.value.code in ("too-slow", "too-much-memory")
        assert "save it again as JPEG or PNG" in caught.value.reason
        assert "\n" not in caught.value.reason


@given(
    kind=st.sampled_from(FORMATS),
    mode=st.sampled_from(["RGB", "L", "1", "P", "CMYK", "RGBA"]),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
)
def test_ordinary_images_cost_little(kind: str, mode: str, size: tuple[int, int]) -> None:
    try:
        data = encode(FACE.resize(size).convert(mode), kind)
    except (OSError, ValueError):  # no such mode in this format
        return
    cost = cost_of(data)
    assert cost.seconds < MAX_SECONDS / 20
    assert cost.bytes < 2**21


def test_photographs_of_today_are_read() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (250, 500, 3), np.uint8)).resize((3000, 2000))
    for options in ({"progressive": True, "subsampling": 0}, {"exif": b"Exif\0\0" + directory(60, 600)}):
        assert cost_of(encode(noise, "JPEG", **options)).seconds < MAX_SECONDS / 2
    small = noise.resize((750, 500))
    for data in (
        encode(small, "TIFF", compression="tiff_lzw", strip_size=1),
        encode(small, "JPEG2000", irreversible=True, tile_size=(256, 256), num_resolutions=6),
        encode(small, "JPEG2000", codeblock_size=(16, 16), precinct_size=(128, 128)),
        b"P3 500 500 255\n" + b"255 " * 750_000,
        encode(small.quantize(), "PNG"),
    ):
        assert load_image(data).ndim == 3


@given(st.sampled_from(sorted(BOMBS)), st.data())
def test_damaged_headers_never_raise(name: str, data: st.DataObject) -> None:
    damaged = bytearray(BOMBS[name][:3000])
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=6)):
        damaged[place] = data.draw(st.integers(0, 255))
    cost = cost_of(bytes(damaged))
    assert cost.seconds >= 0
    assert cost.bytes >= 0
