"""Read JPEG files whose last bytes are missing, if all of their pixels are there."""

import zlib
from collections.abc import Mapping
from io import BytesIO

import numpy as np
from PIL import Image

#: The note on an image that was read although its file stops early.
CUT_SHORT = "the file lacks its last bytes, but all pixels are there"

_END = b"\xff\xd9"
#: Bits that a decoder would take for pixels if it still lacked some, also behind any restart marker it waits for.
_RESTARTS = b"".join(bytes([0xFF, 0xD0 + number]) + b"\xb6\x2d" * 64 for number in range(8))
_PADDINGS = (b"", b"\x55" * 512, b"\xb6\x2d" * 64 + 2 * _RESTARTS)
#: Scans of a file that is looked at. Cameras and encoders write at most about 20.
_MAX_SCANS = 64
#: Larger images are compared as they were to be decoded: in full they might not fit into memory.
_MAX_PIXELS = 24_000_000
_COEFFICIENTS = 64


def completed(data: bytes, draft_size: tuple[int, int] | None = None) -> bytes | None:
    """Return a JPEG with the end it lacks, or None if pixels are missing, too.

    The end is put behind different paddings. A decoder that still lacks pixels takes the padding for them, so the
    images differ.

    Args:
        data: a JPEG file that could not be decoded to its end.
        draft_size: the size given to `Image.draft`, used for images that are too large to be compared in full.
    """
    body = data.rstrip(b"\xff")
    if not _has_all_scans(body):
        return None
    seen = {_digest(body + padding + _END, draft_size) for padding in _PADDINGS}
    return body + _END if len(seen) == 1 and None not in seen else None


def _digest(data: bytes, draft_size: tuple[int, int] | None) -> int | None:
    """Return a checksum of the pixels, None if they cannot be decoded."""
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as image:
            if draft_size is not None and image.width * image.height > _MAX_PIXELS:
                image.draft(None, draft_size)
            return zlib.crc32(np.ascontiguousarray(np.asarray(image)).data)
    except Exception:  # each decoder raises its own
        return None


def _has_all_scans(data: bytes) -> bool:
    """Whether the scans hold every coefficient of every component in full; a progressive file needs many scans."""
    missing: dict[int, list[int]] = {}
    place, scans = 2, 0
    while (place := data.find(b"\xff", place)) >= 0 and place + 3 < len(data):
        marker = data[place + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD7:  # a stuffed byte, a fill byte or a restart
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        body = data[place + 4 : place + 2 + length]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) >= 6:
            missing = {body[6 + 3 * n]: [1] * _COEFFICIENTS for n in range(body[5]) if 6 + 3 * n < len(body)}
        elif marker == 0xDA:
            scans += 1
            if scans > _MAX_SCANS:
                return False
            _note_scan(missing, body)
        place += 2 + length
    return bool(missing) and not any(any(bits) for bits in missing.values())


def _note_scan(missing: Mapping[int, list[int]], body: bytes) -> None:
    """Note the coefficients that a scan holds to their last bit (T.81, B.2.3)."""
    if not body or len(body) < 4 + 2 * body[0]:
        return
    start, end, precision = body[-3], body[-2], body[-1] & 15
    for component in body[1 : 1 + 2 * body[0] : 2]:
        if precision == 0 and component in missing:
            missing[component][start : end + 1] = [0] * len(missing[component][start : end + 1])
