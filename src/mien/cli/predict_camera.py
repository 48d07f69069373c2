"""`mien predict --camera`: a line per second until Ctrl-C, and the rows until then."""

import signal
import time as clock
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from threading import Event

from mien.cli.output.terminal import say
from mien.cli.predict_video import VideoSummary, clock_time, print_problems
from mien.inference.reader import Reader
from mien.io.formats import ResultRow, probability_labels
from mien.io.row_output import RowOutput
from mien.io.video.camera import open_camera
from mien.io.video.frames import FPS
from mien.results import FrameResult
from mien.text import one_line


def predict_camera(reader: Reader, camera: str, output: RowOutput | None = None, fps: float = FPS) -> int:
    """Predict a webcam until Ctrl-C and print a line per second; the rows until then are written.

    Returns the exit status.
    """
    seen = VideoSummary(fps, reader.answers)
    with open_camera(camera) as opened:
        to_stderr = output is not None
        with _until_interrupted() as interrupted:
            say("mien: reading the webcam; Ctrl-C ends it", err=True)
            frames = takewhile(lambda _: not interrupted.is_set(), opened.frames(fps))
            results = _printing_live(reader.watch(frames, source=f"camera {camera}"), to_stderr)
            _write(output, reader, _collected(results, seen))
    seen.print(to_stderr)
    print_problems([(opened.name, opened.problem)] if opened.problem else [])
    return int(opened.problem is not None)


def live_line(result: FrameResult) -> str:
    """Return the line that is printed each second for a webcam."""
    from mien.viz.annotate import face_label

    faces = "   ".join(one_line(face_label(face)) for face in result.faces)
    return f"{clock_time(result.time)}  {faces or 'no face'}"


def _write(output: RowOutput | None, reader: Reader, rows: Iterable[ResultRow]) -> None:
    if output is None:
        for _ in rows:
            pass
    else:
        output.write(rows, probability_labels(reader.config.labels, reader.answers), video=True)


def _collected(frames: Iterable[FrameResult], seen: VideoSummary) -> Iterator[ResultRow]:
    for result in frames:
        row = result.to_dict()
        seen.add(row)
        yield row


def _printing_live(frames: Iterable[FrameResult], to_stderr: bool) -> Iterator[FrameResult]:
    printed = -1.0
    for result in frames:
        if clock.monotonic() - printed >= 1 or printed < 0:
            printed = clock.monotonic()
            say(live_line(result), err=to_stderr)
        yield result


@contextmanager
def _until_interrupted() -> Iterator[Event]:
    """Give an event that Ctrl-C sets, to end a webcam with whole rows; a second Ctrl-C interrupts as usual."""
    event = Event()

    def stop(*_: object) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
