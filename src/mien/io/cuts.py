"""Find hard cuts in a video: the first frame of each new scene. Motion, zooms, fades and flashes are no cuts.

Frames are compared as thumbnails, in three steps. Most neighbours correlate as they are. If not, the middle of one is
searched in the other, shifted and at three scales, which finds a moving or zooming camera. What is still unlike is a
cut if its colours differ too, or if nothing of it was found at all. A frame without contrast (black, or white in a
flash) says nothing, and the next frame is compared with the last one before it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np
from PIL import Image

from mien.arrays import RGB, Float32, UInt8

#: Width and height of a thumbnail, in pixels.
THUMBNAIL = (64, 48)
#: A flash is over within so many seconds: a scene that lasts no longer is none.
FLASH_SECONDS = 0.15

#: Frames of the scene that a frame is compared with, the latest first: one of them may be a flash.
_REMEMBERED = 3
#: Neighbours that correlate so much are one scene.
_ALIKE = 0.9
#: Least standard deviation of a thumbnail's grey values, in [0, 255], that says something about its scene.
_CONTRAST = 6.0
#: The part of a thumbnail that is searched in the other one (width, height), and at which scales.
_TEMPLATE, _SCALES = (40, 30), (1.0, 0.9, 1.1)
#: A match of at least this correlation is the same scene.
_FOUND = 0.85
#: Between these gaps, in seconds, the camera may have moved so far that less and less can be found.
_NEAR, _FAR = 0.1, 0.4
#: A frame with less than this correlation is a cut, whatever its colours, for the two gaps above.
_LOST_NEAR, _LOST_FAR = 0.8, 0.4
#: Colours differ if so large a share of the pixels would have to change theirs, for the two gaps above.
_COLOURS_NEAR, _COLOURS_FAR = 0.2, 0.4

Payload = TypeVar("Payload")
_Frame = tuple[float, UInt8, Payload]


def thumbnail(rgb: RGB) -> UInt8:
    """Return a frame, uint8 (H, W, 3), as uint8 (48, 64, 3)."""
    step = max(1, min(rgb.shape[0] // (4 * THUMBNAIL[1]), rgb.shape[1] // (4 * THUMBNAIL[0])))
    small = Image.fromarray(np.ascontiguousarray(rgb[::step, ::step]))
    return np.asarray(small.resize(THUMBNAIL, Image.Resampling.BOX))


def find_cuts(
    frames: Iterable[tuple[float, UInt8, Payload]], settle: float = FLASH_SECONDS
) -> Iterator[tuple[Payload, bool]]:
    """Yield each frame's payload, and whether the frame is the first of a new scene.

    Args:
        frames: the time in seconds, the thumbnail and the payload of each frame, in order.
        settle: seconds for which a cut is held back to see if it is only a flash; 0 yields each frame at once.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> first, second = (rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(2))
        >>> list(find_cuts([(0.0, first, "a"), (0.1, first, "b"), (0.2, second, "c")]))
        [('a', False), ('b', False), ('c', True)]
    """
    source = iter(frames)
    waiting: deque[_Frame[Payload]] = deque()  # to be looked at again
    held: list[_Frame[Payload]] = []  # since a frame that may be a cut
    scene: deque[tuple[float, UInt8]] = deque(maxlen=_REMEMBERED)
    while True:
        frame = waiting.popleft() if waiting else next(source, None)
        if held and (frame is None or not _belongs(scene, frame, doubted=True)):
            if frame is not None and frame[0] - held[0][0] < settle:
                held.append(frame)
                continue
            waiting.extendleft(reversed([*held[1:], *([] if frame is None else [frame])]))
            yield held[0][2], True
            scene.clear()
            scene.append(held[0][:2])
            held = []
            continue
        if frame is None:
            return
        yield from ((payload, False) for _, _, payload in held)  # a flash
        held = []
        cut = not _belongs(scene, frame)
        if cut and settle:
            held = [frame]
            continue
        yield frame[2], cut
        if cut:
            scene.clear()
        if not scene or _says_something(frame[1]):
            scene.append(frame[:2])


def _belongs(scene: Iterable[tuple[float, UInt8]], frame: "_Frame[object]", doubted: bool = False) -> bool:
    """Return whether a frame is of the scene of these frames; one that says nothing is of any.

    Only between neighbours may the camera have moved: the others, and all if a cut lies between them perhaps
    (`doubted`), must be found again.
    """
    known = [*scene][::-1]
    if not known or not _says_something(frame[1]):
        return True
    gaps = [0.0 if doubted else frame[0] - known[0][0], *[0.0] * (len(known) - 1)]
    return any(not is_cut(before, frame[1], gap) for (_, before), gap in zip(known, gaps, strict=True))


def is_cut(before: UInt8, after: UInt8, gap: float) -> bool:
    """Return whether two thumbnails, `gap` seconds apart, are of different scenes."""
    first, second = _grey(before), _grey(after)
    if _correlation(first, second) >= _ALIKE:
        return False
    far = min(max((gap - _NEAR) / (_FAR - _NEAR), 0.0), 1.0)
    found = _best_match(first, second, _FOUND)
    if found >= _FOUND:
        return False
    if found < _LOST_NEAR + far * (_LOST_FAR - _LOST_NEAR):
        return True
    return _colour_change(before, after) > _COLOURS_NEAR + far * (_COLOURS_FAR - _COLOURS_NEAR)


def _says_something(thumb: UInt8) -> bool:
    return float(_grey(thumb).std()) >= _CONTRAST


def _grey(thumb: UInt8) -> Float32:
    grey: Float32 = thumb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return grey


def _correlation(first: Float32, second: Float32) -> float:
    first, second = first - first.mean(), second - second.mean()
    return float((first * second).sum()) / max(float(np.linalg.norm(first) * np.linalg.norm(second)), 1e-6)


def _best_match(first: Float32, second: Float32, enough: float) -> float:
    """Return the best correlation of the middle of `second`, at some scales, with a part of `first`.

    It stops at the first scale at which it is `enough`.
    """
    wide, high = _TEMPLATE
    windows = np.lib.stride_tricks.sliding_window_view(first, (high, wide))
    area = high * wide
    total = _box_sums(first, wide, high)
    spread = np.sqrt(np.maximum(_box_sums(first * first, wide, high) - total * total / area, 1.0))
    best = -1.0
    for scale in _SCALES:
        size = (round(THUMBNAIL[0] * scale), round(THUMBNAIL[1] * scale))
        scaled = np.asarray(Image.fromarray(second).resize(size, Image.Resampling.BILINEAR))
        top, left = (scaled.shape[0] - high) // 2, (scaled.shape[1] - wide) // 2
        part = scaled[top : top + high, left : left + wide]
        part = part - part.mean()
        products = np.einsum("ijkl,kl->ij", windows, part, optimize=True)
        best = max(best, float((products / spread).max()) / max(float(np.linalg.norm(part)), 1.0))
        if best >= enough:
            break
    return best


def _box_sums(values: Float32, wide: int, high: int) -> Float32:
    """Return the sum of each window of `high` x `wide` values."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.float64)
    sums[1:, 1:] = values.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    return (sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]).astype(np.float32)


def _colour_change(first: UInt8, second: UInt8) -> float:
    """Return the share of the pixels that have another of 64 colours, wherever they are."""
    return float(np.abs(_colours(first) - _colours(second)).sum()) / 2


def _colours(thumb: UInt8) -> Float32:
    red, green, blue = np.moveaxis((thumb >> 6).astype(np.int64), 2, 0)
    counts = np.bincount((16 * red + 4 * green + blue).ravel(), minlength=64)
    shares: Float32 = counts.astype(np.float32) / np.float32(counts.sum())
    return shares
