"""Bound from the header what decoding an image may take, so that it is refused before it is paid.

One function for each format returns a `Cost`: an upper bound of the seconds and of the memory that Pillow needs to open
and decode a file, beside its pixels. The constants were measured on one core and rounded up. TIFF, JPEG 2000,
AVIF and HEIF have decoders that may take more than any simple look shows: they are decoded in a process that has
limits (`images.isolation`).
"""

import math
import re
from collections.abc import Callable

from mien.errors import ImageError
from mien.io.images.costs.cost import NOTHING, Cost, count_scans, larger
from mien.io.images.costs.jpeg2000 import codestream_cost
from mien.io.images.costs.tags import tags_bytes, tiff_cost

#: An image that may take longer than this is refused, in seconds.
MAX_SECONDS = 5.0
#: Images that take more memory than this while they are decoded are refused before that, in bytes. With mien itself
#: (180 MiB in its largest command that needs no Keras) and a decoder, it stays below 600 MiB.
MAX_BYTES = 416 * 2**20

#: Pillow's loops in Python, in seconds: a JPEG segment, a byte between segments, a PNG chunk, a GIF sub-block, a byte
#: of a PPM's header (which the server reads twice) and of its numbers, a value of a PPM that is scaled, a byte or pixel
#: of a BMP that is packed, a JPEG 2000 box.
_SEGMENT, _STRAY_BYTE, _CHUNK, _SUB_BLOCK = 1e-5, 2e-6, 8e-6, 2e-6
_HEADER_LETTER, _LETTER, _SCALED, _PACKED, _BOX = 1.2e-6, 1.7e-7, 6e-7, 3e-7, 8e-6
#: A scan of a JPEG visits every block of 8x8, empty or not, in seconds.
_SCANNED_BLOCK = 1e-7
#: A byte unpacks to so many at most (zlib); Pillow stops at so many of a PNG's text, and of all its texts; seconds for
#: one of them.
_DEFLATE, _TEXT_BYTES, _TEXTS_BYTES, _UNPACKED = 1032, 2**20, 2**26, 1e-9
#: GIF comments are joined piece by piece, each time as a whole, in bytes per second.
_JOINED_BYTES = 5e9
_PPM_HEADER = re.compile(rb"P[4-6](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)\s")
_PPM_HEADER_BYTES = 65536
#: What Pillow opens as a PPM; headers of two numbers (bits) and of three. Whatever else is in one is read byte by byte.
_PPM_KIND = re.compile(rb"P([1-6fF]|0CMYK|yP|yRGBA|yCMYK)\s")
_PPM_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+[^\s#]+"
_PPM_HEADERS = {True: re.compile(rb"P\S+" + _PPM_NUMBER * 2), False: re.compile(rb"P\S+" + _PPM_NUMBER * 3)}
_FILL = re.compile(rb"\xff+")


def check_cost(data: bytes, name: str) -> Cost:
    """Return the cost of these bytes; ImageError if opening and decoding them may take too long or too much memory."""
    cost = cost_of(data)
    if cost.seconds > MAX_SECONDS:
        reason = f"takes more than {MAX_SECONDS:g} s to decode ({cost.why}); save it again as JPEG or PNG"
        raise ImageError(name, reason, "too-slow")
    if cost.bytes > MAX_BYTES:
        reason = f"takes more than {MAX_BYTES >> 20} MiB to decode ({cost.why}); save it again as JPEG or PNG"
        raise ImageError(name, reason, "too-much-memory")
    return cost


def cost_of(data: bytes) -> Cost:
    r"""Return an upper bound of what decoding takes beside the pixels; nothing for what is no image.

    Examples:
        >>> cost_of(b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000).seconds > 5
        True
    """
    for start, bound in _BOUNDS:
        if data.startswith(start):
            return bound(data)
    return NOTHING


def is_unbounded(data: bytes) -> bool:
    """Return whether a file is a TIFF, JPEG 2000, AVIF or HEIF, whose headers do not say enough."""
    return data.startswith(_UNBOUNDED_HEADS) or data[4:8] == b"ftyp"


def jpeg_cost(data: bytes) -> Cost:
    """Count segments, bytes between them, and scans; multiply the scans by the blocks of 8x8."""
    place, segments, stray, blocks, several = 2, 0, 0, 0, False
    exif: list[bytes] = []
    preview = NOTHING
    while (found := data.find(b"\xff", place)) >= 0 and found + 4 <= len(data):
        stray += found - place
        marker = data[found + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            place = _FILL.match(data, found).end() if marker == 0xFF else found + 2  # type: ignore[union-attr]
            place -= marker == 0xFF  # the last one begins a marker
            stray += place - found
            if stray * _STRAY_BYTE > MAX_SECONDS:
                break
            continue
        length = int.from_bytes(data[found + 2 : found + 4], "big")
        segments += 1
        body = data[found + 4 : found + 2 + length] if marker in _READ_SEGMENTS else b""
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif.append(body[6:])
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            preview = larger(preview, Cost(0, tags_bytes(body[4:]), "its list of images"))
        elif marker in _FRAMES:
            blocks, several = _jpeg_blocks(body), marker in (0xC2, 0xC6, 0xCA, 0xCE)
        elif marker == 0xDA:
            break
        if segments * _SEGMENT > MAX_SECONDS or stray * _STRAY_BYTE > MAX_SECONDS:
            break
        place = found + 2 + max(length, 2)
    scans = count_scans(data)
    cost = Cost(segments * _SEGMENT + stray * _STRAY_BYTE, 0, f"{segments} segments, {stray} bytes between them")
    if scans > 1:
        # The coefficients are kept until the last scan: 64 of 2 bytes for each block.
        cost = larger(cost, Cost(scans * blocks * _SCANNED_BLOCK, blocks * 128 if several else 0, f"{scans} scans"))
    return larger(larger(cost, preview), Cost(0, tags_bytes(b"".join(exif)), "its EXIF data"))


def _jpeg_blocks(frame: bytes) -> int:
    """Return the number of blocks of 8x8 values, of all components, that a frame header declares (T.81, B.2.2)."""
    if len(frame) < 6:
        return 0
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = [(value >> 4, value & 15) for value in frame[7 : 6 + 3 * frame[5] : 3]]
    across, down = max((a for a, _ in factors), default=1) or 1, max((b for _, b in factors), default=1) or 1
    units = (-(-width // (8 * across))) * (-(-max(height, 1) // (8 * down)))
    return units * sum(a * b for a, b in factors)


def png_cost(data: bytes) -> Cost:
    """Count the chunks and what their texts may unpack to, and look at the EXIF data."""
    place, chunks, unpacked, exif = 8, 0, 0, b""
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] == b"eXIf":
            exif = data[place + 8 : place + 8 + length]
        if data[place + 4 : place + 8] in (b"zTXt", b"iTXt", b"iCCP"):
            unpacked += min(_DEFLATE * length, _TEXT_BYTES)
        chunks += 1
        if chunks * _CHUNK > MAX_SECONDS:
            break
        place += 12 + length
    seconds = chunks * _CHUNK + min(unpacked, _TEXTS_BYTES) * _UNPACKED
    return larger(Cost(seconds, 0, f"{chunks} chunks"), Cost(0, tags_bytes(exif), "its EXIF data"))


def gif_cost(data: bytes) -> Cost:
    """Count the pieces of the extensions before the first frame."""
    if len(data) < 13:
        return NOTHING
    place, pieces, comments = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0), 0, 0
    while place + 2 < len(data) and data[place] != 0x2C:
        if data[place] != 0x21:  # Pillow looks for the next block byte by byte
            place, pieces = place + 1, pieces + 1
        else:
            comment = data[place + 1] == 0xFE
            place += 2
            while place < len(data) and (length := data[place]):
                place += length + 1
                pieces, comments = pieces + 1, comments + comment
                if pieces * _SUB_BLOCK > MAX_SECONDS:
                    break
            place += 1
        if pieces * _SUB_BLOCK > MAX_SECONDS:
            break
    joined = comments * comments * 255 / 2
    return Cost(pieces * _SUB_BLOCK + joined / _JOINED_BYTES, 0, f"{pieces} pieces of comments")


def bmp_cost(data: bytes) -> Cost:
    """Bound run-length decoding, which Pillow does in Python."""
    if len(data) < 34 or int.from_bytes(data[14:18], "little") < 40 or data[30] not in (1, 2):
        return NOTHING
    width, height = (abs(int.from_bytes(data[at : at + 4], "little", signed=True)) for at in (18, 22))
    # A step may skip up to 255 rows.
    return Cost((len(data) + width * height) * _PACKED, 2 * width * height + 256 * width, "run-length encoding")


def ppm_cost(data: bytes) -> Cost:
    """Bound the numbers that Pillow reads or scales in Python, and what stands between those of the header."""
    kind = _PPM_KIND.match(data)
    if kind is None:
        return NOTHING
    if not _PPM_HEADERS[kind[1] in (b"1", b"4")].match(data, 0, _PPM_HEADER_BYTES):
        return Cost(len(data) * _HEADER_LETTER, 0, "its header")
    if kind[1] in (b"1", b"2", b"3"):
        return Cost(len(data) * _LETTER, 8 * len(data), "numbers as text")
    found = _PPM_HEADER.match(data, 0, _PPM_HEADER_BYTES)
    if found is None:
        return NOTHING
    width, height, largest = (int(number[:12]) for number in found.groups())
    values = min(width * height * 3, len(data)) if largest not in (255, 65535) else 0
    return Cost(values * _SCALED, 0, f"values up to {largest}")


def webp_cost(data: bytes) -> Cost:
    """Count the decoder's two canvases, and look at the EXIF data."""
    canvases = Cost(0, _CANVASES * math.prod(_webp_size(data)), "two canvases of a WebP")
    place = 12
    for _ in range(_MAX_RIFF):
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if kind == b"EXIF":
            body = data[place + 8 : place + 8 + length]
            return larger(canvases, Cost(0, tags_bytes(body.removeprefix(b"Exif\0\0")), "its EXIF data"))
        place += 8 + length + (length & 1)
        if place >= len(data):
            break
    return canvases


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels; zeros for what is no WebP (RFC 9649)."""
    if data[8:16] == b"WEBPVP8X":
        return tuple(1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))  # type: ignore[return-value]
    if data[8:16] == b"WEBPVP8 ":
        return tuple(int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))  # type: ignore[return-value]
    if data[8:16] == b"WEBPVP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return 0, 0


def opening_bytes(data: bytes) -> int:
    """Return the address space that a decoder takes once its file's header is open, in bytes."""
    return webp_cost(data).bytes if data.startswith(b"RIFF") else 0


def jpeg2000_cost(data: bytes) -> Cost:
    """Count the boxes before the codestream, and what the codestream asks for."""
    place, boxes = 0, 0
    while not data.startswith(b"\xff\x4f", place) and place + 8 <= len(data):
        length, kind, head = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8], 8
        if length == 1:
            length, head = int.from_bytes(data[place + 8 : place + 16], "big"), 16
        boxes += 1
        # The boxes in the header box are looked at one by one, too.
        place += head if kind in (b"jp2h", b"jp2c") else max(length, head) if length else len(data)
        if boxes * _BOX > MAX_SECONDS:
            break
    return larger(Cost(boxes * _BOX, 0, f"{boxes} boxes"), codestream_cost(data, place))


#: Bytes per pixel of a WebP's canvases.
_CANVASES = 8
#: Chunks of a WebP that are looked at for EXIF data, which stands behind the image; each is C code's work.
_MAX_RIFF = 1_000_000
#: Markers of JPEG frames, and of the segments whose content counts.
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_READ_SEGMENTS = _FRAMES | {0xE1, 0xE2}
_JP2 = b"\0\0\0\x0cjP  \r\n\x87\n"
_TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNBOUNDED_HEADS = (_JP2, b"\xff\x4f\xff\x51", *_TIFF_HEADS)
_BOUNDS: tuple[tuple["bytes | tuple[bytes, ...]", Callable[[bytes], Cost]], ...] = (
    (b"\xff\xd8\xff", jpeg_cost),
    (b"\x89PNG\r\n\x1a\n", png_cost),
    ((b"GIF87a", b"GIF89a"), gif_cost),
    (b"BM", bmp_cost),
    (b"P", ppm_cost),
    (b"RIFF", webp_cost),
    (_TIFF_HEADS, tiff_cost),
    ((_JP2, b"\xff\x4f\xff\x51"), jpeg2000_cost),
)
