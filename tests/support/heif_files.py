"""Make HEIC files: plain ones with pillow-heif, and of tiles, as phones write them, or of images laid on each other."""

import io
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import pillow_heif
from PIL import Image


class Item(NamedTuple):
    """An image that is made of others: how (`grid` or `iovl`), of which (0 is the coded one), and its layout."""

    kind: bytes
    parts: Sequence[int]
    layout: bytes


def encode_heic(image: Image.Image, **options: Any) -> bytes:
    """Encode as phones do, but faster; an `exif` with an orientation also turns the image, as pillow-heif does it."""
    buffer = io.BytesIO()
    file = pillow_heif.from_pillow(image)
    file.save(buffer, **{"quality": 90, "enc_params": {"preset": "ultrafast"}, **options})
    return buffer.getvalue()


def tiled_heic(tile: Image.Image, columns: int, rows: int, size: tuple[int, int] | None = None) -> bytes:
    """Return a HEIC file whose primary image shows an RGB tile many times, in whole or cut to `size`."""
    size = size or (columns * tile.width, rows * tile.height)
    wide = max(size) > 65535
    layout = bytes([0, wide, rows - 1, columns - 1]) + struct.pack(">II" if wide else ">HH", *size)
    copies = columns * rows
    return composed_heic(tile, copies, [Item(b"grid", range(copies), layout)], size)


def overlaid_heic(tile: Image.Image, count: int, depth: int = 1) -> bytes:
    """Return a HEIC file of images laid on each other: `count` in each of `depth` layers, all of those below."""
    items = []
    for layer in range(depth):
        parts = range(layer * count, (layer + 1) * count)
        layout = bytes(10) + struct.pack(">HH", *tile.size) + bytes(4 * count)
        items += [Item(b"iovl", parts, layout)] * (count if layer < depth - 1 else 1)
    return composed_heic(tile, count, items, tile.size)


def composed_heic(tile: Image.Image, copies: int, items: Sequence[Item], size: tuple[int, int]) -> bytes:
    """Return a HEIC file with `copies` items of one coded image, and images made of them; the last is the primary."""
    coded = encode_heic(tile)
    configuration, data = find_box(coded, b"hvcC"), find_box(coded, b"mdat")[8:]
    numbers, made = range(1, copies + 1), range(copies + 1, copies + 1 + len(items))
    kinds = [b"hvc1"] * copies + [item.kind for item in items]
    entries = b"".join(_infe(number, kind) for number, kind in enumerate(kinds, 1))
    references = b"".join(
        _box(
            b"dimg", struct.pack(f">HH{len(item.parts)}H", number, len(item.parts), *(1 + part for part in item.parts))
        )
        for number, item in zip(made, items, strict=True)
    )
    links = b"".join(struct.pack(">HBBB", number, 2, 0x81, 2) for number in numbers)
    links += b"".join(struct.pack(">HBB", number, 1, 3) for number in made)
    ipco = _box(b"ipco", configuration + _ispe(tile.size) + _ispe(size))
    ipma = _box(b"ipma", struct.pack(">II", 0, len(kinds)) + links)
    layouts = b"".join(item.layout for item in items)

    def meta(offset: int) -> bytes:
        places = b"".join(struct.pack(">HHHHII", number, 0, 0, 1, offset, len(data)) for number in numbers)
        start = 0
        for number, item in zip(made, items, strict=True):
            places += struct.pack(">HHHHII", number, 1, 0, 1, start, len(item.layout))
            start += len(item.layout)
        return _box(
            b"meta", bytes(4) + _box(b"hdlr", bytes(8) + b"pict" + bytes(13))
            + _box(b"pitm", struct.pack(">IH", 0, len(kinds)))
            + _box(b"iloc", struct.pack(">IBBH", 1 << 24, 0x44, 0, len(kinds)) + places)
            + _box(b"iinf", struct.pack(">IH", 0, len(kinds)) + entries) + _box(b"iref", bytes(4) + references)
            + _box(b"iprp", ipco + ipma) + _box(b"idat", layouts),
        )  # fmt: skip

    ftyp = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    return ftyp + meta(len(ftyp) + len(meta(0)) + 8) + _box(b"mdat", data)


def find_box(data: bytes, kind: bytes) -> bytes:
    """Return the first box of a kind, with its head, wherever it is."""
    start = data.index(kind) - 4
    return data[start : start + int.from_bytes(data[start : start + 4], "big")]


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def _infe(number: int, kind: bytes) -> bytes:
    hidden = kind == b"hvc1"
    return _box(b"infe", struct.pack(">IHH", (2 << 24) | hidden, number, 0) + kind + b"\0")


def _ispe(size: tuple[int, int]) -> bytes:
    return _box(b"ispe", struct.pack(">III", 0, *size))
