"""Write frames to a video with PyAV (`pip install 'mien[video]'`)."""

from contextlib import AbstractContextManager, ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from mien.errors import ConfigError, OutputError
from mien.io.atomic import NOTHING_KEPT, new_file
from mien.io.video.frames import FPS, check_fps
from mien.io.video.pyav import error_text, require_av

#: Formats by the end of the file's name.
_FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
#: Times in a video are whole steps of this many seconds.
_STEP = Fraction(1, 1000)


class VideoWriter(AbstractContextManager["VideoWriter"]):
    """Writes a video, H.264 (MPEG-4 if there is no encoder for it); the file appears if the `with` block succeeds.

    `path` ends in .mp4, .m4v, .mov or .mkv, and `fps` is the frame rate. Raises ConfigError for another name or rate,
    OutputError if it cannot be written, MissingExtraError without PyAV; an older file of that name then stays.
    """

    def __init__(self, path: Path, fps: float = FPS) -> None:
        self._av = require_av()
        require_video_name(path)
        check_fps(fps)
        self._path, self._fps = path, fps
        self._stream: Any = None
        self._last = -1

    def __enter__(self) -> "VideoWriter":
        """Begin to write."""
        with ExitStack() as stack:
            part = stack.enter_context(new_file(self._path))
            self._container = self._av.open(str(part), "w", format=_FORMATS[self._path.suffix.lower()])
            stack.callback(self._container.close)
            self._stack = stack.pop_all()
        return self

    def write(self, time: float, image: Image.Image) -> None:
        """Add a frame that is shown at `time` seconds, later than the one before."""
        if self._stream is None:
            self._begin(image.size)
        if image.size != self._size:
            image = image.resize(self._size)
        pixels = np.asarray(image)
        odd = ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0))  # the encoder takes even sizes only
        frame = self._av.VideoFrame.from_ndarray(np.pad(pixels, odd, "edge"), format="rgb24")
        self._last = max(round(time / _STEP), self._last + 1)
        frame.pts, frame.time_base = self._last, _STEP
        self._mux(frame)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Finish the video, or remove it if the block failed."""
        if error is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        with self._stack:
            if self._stream is not None:
                self._mux(None)

    def _begin(self, size: tuple[int, int]) -> None:
        self._size = size
        codec = "libx264" if "libx264" in self._av.codecs_available else "mpeg4"
        stream = self._container.add_stream(codec, rate=Fraction(self._fps).limit_denominator(1000))
        stream.width, stream.height = (side + side % 2 for side in size)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _STEP
        if codec == "libx264":
            stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            stream.bit_rate = 4 * size[0] * size[1]
        self._stream = stream

    def _mux(self, frame: Any) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except self._av.FFmpegError as error:
            raise OutputError(f"{self._path}: cannot be written ({error_text(error)})", NOTHING_KEPT) from None


def require_video_name(path: Path) -> None:
    """Raise ConfigError if `path` is not named like a video that can be written."""
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"{path}: a video is written as .mp4, .mov or .mkv; give a name that ends so")
