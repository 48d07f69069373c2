"""Find hard cuts in a video: the first frame of each new scene. Motion, zooms, fades, flashes and lights are no cuts.

Frames are compared as grey thumbnails whose local brightness and contrast are normalized, so that light does not
matter. The middle of one is searched in the other, shifted and at some scales, which finds a moving or zooming camera.
If it is not found, there is a cut. A frame without contrast (black, or white in a flash) says nothing, and the next
frame is compared with the last one before it.
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
#: Neighbours that correlate so much as they are, are one scene: something in it may have moved.
_ALIKE = 0.5
#: Least standard deviation of a thumbnail's grey values, in [0, 255], that says something about its scene.
_CONTRAST = 6.0
#: Side of the window of local brightness and contrast, and grey values of contrast that count as noise.
_WINDOW, _NOISE = 13, 6.0
#: The part of a thumbnail that is searched in the other one (width, height), and at which scales.
_TEMPLATE, _SCALES = (32, 24), (1.0, 0.95, 1.05, 0.9, 1.1)
#: Least correlation of what is found again, for neighbours at most `_NEAR` seconds apart and for those `_FAR` or more
#: apart, when the camera may have moved on. Different scenes reach 0.6 in 1 of 100, the same 0.82.
_FOUND_NEAR, _FOUND_FAR, _NEAR, _FAR = 0.68, 0.6, 0.1, 0.4

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
        if _says_something(frame[1]):
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
    first, second = _normalized(before), _normalized(after)
    if _correlation(first, second) >= _ALIKE:
        return False
    far = min(max((gap - _NEAR) / (_FAR - _NEAR), 0.0), 1.0)
    enough = _FOUND_NEAR + far * (_FOUND_FAR - _FOUND_NEAR)
    return _best_match(first, second) < enough


def _says_something(thumb: UInt8) -> bool:
    return float(_grey(thumb).std()) >= _CONTRAST


def _grey(thumb: UInt8) -> Float32:
    grey: Float32 = thumb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return grey


def _normalized(thumb: UInt8) -> Float32:
    """Return grey values (48, 64), less their local mean, over their local standard deviation."""
    grey = np.pad(_grey(thumb), _WINDOW // 2, "edge")
    mean = _box_sums(grey, _WINDOW, _WINDOW) / _WINDOW**2
    spread = np.sqrt(np.maximum(_box_sums(grey * grey, _WINDOW, _WINDOW) / _WINDOW**2 - mean * mean, 0))
    return np.asarray((_grey(thumb) - mean) / (spread + _NOISE), np.float32)


def _correlation(first: Float32, second: Float32) -> float:
    first, second = first - first.mean(), second - second.mean()
    return float((first * second).sum()) / max(float(np.linalg.norm(first) * np.linalg.norm(second)), 1e-6)


def _best_match(first: Float32, second: Float32) -> float:
    """Return the best correlation of the middle of `second`, at some scales, with a part of `first`."""
    wide, high = _TEMPLATE
    area = wide * high
    parts = np.empty((area, len(_SCALES)), np.float32)
    for number, scale in enumerate(_SCALES):
        size = (round(THUMBNAIL[0] * scale), round(THUMBNAIL[1] * scale))
        scaled = np.asarray(Image.fromarray(second).resize(size, Image.Resampling.BILINEAR))
        top, left = (scaled.shape[0] - high) // 2, (scaled.shape[1] - wide) // 2
        part = scaled[top : top + high, left : left + wide]
        part = part - part.mean()
        parts[:, number] = part.ravel() / max(float(np.linalg.norm(part)), 1e-3)
    total = _box_sums(first, wide, high)
    spread = np.sqrt(np.maximum(_box_sums(first * first, wide, high) - total * total / area, 1e-3))
    windows = np.lib.stride_tricks.sliding_window_view(first, (high, wide)).reshape(-1, area)
    return float((windows @ parts / spread.reshape(-1, 1)).max())


def _box_sums(values: Float32, wide: int, high: int) -> Float32:
    """Return the sum of each window of `high` x `wide` values."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.float64)
    sums[1:, 1:] = values.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    return (sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]).astype(np.float32)
