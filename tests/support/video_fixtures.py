"""Fixtures of videos: two people who move, and files of any codec and rotation."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import skimage.data

from mien.arrays import UInt8


@pytest.fixture(scope="session")
def two_people() -> Callable[..., UInt8]:
    """Return a function that paints two people, (640, 360), whose faces are bright or dark.

    The one on the left moves to the right by 20 pixels per second of `time`; one whose face is None is away.
    """
    face = skimage.data.astronaut()[30:230, 120:320]  # type: ignore[no-untyped-call]

    def paint(time: float, left: bool | None = True, right: bool | None = True) -> UInt8:
        frame = np.full((360, 640, 3), 90, np.uint8)
        for bright, image, x, y in ((left, face, 20 + round(20 * time), 60), (right, face[:, ::-1], 400, 110)):
            if bright is not None:
                frame[y : y + 200, x : x + 200] = image if bright else (image * 0.35).astype(np.uint8)
        return frame

    return paint


@pytest.fixture(scope="session")
def write_video() -> Callable[..., None]:
    """Return a function that writes a video of (time in seconds, frame uint8 (H, W, 3)) pairs.

    A player turns it by `rotation` degrees clockwise, then mirrors it if `mirrored`. `small` adds a second, smaller
    video stream, `sound` a second of silence; `options` are those of the file format.
    """

    def write(
        path: Path, frames: Iterable[tuple[float, UInt8]], codec: str = "mpeg4", rotation: int = 0,
        mirrored: bool = False, small: bool = False, sound: bool = False,
        options: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        with av.open(str(path), "w", options=options or {}) as container:
            streams: list[Any] = []
            audio = container.add_stream("aac", rate=44100, layout="mono") if sound else None
            for time, frame in frames:
                images = [frame[::4, ::4], frame] if small else [frame]
                if not streams:
                    streams = [_video_stream(container, codec, image, rotation, mirrored) for image in images]
                for stream, image in zip(streams, images, strict=True):
                    video = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                    video.pts, video.time_base = round(time * 1000), Fraction(1, 1000)
                    container.mux(stream.encode(video))
            if audio is not None:
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
                samples.sample_rate = 44100
                container.mux(audio.encode(samples))
                streams.append(audio)
            for stream in streams:
                container.mux(stream.encode(None))

    return write


def _video_stream(container: Any, codec: str, image: UInt8, rotation: int, mirrored: bool) -> Any:
    stream = container.add_stream(codec, rate=30)
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
    stream.codec_context.time_base = Fraction(1, 1000)
    if rotation or mirrored:
        stream.set_display_rotation(-rotation, hflip=mirrored)
    return stream
