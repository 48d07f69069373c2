"""What happens to each picture before the network sees it, in threads: decode, find faces, crop."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mien.arrays import UInt8
from mien.errors import ImageError
from mien.faces.crop import crop, face_region
from mien.faces.detector import only_tiny
from mien.io.image import RGB, ImageSource, decode_with_size, decoding_bytes, load_image, read_file
from mien.results import Box, Detection, Status
from mien.runtime import MemoryBudget, release_freed_memory

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

#: A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size for finding faces, never below this many pixels on a side.
SHRINK_TO = 960

#: Pictures with more pixels than this are shrunk by a whole number once decoded, before faces are looked for.
LARGE_PIXELS = 24_000_000

#: Images that this process is decoding share this memory, 512 MiB; one that needs more is decoded alone.
DECODING_BUDGET = MemoryBudget(512 * 2**20)

#: Memory for decoding is returned to the system if it was more than this, in bytes.
RELEASE_ABOVE = 32 * 2**20

JPEG = b"\xff\xd8\xff"

NO_FACE = "no face was found; a picture that is a cropped face can be read whole (--no-detect, detect=False)"


class Finder(Protocol):
    """Finds the faces of a picture, largest first, as `mien.faces.detector.Detector` does."""

    def __call__(self, rgb: RGB, /, *, closer: bool = True) -> Sequence[Detection]:
        """Find faces in uint8 (H, W, 3), RGB; `closer`: also look at parts, where only tiny ones are found."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A decoded picture and its faces, largest first.

    `rgb` is uint8 (H, W, 3), perhaps smaller than the picture is, and the `faces` are in its pixels. `width` and
    `height` are pixels of the upright picture in full.
    """

    rgb: RGB
    faces: Sequence[Detection]
    width: int
    height: int

    def in_full(self) -> list[Detection]:
        """Return the faces in pixels of the picture in full."""
        return [scaled(face, self.rgb.shape, (self.height, self.width)) for face in self.faces]


@contextmanager
def decoded(
    data: bytes, name: str, shrink_to: int | None = None, max_pixels: int | None = LARGE_PIXELS
) -> Iterator[tuple[RGB, int, int]]:
    """Decode, as `mien.io.image.decode_with_size`, when there is room for it, which is kept while the block runs.

    Nothing else may be decoded in the block. Raises ImageError.
    """
    needed = decoding_bytes(data, name, shrink_to=shrink_to, max_pixels=max_pixels)
    with DECODING_BUDGET.reserve(needed):
        found = decode_with_size(data, name, shrink_to=shrink_to, max_pixels=max_pixels)
        if needed > RELEASE_ABOVE:
            release_freed_memory()
        yield found


def decode_whole(source: ImageSource) -> RGB:
    """Decode a picture in full size, as `mien.io.image.load_image` and with its errors, when there is room for it."""
    if not isinstance(source, bytes | str | os.PathLike):
        return load_image(source)
    data = source if isinstance(source, bytes) else read_file(Path(source))
    with decoded(data, "<bytes>" if isinstance(source, bytes) else str(source), max_pixels=None) as (rgb, _, _):
        return rgb


@contextmanager
def opened(data: bytes, name: str, finder: Finder, side: int = 0, limit: int | None = None) -> Iterator[Opened]:
    """Decode a picture as small as will do and find its faces, the `limit` largest (None: all); as `decoded`.

    A large JPEG is decoded small first. Where that shows no face or only tiny ones, it is decoded again, at up to
    `LARGE_PIXELS`, and searched as any other picture is. Where it shows a face in fewer than `side` pixels, it is
    decoded again for that face's pixels, and not searched.
    """
    shrink_to = SHRINK_TO if data.startswith(JPEG) else None
    with decoded(data, name, shrink_to) as (rgb, width, height):
        small = shrink_to is not None and rgb.shape[1] < width
        found, shown = finder(rgb, closer=not small)[:limit], rgb.shape
        search = only_tiny(found, shown)
        if not small or not (search or any(face_region(face).side < side for face in found)):
            yield Opened(rgb, found, width, height)
            return
        del rgb
    with decoded(data, name) as (rgb, width, height):
        faces = finder(rgb)[:limit] if search else [scaled(face, shown, rgb.shape) for face in found]
        yield Opened(rgb, faces, width, height)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture ready to be classified: its crops uint8 (S, S, C), and what each of them shows.

    `width` and `height` are pixels of the upright picture, None where it could not be read, and
    `detections` are in these. None in place of a detection says that the whole picture was taken.
    """

    name: str
    status: Status
    reason: str | None = None
    width: int | None = None
    height: int | None = None
    detections: tuple[Detection | None, ...] = ()
    crops: tuple[UInt8, ...] = ()

    @property
    def boxes(self) -> list[Box]:
        """What each crop was cut from, in pixels of the upright picture: a face's box, or the whole picture."""
        whole = Box(0, 0, self.width or 1, self.height or 1)
        return [found.box if found else whole for found in self.detections]


class Preparer:
    """Turns pictures into crops of `size` pixels a side and 1 or 3 `channels`; may be called from several threads.

    `detector` finds the faces, of which the `limit` largest are taken (None: all); without one the whole
    picture is the crop.
    """

    def __init__(self, size: int, channels: int, detector: Finder | None = None, limit: int | None = None) -> None:
        self._size, self._channels = size, channels
        self._detector, self._limit = detector, limit

    def __call__(self, item: tuple[str, ImageSource | ImageError]) -> Prepared:
        """Prepare one named picture; a file that cannot be read has the status `unreadable`.

        Raises InputError for an object that is no picture at all.
        """
        name, source = item
        try:
            if isinstance(source, ImageError):
                raise source
            if isinstance(source, bytes | str | os.PathLike):
                return self._file(name, source)
            rgb = load_image(source)
            return self._cropped(name, rgb, self._faces(rgb), rgb.shape[1], rgb.shape[0])
        except ImageError as error:
            return Prepared(name, "unreadable", error.reason)

    def _file(self, name: str, source: bytes | str | os.PathLike[str]) -> Prepared:
        data = source if isinstance(source, bytes) else read_file(Path(source))
        if self._detector is None:
            with decoded(data, name) as (rgb, width, height):
                return self._cropped(name, rgb, [None], width, height)
        with opened(data, name, self._detector, self._size, self._limit) as seen:
            return self._cropped(name, seen.rgb, seen.faces, seen.width, seen.height)

    def _faces(self, rgb: RGB) -> Sequence[Detection | None]:
        """Find the faces to be read; None stands for the whole picture, where none are looked for."""
        return [None] if self._detector is None else self._detector(rgb)[: self._limit]

    def _cropped(self, name: str, rgb: RGB, found: Sequence[Detection | None], width: int, height: int) -> Prepared:
        """Crop faces, given in pixels of `rgb`, of a picture of `width` by `height`."""
        if not found:
            return Prepared(name, "no_face", NO_FACE, width, height)
        crops = tuple(crop(rgb, self._size, self._channels, face_region(face) if face else None) for face in found)
        placed = tuple(scaled(face, rgb.shape, (height, width)) if face else None for face in found)
        return Prepared(name, "ok", None, width, height, placed, crops)


def scaled(found: Detection, shape: tuple[int, ...], new: tuple[int, ...]) -> Detection:
    """Return a detection in a picture of `shape` (H, W, ...) as it is in the same picture of another one."""
    if shape[:2] == new[:2]:
        return found
    down, across = new[0] / shape[0], new[1] / shape[1]
    box = found.box
    left, top = round(box.x * across), round(box.y * down)
    right, bottom = round((box.x + box.width) * across), round((box.y + box.height) * down)
    landmarks = tuple((x * across, y * down) for x, y in found.landmarks)
    return Detection(Box(left, top, max(right - left, 1), max(bottom - top, 1)), landmarks, found.score)


def in_order(
    function: Callable[[Item], Outcome], items: Iterable[Item], threads: int
) -> Generator[Outcome, None, None]:
    """Yield `function` of every item, in order, worked out in threads a bounded number ahead.

    Items are taken in the caller's thread. One thread is the caller's own, and nothing is done ahead. When
    the generator is closed, or a call raises, its threads end before it does.
    """
    if threads == 1:
        yield from map(function, items)
        return
    items = iter(items)
    first = list(islice(items, 2))
    if len(first) < 2:  # threads, and loading what runs them, would take longer than they save
        yield from map(function, first)
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(threads, "mien-picture")
    try:
        for item in chain(first, items):
            waiting.append(pool.submit(function, item))
            if len(waiting) > 3 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
