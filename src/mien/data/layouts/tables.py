"""Parse labelled tables: `fer2013.csv` with pixels, or a CSV of files, labels, splits, groups and votes."""

import csv
import io
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.data.layouts.words import SPLIT_NAMES, bare
from mien.errors import DataError
from mien.io.cells import from_cell, numbered_rows
from mien.labels import FER2013_CODES

#: Endings of tables, and of lists without a header such as RAF-DB's.
TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
LIST_SUFFIXES = frozenset({".txt", ".lst"})
#: Names of columns that other collections use, without spaces, hyphens and underscores; the first is mien's own.
ALIASES = {
    "file": ("file", "filename", "image", "imagename", "imagefile", "img", "imgname", "path", "filepath", "imagepath",
             "imgpath", "pth", "subdirectoryfilepath", "imageid", "id"),
    "label": ("label", "class", "classname", "emotion", "expression", "category", "target", "labelname"),
    "split": ("split", "usage", "set", "subset", "partition"),
    "group": ("group",),
}  # fmt: skip
#: The columns of FER+ tables that have no header (Barsoum et al., 2016), behind the file and its box.
_FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
#: FER2013's numbers, and the one that `ckextended.csv` adds (CK+; Lucey et al., 2010).
_CODES = (*FER2013_CODES, "contempt")
#: A table with so many numbered columns holds one pixel in each.
_MIN_PIXEL_COLUMNS = 256
_PIXEL_COLUMN = re.compile(r"(pixel|px|p)?[ _]?\d+")
_IN_QUOTES = re.compile('"(?:[^"]|"")*"?')
_MARKS = re.compile(r"[\s_-]+")
_IMAGE_NAME = re.compile(r"\.(jpe?g|png|bmp|gif|webp|tiff?)$", re.IGNORECASE)


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
    """A parsed table: its usable rows, its bad rows, the class names of its vote columns, and what was guessed."""

    rows: tuple[TableRow, ...]
    bad: tuple[BadRow, ...]
    vote_names: tuple[str, ...] = ()
    guessed: str = ""


def read_table(data: bytes, name: str) -> LabelTable:
    """Parse a labelled CSV; columns may be separated by commas, semicolons or tabs.

    The header decides between two kinds: `emotion,pixels[,Usage]` (FER2013 as Kaggle ships it; or a column for each
    pixel), and `file,label[,split][,group]`, optionally with one numeric column of votes per class beside or instead
    of `label`. Common other names of these columns are known, and FER+'s tables without a header. Raises DataError,
    naming `name`, if the header is none of these.

    Examples:
        >>> read_table(b"file,label\\na.jpg,happy\\n", "labels.csv").rows[0].label
        'happy'
    """
    reader = csv_rows(data, name)
    header = [cell.strip() for cell in next(reader, [])]
    keys = [cell.lower() for cell in header]
    columns = _columns(header)
    pixels = [index for index, key in enumerate(keys) if _PIXEL_COLUMN.fullmatch(key)]
    if "label" in columns and ("pixels" in keys or len(pixels) >= _MIN_PIXEL_COLUMNS):
        return _pixel_table(header, columns, [keys.index("pixels")] if "pixels" in keys else pixels, reader)
    if header and _IMAGE_NAME.search(header[0]):
        return _without_header(header, reader, name)
    if "file" in columns:
        return _file_table(header, columns, reader, name)
    raise DataError(f"{name}: the header must be file,label[,split][,group] or emotion,pixels[,Usage]")


def plain_heading(name: str) -> str:
    """Return the name of a column in lower case, without spaces, hyphens and underscores."""
    return _MARKS.sub("", name.lower())


def _columns(header: list[str]) -> dict[str, int]:
    """Return the place of each known column. Of several names for one, the first of its aliases counts."""
    plain = list(map(plain_heading, header))
    found = {}
    for key, names in ALIASES.items():
        for name in names:
            if name in plain:
                found[key] = plain.index(name)
                break
    return found


def _without_header(first: list[str], reader: Iterator[list[str]], name: str) -> LabelTable:
    """Read a table that begins with its first file: file and label, or FER+'s file, box and votes."""
    rows = itertools.chain([first], reader)
    if len(first) == 2:
        return _file_table(["file", "label"], {"file": 0, "label": 1}, rows, name)
    if len(first) == 2 + len(_FERPLUS):
        return _file_table(["file", "", *_FERPLUS], {"file": 0}, rows, name)
    raise DataError(f"{name}: has no header; write file,label[,split][,group] above its first row")


def is_list(data: bytes) -> bool:
    """Return whether a text lists images with labels, and is not a README.

    Examples:
        >>> is_list(b"train_00001.jpg 5"), is_list(b"numpy 2.0")
        (True, False)
    """
    first = data[:1000].decode("utf-8", "replace").lstrip("\ufeff").split("\n")[0]
    return _IMAGE_NAME.search(re.split("[ ,;\t]", first)[0]) is not None


def csv_rows(data: bytes, name: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV, its header first, as `numbered_csv_rows` does."""
    return (cells for _, cells in numbered_csv_rows(data, name))


def numbered_csv_rows(data: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row of a CSV begins, from 1, and its cells, the header first.

    Columns may be separated by commas, semicolons or tabs. Text that `mien.io.cells` has marked is given as it was.
    Raises DataError, naming `name`, if it is not UTF-8 or not a CSV: see `numbered_rows`.
    """
    text = _decode(data, name)
    first = _IN_QUOTES.sub("", re.split("[\r\n]", text, maxsplit=1)[0])
    delimiter = max(",;\t", key=first.count)
    if not first.count(delimiter) and _IMAGE_NAME.search(first.partition(" ")[0]):
        delimiter = " "  # a list such as RAF-DB's, `train_00001.jpg 5`
    try:
        for line, cells in numbered_rows(text, delimiter):
            yield line, list(map(from_cell, cells))
    except csv.Error as error:
        raise DataError(f"{name}: is not a readable CSV ({error})") from None


def _decode(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{name}: is not UTF-8 text; save the table as CSV UTF-8") from None


def _pixel_table(
    header: list[str], columns: dict[str, int], pixels: list[int], reader: Iterable[list[str]]
) -> LabelTable:  # fmt: skip
    emotion, usage = columns["label"], columns.get("split")
    guessed = "" if header[emotion].lower() == "emotion" else f"'{header[emotion]}' as FER2013's emotion"
    rows: list[TableRow] = []
    bad: list[BadRow] = []
    for number, cells in enumerate(reader):
        if not any(cells):
            continue
        try:
            label = _emotion(cells[emotion])
            image = _png(cells[pixels[0]] if len(pixels) == 1 else " ".join(cells[index] for index in pixels))
            split = None if usage is None else _split(cells[usage])
        except (ValueError, IndexError) as error:
            bad.append(BadRow(number, str(error) if isinstance(error, ValueError) else "has too few columns"))
            continue
        rows.append(TableRow(number, f"row{number:07d}.png", label, split, None, None, image))
    return LabelTable(tuple(rows), tuple(bad), guessed=guessed)


def _emotion(cell: str) -> str:
    """Return the label that a cell names by FER2013's number, which a spreadsheet may write as 3.0, or in words."""
    text = cell.strip()
    if not _is_number(text):
        if not text:
            raise ValueError("has no emotion")
        return text
    code = float(text)
    if code not in range(len(_CODES)):
        raise ValueError(f"emotion '{text[:20]}' is not 0 to {len(_CODES) - 1}")
    return _CODES[int(code)]


def _png(cell: str) -> bytes:
    """Encode grey values, separated by spaces or commas, as PNG, so that they are read like every other file."""
    try:
        values = bytes(int(value) for value in cell.strip(" []").replace(",", " ").split())
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
    if bare(text) not in SPLIT_NAMES:
        raise ValueError(f"split '{text[:20]}' is none of train, validation, test")
    return SPLIT_NAMES[bare(text)]


def _file_table(
    header: list[str], known: dict[str, int], reader: Iterable[list[str]], name: str
) -> LabelTable:  # fmt: skip
    extra = [index for index in range(len(header)) if index not in known.values() and header[index]]
    lines = [(number, cells) for number, cells in enumerate(reader) if any(cells)]
    votes = _vote_columns(header, known.get("label"), extra, lines)
    if "label" not in known and len(votes) < 2:
        raise DataError(f"{name}: has no column 'label', and no two numeric columns of votes per class")
    rows: list[TableRow] = []
    bad: list[BadRow] = []
    for number, cells in lines:
        try:
            rows.append(_file_row(number, cells, known, votes))
        except ValueError as error:
            bad.append(BadRow(number, str(error)))
    named = [f"'{header[place]}' as {key}" for key, place in known.items() if header[place].lower() != key]
    return LabelTable(tuple(rows), tuple(bad), tuple(header[index] for index in votes), ", ".join(named))


def _vote_columns(
    header: list[str], label: int | None, extra: list[int], lines: list[tuple[int, list[str]]]
) -> list[int]:  # fmt: skip
    """Return the columns of votes: extra columns in which most cells are numbers.

    Beside a label column they count only if every label names one of them.
    """
    numbers = Counter(i for _, cells in lines for i, cell in enumerate(cells) if _is_number(cell))
    numeric = [i for i in extra if 2 * numbers[i] > len(lines)]
    if label is None or not numeric:
        return numeric
    labels = {cells[label].strip() for _, cells in lines if len(cells) > label}
    return numeric if labels <= {header[i] for i in numeric} else []


def _number(cell: str) -> float:
    """Return a vote, which may be written as True or False."""
    word = cell.strip().lower()
    return float(word == "true") if word in ("true", "false") else float(word)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(_number(cell))
    except ValueError:
        return False


def _file_row(number: int, cells: list[str], known: dict[str, int], votes: list[int]) -> TableRow:
    found = {key: cells[index].strip() if index < len(cells) else "" for key, index in known.items()}
    file = cells[known["file"]] if found["file"] else ""  # a name may begin or end with a space
    if not file:
        raise ValueError("has no file")
    if not all(index < len(cells) and _is_number(cells[index]) for index in votes):
        raise ValueError("a vote is missing or not a number")
    shares = tuple(_number(cells[index]) for index in votes) if votes else None
    if shares is not None and not (min(shares) >= 0 and 0 < sum(shares) < math.inf):
        raise ValueError("its votes are negative, all zero or too large")
    if not found.get("label") and shares is None:
        raise ValueError("has no label")
    split = _split(found["split"]) if "split" in found else None
    return TableRow(number, file, found.get("label") or None, split, found.get("group") or None, shares)
