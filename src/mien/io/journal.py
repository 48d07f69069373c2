"""Keep the rows of a long job one by one in `OUT.part`, so that the same call continues where it was interrupted.

It has a JSON object per line: first the job, then its rows, each with the CRC-32 of its line. Whatever ends the
process, all whole lines stay. A last line that was cut short is dropped, and its row is made again. So are a line that
was damaged, whatever it says, and those after it.
"""

import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mien.errors import OutputError
from mien.io.atomic import NOTHING_KEPT, changed_fields, locked, readable_errors, to_bytes
from mien.text import dump_json

JournalRow = dict[str, Any]

#: Rows are forced onto the disk this often, in seconds; a power failure costs no more.
_SYNC_EVERY = 5.0
_FORMAT = "mien-journal"


def journal_of(out: Path) -> Path:
    """Return the path of the journal of the job that writes `out`."""
    return out.with_name(out.name + ".part")


class Journal(AbstractContextManager["Journal"]):
    """The journal of the job that writes `out`, begun here or by an earlier call of the same job.

    Use it in a `with` block: it is closed at the end, and removed if it has no row.

    Args:
        out: the file that the job writes.
        job: all that decides a row (model, options, list of inputs), JSON-serialisable. The keys are the words of
            the error for a journal of another job.

    Attributes:
        path: the journal.
        rows: how many are in it.
        resumed: whether it existed before.
        damaged: the first line that something else has changed, such as `OUT.part: line 4`, once `replay` has met it.

    Raises:
        OutputError: the journal belongs to another job or process, or cannot be written.
    """

    def __init__(self, out: Path, job: Mapping[str, Any]) -> None:
        self.path = journal_of(out)
        self.rows = 0
        self._out = out
        self._head = to_bytes(dump_json({"format": _FORMAT, **job}) + "\n")
        self._synced = time.monotonic()
        self._removable = self.resumed = False
        self.damaged: str | None = None
        with ExitStack() as stack:
            with readable_errors(out):
                out.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(self.path.with_name(f".{self.path.name}.lock"), self.path))
            with readable_errors(out):
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            stack.callback(self._close)
            self._opened = os.fstat(self._file)
            self._begin(job)
            self._held = stack.pop_all()

    def replay(self, begin: int | None = None, notes: bool = False) -> Iterator[tuple[JournalRow, int]]:
        """Yield the whole rows, each with the offset in bytes of its end; stop at the first that is cut or damaged.

        Args:
            begin: the offset of the first row; None is that of the first of all.
            notes: yield notes too, which have a `note`, and rows with their `stamp`.
        """
        end = len(self._head) if begin is None else begin
        with self._open() as stream:
            stream.seek(end)
            for number, line in enumerate(stream, 2):
                end += len(line)
                row = _checked(line)
                if row is None:
                    if begin is None and line.endswith(b"\n"):
                        self.damaged = f"{self.path}: line {number}"
                    return
                if notes or "note" not in row:
                    if not notes:
                        row.pop("stamp", None)
                    yield row, end

    def all_rows(self) -> Iterator[JournalRow]:
        """Yield all rows; OutputError if another program has damaged or removed some since they were written."""
        found = 0
        for row, _ in self.replay():
            found += 1
            yield row
        if found < self.rows:
            problem = f"{self.path}: only {found} of its {self.rows} rows are as they were written"
            self.rows = found
            raise OutputError(problem, self.kept())

    def keep(self, rows: int, end: int | None = None) -> None:
        """Continue after the first `rows` rows, which end at the offset `end`; drop the rest."""
        os.ftruncate(self._file, len(self._head) if end is None else end)
        os.lseek(self._file, 0, os.SEEK_END)
        self.rows = rows

    def append(self, row: Mapping[str, Any], stamp: Sequence[int] | None = None) -> None:
        """Add a row that stays however this process ends; OutputError if the disk is full.

        `stamp` tells whether what the row is about has changed since; `replay` gives it with the notes.
        """
        self._write(_line({**row, "stamp": stamp}))
        self.rows += 1
        self._removable = False
        if time.monotonic() - self._synced > _SYNC_EVERY:
            self.sync()

    def note(self, note: Mapping[str, Any]) -> None:
        """Add a note between the rows: an object with a `note`."""
        self._write(_line(note))

    def sync(self) -> None:
        """Force all rows onto the disk, so that they survive a power failure too."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def kept(self) -> str:
        """Say which rows the same call would find now; somebody may have removed them."""
        try:
            found = os.path.samestat(self._opened, self.path.stat())
        except OSError:
            found = False
        if self.rows and not found:
            return f"nothing is kept, because {self.path} has been removed"
        if not self.rows:
            return NOTHING_KEPT
        return f"{self.rows} rows are kept in {self.path}; the same command continues"

    def finish(self) -> None:
        """Delete the journal when it is closed: its rows have been written elsewhere."""
        self._removable = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close."""
        self._held.close()

    def _begin(self, job: Mapping[str, Any]) -> None:
        """Compare the first line with this job, or write it into an empty file."""
        with self.path.open("rb") as stream:
            first = stream.readline(2**20)
        # A power failure may leave zeros for bytes that were not yet on the disk.
        if self._head.startswith(first.rstrip(b"\0")):
            self._removable = next(self.replay(), None) is None
            self.resumed = first == self._head
            if not self.resumed:
                os.ftruncate(self._file, 0)
                self._write(self._head)
            return
        found = _parse(first) if first.endswith(b"\n") else None
        if found is None or found.get("format") != _FORMAT:
            raise OutputError(f"{self.path}: exists and was not written by mien; move it, or give another name")
        raise OutputError(
            f"{self.path}: was begun with another {changed_fields(job, found) or 'version of mien'}; "
            "delete it to start over, or write to another file"
        )

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise OutputError(f"{self._out}: cannot be written ({error.strerror or error})", self.kept()) from error

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be read ({error.strerror or error})", self.kept()) from error

    def _close(self) -> None:
        os.close(self._file)
        if self._removable:
            self.path.unlink(missing_ok=True)


def _line(value: Mapping[str, Any]) -> bytes:
    """Return an object as a line, with its checksum."""
    text = to_bytes(dump_json(value))
    return b"%s %08x\n" % (text, zlib.crc32(text))


def _checked(line: bytes) -> JournalRow | None:
    """Return the object of such a line; None if the line is cut short or damaged."""
    text, _, check = line.rpartition(b" ")
    return _parse(text) if check == b"%08x\n" % zlib.crc32(text) else None


def _parse(text: bytes) -> JournalRow | None:
    """Return the object that a text is; None if it is none."""
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
