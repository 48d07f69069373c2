"""Bound what a JPEG 2000 codestream takes (ISO/IEC 15444-1, annexes A and B)."""

from typing import NamedTuple

from mien.io.images.costs.cost import NOTHING, Cost, larger

_SIZ, _COD, _COC, _SOT, _SOD = 0x51, 0x52, 0x53, 0x90, 0x93
#: Memory of OpenJPEG for a code-block, and for a precinct of a band; seconds for each.
_BLOCK_BYTES, _PRECINCT_BYTES, _BLOCK_SECONDS = 220, 260, 5e-7
#: Seconds for a tile, and for a tile-part.
_TILE_SECONDS = 2e-5
#: Markers that are looked at; a file with more is slow by their number alone.
_MAX_MARKERS = 500_000


class _Size(NamedTuple):
    width: int
    height: int
    tile_width: int
    tile_height: int
    components: int

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return -(-self.width // max(self.tile_width, 1)) * -(-self.height // max(self.tile_height, 1))


def codestream_cost(data: bytes, start: int) -> Cost:
    """Bound tiles, code-blocks and precincts of a codestream that begins at `start`."""
    if not data.startswith(b"\xff\x4f", start):
        return NOTHING
    size: _Size | None = None
    cost, place, markers = NOTHING, start + 2, 0
    part_end = 0
    while place + 4 <= len(data) and data[place] == 0xFF and markers < _MAX_MARKERS:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        markers += 1
        if marker == _SIZ and len(body) >= 36:
            size = _read_size(body)
            tiles = Cost(size.tiles * _TILE_SECONDS, size.tiles * 200, f"{size.tiles} tiles")
            cost = larger(cost, tiles)
        elif marker == _COD and size is not None and len(body) >= 10:
            cost = larger(cost, _coding_cost(size, size.components, body[5:], body[0] & 1))
        elif marker == _COC and size is not None:
            wide = 1 if size.components < 257 else 2
            if len(body) >= wide + 6:
                cost = larger(cost, _coding_cost(size, size.components, body[wide + 1 :], body[wide] & 1))
        elif marker == _SOT and len(body) >= 6:
            part_end = place + int.from_bytes(body[2:6], "big")
        if marker == _SOD:
            if part_end <= place:  # the last part, up to the end
                break
            place = part_end
        else:
            place += 2 + max(length, 2)
    return larger(cost, Cost(markers * _TILE_SECONDS, 0, f"{markers} markers"))


def _read_size(body: bytes) -> _Size:
    width, height, _, _, across, down, left, top = (int.from_bytes(body[at : at + 4], "big") for at in range(2, 34, 4))
    return _Size(max(width - left, 0), max(height - top, 0), across, down, int.from_bytes(body[34:36], "big"))


def _coding_cost(size: _Size, components: int, coding: bytes, own_precincts: int) -> Cost:
    """Return the cost of a tile: levels, code-block size, style, transform and, perhaps, the precincts' sizes."""
    levels = min(coding[0], 32)
    block_width, block_height = (coding[1] & 15) + 2, (coding[2] & 15) + 2
    across, down = min(size.width, size.tile_width), min(size.height, size.tile_height)
    total_blocks = total_precincts = 0
    for level in range(levels + 1):
        shrunk = levels - level
        width, height = max((across + (1 << shrunk) - 1) >> shrunk, 1), max((down + (1 << shrunk) - 1) >> shrunk, 1)
        precinct = coding[5 + level] if own_precincts and len(coding) > 5 + level else 0xFF
        precinct_width, precinct_height = precinct & 15, precinct >> 4
        bands = 3 if level else 1
        step = 1 if level else 0
        precincts = ((width >> precinct_width) + 2) * ((height >> precinct_height) + 2)
        blocks_across = min(block_width, max(precinct_width - step, 0))
        blocks_down = min(block_height, max(precinct_height - step, 0))
        blocks = (((width >> step) >> blocks_across) + 2) * (((height >> step) >> blocks_down) + 2)
        total_blocks += bands * blocks
        total_precincts += bands * precincts
    per_tile = components * (total_blocks * _BLOCK_BYTES + total_precincts * _PRECINCT_BYTES)
    seconds = size.tiles * components * (total_blocks + total_precincts) * _BLOCK_SECONDS
    return Cost(seconds, per_tile, f"{components * total_blocks} code-blocks, {components * total_precincts} precincts")
