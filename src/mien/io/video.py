"""Decode videos and webcams to frames with PyAV (`pip install 'mien[video]'`). Writing: `mien.io.video_writer`."""

import math
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.arrays import RGB
from mien.errors import ConfigError, InputError, MissingExtraError

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream


#: Frames per second by default.
FPS = 5.0
#: A video that ends this many seconds before its announced duration is cut short.
_MISSING_SECONDS = 0.5
#: Formats that hold frames themselves. Playlists, which name other files or addresses, are left out.
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,h264,hevc,m4v,ivf,mxf,dv,wtv,yuv4mpegpipe"
_THIS_FILE = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}


class Video(AbstractContextManager["Video"]):
    """An opened video or webcam. Close it, or use it in a `with` block.

    Attributes:
        name: what messages call it.
        duration: seconds, as the file announces; None if it does not.
        problem: why not all of it could be decoded, in a few words, once its frames have been read; None if all was.
    """

    def __init__(self, name: str, container: "InputContainer", stream: "VideoStream") -> None:
        self.name = name
        self.problem: str | None = None
        self._container, self._stream = container, stream
        self._matrices: dict[int, list[int] | None] = {}
        stream.thread_type = "AUTO"
        self.duration = _duration(container, stream)

    def frames(self, fps: float = FPS) -> Iterator[tuple[float, RGB]]:
        """Yield (time in seconds after the first frame, frame), at most `fps` per second; call it once.

        A frame is uint8 (H, W, 3), RGB, [0, 255], turned upright as the file says. The first frame of each 1 / `fps`
        seconds is taken, by the times in the file, so that a varying frame rate keeps its pace. Damaged frames are
        skipped, and `problem` then says so. Memory does not grow with the length. Raises ConfigError for an `fps`
        that is not above 0, InputError if there is not a single frame.
        """
        if not 0 < fps < math.inf:
            raise ConfigError(f"{fps} frames per second: give a number above 0")
        due = last = 0.0
        early = 0.1 / fps  # a frame that is nearly due is taken: times in a file are rounded
        empty = True
        for time, frame in self._timed():
            last, empty = time, False
            if time + early >= due:
                due = (math.floor((time + early) * fps) + 1) / fps
                yield time, _upright(frame, self._matrix(frame))
        if empty:
            raise InputError(f"{self.name}: has no frame that can be decoded; is it damaged or cut short?")
        if self.duration is not None and last + self._frame_seconds() < self.duration - _MISSING_SECONDS:
            self.problem = f"ends after {last:.1f} of {self.duration:.1f} seconds; the file is cut short"

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
                except av.FFmpegError:
                    frames, bad = [], True
                damaged += bad
                broken = bad if packet.size else broken  # the last one is empty
                yield from frames
        except av.FFmpegError as error:
            self.problem = f"cannot be read to its end ({error_text(error)})"
            return
        if broken:
            self.problem = "breaks off in the middle of a frame; the file is cut short"
        elif damaged:
            self.problem = f"is damaged in {damaged} frames"

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


def open_video(path: str | os.PathLike[str]) -> Video:
    """Open a video; the largest video stream is taken.

    Raises InputError if there is no such file or it is not a video, MissingExtraError without PyAV.
    """
    av = require_av()
    name = os.fsdecode(path)
    try:
        kind = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise InputError(f"{name}: {reason}") from None
    if not stat.S_ISREG(kind):
        raise InputError(f"{name}: is not a regular file; give a video")
    try:
        container = av.open(f"file:{name}", options=_THIS_FILE, metadata_errors="replace")
    except (av.FFmpegError, UnicodeError) as error:
        why = "is it a video, and whole?" if Path(path).stat().st_size else "it is empty (zero bytes)"
        raise InputError(f"{name}: is not a video that can be read ({error_text(error)}); {why}") from None
    return _opened(name, container, f"{name}: has no video stream")


def open_camera(camera: str = "0") -> Video:
    """Open a webcam of this machine, by its number from 0 or its name in the system.

    Raises InputError if it cannot be opened, MissingExtraError without PyAV.
    """
    av = require_av()
    file, kind, options = _camera(camera)
    try:
        container = av.open(file, format=kind, options=options)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"camera {camera}: cannot be opened ({error_text(error)}); is it in use, or not allowed?"
        ) from None
    return _opened(f"camera {camera}", container, f"camera {camera}: gives no frames")


def require_av() -> Any:
    """Return PyAV; MissingExtraError if it is not installed."""
    try:
        import av
    except ImportError:
        raise MissingExtraError("video", "video") from None
    return av


def _opened(name: str, container: Any, error: str) -> Video:
    # The cover image of a music file is not a video.
    streams = [stream for stream in container.streams.video if not stream.disposition & _cover()]
    if not streams:
        container.close()
        raise InputError(error)
    return Video(name, container, max(streams, key=lambda stream: stream.width * stream.height))


def _cover() -> Any:
    from av.stream import Disposition

    return Disposition.attached_pic


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Return the announced duration of the video stream, in seconds; that of the file may be that of the sound."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if said := stream.metadata.get("DURATION"):
        hours, minutes, seconds = (float(part) for part in said.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    alone = len(container.streams) == 1
    return container.duration / 1e6 if container.duration and alone else None


def _upright(frame: "av.VideoFrame", matrix: list[int] | None) -> RGB:
    """Return the pixels, turned as the file says (phones store videos as the sensor lies)."""
    pixels: RGB = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    if matrix is None:
        return pixels
    # Shown at x' = a x + c y, y' = b x + d y; all eight orientations are quarter turns or mirrored.
    a, b, _, c, d = matrix[:5]
    swapped = abs(b) > abs(a)
    turned = pixels.swapaxes(0, 1) if swapped else pixels
    turned = turned[:, ::-1] if (c if swapped else a) < 0 else turned
    return np.ascontiguousarray(turned[::-1] if (b if swapped else d) < 0 else turned)


def _camera(camera: str) -> tuple[str, str, dict[str, str]]:
    """Return the file, format and options to open for a camera."""
    systems: dict[str, Callable[[str], tuple[str, str, dict[str, str]]]] = {
        "linux": _camera_of_linux,
        "darwin": lambda name: (name, "avfoundation", {"framerate": "30"}),
        "win32": _camera_of_windows,
    }
    if sys.platform not in systems:
        raise InputError(f"camera {camera}: cameras are read on Linux, macOS and Windows only")
    return systems[sys.platform](camera)


def _camera_of_linux(camera: str) -> tuple[str, str, dict[str, str]]:
    device = Path(f"/dev/video{camera}" if camera.isdecimal() else camera)
    if not device.exists():
        there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "this machine has none"
        raise InputError(f"camera {camera}: there is no {device} ({there})")
    return str(device), "v4l2", {}


def _camera_of_windows(camera: str) -> tuple[str, str, dict[str, str]]:
    if not camera.isdecimal():
        return f"video={camera}", "dshow", {}
    found = [device for device in require_av().enumerate_input_devices("dshow") if "video" in device.media_types]
    if int(camera) >= len(found):
        there = ", ".join(device.description for device in found) or "this machine has none"
        raise InputError(f"camera {camera}: there is no such camera ({there})")
    return f"video={found[int(camera)].name}", "dshow", {}


def error_text(error: BaseException) -> str:
    """Return the text of a PyAV error without its number and file name."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:120]
