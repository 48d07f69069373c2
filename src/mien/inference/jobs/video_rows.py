"""Predict the frames of one video as rows of a job, which may continue in the middle."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from mien.arrays import RGB
from mien.errors import ImageError, InputError, MissingExtraError
from mien.faces.tracker import Tracker
from mien.inference.reader import Reader
from mien.io.formats import ResultRow
from mien.io.input_item import InputItem
from mien.io.video.decoding import open_video
from mien.io.video.frames import TimedFrame
from mien.results import FrameResult, ImageResult

#: After so many frames the state of the tracker is noted; an interruption costs no more.
CHECKPOINT_FRAMES = 25

#: Draws a frame with its result.
DrawFrame = Callable[[RGB, FrameResult], None]


@dataclass(frozen=True)
class Note:
    """What a journal keeps beside the rows of a video: the state of the tracker, or that the video is done."""

    fields: Mapping[str, Any]


@dataclass(frozen=True)
class VideoStart:
    """Where a video goes on: after `frames` frames, with the tracker's `state`. `rows` gives the rows before."""

    frames: int = 0
    state: Mapping[str, Any] | None = None
    rows: Callable[[], Iterator[ResultRow]] = field(default=lambda: iter(()))


def video_rows(
    reader: Reader, item: InputItem, fps: float, start: VideoStart,
    draw: Callable[[InputItem, float], AbstractContextManager[DrawFrame]] | None = None,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Iterator[ResultRow | Note]:  # fmt: skip
    """Yield a row for each frame of a video, and notes between them; a video that cannot be read is one row.

    A video that goes on has the same rows as one that was never interrupted. If it is drawn, the frames before are
    drawn again.

    Args:
        reader: the model.
        item: the video.
        fps: frames to read per second.
        start: where to begin.
        draw: gives a context in which the frames are drawn.
        on_progress: called with the part of the video that is done, if its duration is known.
    """
    try:
        with ExitStack() as stack:
            video = stack.enter_context(open_video(stack.enter_context(item.file()), item.name))
            write = stack.enter_context(draw(item, fps)) if draw else None
            frames = video.frames(fps, skip=0 if write else start.frames)
            if write:
                for frame, row in zip(islice(frames, start.frames), start.rows(), strict=False):
                    write(frame.rgb, FrameResult.from_dict(row))
            tracker = Tracker()
            if start.state is not None:
                tracker.restore(start.state)
            last: list[TimedFrame] = []
            results = reader.watch(_kept(frames, last), source=item.name, tracker=tracker)
            for number, result in enumerate(results, start.frames + 1):
                if write:
                    write(last[0].rgb, result)
                if video.duration:
                    on_progress(result.time / video.duration)
                yield result.to_dict()
                if number % CHECKPOINT_FRAMES == 0:
                    yield Note({"note": "frames", "source": item.name, "frames": number, "state": tracker.state()})
        yield Note({"note": "end", "source": item.name, "problem": video.problem})
    except (ImageError, InputError, MissingExtraError) as error:
        reason = error.reason if isinstance(error, ImageError) else str(error).removeprefix(f"{item.name}: ")
        yield ImageResult(item.name, "unreadable", reason, None, None, reader.config.name).to_dict()


def _kept(frames: Iterator[TimedFrame], last: list[TimedFrame]) -> Iterator[TimedFrame]:
    for frame in frames:
        last[:] = [frame]
        yield frame
