"""Parse labelled tables: `fer2013.csv` with pixels, or a CSV of files, labels, splits, groups and votes."""

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.errors import DataError
from mien.labels import FER2013_CODES

#: Common names of the three parts, and the name that mien uses.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "publictest": "validation",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}


@dataclass(frozen=True)
class TableRow:
    """One usable row.

    Attributes:
        number: counted from 0, without the header.
        file: as the table names it.
        label: None if there are only votes.
        split: train, validation or test, if given.
        group: a person or a video, if given.
        votes: one per name in `LabelTable.vote_names`, not negative, if given.
        image: the encoded image, if the table contains it.
    """

    number: int
    file: str
    label: str | None
    split: str | None
    group: str | None
    votes: tuple[float, ...] | None
    image: bytes | None = None


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class LabelTable:
    """A parsed table: its usable rows, its bad rows, and the class names of its vote columns."""

    rows: tuple[TableRow, ...]
    bad: tuple[BadRow, ...]
    vote_names: tuple[str, ...] = ()


def read_table(data: bytes, name: str) -> LabelTable:
    """Parse a labelled CSV; columns may be separated by commas, semicolons or tabs.

    The header decides between two kinds: `emotion,pixels[,Usage]` (FER2013 as Kaggle ships it), and
    `file,label[,split][,group]`, optionally with one numeric column of votes per class beside or instead of
    `label`. Raises DataError, naming `name`, if the header is neither.

    Examples:
        >>> read_table(b"file,label\\na.jpg,happy\\n", "labels.csv").rows[0].label
        'happy'
    """
    reader = csv_rows(data, name)
    header = [cell.strip() for cell in next(reader, [])]
    keys = [cell.lower() for cell in header]
    if {"emotion", "pixels"} <= set(keys):
        return _pixel_table(keys, reader)
    if "file" in keys:
        return _file_table(header, keys, reader, name)
    raise DataError(f"{name}: the header must be file,label[,split][,group] or emotion,pixels[,Usage]")


def csv_rows(data: bytes, name: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV, its header first; columns may be separated by commas, semicolons or tabs.

    Raises DataError, naming `name`, if it is not UTF-8 or not a CSV.
    """
    text = _decode(data, name)
    first = re.split("[\r\n]", text, maxsplit=1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    except csv.Error as error:
        raise DataError(f"{name}: is not a readable CSV ({error})") from None


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{name}: is not UTF-8 text; save the table as CSV UTF-8") from None


def _pixel_table(keys: list[str], reader: Iterator[list[str]]) -> LabelTable:
    emotion, pixels = keys.index("emotion"), keys.index("pixels")
    usage = keys.index("usage") if "usage" in keys else None
    rows: list[TableRow] = []
    bad: list[BadRow] = []
    for number, cells in enumerate(reader):
        if not any(cells):
            continue
        try:
            label = FER2013_CODES[_code(cells[emotion])]
            image = _png(cells[pixels])
            split = None if usage is None else _split(cells[usage])
        except (ValueError, IndexError) as error:
            bad.append(BadRow(number, str(error) if isinstance(error, ValueError) else "has too few columns"))
            continue
        rows.append(TableRow(number, f"row{number:07d}.png", label, split, None, None, image))
    return LabelTable(tuple(rows), tuple(bad))


def _code(cell: str) -> int:
    text = cell.strip()
    if text not in {str(code) for code in range(len(FER2013_CODES))}:
        raise ValueError(f"emotion '{text[:20]}' is not 0 to {len(FER2013_CODES) - 1}")
    return int(text)


def _png(cell: str) -> bytes:
    """Encode a row of space-separated grey values as PNG, so that it is read like every other file."""
    try:
        values = bytes(int(value) for value in cell.split())
    except ValueError:
        raise ValueError("pixels are not numbers from 0 to 255") from None
    side = math.isqrt(len(values))
    if side < 1 or side * side != len(values):
        raise ValueError(f"{len(values)} pixels do not make a square")
    buffer = io.BytesIO()
    grey = np.frombuffer(values, np.uint8).reshape(side, side)
    Image.fromarray(grey).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _split(cell: str) -> str | None:
    text = cell.strip()
    if not text:
        return None
    if text.lower() not in SPLIT_NAMES:
        raise ValueError(f"split '{text[:20]}' is none of train, validation, test")
    return SPLIT_NAMES[text.lower()]


def _file_table(header: list[str], keys: list[str], reader: Iterator[list[str]], name: str) -> LabelTable:
    known: dict[str, int] = {key: keys.index(key) for key in ("file", "label", "split", "group") if key in keys}
    extra = [index for index in range(len(keys)) if index not in known.values() and header[index]]
    lines = [(number, cells) for number, cells in enumerate(reader) if any(cells)]
    votes = _vote_columns(header, extra, lines, required="label" not in known)
    if "label" not in known and len(votes) < 2:
        raise DataError(f"{name}: has no column 'label', and no two numeric columns of votes per class")
    rows: list[TableRow] = []
    bad: list[BadRow] = []
    for number, cells in lines:
        try:
            rows.append(_file_row(number, cells, known, votes))
        except ValueError as error:
            bad.append(BadRow(number, str(error)))
    return LabelTable(tuple(rows), tuple(bad), tuple(header[index] for index in votes))


def _vote_columns(header: list[str], extra: list[int], lines: list[tuple[int, list[str]]], required: bool) -> list[int]:
    """Return the columns of votes: extra columns in which most cells are numbers.

    Beside a label column they count only if every label names one of them.
    """
    numeric = [i for i in extra if 2 * sum(len(cells) > i and _is_number(cells[i]) for _, cells in lines) > len(lines)]
    if required or not numeric:
        return numeric
    place = [cell.lower() for cell in header].index("label")
    labels = {cells[place].strip() for _, cells in lines if len(cells) > place}
    return numeric if labels <= {header[i] for i in numeric} else []


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _file_row(number: int, cells: list[str], known: dict[str, int], votes: list[int]) -> TableRow:
    found = {key: cells[index].strip() if index < len(cells) else "" for key, index in known.items()}
    if not found["file"]:
        raise ValueError("has no file")
    if not all(index < len(cells) and _is_number(cells[index]) for index in votes):
        raise ValueError("a vote is missing or not a number")
    shares = tuple(float(cells[index]) for index in votes) if votes else None
    if shares is not None and (min(shares) < 0 or sum(shares) <= 0):
        raise ValueError("its votes are negative or all zero")
    if not found.get("label") and shares is None:
        raise ValueError("has no label")
    split = _split(found["split"]) if "split" in found else None
    return TableRow(number, found["file"], found.get("label") or None, split, found.get("group") or None, shares)
