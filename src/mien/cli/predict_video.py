"""Predict a video or a webcam: rows as they come, and a table of who was seen with which answers."""

import signal
import time as clock
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import takewhile
from pathlib import Path
from threading import Event

import click

from mien.arrays import UInt8
from mien.cli.progress import progress_bar
from mien.cli.terminal import console, one_line
from mien.errors import ConfigError
from mien.inference.reader import Reader
from mien.io.formats import ResultRow, probability_labels
from mien.io.row_output import RowOutput
from mien.io.targets import require_writable, same_file
from mien.io.video import FPS, Video, open_camera, open_video
from mien.io.video_writer import VideoWriter, require_video_name
from mien.results import FrameResult
from mien.viz.timeline import Presence, Timeline

#: People in the printed table, and lanes in the plot.
_SHOWN = 20


def predict_video(
    reader: Reader, source: str, output: RowOutput | None = None, fps: float = FPS, draw: Path | None = None,
    timeline: Path | None = None,
) -> int:  # fmt: skip
    """Predict a video and print a table of the people in it. Each file appears when it is complete.

    Args:
        reader: the model.
        source: the video.
        output: where the rows go.
        fps: frames to read per second.
        draw: an annotated video to write.
        timeline: a plot to write, PNG.

    Returns:
        The exit status: 1 if the video is damaged or cut short.
    """
    _check_targets(source, output, draw, timeline)
    seen = Timeline(1 / fps)
    with ExitStack() as stack:
        video = stack.enter_context(open_video(source))
        writer = stack.enter_context(VideoWriter(draw, fps)) if draw else None
        report = stack.enter_context(progress_bar("reading the video"))
        frames = _annotated(reader, video.frames(fps), source, writer)
        _write(output, reader, _collected(frames, seen, video.duration, report))
        if timeline:
            _plot(timeline, seen, reader, one_line(source))
    _print_people(seen, to_stderr=output is not None and output.target == "-")
    if seen.faceless:
        click.echo(f"mien: no face was found in {seen.faceless} of {seen.frames} frames", err=True)
    return _exit_status(video)


def predict_camera(reader: Reader, camera: str, output: RowOutput | None = None, fps: float = FPS) -> int:
    """Predict a webcam until Ctrl-C and print a line per second; the rows until then are written.

    Returns the exit status.
    """
    seen = Timeline(1 / fps)
    with open_camera(camera) as opened:
        click.echo("mien: reading the webcam; Ctrl-C ends it", err=True)
        to_stderr = output is not None
        with _until_interrupted() as interrupted:
            frames = takewhile(lambda _: not interrupted.is_set(), opened.frames(fps))
            results = _printing_live(reader.watch(frames, source=f"camera {camera}"), to_stderr)
            _write(output, reader, _collected(results, seen, None, lambda fraction: None))
    _print_people(seen, to_stderr)
    return _exit_status(opened)


def _check_targets(source: str, output: RowOutput | None, draw: Path | None, timeline: Path | None) -> None:
    """Refuse, before long work starts, files that cannot be written."""
    for option, path in (("--draw", draw), ("--timeline", timeline)):
        if path is None:
            continue
        if same_file(source, path):
            raise ConfigError(f"{option} {path}: is the video that is read; give another file")
        require_writable(path)
        if (output and same_file(path, output.target)) or (path is timeline and draw and same_file(path, draw)):
            raise ConfigError(f"{option} {path}: is another output of this command too; give another name")
    if draw:
        require_video_name(draw)
    if timeline:
        if timeline.suffix.lower() != ".png":
            raise ConfigError(f"--timeline {timeline}: is written as PNG; give a name that ends in .png")
        from mien.viz.charts import require_matplotlib

        require_matplotlib()


def _write(output: RowOutput | None, reader: Reader, rows: Iterable[ResultRow]) -> None:
    if output is None:
        for _ in rows:
            pass
    else:
        output.write(rows, probability_labels(reader.config.labels, reader.answers), video=True)


def _collected(
    frames: Iterable[FrameResult], seen: Timeline, duration: float | None, report: Callable[[float], None]
) -> Iterator[ResultRow]:
    for result in frames:
        seen.add(result)
        if duration:
            report(min(result.time / duration, 1.0))
        yield result.to_dict()


def _annotated(
    reader: Reader, frames: Iterator[tuple[float, UInt8]], source: str, writer: VideoWriter | None
) -> Iterator[FrameResult]:
    """Yield the result of each frame; write the annotated frame if there is a writer."""
    from mien.viz.annotate import annotate

    last: list[UInt8] = []

    def kept() -> Iterator[tuple[float, UInt8]]:
        for time, frame in frames:
            last[:] = [frame]
            yield time, frame

    for result in reader.watch(kept(), source=source):
        if writer:
            writer.write(result.time, annotate(last[0], result))
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


def _exit_status(video: Video) -> int:
    """Return 0, or say why a video could not be read to its end and return 1."""
    if video.problem:
        click.echo(f"mien: {one_line(video.name)}: {video.problem}; the frames before that were read", err=True)
    return int(video.problem is not None)


def _printing_live(frames: Iterable[FrameResult], to_stderr: bool) -> Iterator[FrameResult]:
    printed = -1.0
    for result in frames:
        if clock.monotonic() - printed >= 1 or printed < 0:
            printed = clock.monotonic()
            click.echo(live_line(result), err=to_stderr)
        yield result


def live_line(result: FrameResult) -> str:
    """Return the line that is printed each second for a webcam."""
    from mien.viz.annotate import face_label

    faces = "   ".join(one_line(face_label(face)) for face in result.faces)
    return f"{clock_time(result.time)}  {faces or 'no face'}"


def clock_time(seconds: float) -> str:
    """Return minutes and seconds: `1:02.4`."""
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"


def _plot(path: Path, seen: Timeline, reader: Reader, title: str) -> None:
    from mien.viz.bars import timeline_chart

    people = sorted(seen.people()[:_SHOWN], key=lambda presence: presence.person)
    lanes = {f"person {presence.person}": seen.stretches(presence) for presence in people}
    said = "answers of each person over time"
    timeline_chart(lanes, reader.answers, title, name="timeline", caption=said, alt=said).save(path)


def _print_people(seen: Timeline, to_stderr: bool) -> None:
    """Print a table of the people: when each was seen, and the share of frames with each answer."""
    from rich.table import Table
    from rich.text import Text

    people = seen.people()
    if not people:
        return
    table = Table()
    for name in ("person", "seen", "frames", "answers", "changes"):
        table.add_column(name, justify="right" if name in {"person", "frames", "changes"} else "left")
    for presence in sorted(people[:_SHOWN], key=lambda presence: presence.person):
        span = f"{clock_time(presence.first)} to {clock_time(presence.last)}"
        cells = (str(presence.person), span, str(presence.frames.total()), _shares(presence), str(presence.changes))
        table.add_row(*map(Text, cells))
    console(to_stderr).print(table)
    if len(people) > _SHOWN:
        console(to_stderr).print(f"and {len(people) - _SHOWN} more people, seen in fewer frames")


def _shares(presence: Presence) -> str:
    total = presence.frames.total()
    return "  ".join(f"{one_line(answer)} {count / total:.0%}" for answer, count in presence.frames.most_common())
