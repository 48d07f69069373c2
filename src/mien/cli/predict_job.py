"""The work of `mien predict`: rows in order, and into a file so that an interruption costs nothing."""

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import click

from mien.cli.options import only_one
from mien.cli.predict_draw import Drawer
from mien.cli.progress import counting_bar
from mien.errors import ConfigError, ImageError, OutputError
from mien.inference.bundle import BundleConfig
from mien.inference.reader import Reader
from mien.io.atomic import refuse_existing
from mien.io.formats import (
    ResultRow,
    csv_text,
    json_text,
    jsonl_text,
    probability_labels,
    require_parquet,
    write_parquet,
)
from mien.io.image import ImageSource
from mien.io.inputs import InputItem, Inputs
from mien.io.journal import Journal, journal_of
from mien.io.targets import is_device, require_writable, same_file, write_pieces
from mien.version import __version__

#: Crops that are classified together.
BATCH = 32
#: A picture whose shorter side has so many pixels, and is so many times as long as the network's input, is no crop.
_PHOTOGRAPH, _TIMES = 400, 3


@dataclass(frozen=True)
class Output:
    """Where rows go: `kind` is json, jsonl, csv, parquet, or None for a table; `target` is a file or `-`."""

    kind: str | None
    target: str

    @staticmethod
    def chosen(targets: Mapping[str, str | None]) -> "Output":
        """Read the options; ConfigError or OutputError where they cannot be followed."""
        kind = only_one(dict(targets))
        output = Output(kind, targets[kind] or "" if kind else "-")
        require_writable(output.target)
        if kind == "parquet":
            if output.streams:
                raise ConfigError(f"--parquet {output.target}: give a file; Parquet cannot be written to a stream")
            require_parquet()
        return output

    @property
    def streams(self) -> bool:
        """Whether rows are written to standard output, a pipe or a device, which keep nothing."""
        return self.target == "-" or is_device(Path(self.target))

    def refuse_input(self, name: str) -> None:
        """Raise ConfigError where `name` is what will be written."""
        if self.target != "-" and same_file(name, self.target):
            raise ConfigError(f"--{self.kind} {self.target}: is one of the inputs; give another file")

    def refuse_finished(self, resumable: bool) -> None:
        """Raise OutputError where there is such a file already; a job that is `resumable` may have been ended by it."""
        if not self.streams and not (resumable and journal_of(Path(self.target)).exists()):
            refuse_existing(Path(self.target))

    def write(self, rows: Iterable[ResultRow], labels: tuple[str, ...], film: bool = False) -> None:
        """Write rows as they come, those of pictures or of a `film`."""
        if self.kind == "parquet":
            write_parquet(rows, Path(self.target), labels, film)
        elif self.kind == "csv":
            write_pieces(csv_text(rows, labels, film), self.target)
        else:
            write_pieces(json_text(rows) if self.kind == "json" else jsonl_text(rows), self.target)


def identity(config: BundleConfig, options: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a row what it is, but for the picture; the names are used in a sentence where one differs."""
    return {
        "version of mien": __version__,
        "model": {"name": config.name, "sha256": config.sha256},
        "choice of options": options,
    }


class Job:
    """Reads `inputs` with `reader`; `options` are those that change the rows.

    Once they are read, `counts` are by status, and `photographs` counts those too large to be crops
    of a face.
    """

    def __init__(
        self, reader: Reader, inputs: Inputs, output: Output, options: Mapping[str, Any], draw: Path | None
    ) -> None:
        self._reader, self._inputs, self._output, self._draw = reader, inputs, output, draw
        self._options = {"threshold": reader.threshold, "detect": reader.detect, "draw": draw and str(draw), **options}
        self._survey = inputs.survey(output.refuse_input)
        output.refuse_finished(resumable=True)
        self._drawer: Drawer | None = None
        self.labels = probability_labels(reader.config.labels, reader.answers)
        self.counts: Counter[str] = Counter()
        self.photographs = 0

    @property
    def undrawn(self) -> int:
        """How many pictures were read, and then were gone when they were to be drawn."""
        return self._drawer.failed if self._drawer else 0

    def run(self, write: Callable[[Iterable[ResultRow]], None]) -> None:
        """Hand all rows to `write` as they come."""
        self._open_drawer(resumed=False)
        with self._reading(iter(self._inputs)) as rows:
            write(self._counted(rows))

    def run_to_file(self) -> None:
        """Keep every row in a journal as it comes, or go on with that of an earlier call; then write the file.

        Raises OutputError where the journal is that of another job, and click.Abort, which says how to go
        on, where it is interrupted.
        """
        target = Path(self._output.target)
        with Journal(target, self._identity()) as journal:
            if not journal.resumed:  # another job may have written it since this one began
                refuse_existing(target)
            try:
                self._open_drawer(resumed=journal.resumed)
                entries = self._catch_up(journal)
                with self._reading(entries, journal.rows) as rows:
                    for row in rows:
                        journal.append(row)
                journal.sync()
                self._write_from(journal)
                journal.finish()
            except KeyboardInterrupt:
                if not journal.rows:
                    raise
                kept = f"{journal.rows} rows are kept in {journal.path}"
                raise click.Abort(f"interrupted; {kept}, the same command goes on from there") from None

    def _write_from(self, journal: Journal) -> None:
        """Write the file from the journal, which stays where that fails."""
        try:
            self._output.write(self._counted(row for row, _ in journal.replay()), self.labels)
        except OutputError as error:
            kept = f"{journal.rows} rows are kept in {journal.path}, the same command goes on from there"
            raise OutputError(error.problem, kept) from error

    def _identity(self) -> dict[str, Any]:
        survey = self._survey
        names = {"count": survey.count, "sha256": survey.sha256} if survey.count else {"given": self._inputs.names}
        return {**identity(self._reader.config, self._options), "list of inputs": names}

    def _catch_up(self, journal: Journal) -> Iterator[InputItem]:
        """Pass over the entries whose rows are in the journal, and return the others.

        Rows are kept in whole batches, as `Reader.predict_named` forms them: a picture is read again in the
        company it had, and so its last digits are the same.
        """
        entries = iter(self._inputs)
        block: list[InputItem] = []
        kept, crops, whole, end = 0, 0, None, None
        for row, end in journal.replay():
            entry = next(entries, None)
            if entry is None or entry.name != row.get("source"):
                raise OutputError(
                    f"{journal.path}: was begun with another list of inputs; delete it to start anew, "
                    "or write to another file"
                )
            block.append(entry)
            crops += len(row.get("faces", ()))
            if max(crops, len(block)) >= BATCH:
                kept, crops, whole = kept + self._pass_over(block), 0, end
        following = next(entries, None)
        if following is None and block:
            kept, whole = kept + self._pass_over(block), end
        journal.keep(kept, whole)
        return chain(block, entries if following is None else chain([following], entries))

    def _pass_over(self, block: list[InputItem]) -> int:
        count = len(block)
        if self._drawer:
            for entry in block:
                self._drawer.skip(entry)
        block.clear()
        return count

    def _open_drawer(self, resumed: bool) -> None:
        if self._draw is not None:
            self._drawer = Drawer(self._draw, resumed)

    @contextmanager
    def _reading(self, entries: Iterator[InputItem], done: int = 0) -> Iterator[Iterator[ResultRow]]:
        bar = counting_bar("reading pictures", self._survey.count, done)
        with bar as advance, closing(self._read(entries, advance)) as rows:
            yield rows

    def _read(self, entries: Iterator[InputItem], advance: Callable[[], None]) -> Generator[ResultRow, None, None]:
        waiting: deque[InputItem] = deque()

        def pictures() -> Iterator[tuple[str, ImageSource | ImageError]]:
            for entry in entries:
                if not self._inputs.repeatable:
                    self._output.refuse_input(entry.name)
                waiting.append(entry)
                yield entry.name, entry.picture()

        for result in self._reader.predict_named(pictures(), BATCH):
            entry = waiting.popleft()
            if self._drawer:
                self._drawer.draw(entry, result)
            advance()
            yield result.to_dict()

    def _counted(self, rows: Iterable[ResultRow]) -> Iterator[ResultRow]:
        least = max(_PHOTOGRAPH, _TIMES * self._reader.config.input_size)
        for row in rows:
            self.counts[row["status"]] += 1
            self.photographs += min(row["width"] or 0, row["height"] or 0) >= least
            yield row
