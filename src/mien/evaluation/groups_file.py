"""Read a groups file: a CSV whose first column is `file`; its other columns are groupings, with the groups as cells."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.data.layouts.tables import csv_rows
from mien.errors import DataError
from mien.io.archives import MAX_LARGE_BYTES
from mien.io.bounded import read_bytes
from mien.text import pluralize

#: Most values of a grouping: a column with more is a name or a number.
MOST_VALUES = 50


@dataclass(frozen=True)
class Groups:
    """The groups of N images.

    Attributes:
        columns: by the name of each grouping, the group of each image, (N,); None if it has none.
        notes: what the groups file lacks, as sentences.
    """

    columns: Mapping[str, tuple[str | None, ...]]
    notes: tuple[str, ...] = ()


def read_groups(path: Path, names: Sequence[str]) -> Groups:
    """Read a groups file and return the groups of the evaluated images.

    The notes list what was passed over: files that were not evaluated, images that the file does not name, empty cells,
    columns that are not groupings.

    Args:
        path: the CSV.
        names: the evaluated images, as paths relative to the data.

    Raises:
        DataError: if the file cannot be read, names none of the images, or names one twice with different groups.
    """
    try:
        data = read_bytes(path, MAX_LARGE_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    rows = csv_rows(data, str(path))
    header = [cell.strip() for cell in next(rows, [])]
    if not header or header[0].lower() != "file" or len(header) < 2:
        raise DataError(f"{path}: the header must be file and one column for each grouping, like file,age,camera")
    if "" in header or len(set(header)) < len(header):
        raise DataError(f"{path}: two columns have one name, or one has none; name each grouping once")
    given = _read_cells(path, header, rows)
    wanted = [_normalise(name) for name in names]
    found = [given.get(name) for name in wanted]
    unused = given.keys() - set(wanted)
    if all(cells is None for cells in found):
        raise DataError(
            f"{path}: names none of the {len(names)} images (it has '{next(iter(given), '')}', they have "
            f"'{names[0]}'); give paths relative to the data"
        )
    columns, notes = {}, []
    for place, name in enumerate(header[1:]):
        values = tuple(cells[place] if cells else None for cells in found)
        problem = _problem(values)
        if problem:
            notes.append(f"Column '{name}' is ignored: {problem}.")
        else:
            columns[name] = values
            empty = sum(cells is not None and value is None for cells, value in zip(found, values, strict=True))
            notes += [f"'{name}' is empty for {pluralize(empty, 'image')}."] if empty else []
    if not columns:
        raise DataError(f"{path}: has no usable grouping ({notes[0]})")
    missing = found.count(None)
    notes += [f"{missing:,} of {len(names):,} images are not in {path.name}."] if missing else []
    if unused:
        notes.append(f"{len(unused):,} files in {path.name} were not evaluated, like '{min(unused)}'.")
    return Groups(columns, tuple(notes))


def _read_cells(path: Path, header: list[str], rows: Any) -> dict[str, tuple[str | None, ...]]:
    """Return each file's cells; empty cells become None."""
    given: dict[str, tuple[str | None, ...]] = {}
    for number, cells in enumerate(rows, 2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header) or not cells[0].strip():
            raise DataError(f"{path}: line {number} does not have the {len(header)} columns of the header; correct it")
        name, values = _normalise(cells[0]), tuple(cell.strip() or None for cell in cells[1:])
        if given.setdefault(name, values) != values:
            raise DataError(f"{path}: line {number} names '{cells[0].strip()}' again, with other groups; keep one")
    return given


def _normalise(name: str) -> str:
    """Return a path with forward slashes and composed letters (NFC), so that different spellings are equal."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).removeprefix("./")


def _problem(values: Sequence[str | None]) -> str | None:
    """Return why a column is not a grouping; None if it is one."""
    count = len(set(values) - {None})
    if count > MOST_VALUES:
        return f"it has {count:,} values; a grouping has at most {MOST_VALUES}, so give ranges"
    return {0: "it is empty", 1: "all images are in one group"}.get(count)
