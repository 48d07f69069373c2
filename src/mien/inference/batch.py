"""Predict many images in order, as rows or into a file. An interrupted file loses no row and repeats none."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from mien.errors import ImageError, OutputError
from mien.inference.bundle import BundleConfig
from mien.inference.caution import is_photograph
from mien.inference.reader import Reader, in_batches
from mien.io.atomic import refuse_existing
from mien.io.formats import ResultRow, probability_labels
from mien.io.image import ImageSource
from mien.io.inputs import InputItem, Inputs
from mien.io.journal import Journal
from mien.io.row_output import RowOutput
from mien.results import ImageResult
from mien.version import __version__

#: Called with the images done and their total, None if unknown; first before any image of this call is read.
Progress = Callable[[int, int | None], None]


class Drawer(Protocol):
    """Draws each image with its result, into `folder`; `mien.viz.annotated_folder.AnnotatedFolder` is one."""

    folder: Path

    def open(self, resumed: bool) -> None:
        """Prepare the folder; a `resumed` job may have drawings in it."""

    def skip(self, item: InputItem) -> object:
        """Pass over an image that an earlier call has drawn."""

    def draw(self, item: InputItem, result: ImageResult) -> None:
        """Draw the next image."""


@dataclass
class BatchSummary:
    """Images of a job: `counts` by status, and `photographs`, those too large to be crops of a face."""

    counts: Counter[str] = field(default_factory=Counter)
    photographs: int = 0


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
        inputs: the images, in order.
        output: where `write` puts the rows. It is never one of the inputs, nor a file that exists. None for `rows`.
        options: further options that change the rows, by name: a resumed job must have the same.
        drawer: draws each image that could be read.
        on_progress: called after each image.

    Attributes:
        labels: names of the probabilities in a flat row.
        summary: counts of the images, complete after the last row.

    Raises:
        InputError: an input names no image.
        ConfigError: the output is one of the inputs.
        OutputError: the output exists already.

    Examples:
        >>> from mien.inference.reader import load
        >>> BatchJob(load(), Inputs(["photo.jpg"]), RowOutput("rows.csv")).write().counts
        Counter({'ok': 1})
    """

    def __init__(
        self, reader: Reader, inputs: Inputs, output: RowOutput | None = None, *,
        options: Mapping[str, Any] | None = None, drawer: Drawer | None = None, on_progress: Progress | None = None,
    ) -> None:  # fmt: skip
        self._reader, self._inputs, self._output, self._drawer = reader, inputs, output, drawer
        drawn = str(drawer.folder) if drawer else None
        self._options = {"threshold": reader.rule.to_dict(), "detect": reader.detect, "draw": drawn, **(options or {})}
        self._report = on_progress or (lambda done, total: None)
        self._names = inputs.summarise(output.refuse_input if output else None)
        if output:
            output.refuse_existing(resumable=True)
        self.labels = probability_labels(reader.config.labels, reader.answers)
        self.summary = BatchSummary()

    def rows(self) -> Generator[ResultRow, None, None]:
        """Yield a row per image as it is read; close the iterator if you do not exhaust it."""
        if self._drawer:
            self._drawer.open(resumed=False)
        return self._counted(self._read(iter(self._inputs)))

    def write(self) -> BatchSummary:
        """Write all rows to the output.

        A stream gets each row as it is read. For a file, each row is first kept in a journal beside it; the same
        call continues an interrupted journal, and the file appears when it is complete.

        Raises:
            OutputError: the journal belongs to another job, or the output cannot be written.
            KeyboardInterrupt: interrupted; the message says how to continue.
        """
        if self._output is None:
            raise OutputError("this job has no output; use rows()")
        if self._output.streams:
            self._output.write(self.rows(), self.labels)
        else:
            self._write_file(self._output)
        return self.summary

    def _write_file(self, output: RowOutput) -> None:
        with Journal(output.path, self._identity()) as journal:
            if not journal.resumed:  # another job may have written it since this one began
                refuse_existing(output.path)
            try:
                if self._drawer:
                    self._drawer.open(resumed=journal.resumed)
                items = self._catch_up(journal)
                with closing(self._read(items, journal.rows)) as rows:
                    for row in rows:
                        journal.append(row)
                journal.sync()
                self._write_from(journal, output)
                journal.finish()
            except KeyboardInterrupt:
                if not journal.rows:
                    raise
                raise KeyboardInterrupt(f"interrupted; {_kept(journal)}") from None

    def _write_from(self, journal: Journal, output: RowOutput) -> None:
        """Write the file from the journal, which stays if that fails."""
        try:
            output.write(self._counted(row for row, _ in journal.replay()), self.labels)
        except OutputError as error:
            raise OutputError(error.problem, _kept(journal)) from error

    def _identity(self) -> dict[str, Any]:
        summary = self._names
        names = {"count": summary.count, "sha256": summary.sha256} if summary.count else {"given": self._inputs.names}
        return {**row_identity(self._reader.config, self._options), "list of inputs": names}

    def _catch_up(self, journal: Journal) -> Iterator[InputItem]:
        """Skip the items whose rows are in the journal, and return the others.

        Rows are kept in whole batches, as `Reader.predict_named` forms them: an image that is read again is in
        the batch that it was in before, so that even its last digits are the same.
        """
        items = iter(self._inputs)
        kept, end = 0, None
        rest: list[_KeptRow] = []
        for batch, full in in_batches(_kept_rows(journal, items), lambda row: row.faces):
            if full:
                kept, end = kept + self._skip(batch), batch[-1].end
            else:
                rest = batch
        following = next(items, None)
        if following is None and rest:  # the job's last batch
            kept, end = kept + self._skip(rest), rest.pop().end
            rest.clear()
        journal.keep(kept, end)
        return chain((row.item for row in rest), items if following is None else chain([following], items))

    def _skip(self, batch: Sequence["_KeptRow"]) -> int:
        """Skip the drawings of a batch; returns its length."""
        if self._drawer:
            for row in batch:
                self._drawer.skip(row.item)
        return len(batch)

    def _read(self, items: Iterator[InputItem], done: int = 0) -> Generator[ResultRow, None, None]:
        waiting: deque[InputItem] = deque()

        def images() -> Iterator[tuple[str, ImageSource | ImageError]]:
            for item in items:
                if self._output and not self._inputs.repeatable:
                    self._output.refuse_input(item.name)
                waiting.append(item)
                yield item.name, item.image()

        self._report(done, self._names.count)
        for number, result in enumerate(self._reader.predict_named(images()), done + 1):
            item = waiting.popleft()
            if self._drawer:
                self._drawer.draw(item, result)
            self._report(number, self._names.count)
            yield result.to_dict()

    def _counted(self, rows: Iterable[ResultRow]) -> Generator[ResultRow, None, None]:
        size = self._reader.config.input_size
        for row in rows:
            self.summary.counts[row["status"]] += 1
            self.summary.photographs += is_photograph(row["width"] or 0, row["height"] or 0, size)
            yield row


@dataclass(frozen=True)
class _KeptRow:
    """An image whose row is in the journal: its number of faces, and the offset in bytes where the row ends."""

    item: InputItem
    faces: int
    end: int


def _kept_rows(journal: Journal, items: Iterator[InputItem]) -> Iterator[_KeptRow]:
    for row, end in journal.replay():
        item = next(items, None)
        if item is None or item.name != row.get("source"):
            raise OutputError(
                f"{journal.path}: was begun with another list of inputs; delete it to start over, "
                "or write to another file"
            )
        yield _KeptRow(item, len(row.get("faces", ())), end)


def _kept(journal: Journal) -> str:
    return f"{journal.rows} rows are kept in {journal.path}; the same command continues"
