"""What happens to each picture before the network sees it, in threads: decode, find faces, crop."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mien.crop import crop, face_region
from mien.errors import ImageError
from mien.image import RGB, ImageSource, decode_with_size, decoding_bytes, load_image, read_file
from mien.memory import Room, return_freed
from mien.result import Box, Detection, Status

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Finder: TypeAlias = Callable[[RGB], Sequence[Detection]]

#: A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size for finding faces, never below this many pixels on a side.
SHRINK_TO = 960

#: Pictures with more pixels than this are shrunk by a whole number once decoded, before faces are looked for.
LARGE_PIXELS = 24_000_000

#: What the pictures that are being prepared may take together, in bytes; one that needs more is prepared alone.
ROOM = 512 * 2**20

#: What a picture took to decode is returned to the system from this many bytes on.
MUCH = 32 * 2**20

JPEG = b"\xff\xd8\xff"

NO_FACE = "no face was found; a picture that is a cropped face can be read whole (--no-detect, detect=False)"


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
    crops: tuple[npt.NDArray[np.uint8], ...] = ()

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
        self._room = Room(ROOM)

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
        shrink_to = SHRINK_TO if self._detector and data.startswith(JPEG) else None
        with self._decoded(data, name, shrink_to) as (rgb, width, height):
            found, shown = self._faces(rgb), rgb.shape
            if shrink_to is None or shown[1] == width or not self._need_more_pixels(found):
                return self._cropped(name, rgb, found, width, height)
            del rgb
        with self._decoded(data, name) as (rgb, width, height):
            found = [scaled(face, shown, rgb.shape) for face in found if face]
            return self._cropped(name, rgb, found, width, height)

    @contextmanager
    def _decoded(self, data: bytes, name: str, shrink_to: int | None = None) -> Iterator[tuple[RGB, int, int]]:
        """Decode when there is room for it, which is kept until the caller has done with the picture."""
        needed = decoding_bytes(data, name, shrink_to=shrink_to, max_pixels=LARGE_PIXELS)
        with self._room.held(needed):
            found = decode_with_size(data, name, shrink_to=shrink_to, max_pixels=LARGE_PIXELS)
            if needed > MUCH:
                return_freed()
            yield found

    def _faces(self, rgb: RGB) -> Sequence[Detection | None]:
        """Find the faces to be read; None stands for the whole picture, where none are looked for."""
        return [None] if self._detector is None else self._detector(rgb)[: self._limit]

    def _need_more_pixels(self, found: Sequence[Detection | None]) -> bool:
        return any(face and face_region(face).side < self._size for face in found)

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
