"""The file of decisions on the disk: read it, add to it so that nothing is lost, merge another one into it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mien.data.fixes.records import FILE_NAME, Fix, ParsedFixes, check_copies, new_file_bytes, parse_fixes
from mien.data.fixes.times import to_moment, to_time
from mien.errors import DataError, OutputError
from mien.io.archives import MAX_LARGE_BYTES
from mien.io.atomic import LOCK, locked, readable_errors, temporary_path
from mien.io.bounded import read_bytes
from mien.text import pluralize

_HEADER = new_file_bytes()
#: Rows that were added together are one of these apart, and at least two from those before: so the file tells steps.
_TICK = timedelta(milliseconds=1)
#: Seconds between two tries while another process adds a row.
_WAIT = 0.02


def fixes_path(data: Path) -> Path:
    """Return where the decisions about a dataset are: in its folder, or beside its archive or table.

    Examples:
        >>> fixes_path(Path("faces.zip")).name
        'faces.zip.mien-fixes.csv'
    """
    inside = False
    with suppress(OSError):  # reading the data says what may not be looked at, or what no path can be
        inside = data.is_dir()
    return data / FILE_NAME if inside else data.with_name(f"{data.name}.{FILE_NAME}")


def read_fixes(path: Path) -> ParsedFixes:
    """Return all that can be read of a file of decisions; DataError if it cannot be opened or is another file."""
    try:
        data = read_bytes(path, MAX_LARGE_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); `fixes=False` does without it") from None
    return _parse(path, data)


class FixesFile:
    """A file of decisions that this process adds to; others may add to it, too.

    Args:
        path: the file, which is made with the first decision.

    Attributes:
        found: what it holds, as far as it was read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = ParsedFixes(())
        self._stamp = (0, 0)
        self._latest: datetime | None = None
        self.refresh()

    def refresh(self) -> bool:
        """Read what other processes have written since; return whether there was anything."""
        stamp = self._now()
        if stamp == self._stamp:
            return False
        before = self.found.fixes
        self.found = read_fixes(self.path) if stamp != (0, 0) else ParsedFixes(())
        self._stamp = stamp
        self._latest = max(filter(None, (to_moment(fix.when) for fix in self.found.fixes)), default=None)
        return self.found.fixes != before

    def append(self, fixes: Sequence[Fix]) -> list[Fix]:
        """Add decisions, so that they stay however this process or this machine ends.

        Returns:
            The decisions with the time, which is later than that of every row before.

        Raises:
            OutputError: the file cannot be written, or could not be read again; none of them is kept.
        """
        with self._alone():
            self.refresh()
            if not self.found.own_form:
                self._write_anew()
            timed = self._with_times(fixes)
            self._add(timed)
        return timed

    def merge(self, other: Path) -> ParsedFixes:
        """Add the decisions of another file that are not in this one, with their own times.

        Rows of nobody in the other file get its name, so that they are not taken for those of this file's nobody.

        Returns:
            The other file, of its decisions those that were added.

        Raises:
            DataError: the other file cannot be read.
            OutputError: this file cannot be written, or could not be read again.
        """
        read = read_fixes(other)
        with self._alone():
            self.refresh()
            if not self.found.own_form:
                self._write_anew()
            known = set(self.found.fixes)
            named = [fix if fix.who or fix in known else replace(fix, who=_name_of(other)) for fix in read.fixes]
            new = [fix for fix in dict.fromkeys(named) if fix not in known]
            if new:
                self._add(new)
        return replace(read, fixes=tuple(new))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with readable_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(f".{self.path.name}{LOCK}"), self.path, wait=_WAIT):
            yield

    def _add(self, fixes: Sequence[Fix]) -> None:
        """Write behind the last row that is whole, and force it onto the disk; take back what was written in part."""
        end = self.found.end
        rows = b"".join(fix.to_line() for fix in fixes)
        self._require_readable(fixes, len(rows))
        with readable_errors(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            try:
                os.ftruncate(file, end)  # drops a last row that was cut short
                os.lseek(file, max(end - 1, 0), os.SEEK_SET)
                if not end:
                    rows = _HEADER + rows
                elif os.read(file, 1) != b"\n":
                    rows = b"\n" + rows
                try:
                    _write(file, rows)
                    os.fsync(file)
                except BaseException:
                    os.ftruncate(file, end)
                    raise
            finally:
                os.close(file)
            if not end:
                _sync_folder(self.path.parent)
        self.found = replace(self.found, fixes=(*self.found.fixes, *fixes), end=end + len(rows), cut_short=False)
        self._stamp = self._now()
        self._latest = max(filter(None, (self._latest, *(to_moment(fix.when) for fix in fixes))), default=None)

    def _require_readable(self, fixes: Sequence[Fix], size: int) -> None:
        """Raise OutputError if further rows would make a file that `read_fixes` refuses."""
        try:
            check_copies((*self.found.fixes, *fixes))
            if self.found.end + size + len(_HEADER) + 1 > MAX_LARGE_BYTES:
                raise ValueError(f"it would be larger than {MAX_LARGE_BYTES >> 20} MiB")
        except ValueError as error:
            raise OutputError(
                f"{self.path}: {pluralize(len(fixes), 'further decision')} would make a file that is not read again "
                f"({error}); keep them apart"
            ) from None

    def _now(self) -> tuple[int, int]:
        """Return what changes when the file does; zeros if there is none."""
        try:
            status = self.path.stat()
        except OSError:
            return (0, 0)
        return (status.st_size, status.st_mtime_ns)

    def _with_times(self, fixes: Sequence[Fix]) -> list[Fix]:
        """Date decisions later than every row that is known: a clock may be put back."""
        start = datetime.now(UTC)
        if self._latest is not None:
            start = max(start, self._latest + 2 * _TICK)
        return [replace(fix, when=to_time(start + number * _TICK)) for number, fix in enumerate(fixes)]

    def _write_anew(self) -> None:
        """Write the file in mien's own form; what could not be read stays behind the rows as it was."""
        part = temporary_path(self.path)
        lines = [_HEADER, *(fix.to_line() for fix in self.found.fixes)]
        lines += [bad.data.rstrip(b"\r\n") + b"\n" for bad in self.found.bad_rows]
        with readable_errors(self.path):
            with part.open("wb") as stream:
                stream.write(b"".join(lines))
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self.path)
        self.refresh()


def added_together(earlier: Fix, later: Fix) -> bool:
    """Return whether two decisions that follow each other were made in one step, such as those of a grid."""
    first, second = to_moment(earlier.when), to_moment(later.when)
    return first is not None and second is not None and second - first == _TICK


def _parse(path: Path, data: bytes) -> ParsedFixes:
    if _HEADER.startswith(data):
        whole = data == _HEADER
        return ParsedFixes((), end=len(data) if whole else 0, cut_short=bool(data) and not whole)
    try:
        return parse_fixes(data)
    except ValueError as error:
        raise DataError(
            f"{path}: holds no decisions ({error}); move it away, or name another file with `fixes=`"
        ) from None


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_folder(folder: Path) -> None:
    """Force the name of a new file onto the disk; not every system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def _name_of(path: Path) -> str:
    """Return a name for nobody in another file: that of the file, or of its folder if all are called the same."""
    name = path.stem if path.name != FILE_NAME else path.resolve().parent.name
    return name.removesuffix(f".{Path(FILE_NAME).stem}") or "other"
