"""Predict many images and videos in order, as rows or into files. An interrupted job loses no row and repeats none."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from mien.arrays import RGB
from mien.errors import ConfigError, ImageError, OutputError
from mien.inference.bundle_config import BundleConfig
from mien.inference.jobs.kept_rows import Beginning, catch_up
from mien.inference.jobs.summary import BatchSummary
from mien.inference.jobs.video_rows import Note, VideoStart, video_rows
from mien.inference.reader import Reader
from mien.io.formats import ResultRow, probability_labels
from mien.io.images.source import ImageSource
from mien.io.input_item import InputItem, Stamp
from mien.io.inputs import Inputs
from mien.io.journal import Journal
from mien.io.row_output import RowOutput
from mien.io.targets import same_file
from mien.io.video.frames import FPS, check_fps
from mien.io.video.pyav import require_av
from mien.results import FrameResult, ImageResult
from mien.version import __version__

#: Called with the images and videos done and their total, None if unknown; first before any of this call is read. A
#: video in progress counts as the part of it that is done.
Progress = Callable[[float, int | None], None]


class Drawer(Protocol):
    """Draws each image or video with its result, into `target`; those of `mien.viz.annotated_folder` do."""

    target: Path

    def open(self, resumed: bool) -> AbstractContextManager[None]:
        """Prepare the target and keep it; a `resumed` job may have drawings in it."""

    def skip(self, item: InputItem) -> object:
        """Pass over an image or video that an earlier call has drawn."""

    def draw(self, item: InputItem, result: ImageResult) -> None:
        """Draw the next image."""

    def video(self, item: InputItem, fps: float) -> AbstractContextManager[Callable[[RGB, FrameResult], None]]:
        """Give a function that draws the frames of the next video, one after another."""


def row_identity(config: BundleConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that decides a row, besides the image: a resumed job must have the same.

    The keys are words of an error message: "was begun with another choice of options".
    """
    return {
        "version of mien": __version__,
        "model": {"name": config.name, "sha256": config.sha256},
        "choice of options": options,
    }


class BatchJob:
    """Predict `inputs` with `reader`; call `rows` or `write` once.

    Args:
        reader: the model.
        inputs: the images and videos, in order.
        outputs: where `write` puts the rows, each in its own format; at most one is a stream. None is one of the
            inputs, or a file that exists. None at all for `rows`.
        fps: frames to read of each second of a video.
        options: further options that change the rows, by name: a resumed job must have the same.
        drawer: draws each image and video that could be read.
        on_progress: called after each image and each frame.
        on_row: called with each row, also with those of an earlier call.

    Attributes:
        labels: names of the probabilities in a flat row.
        count: the number of images and videos, and `videos` that of videos; None for standard input.
        summary: counts, complete after the last row.

    Raises:
        InputError: an input names no image or video.
        ConfigError: an output is one of the inputs, or another output.
        OutputError: an output exists already.
        MissingExtraError: there are only videos, and no PyAV.

    Examples:
        >>> from mien.inference.reader import load
        >>> BatchJob(load(), Inputs(["photo.jpg"]), RowOutput("rows.csv")).write().counts
        Counter({'ok': 1})
    """

    def __init__(
        self, reader: Reader, inputs: Inputs, *outputs: RowOutput, fps: float = FPS,
        options: Mapping[str, Any] | None = None, drawer: Drawer | None = None, on_progress: Progress | None = None,
        on_row: Callable[[ResultRow], None] | None = None,
    ) -> None:  # fmt: skip
        check_fps(fps)
        self._reader, self._inputs, self._drawer, self._fps = reader, inputs, drawer, fps
        self._streams = [output for output in outputs if output.streams]
        self._files = [output for output in outputs if not output.streams]
        drawn = str(drawer.target) if drawer else None
        self._options = {
            "threshold": reader.rule.to_dict(), "detect": reader.detect, "mirror": reader.mirror, "draw": drawn,
            "fps": fps, **(options or {}),
        }  # fmt: skip
        self._report = on_progress or (lambda done, total: None)
        self._on_row = on_row or (lambda row: None)
        self._refuse_twice()
        self._names = inputs.summarise(self._refuse_input)
        self.count, self.videos = self._names.count, self._names.videos
        if self.count and self.count == self.videos:
            require_av()
        self._refuse_existing()
        self.labels = probability_labels(reader.config.labels, reader.answers)
        self.summary = BatchSummary()

    def rows(self) -> Generator[ResultRow, None, None]:
        """Yield a row per image and frame as it is read; close the iterator if you do not exhaust it."""
        held = ExitStack()
        if self._drawer:
            held.enter_context(self._drawer.open(resumed=False))
        return self._held(held, self._counted(self._read(Beginning(iter(self._inputs)))))

    def _held(self, held: ExitStack, rows: Iterable[ResultRow]) -> Generator[ResultRow, None, None]:
        with held:
            yield from rows

    def write(self) -> BatchSummary:
        """Write all rows to the outputs.

        A stream gets each row as it is read. For files, each row is first kept in a journal beside the first; the
        same call continues an interrupted journal, and the files appear when they are complete.

        Raises:
            OutputError: the journal belongs to another job, or an output cannot be written.
            KeyboardInterrupt: interrupted; the message says how to continue.
        """
        if self._files:
            self._write_files()
        elif self._streams:
            self._streams[0].write(self.rows(), self.labels, self.videos != 0)
        else:
            raise OutputError("this job has no output; use rows()")
        return self.summary

    def _refuse_twice(self) -> None:
        if len(self._streams) > 1:
            raise ConfigError(f"{self._streams[1].target}: only one output may be a stream; give a file")
        for number, output in enumerate(self._files):
            if any(same_file(output.path, other.path) for other in self._files[:number]):
                raise ConfigError(f"{output.target}: is another output of this command too; give another name")

    def _refuse_input(self, name: str) -> None:
        for output in (*self._files, *self._streams):
            output.refuse_input(name)

    def _refuse_existing(self) -> None:
        resumable = bool(self._files) and self._files[0].is_begun()
        for output in self._files:
            if not resumable:
                output.refuse_existing()

    def _write_files(self) -> None:
        with Journal(self._files[0].path, self._identity()) as journal:
            if not journal.resumed:  # another job may have written it since this one began
                for output in self._files:
                    output.refuse_existing()
            try:
                drawing = self._drawer.open(resumed=journal.resumed) if self._drawer else nullcontext()
                with drawing, closing(self._journalled(journal)) as rows:
                    if self._streams:
                        self._streams[0].write(rows, self.labels, self.videos != 0)
                    else:
                        deque(rows, maxlen=0)
                journal.sync()
                self._write_from(journal)
                journal.finish()
            except KeyboardInterrupt:
                if not journal.rows:
                    raise
                raise KeyboardInterrupt(f"interrupted; {journal.kept()}") from None

    def _journalled(self, journal: Journal) -> Generator[ResultRow, None, None]:
        """Yield all rows, first those of an earlier call; each is in the journal by then."""
        beginning = catch_up(journal, iter(self._inputs), self._skip, self.labels)
        self.summary.problems += beginning.problems
        self.summary.changed, self.summary.damaged = beginning.changed, journal.damaged
        if self._streams:
            yield from (row for row, _ in journal.replay())
        with closing(self._read(beginning, journal)) as rows:
            yield from rows

    def _write_from(self, journal: Journal) -> None:
        """Write the files from the journal, which stays if that fails."""
        videos = any("time" in row for row, _ in journal.replay()) if self.videos is None else self.videos > 0
        try:
            for output in self._files:
                rows = journal.all_rows()
                output.write(self._counted(rows) if output is self._files[0] else rows, self.labels, videos)
        except OutputError as error:
            raise OutputError(error.problem, journal.kept()) from error

    def _identity(self) -> dict[str, Any]:
        summary = self._names
        names = {"count": summary.count, "sha256": summary.sha256} if summary.count else {"given": self._inputs.names}
        return {
            **row_identity(self._reader.config, self._options),
            "list of inputs": names,
            "set of outputs": [str(output.path) for output in self._files[1:]],
        }

    def _skip(self, item: InputItem) -> None:
        if self._drawer:
            self._drawer.skip(item)

    def _read(self, beginning: Beginning, journal: Journal | None = None) -> Generator[ResultRow, None, None]:
        """Read all items that are left, and keep their rows in the journal."""
        done, start = beginning.items_done, beginning.video
        self._report(done, self.count)
        for video, run in groupby(beginning.items, InputItem.is_video):
            if not video:
                for row, stamp in self._read_images(run):
                    done += 1
                    if journal:
                        journal.append(row, stamp)
                    self._report(done, self.count)
                    yield row
                continue
            for item in run:
                yield from self._read_video(item, start, done, journal)
                done, start = done + 1, VideoStart()
                self._report(done, self.count)

    def _read_images(self, items: Iterator[InputItem]) -> Iterator[tuple[ResultRow, Stamp | None]]:
        waiting: deque[tuple[InputItem, Stamp | None]] = deque()

        def images() -> Iterator[tuple[str, ImageSource | ImageError]]:
            for item in items:
                if not self._inputs.repeatable:
                    self._refuse_input(item.name)
                waiting.append((item, item.stamp()))  # before it is read: a change after that must be seen
                yield item.name, item.image()

        for result in self._reader.predict_named(images()):
            item, stamp = waiting.popleft()
            if self._drawer:
                self._drawer.draw(item, result)
            yield result.to_dict(), stamp

    def _read_video(
        self, item: InputItem, start: VideoStart, done: int, journal: Journal | None
    ) -> Iterator[ResultRow]:  # fmt: skip
        if not self._inputs.repeatable:
            self._refuse_input(item.name)

        def report(fraction: float) -> None:
            self._report(done + min(fraction, 0.999), self.count)

        draw, stamp = self._drawer.video if self._drawer else None, item.stamp()
        for entry in video_rows(self._reader, item, self._fps, start, draw, report):
            if not isinstance(entry, Note):
                if journal:
                    journal.append(entry, stamp)
                yield entry
                continue
            if problem := entry.fields.get("problem"):
                self.summary.problems.append((item.name, problem))
            if journal:
                journal.note(entry.fields)

    def _counted(self, rows: Iterable[ResultRow]) -> Generator[ResultRow, None, None]:
        for row in rows:
            self.summary.count(row, self._reader.config.input_size)
            self._on_row(row)
            yield row
