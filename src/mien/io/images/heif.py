"""Open HEIC and HEIF photographs with libheif, after a look at how much there is to decode.

The photograph of a phone is an image of tiles, beside its thumbnail, a map of depth and others; only the primary image
is read. libheif turns it upright, and bounds the size of each image and their number. It does not bound how often one
is looked at and decoded: images of images of images would take hours to open.
"""

import io
import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any, NamedTuple, cast

from PIL import Image, ImageFile, UnidentifiedImageError

#: First bytes of a file that `is_heif` and `is_avif` look at.
HEIF_HEAD = 400

#: First brands of still images and sequences in HEVC, and in any codec; of the latter, AVIF files list an AVIF brand.
_HEVC, _ANY, _AVIF = re.compile(rb"he[iv][cmsx]"), re.compile(rb"mif[123]|miaf|msf1"), re.compile(rb"avi[fs]|MA1[AB]")
#: An image and all that is decoded for it may have this many times its pixels, and these: its tiles, which reach over
#: its edge, and an alpha channel, which has tiles, too.
_TIMES, _MORE = 8, 2**22
#: Threads that decode the tiles of one image.
_THREADS = 4
#: Boxes that are looked at, bytes of their lists; parts of all images, counted as often as they are named, and how deep
#: they are. A photograph of 117 million pixels has 450 tiles; a phone adds some smaller images of tiles.
_MAX_BOXES, _MAX_LIST, _MAX_PARTS, _MAX_DEPTH = 20_000, 2**20, 20_000, 8


def is_heif(head: bytes) -> bool:
    r"""Return whether the first bytes of a file are those of a HEIC or HEIF image; AVIF, in the same boxes, is none.

    Examples:
        >>> is_heif(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), is_heif(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif")
        (True, False)
    """
    return _begins(head, _HEVC) or (_begins(head, _ANY) and not _lists_avif(head))


def is_avif(head: bytes) -> bool:
    r"""Return whether the first bytes of a file are those of an AVIF image.

    Examples:
        >>> is_avif(b"\0\0\0\x1cftypavif\0\0\0\0")
        True
    """
    return _begins(head, _AVIF) or (_begins(head, _ANY) and _lists_avif(head))


def is_sequence_alone(data: bytes) -> bool:
    """Return whether a file has a sequence (`.heics`) and no still image; False if its boxes are damaged."""
    try:
        kinds = {kind for kind, _ in _boxes(memoryview(data))}
    except (ValueError, IndexError):
        return False
    return b"moov" in kinds and b"meta" not in kinds


def open_heif(data: bytes) -> Image.Image:
    """Read the header of a HEIC or HEIF file as `Image.open` does.

    Raises:
        UnidentifiedImageError: a sequence without a still image.
        ValueError: damaged boxes, images laid on each other, or parts that are far more than the image.
        SyntaxError: whatever libheif refuses.
    """
    if is_sequence_alone(data):
        raise UnidentifiedImageError
    try:
        _Items(data).check()
    except (struct.error, IndexError):
        raise ValueError("its boxes are damaged") from None
    return HeifImageFile(io.BytesIO(data))


class HeifImageFile(ImageFile.ImageFile):
    """The primary image of a HEIC or HEIF file, upright: what Pillow makes of other formats.

    pi-heif's own class of this name also reads the metadata of every image in the file, and damaged ones end the
    process (1.4). It is not needed, as EXIF only repeats the orientation. Pillow belongs to the whole program, so
    the format is not registered there.
    """

    format = "HEIF"
    format_description = "HEIF container"

    def _open(self) -> None:
        import _pi_heif  # some milliseconds, which only such a file is worth

        # 10- and 12-bit colours become 8-bit ones, grey values 16-bit ones; libheif's own limits stay on.
        to_8_bit, as_bgr, without_stride, to_16_bit, without_limits = True, False, False, True, False
        images = _pi_heif.load_file(
            cast("IO[bytes]", self.fp).read(), _THREADS, to_8_bit, as_bgr, without_stride, to_16_bit, "", without_limits
        )
        self._coded: Any = next((image for image in images if image is not None and image.primary), None)
        if self._coded is None:
            raise SyntaxError("has no primary image")
        self._size, self._mode = self._coded.size_mode
        self.tile = []

    def load(self) -> Any:
        """Decode the image."""
        if self._coded is not None:
            pixels, (self._size, self._mode) = self._coded.data, self._coded.size_mode
            self.load_prepare()
            self.frombytes(pixels, "raw", (self._mode, self._coded.stride))
            self._coded = None
        return super().load()


class _Properties(NamedTuple):
    """The areas that items may have, in pixels, and which item has which, by its number from 1."""

    areas: list[int]
    links: list[tuple[int, int]]


class _Items:
    """The images of a file: which is the primary one, their sizes, and what each is made of (ISO/IEC 23008-12).

    Of what a damaged file says twice, all counts.
    """

    def __init__(self, data: bytes) -> None:
        self._kinds: set[bytes] = set()
        self._primary: list[int] = []
        self._parts: dict[int, list[int]] = defaultdict(list)
        self._auxiliary: dict[int, list[int]] = defaultdict(list)
        self._areas: dict[int, int] = defaultdict(int)
        for kind, meta in _boxes(memoryview(data)):
            if kind == b"meta":
                self._read(meta[4:])

    def check(self) -> None:
        """Raise ValueError if opening or decoding the file would cost more than its image does."""
        if b"iovl" in self._kinds:  # no camera writes them, and the size of the canvas is not that of the image
            raise ValueError("it is made of images laid on each other, which are not read")
        found: dict[int, tuple[int, int]] = {}
        if sum(self._cost(item, 0, found)[0] for item in [*self._parts, *self._auxiliary]) > _MAX_PARTS:
            raise ValueError(f"it has more than {_MAX_PARTS} parts")
        for item in self._primary:
            if self._cost(item, 0, found)[1] > _TIMES * self._areas[item] + _MORE:
                raise ValueError("its parts have far more pixels than the image")

    def _cost(self, item: int, depth: int, found: dict[int, tuple[int, int]]) -> tuple[int, int]:
        """Return the number of images that an item is made of, as often as they are named, and their pixels."""
        if depth > _MAX_DEPTH:
            raise ValueError("it has images of images of images without end")
        if item not in found:
            parts = [self._cost(part, depth + 1, found) for part in self._parts.get(item, ())]
            others = [self._cost(other, depth + 1, found) for other in self._auxiliary.get(item, ())]
            count = 1 + sum(part[0] for part in parts) + sum(other[0] for other in others)
            alpha = max((other[1] for other in others), default=0)
            found[item] = count, self._areas[item] + sum(part[1] for part in parts) + alpha
        return found[item]

    def _read(self, meta: memoryview) -> None:
        properties = _Properties([0], [])
        for kind, box in _boxes(meta):
            if kind == b"pitm":
                self._primary.append(_number(box, 4, _width(box)))
            elif kind == b"iinf":
                for _, entry in _boxes(box[8 if _width(box) == 4 else 6 :]):
                    start = 10 if _number(entry, 0, 1) == 3 else 8  # behind the number, which is longer there
                    self._kinds.add(bytes(entry[start : start + 4]))
            elif kind == b"iref":
                self._read_references(_list(box))
            elif kind == b"iprp":
                _read_properties(box, properties)
        for item, number in properties.links:
            if number < len(properties.areas):
                self._areas[item] = max(self._areas[item], properties.areas[number])

    def _read_references(self, box: memoryview) -> None:
        width = _width(box)
        for kind, content in _boxes(box[4:]):
            item, count = _number(content, 0, width), _number(content, width, 2)
            others = [_number(content, width + 2 + width * place, width) for place in range(count)]
            if kind == b"dimg":
                self._parts[item] += others
            elif kind == b"auxl":  # perhaps the alpha channel of another, which is decoded with it
                for other in others:
                    self._auxiliary[other].append(item)


def _read_properties(box: memoryview, found: _Properties) -> None:
    for kind, content in _boxes(box):
        if kind == b"ipco":
            for name, value in _boxes(content):
                found.areas.append(_number(value, 4, 4) * _number(value, 8, 4) if name == b"ispe" else 0)
        elif kind == b"ipma":
            found.links.extend(_links(_list(content)))


def _links(box: memoryview) -> Iterator[tuple[int, int]]:
    width, step = _width(box), 2 if box[3] & 1 else 1
    place = 8
    for _ in range(_number(box, 4, 4)):
        item, count = _number(box, place, width), _number(box, place + width, 1)
        place += width + 1
        for _ in range(count):
            yield item, _number(box, place, step) & (0x7FFF if step == 2 else 0x7F)  # without the mark of essentials
            place += step


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the content of each box; ValueError if there are too many."""
    boxes = _all_boxes(data)
    yield from islice(boxes, _MAX_BOXES)
    if next(boxes, None) is not None:
        raise ValueError(f"has more than {_MAX_BOXES} boxes")


def _all_boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    start = 0
    while start + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if length == 1:
            length, head = _number(data, start + 8, 8), 16
        elif length == 0:
            length = len(data) - start
        if length < head:
            return
        yield kind, data[start + head : start + length]
        start += length


def _list(box: memoryview) -> memoryview:
    if len(box) > _MAX_LIST:
        raise ValueError(f"has a list of more than {_MAX_LIST >> 20} MiB")
    return box


def _width(box: memoryview) -> int:
    """Return the bytes of an item's number in a box, by the version of the box."""
    return 4 if _number(box, 0, 1) else 2


def _number(data: memoryview, start: int, width: int) -> int:
    if start + width > len(data):
        raise IndexError
    return int.from_bytes(data[start : start + width], "big")


def _begins(head: bytes, brand: re.Pattern[bytes]) -> bool:
    return head[4:8] == b"ftyp" and brand.fullmatch(head[8:12]) is not None


def _lists_avif(head: bytes) -> bool:
    """Return whether AVIF is among the further brands of a file."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return any(_AVIF.fullmatch(head[start : start + 4]) for start in range(16, end, 4))
