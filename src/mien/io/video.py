"""Films and cameras to frames, by PyAV (`pip install 'mien[video]'`)."""

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


#: Frames read per second of a film, unless told otherwise.
FPS = 5.0
#: A film that ends so many seconds before the time it announces is cut short.
_MISSING = 0.5
#: Formats that hold pictures themselves. A playlist, which names other files or addresses, is none of them.
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,gif,h264,hevc,m4v,ivf,mxf,dv,wtv,yuv4mpegpipe"
_THIS_FILE = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}


class Video(AbstractContextManager["Video"]):
    """An opened film or camera; `name` is what messages call it. Close it, or use it in a `with` block.

    `duration` is the length in seconds that the file announces, or None. `fault` says in a few words what was
    wrong with it, once its frames have been read, and is None where nothing was.
    """

    def __init__(self, name: str, container: "InputContainer", stream: "VideoStream") -> None:
        self.name = name
        self.fault: str | None = None
        self._container, self._stream = container, stream
        self._matrices: dict[int, list[int] | None] = {}
        stream.thread_type = "AUTO"
        self.duration = _duration(container, stream)

    def frames(self, fps: float = FPS) -> Iterator[tuple[float, RGB]]:
        """Yield (time in seconds after the first frame, frame), at most `fps` per second; once.

        A frame is uint8 (H, W, 3), RGB, [0, 255], turned upright as the file says. Of each 1 / `fps` seconds
        the first frame is taken, by the times in the file, so that films of varying frame rate keep their
        pace. What is damaged is passed over, and `fault` then says so. Memory does not grow with the length.
        Raises ConfigError for an `fps` that is not above 0, InputError where there is not a single frame.
        """
        if not 0 < fps < math.inf:
            raise ConfigError(f"{fps} frames per second: give a number above 0")
        due = last = 0.0
        early = 0.1 / fps  # what is nearly due is taken: times in a file are rounded
        empty = True
        for time, frame in self._timed():
            last, empty = time, False
            if time + early >= due:
                due = (math.floor((time + early) * fps) + 1) / fps
                yield time, _upright(frame, self._matrix(frame))
        if empty:
            raise InputError(f"{self.name}: has no frame that can be decoded; is it damaged or cut short?")
        if self.duration is not None and last + self._frame_seconds() < self.duration - _MISSING:
            self.fault = f"ends after {last:.1f} of {self.duration:.1f} seconds; the file is cut short"

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
                elif frame.time - shift < last:  # two films in one file, say
                    shift = frame.time - last - self._frame_seconds()
                last = frame.time - shift
            yield last, frame

    def _decoded(self) -> Iterator["av.VideoFrame"]:
        """Yield all frames that can be decoded; `fault` then says what could not be."""
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
            self.fault = f"cannot be read to its end ({words(error)})"
            return
        if broken:
            self.fault = "breaks off in the middle of a frame; the file is cut short"
        elif damaged:
            self.fault = f"is damaged in {damaged} frames"

    def _matrix(self, frame: "av.VideoFrame") -> list[int] | None:
        """Return how the frame is to be turned, or None: looked up once for each rotation in the film.

        PyAV's `side_data` and its frame hold each other, so every frame that is asked for them waits for the garbage
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
        """Let go of the file or the camera."""
        self._container.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self.close()


def open_video(path: str | os.PathLike[str]) -> Video:
    """Open a film; of several pictures in one file the largest is taken, and sound does not matter.

    Raises InputError where there is no such file or it is no film, MissingExtraError without PyAV.
    """
    av = require_av()
    name = os.fsdecode(path)
    try:
        kind = Path(path).stat().st_mode
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise InputError(f"{name}: {reason}") from None
    if not stat.S_ISREG(kind):
        raise InputError(f"{name}: is not a regular file; give a film")
    try:
        container = av.open(f"file:{name}", options=_THIS_FILE, metadata_errors="replace")
    except (av.FFmpegError, UnicodeError) as error:
        why = "is it a film, and whole?" if Path(path).stat().st_size else "it is empty (zero bytes)"
        raise InputError(f"{name}: is not a film that can be read ({words(error)}); {why}") from None
    return _opened(name, container, f"{name}: has no moving picture in it")


def open_camera(camera: str = "0") -> Video:
    """Open a camera of this machine, by its number from 0 or by the name that the system gives it.

    Raises InputError where it cannot be opened, MissingExtraError without PyAV.
    """
    av = require_av()
    file, kind, options = _camera(camera)
    try:
        container = av.open(file, format=kind, options=options)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"camera {camera}: cannot be opened ({words(error)}); is it in use, or not allowed?") from None
    return _opened(f"camera {camera}", container, f"camera {camera}: gives no picture")


def require_av() -> Any:
    """Return PyAV; MissingExtraError where it is not installed."""
    try:
        import av
    except ImportError:
        raise MissingExtraError("video", "video") from None
    return av


def _opened(name: str, container: Any, otherwise: str) -> Video:
    # A picture of the sleeve in a file of music is no film.
    films = [stream for stream in container.streams.video if not stream.disposition & _sleeve()]
    if not films:
        container.close()
        raise InputError(otherwise)
    return Video(name, container, max(films, key=lambda stream: stream.width * stream.height))


def _sleeve() -> Any:
    from av.stream import Disposition

    return Disposition.attached_pic


def _duration(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Return how long the picture is said to be, in seconds; that of the whole file may be that of the sound."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if said := stream.metadata.get("DURATION"):
        hours, minutes, seconds = (float(part) for part in said.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    alone = len(container.streams) == 1
    return container.duration / 1e6 if container.duration and alone else None


def _upright(frame: "av.VideoFrame", matrix: list[int] | None) -> RGB:
    """Return the pixels, turned by what the file says (phones store films as the sensor lies)."""
    pixels: RGB = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    if matrix is None:
        return pixels
    # Shown at x' = a x + c y, y' = b x + d y; all eight ways to lay a picture down are quarter turns or mirrored.
    a, b, _, c, d = matrix[:5]
    swapped = abs(b) > abs(a)
    turned = pixels.swapaxes(0, 1) if swapped else pixels
    turned = turned[:, ::-1] if (c if swapped else a) < 0 else turned
    return np.ascontiguousarray(turned[::-1] if (b if swapped else d) < 0 else turned)


def _camera(camera: str) -> tuple[str, str, dict[str, str]]:
    """Return what PyAV must open for a camera: file, format and options."""
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


def words(error: BaseException) -> str:
    """Return what went wrong without number and file name, which PyAV puts around it."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0][:120]
