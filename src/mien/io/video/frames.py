"""Frames with their times: of a video, a webcam, or any that a program has."""

import math
import time as clock
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from mien.arrays import RGB, UInt8
from mien.errors import ConfigError, InputError
from mien.io.video.cuts import THUMBNAIL, find_cuts, thumbnail

#: Frames per second: by default, fewest and most.
FPS, MIN_FPS, MAX_FPS = 5.0, 0.001, 1000.0


def check_fps(fps: float) -> None:
    """Raise ConfigError unless frames per second lie between `MIN_FPS` and `MAX_FPS`."""
    if not MIN_FPS <= fps <= MAX_FPS:
        raise ConfigError(f"`fps={fps!r:.20}`: must lie between {MIN_FPS:g} and {MAX_FPS:g}")


class TimedFrame(NamedTuple):
    """A frame of a video or webcam.

    Args:
        time: seconds since the first frame.
        rgb: uint8 (H, W, 3), RGB, [0, 255].
        number: its number among all frames of the video, from 1.
        cut: whether a hard cut lies between this frame and the one that was taken before it; None if nobody looked.
    """

    time: float
    rgb: RGB
    number: int
    cut: bool | None = None


def with_times(
    frames: Iterable[RGB | tuple[float, RGB] | TimedFrame], fps: float | None = None, cuts: bool = True
) -> Iterator[TimedFrame]:
    """Give every frame a time in seconds: its own, or 1 / `fps` after the one before, or (None) that of the clock.

    With `cuts`, hard cuts are looked for among frames that do not say; without, there are none.

    Raises InputError for a time before the last one or a frame that is not an array, and ConfigError for an `fps`
    below `MIN_FPS` or above `MAX_FPS`.

    Examples:
        >>> [frame.time for frame in with_times([np.zeros((1, 1, 3), np.uint8)] * 3, fps=4)]
        [0.0, 0.25, 0.5]
    """
    timed = _timed(frames, fps)
    if not cuts:
        return (frame if frame.cut is not None else frame._replace(cut=False) for frame in timed)
    return _found_cuts(timed)


def _timed(frames: Iterable[RGB | tuple[float, RGB] | TimedFrame], fps: float | None) -> Iterator[TimedFrame]:
    if fps is not None:
        check_fps(fps)
    begin, last = None, -math.inf
    for number, item in enumerate(frames, 1):
        if isinstance(item, TimedFrame):
            found = item
        elif isinstance(item, tuple):
            found = TimedFrame(float(item[0]), item[1], number)
        elif fps is not None:
            found = TimedFrame((number - 1) / fps, item, number)
        else:
            now = clock.monotonic()
            begin = now if begin is None else begin
            found = TimedFrame(now - begin, item, number)
        if not isinstance(found.rgb, np.ndarray):
            raise InputError(f"frame {number} is a {type(found.rgb).__name__}: give uint8 arrays (H, W, 3)")
        if not last <= found.time < math.inf:
            raise InputError(f"frame {number} is of {found.time:g} s, the one before of {last:g} s: give them in order")
        last = found.time
        yield found


def _found_cuts(frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    unseen = ((frame.time, _small(frame), frame) for frame in frames)
    for frame, cut in find_cuts(unseen, settle=0):
        yield frame if frame.cut is not None else frame._replace(cut=cut)


def _small(frame: TimedFrame) -> UInt8:
    """Return what a frame is compared by; black, which is no cut, if it says itself whether it is one."""
    if frame.cut is not None or frame.rgb.ndim != 3 or frame.rgb.shape[2] != 3 or frame.rgb.dtype != np.uint8:
        return np.zeros((THUMBNAIL[1], THUMBNAIL[0], 3), np.uint8)
    return thumbnail(frame.rgb)


def turned(pixels: RGB, matrix: list[int] | None) -> RGB:
    """Return the pixels, turned as the file says (phones store videos as the sensor lies)."""
    if matrix is None:
        return pixels
    # Shown at x' = a x + c y, y' = b x + d y; all eight orientations are quarter turns or mirrored.
    a, b, _, c, d = matrix[:5]
    swapped = abs(b) > abs(a)
    turned = pixels.swapaxes(0, 1) if swapped else pixels
    turned = turned[:, ::-1] if (c if swapped else a) < 0 else turned
    return np.ascontiguousarray(turned[::-1] if (b if swapped else d) < 0 else turned)
