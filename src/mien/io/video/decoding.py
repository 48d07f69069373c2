"""Decode videos to frames with PyAV (`pip install 'mien[video]'`). Webcams: `mien.io.video.camera`."""

import math
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from mien.arrays import RGB, UInt8
from mien.errors import InputError
from mien.io.sniffing import not_an_image
from mien.io.video.containers import begins_like_video, look, look_at_file
from mien.io.video.cuts import THUMBNAIL, find_cuts
from mien.io.video.frames import FPS, TimedFrame, check_fps, turned
from mien.io.video.pyav import error_text, require_av

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

#: A video that ends this many seconds before its announced duration is cut short, if its file does not say how long
#: it is. A last frame may be held, and sound may go on.
_MISSING_SECONDS = 0.5
#: Frames with more pixels are refused: a header can ask for gigabytes. 8K has 33 million.
_MAX_PIXELS = 36_000_000
#: Frames with more pixels are decoded one after another, in slices: at once, each thread would hold one. 4K has 9.
_MAX_AT_ONCE = 10_000_000
#: Pixels that are not square are stretched, within reason.
_MAX_STRETCH = 3.0
#: Formats that hold frames themselves. Playlists, which name other files or addresses, are left out.
_FORMATS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,h264,hevc,m4v,ivf,mxf,dv,wtv,yuv4mpegpipe,"
    "nut,rm,amv,mjpeg"
)
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
#: Frames that follow sooner than this are not looked at for cuts, in seconds: those of 60 per second all are.
_LOOK_SECONDS = 0.015
_DURATION = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


class _Due(NamedTuple):
    """A frame, its time in seconds, and its number in the video, from 1."""

    time: float
    frame: "av.VideoFrame"
    number: int


class Video(AbstractContextManager["Video"]):
    """An opened video or webcam. Close it, or use it in a `with` block.

    Attributes:
        name: what messages call it.
        duration: seconds, as the file announces; None if it does not.
        problem: why not all of it could be decoded, in a few words, once its frames have been read; None if all was.
    """

    def __init__(
        self, name: str, container: "InputContainer", stream: "VideoStream", *, live: bool = False,
        missing: int | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.problem: str | None = None
        self._container, self._stream, self._live, self._missing = container, stream, live, missing
        self._matrices: dict[int, list[int] | None] = {}
        self._end = 0.0
        self._count = 0
        stream.thread_type = "AUTO" if stream.width * stream.height <= _MAX_AT_ONCE else "SLICE"
        self.duration = _duration(container, stream)

    def frames(self, fps: float = FPS, skip: int = 0) -> Iterator[TimedFrame]:
        """Yield frames with their times, at most `fps` per second; call it once.

        Frames are turned upright as the file says, and have square pixels. The first frame of each 1 / `fps` seconds
        is taken, by the times in the file, so that a varying frame rate keeps its pace. Hard cuts are looked for
        among all frames, but not in a webcam. Damaged frames are passed over, and `problem` then says so. Memory does
        not grow with the length.

        Args:
            fps: frames to take per second.
            skip: pass over so many of the frames that would be taken.

        Raises:
            ConfigError: `fps` is below 0.001 or above 1000.
            InputError: there is not a single frame.
        """
        check_fps(fps)
        taken, cut = 0, False
        for found, new_scene in self._with_cuts(self._due_or_near(fps)):
            cut |= new_scene
            if found is None:
                continue
            taken += 1
            rgb = self._upright(found.frame) if taken > skip else None
            if rgb is not None:
                yield TimedFrame(found.time, rgb, found.number, cut)
            cut = False
        if not self._count:
            raise InputError(f"{self.name}: has no frame that can be decoded; is it damaged or cut short?")
        self._compare_length()

    def _due_or_near(self, fps: float) -> Iterator[tuple["_Due", bool]]:
        """Yield the frames that are taken, and True; and others, and False, by which a cut between them is found.

        Of a high rate few are looked at: those of a slow-motion video would wait for a cut's end by the gigabyte.
        """
        due, looked_at = 0.0, -math.inf
        early = 0.1 / fps  # a frame that is nearly due is taken: times in a file are rounded
        for time, frame in self._timed():
            self._count += 1
            is_due = time + early >= due
            if is_due:
                due = (math.floor((time + early) * fps) + 1) / fps
            elif time - looked_at < _LOOK_SECONDS:
                continue
            looked_at = time
            yield _Due(time, frame, self._count), is_due

    def _with_cuts(self, frames: Iterable[tuple["_Due", bool]]) -> Iterator[tuple["_Due | None", bool]]:
        """Yield the frames that are taken, None for others, and whether each is the first of a new scene."""
        if self._live:
            return ((found, False) for found, is_due in frames if is_due)
        return find_cuts((one.time, _thumbnail(one.frame), one if is_due else None) for one, is_due in frames)

    def _compare_length(self) -> None:
        """Set `problem` if the file is shorter than it says, or its frames are and it does not say."""
        duration = self.duration or 0.0
        if self._missing == 0:
            return
        if self._end < duration - _MISSING_SECONDS:
            self.problem = f"ends after {self._end:.1f} of {duration:.1f} seconds; the file is cut short"
        elif self._missing and self.problem is None and not 0 < duration <= self._end + self._frame_seconds():
            self.problem = f"lacks its last {self._missing} bytes; the file is cut short"

    def _timed(self) -> Iterator[tuple[float, "av.VideoFrame"]]:
        """Yield all frames with times that begin at 0 and never go back."""
        shift, last = None, 0.0
        for frame in self._decoded():
            if frame.time is None:  # frames alone, without a file format around them
                last += 0.0 if shift is None else self._frame_seconds()
                shift = 0.0
            else:
                if shift is None:
                    shift = frame.time
                elif frame.time - shift < last:  # two videos in one file, say
                    shift = frame.time - last - self._frame_seconds()
                last = frame.time - shift
                # A video may start late, and hold its last frame.
                self._end = max(self._end, frame.time + float((frame.duration or 0) * (frame.time_base or 0)))
            self._end = max(self._end, last + self._frame_seconds())
            yield last, frame

    def _decoded(self) -> Iterator["av.VideoFrame"]:
        """Yield all frames that can be decoded; `problem` then says if some could not."""
        import av

        damaged, broken = 0, False
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                    bad = packet.is_corrupt or any(frame.is_corrupt for frame in frames)
                except (av.FFmpegError, ValueError):
                    frames, bad = [], True
                damaged += bad
                broken = bad if packet.size else broken  # the last one is empty
                for frame in frames:
                    if frame.width * frame.height > _MAX_PIXELS:
                        self.problem = f"has a frame of {frame.width}x{frame.height} pixels, which is too large"
                        return
                    yield frame
        except (av.FFmpegError, ValueError) as error:
            self.problem = f"cannot be read to its end ({error_text(error)})"
            return
        if broken:
            self.problem = "breaks off in the middle of a frame; the file is cut short"
        elif damaged:
            self.problem = f"is damaged in {damaged} frames"

    def _upright(self, frame: "av.VideoFrame") -> RGB | None:
        """Return the pixels as a player shows them; None, and a `problem`, if they cannot be converted."""
        import av

        ratio = float(self._stream.sample_aspect_ratio or 1)
        width = round(frame.width * ratio) if 1 / _MAX_STRETCH <= ratio <= _MAX_STRETCH else frame.width
        width = width if width * frame.height <= _MAX_PIXELS else frame.width
        try:
            pixels = frame.to_ndarray(format="rgb24", width=max(width, 1), height=frame.height)
        except (av.FFmpegError, ValueError) as error:
            self.problem = f"has frames that cannot be converted ({error_text(error)})"
            return None
        return turned(np.asarray(pixels, np.uint8), self._matrix(frame))

    def _matrix(self, frame: "av.VideoFrame") -> list[int] | None:
        """Return the display matrix of the frame, or None; looked up once for each rotation in the video.

        PyAV's `side_data` and its frame hold each other, so a frame that is asked for it waits for the garbage
        collector, which counts objects and not their megabytes.
        """
        if frame.rotation not in self._matrices:
            found: Any = frame.side_data.get("DISPLAYMATRIX")
            self._matrices[frame.rotation] = None if found is None else np.frombuffer(bytes(found), np.int32).tolist()
        return self._matrices[frame.rotation]

    def _frame_seconds(self) -> float:
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(1 / rate) if rate else 0.04

    def close(self) -> None:
        """Close the file or the webcam."""
        self._container.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def open_video(source: str | os.PathLike[str] | BinaryIO, name: str | None = None) -> Video:
    """Open a video, a path or a file that can be sought in; the largest video stream is taken.

    `name` is what messages call it, by default the path. Raises InputError if there is no such file or it is not a
    video, MissingExtraError without PyAV.
    """
    av = require_av()
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        name = name or path
        head, missing = look_at_file(Path(path), name)
        file: Any = f"file:{path}"
    else:
        name = name or "video"
        head, missing = look(source)
        source.seek(0)
        file = source
    try:
        container = av.open(file, "r", options=_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        known = not_an_image(head, "a video")
        if known and not begins_like_video(head):
            raise InputError(f"{name}: {known.reason}; {known.fix}") from None
        reason = f"is not a video that can be read ({error_text(error)}); is it a video, and whole?"
        raise InputError(f"{name}: {reason}") from None
    return from_container(name, container, "has no video stream", missing=missing)


def from_container(name: str, container: Any, error: str, *, live: bool = False, missing: int | None = None) -> Video:
    """Return the largest video stream of an opened container; InputError, which says `error`, if it has none."""
    from av.stream import Disposition

    # The cover image of a music file is not a video.
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    known = [stream for stream in streams if stream.codec_context is not None]
    if streams and not known:
        error = "its images are in a form that is not known here; convert it to .mp4"
    small = [stream for stream in known if stream.width * stream.height <= _MAX_PIXELS]
    if known and not small:
        error = f"its frames have {known[0].width}x{known[0].height} pixels, which is too large"
    if not small:
        container.close()
        raise InputError(f"{name}: {error}")
    chosen = max(small, key=lambda stream: stream.width * stream.height)
    return Video(name, container, chosen, live=live, missing=missing)


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Return the announced duration of the video stream, in seconds; that of the file may be that of the sound."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if said := _DURATION.match(stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = map(float, said.groups())
        return 3600 * hours + 60 * minutes + seconds
    alone = len(container.streams) == 1
    return container.duration / 1e6 if container.duration and alone else None


def _thumbnail(frame: "av.VideoFrame") -> UInt8:
    """Return a frame as `mien.io.video.cuts` compares it; black if it cannot be converted."""
    import av

    width, height = THUMBNAIL
    try:
        small = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    except (av.FFmpegError, ValueError):
        return np.zeros((height, width, 3), np.uint8)
    return np.asarray(small, np.uint8)
