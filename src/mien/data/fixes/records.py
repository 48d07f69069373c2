"""One decision of one person about one image, and its row in `mien-fixes.csv`."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from mien.data.fixes.times import to_moment, to_time
from mien.errors import InputError
from mien.io.atomic import to_bytes
from mien.io.cells import csv_line, from_cell
from mien.results import Box
from mien.text import shorten

#: keep: the label is right; relabel: it is another; leave-out: train on it no more; undo: the person's last row about
#: this image does not count.
Decision = Literal["keep", "relabel", "leave-out", "undo"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)

#: The file of decisions in the folder that they are about; beside a zip or a table it ends so.
FILE_NAME = "mien-fixes.csv"
COLUMNS = ("sha256", "path", "decision", "label", "was", "face", "when", "who", "settles")
_HEADER = to_bytes(csv_line(COLUMNS))
_SHA256 = re.compile("[0-9a-f]{64}")
#: A row whose cells hold line breaks is looked for in so many lines; the rest is found again after a stray quote.
_MAX_LINES = 64
#: Bytes of the first line that are looked at.
_MAX_HEADING = 4096
#: Rows that cannot be read, and lines beyond those that decisions may fill, with which a file is another one. A
#: spreadsheet may add a million blank lines.
_MAX_BAD, _MAX_BLANK = 100_000, 2_000_000
#: Names of copies times people, summed over all images, beyond what the rows tell themselves: each name is compared
#: with what each person decided.
_MAX_COMPARED = 2_000_000
#: What spreadsheets put between cells, our own first.
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Fix:
    """A decision about an image: a row of `mien-fixes.csv`.

    Attributes:
        sha256: of the file's bytes: a decision about a file that has changed since does not count.
        path: the file's name in the dataset.
        decision: keep, relabel, leave-out or undo.
        label: the label that it has from now on; empty if it is left out.
        was: the label that it had; empty if it had none.
        face: the face that counts, among several.
        when: UTC, as `2026-11-29T21:41:54.123Z`.
        who: a name of the person, which tells the decisions of several people apart.
        settles: whether it settles an earlier disagreement.

    Examples:
        >>> Fix("0" * 64, "sad/a.jpg", "relabel", "happy", "sad").sentence
        'relabelled sad to happy'
    """

    sha256: str
    path: str
    decision: Decision
    label: str = ""
    was: str = ""
    face: Box | None = None
    when: str = ""
    who: str = ""
    settles: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be read back."""
        if not _SHA256.fullmatch(self.sha256):
            raise InputError(
                f"{shorten(self.path)}: is told by {self.sha256!r:.80}; give a sha256, 64 hexadecimal digits"
            )
        if self.decision not in DECISIONS:
            raise InputError(
                f"{shorten(self.path)}: '{shorten(self.decision)}' is no decision; give one of {', '.join(DECISIONS)}"
            )
        if not self.path or (self.decision in ("keep", "relabel") and not self.label):
            raise InputError(f"{shorten(self.path)}: to {self.decision} takes a path and a label")
        if self.when and to_moment(self.when) is None:
            raise InputError(
                f"{shorten(self.path)}: was decided at '{shorten(self.when)}'; write 2026-11-29T21:41:54.123Z"
            )

    @property
    def sentence(self) -> str:
        """What was decided."""
        named = {
            "keep": f"kept as {self.label}",
            "relabel": f"relabelled {self.was} to {self.label}" if self.was else f"labelled {self.label}",
            "leave-out": "left out",
            "undo": "undone",
        }
        return named[self.decision] + (", with the chosen face" if self.face else "")

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {name: getattr(self, name) for name in COLUMNS} | {"face": self.face and self.face.to_dict()}

    def to_cells(self) -> list[str]:
        """Return its row, a text per column."""
        box = self.face
        face = f"{box.x} {box.y} {box.width} {box.height}" if box else ""
        texts = (self.sha256, self.path, self.decision, self.label, self.was, face, self.when, self.who)
        return [*texts, "yes" if self.settles else ""]

    def to_line(self) -> bytes:
        """Return its row as a line of the file."""
        return to_bytes(csv_line(self.to_cells()))

    @classmethod
    def from_cells(cls, cells: Mapping[str, str]) -> "Fix":
        """Return the decision of a row; ValueError if it is not one."""
        if any(cells.get(name) is None for name in COLUMNS):
            raise ValueError("it has too few cells")
        if cells["settles"] not in ("", "yes"):
            raise ValueError("settles is neither yes nor empty")
        known = {name: cells[name] for name in ("sha256", "path", "label", "was", "who")}
        moment = to_moment(cells["when"])
        when = cells["when"] if moment is None else to_time(moment)
        decision = next((one for one in DECISIONS if one == cells["decision"]), None)
        if decision is None:
            raise ValueError(f"'{shorten(cells['decision'])}' is no decision")
        return cls(decision=decision, face=_face(cells["face"]), when=when, settles=cells["settles"] == "yes", **known)


@dataclass(frozen=True)
class BadRow:
    """A row that says nothing to mien: its line, counted from 1, its bytes, and why."""

    line: int
    data: bytes
    reason: str


@dataclass(frozen=True)
class ParsedFixes:
    """The content of a file of decisions.

    Attributes:
        fixes: the rows, in order.
        bad_rows: what is not a row, in order; not a last line that was cut short.
        end: the offset in bytes of the end of what counts: a last line that was cut short begins there.
        own_form: whether it is as mien writes it; a spreadsheet may have saved it in another form.
        cut_short: whether there was such a last line.
    """

    fixes: tuple[Fix, ...]
    bad_rows: tuple[BadRow, ...] = ()
    end: int = 0
    own_form: bool = True
    cut_short: bool = False


def parse_fixes(data: bytes) -> ParsedFixes:
    """Read the bytes of a file of decisions, all that can be read.

    Files of several people may stand one after the other. Rows of nobody behind the second first line are not taken
    for those of the first nobody: they are of `file 2`, except those that both files have.

    Raises ValueError if the first line does not name the columns, or most lines or decisions cannot be those of people.
    """
    delimiter, columns = _heading(data[:_MAX_HEADING].partition(b"\n")[0].partition(b"\r")[0])
    if max(map(data.count, (b"\n", b"\r"))) > _MAX_BLANK + len(data) // len(_HEADER):
        raise ValueError("it has far more lines than decisions")
    lines = data.splitlines(keepends=True)
    whole = delimiter == "," and tuple(columns) == COLUMNS and lines[0] == _HEADER
    fixes: list[Fix] = []
    bad: list[BadRow] = []
    offset, number = len(lines[0]), 1
    part, before = 1, frozenset[Fix]()
    while number < len(lines):
        found, count = _row(lines, number, delimiter, columns)
        row = b"".join(lines[number : number + count])
        if isinstance(found, Fix):
            is_nobodys = part > 1 and not found.who and found not in before
            fixes.append(replace(found, who=f"file {part}") if is_nobodys else found)
            whole = whole and not row.endswith(b"\r\n")
        elif found is not None:
            if number + count == len(lines) and _is_torn(row):
                break  # cut short by whatever ended the process
            bad.append(BadRow(number + 1, row, found))
            if len(bad) > _MAX_BAD:
                raise ValueError(f"more than {_MAX_BAD:,} of its rows cannot be read; the last is line {number + 1}")
        elif b"sha256" in row.lower():  # the first line of another file; other rows without a decision are blank
            part, before, whole = part + 1, frozenset(fixes), False
        offset += len(row)
        number += count
    check_copies(fixes)
    return ParsedFixes(tuple(fixes), tuple(bad), offset, whole, offset < len(data))


def new_file_bytes() -> bytes:
    """Return what a file of decisions begins with."""
    return _HEADER


def check_copies(fixes: Sequence[Fix]) -> None:
    """Raise ValueError if so many people decided so many copies that comparing them would take minutes."""
    if len(fixes) ** 2 <= _MAX_COMPARED:
        return  # not even if each row were of another name and person
    paths: dict[str, set[str]] = defaultdict(set)
    people: dict[str, set[str]] = defaultdict(set)
    for fix in fixes:
        paths[fix.sha256].add(fix.path)
        people[fix.sha256].add(fix.who)
    if sum(len(paths[one]) * len(people[one]) for one in paths) > _MAX_COMPARED + 10 * len(fixes):
        worst = max(paths, key=lambda one: len(paths[one]) * len(people[one]))
        raise ValueError(
            f"{len(people[worst]):,} people decided about {len(paths[worst]):,} copies of one image, sha256 {worst}"
        )


def _heading(line: bytes) -> tuple[str, list[str]]:
    """Return what stands between cells, and the columns."""
    text = line.decode("utf-8-sig", "replace").rstrip("\r\n")
    for delimiter in _DELIMITERS:
        with suppress(csv.Error, ValueError):
            columns = [from_cell(cell).strip().lower() for cell in _cells(text, delimiter)]
            if set(COLUMNS) <= set(columns):
                return delimiter, columns
    raise ValueError(f"its first line is not {','.join(COLUMNS)}")


def _row(lines: Sequence[bytes], start: int, delimiter: str, columns: Sequence[str]) -> tuple[Fix | str | None, int]:
    """Return the decision that begins in a line, or why there is none, or None to skip it; and its number of lines."""
    reason, quotes = "", 0
    for count, line in enumerate(lines[start : start + _MAX_LINES], 1):
        quotes += line.count(b'"')
        if quotes % 2 and start + count < len(lines):
            continue
        found = _parse(b"".join(lines[start : start + count]), delimiter, columns)
        if not isinstance(found, str):
            return found, count
        reason = reason or found
        break
    # A stray quote: only this line is lost, and the next may be a row again.
    if quotes % 2 or count > 1:
        first = _parse(lines[start], delimiter, columns)
        reason = first if isinstance(first, str) else reason
    torn = start + count == len(lines) and _is_torn(b"".join(lines[start:]))
    return reason, count if torn and not any(map(_begins_row, lines[start + 1 :])) else 1


def _is_torn(row: bytes) -> bool:
    """Whether a last row may have been cut short: it has no line break, or one inside a quoted cell."""
    return not row.endswith((b"\n", b"\r")) or (_begins_row(row) and row.count(b'"') % 2 == 1)


def _begins_row(line: bytes) -> bool:
    return re.match(rb'"?[0-9a-f]{64}"?[,;\t]', line) is not None


def _parse(row: bytes, delimiter: str, columns: Sequence[str]) -> Fix | str | None:
    try:
        cells = _cells(row.decode("utf-8").removesuffix("\n").removesuffix("\r"), delimiter)
        if not cells or not any(cells):
            return None
        if len(cells) < len(columns):
            return "it has too few cells"
        if any(cells[len(columns) :]):
            return "it has too many cells"
        found = dict(zip(columns, map(from_cell, cells), strict=False))
        if all(found[name].lower() == name for name in COLUMNS):
            return None  # the first line of another file that was put behind this one
        return Fix.from_cells(found)
    except (ValueError, InputError, csv.Error) as error:
        return str(error)


def _cells(text: str, delimiter: str) -> list[str]:
    rows: Iterator[list[str]] = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = list(rows)
    if len(found) > 1:
        raise ValueError("it is not one row")
    return found[0] if found else []


def _face(text: str) -> Box | None:
    if not text:
        return None
    numbers = [int(part) for part in re.findall(r"-?\d{1,9}", text)]
    if not re.fullmatch(r"-?\d{1,9}( -?\d{1,9}){3}", text):
        raise ValueError("face is not x y width height")
    return Box(*numbers)
