"""What happens to each picture before the network sees it, in threads: decode, find faces, crop."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mien.crop import crop, face_region
from mien.errors import ImageError
from mien.image import RGB, ImageSource, decode, load_image, read_file, upright_size
from mien.result import Box, Detection, Status

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Finder: TypeAlias = Callable[[RGB], Sequence[Detection]]

#: A large JPEG is decoded at 1/2, 1/4 or 1/8 of its size for finding faces, never below this many pixels on a side.
SHRINK_TO = 960

#: Pictures with more pixels than this are decoded one at a time, since each may take a gigabyte with its copies.
LARGE_PIXELS = 24_000_000

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
        self._one_at_a_time = threading.Lock()

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
            return self._found(name, rgb, rgb.shape[1], rgb.shape[0])
        except ImageError as error:
            return Prepared(name, "unreadable", error.reason)

    def _file(self, name: str, source: bytes | str | os.PathLike[str]) -> Prepared:
        data = source if isinstance(source, bytes) else read_file(Path(source))
        width, height = upright_size(data, name)
        large = width * height > LARGE_PIXELS

        def in_full() -> RGB:
            with self._one_at_a_time if large else nullcontext():
                return decode(data, name, max_pixels=LARGE_PIXELS)

        if self._detector is None or not data.startswith(JPEG):
            return self._found(name, in_full(), width, height)
        small = decode(data, name, shrink_to=SHRINK_TO, max_pixels=LARGE_PIXELS)
        return self._found(name, small, width, height, in_full)

    def _found(
        self, name: str, rgb: RGB, width: int, height: int, in_full: Callable[[], RGB] | None = None
    ) -> Prepared:
        """Find and crop the faces of a picture; `in_full` decodes one that was perhaps decoded small."""
        if self._detector is None:
            whole = crop(rgb, self._size, self._channels)
            return Prepared(name, "ok", None, width, height, (None,), (whole,))
        detections = self._detector(rgb)[: self._limit]
        if not detections:
            return Prepared(name, "no_face", NO_FACE, width, height)
        small = rgb.shape[1] < width
        if in_full and small and min(face_region(found).side for found in detections) < self._size:
            shown, rgb = rgb.shape, in_full()
            detections = [scaled(found, shown, rgb.shape) for found in detections]
        crops = tuple(crop(rgb, self._size, self._channels, face_region(found)) for found in detections)
        placed = tuple(scaled(found, rgb.shape, (height, width)) for found in detections)
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
    waiting: deque[Future[Any]] = deque()
    pool = ThreadPoolExecutor(threads, "mien-picture")
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 3 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
