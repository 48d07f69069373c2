"""Bound what the tags of TIFF files and of EXIF data take (TIFF 6.0, section 2; BigTIFF)."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from mien.io.images.costs.cost import NOTHING, Cost, count_scans, larger

#: Bytes of a value by its type.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
#: Seconds that Pillow takes for a tag, and for a strip or tile.
_TAG, _TILE = 6e-6, 8e-6
#: Bytes per second that are decoded at least, of tiles and strips.
_DECODED = 1e8
#: Tags that are looked at; a file with more is slow by their number alone.
_MAX_TAGS = 1_000_000
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _OFFSETS, _SAMPLES, _ROWS = 256, 257, 258, 259, 273, 277, 278
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS = 322, 323, 324
_JPEG = (6, 7)
#: A scan of a JPEG in a strip or tile visits every block of 8x8 of it, in seconds.
_SCANNED_PIXEL = 5e-9


class _Tag(NamedTuple):
    number: int
    values: int
    size: int
    first: int


def _tags(data: bytes) -> Iterator[_Tag]:
    """Yield the tags of the first directory: number, count of values, bytes, and the first value if it is a number."""
    order: Literal["little", "big"] = "little" if data[:2] == b"II" else "big"
    big = int.from_bytes(data[2:4], order) == 43
    at = int.from_bytes(data[8:16], order) if big else int.from_bytes(data[4:8], order)
    wide, entry = (8, 20) if big else (4, 12)
    head = 8 if big else 2
    count = int.from_bytes(data[at : at + head], order)
    start = at + head
    for number in range(min(count, max(len(data) - start, 0) // entry, _MAX_TAGS)):
        place = start + entry * number
        kind = int.from_bytes(data[place + 2 : place + 4], order)
        values = int.from_bytes(data[place + 4 : place + 4 + wide], order)
        size = _SIZES.get(kind, 0)
        field = place + 4 + wide
        if values * size > wide:
            field = int.from_bytes(data[field : field + wide], order)
        first = int.from_bytes(data[field : field + min(size, 8)], order) if size else 0
        yield _Tag(int.from_bytes(data[place : place + 2], order), values, min(values * size, len(data)), first)


def tags_bytes(data: bytes) -> int:
    """Return the bytes of all tags together, which may point to the same ones; twice, since Pillow reads them so.

    Examples:
        >>> tags_bytes(b"II*\\0\\x08\\0\\0\\0\\0\\0")
        0
    """
    return 2 * sum(tag.size for tag in _tags(data)) if data[:2] in (b"II", b"MM") else 0


def tiff_cost(data: bytes) -> Cost:
    """Bound the tags, the strips and tiles, and the scans of JPEGs in them."""
    total = count = 0
    found: dict[int, _Tag] = {}
    for tag in _tags(data):
        total, count = total + tag.size, count + 1
        found[tag.number] = tag
    cost = Cost(count * _TAG, 2 * total, f"{count} tags")
    width, height, samples, bits = (_first(found, tag, 1) for tag in (_WIDTH, _HEIGHT, _SAMPLES, _BITS))
    parts = max(found[tag].values if tag in found else 0 for tag in (_OFFSETS, _TILE_OFFSETS))
    cost = larger(cost, Cost(parts * _TILE, 100 * parts, f"{parts} strips or tiles"))
    across, down = _first(found, _TILE_WIDTH, 0), _first(found, _TILE_HEIGHT, 0)
    if across and down:
        size = across * down * samples * bits // 8
        tiles = -(-width // across) * -(-height // down)
        cost = larger(cost, Cost(tiles * size / _DECODED, 2 * size, f"tiles of {across}x{down} pixels"))
        part = across * down
    else:
        part = width * min(_first(found, _ROWS, height) or height, height)
    if _first(found, _COMPRESSION, 1) in _JPEG:
        scans = count_scans(data)
        kept = 6 * part if scans > max(parts, 1) else 0
        cost = larger(cost, Cost(scans * part * _SCANNED_PIXEL, kept, f"{scans} scans"))
    return cost if found else NOTHING


def _first(found: dict[int, _Tag], tag: int, usual: int) -> int:
    return found[tag].first if tag in found else usual
