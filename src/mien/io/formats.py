"""Write rows of results as JSON, JSON lines, CSV and Parquet, one row at a time.

A row is `ImageResult.to_dict()` or `FrameResult.to_dict()`. CSV and Parquet have one line per face, and one for an
image without a face. To add a column to them, add an entry to `COLUMNS`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.errors import MissingExtraError
from mien.io.atomic import new_file
from mien.io.cells import csv_line, escape
from mien.labels import EXPRESSIONS
from mien.text import dump_json

if TYPE_CHECKING:
    import pyarrow as pa

ResultRow = Mapping[str, Any]
ResultFace = Mapping[str, Any]

#: Lines in a row group of a Parquet file; no more than these are held.
ROW_GROUP = 8192


@dataclass(frozen=True)
class Column:
    """A column of CSV and Parquet: its name, its type in Parquet, and how to get its value.

    Args:
        name: the heading.
        type: `text`, `integer` (32 bits), `number` (64 bits), `numbers` (a list of these) or `boolean`.
        of_row: gets the value from a row; None for a column that needs a face.
        of_face: gets the value from a face of the row, which also has its `number`, from 1. Empty without a face.
        csv: whether it is in CSV too.
        video: whether it is only there if there are frames of videos.
        decimals: to which it is rounded in CSV; None keeps all.
    """

    name: str
    type: Literal["text", "integer", "number", "numbers", "boolean"]
    of_row: Callable[[ResultRow], Any] | None = None
    of_face: Callable[[ResultFace], Any] | None = None
    csv: bool = True
    video: bool = False
    decimals: int | None = None

    def value(self, row: ResultRow, face: ResultFace | None) -> Any:
        """Return the value for a face of a row, or for a row without a face."""
        if self.of_row is not None:
            return self.of_row(row)
        return self.of_face(face) if self.of_face is not None and face is not None else None

    def csv_value(self, row: ResultRow, face: ResultFace | None) -> Any:
        """Return the value as CSV shows it."""
        value = self.value(row, face)
        if isinstance(value, bool):
            return str(value).lower()  # as in JSON
        return value if self.decimals is None or value is None else round(value, self.decimals)


def _box(side: str) -> Callable[[ResultFace], Any]:
    return lambda face: face["box"][side]


def _place(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Get what only the frames of videos have."""
    return lambda found: found.get(name)


def _landmarks(face: ResultFace) -> list[float] | None:
    return [value for point in face["landmarks"] or () for value in point] or None


#: Every column but the probabilities, in order. Boxes, landmarks (x, y of each point in turn) and sizes are in pixels
#: of the upright image, times in seconds.
COLUMNS = (
    Column("source", "text", itemgetter("source")),
    Column("time", "number", _place("time"), video=True),
    Column("frame", "integer", _place("frame"), video=True),
    Column("scene", "integer", _place("scene"), video=True),
    Column("person", "integer", of_face=_place("person"), video=True),
    Column("status", "text", itemgetter("status")),
    Column("reason", "text", itemgetter("reason")),
    Column("model", "text", itemgetter("model")),
    Column("detect", "boolean", itemgetter("detect")),
    Column("image_width", "integer", itemgetter("width")),
    Column("image_height", "integer", itemgetter("height")),
    Column("face", "integer", of_face=itemgetter("number")),
    Column("x", "integer", of_face=_box("x")),
    Column("y", "integer", of_face=_box("y")),
    Column("width", "integer", of_face=_box("width")),
    Column("height", "integer", of_face=_box("height")),
    Column("score", "number", of_face=itemgetter("score")),
    Column("landmarks", "numbers", of_face=_landmarks, csv=False),
    Column("answer", "text", of_face=itemgetter("answer")),
    Column("probability", "number", of_face=itemgetter("probability"), decimals=6),
    Column("why", "text", of_face=itemgetter("why")),
)


def columns(labels: Sequence[str], video: bool = False) -> list[Column]:
    """Return all columns for images, or for images and frames (`video`); `p_LABEL` is the probability of each label.

    Examples:
        >>> [column.name for column in columns(["happy", "sad"]) if column.csv][-4:]
        ['probability', 'why', 'p_happy', 'p_sad']
    """
    fixed = [column for column in COLUMNS if video or not column.video]
    return fixed + [Column(f"p_{label}", "number", of_face=partial(_share, label), decimals=6) for label in labels]


def _share(label: str, face: ResultFace) -> Any:
    known = face["probabilities"]
    return known[label] if label in known else face["expressions"][label]


def is_row(value: Mapping[str, Any], labels: Sequence[str]) -> bool:
    """Return whether an object, read back from a file, is a row of a model with these labels.

    Examples:
        >>> is_row({"source": "a.jpg", "status": "ok"}, ["happy", "sad"])
        False
    """
    try:
        rows = list(flat_rows([value]))
        wanted = columns(labels, video=True)
        values = [(column.value(row, face), column.type) for row, face in rows for column in wanted]
    except (KeyError, TypeError, AttributeError, IndexError):
        return False
    return all(found is None or _is_of(found, kind) for found, kind in values)


def _is_of(value: Any, kind: str) -> bool:
    if kind == "numbers":
        return isinstance(value, list) and all(_is_of(one, "number") for one in value)
    if kind == "number":
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is {"text": str, "integer": int, "boolean": bool}[kind]


def flat_rows(rows: Iterable[ResultRow]) -> Iterator[tuple[ResultRow, ResultFace | None]]:
    """Yield each row beside each of its faces, numbered from 1, or beside None for an image without a face."""
    for row in rows:
        for number, face in enumerate(row["faces"], 1):
            yield row, {**face, "number": number}
        if not row["faces"]:
            yield row, None


def json_text(rows: Iterable[ResultRow]) -> Iterator[str]:
    """Yield the text of one JSON array, indented by two."""
    before = "[\n"
    for row in rows:
        yield before + "\n".join(f"  {line}" for line in dump_json(row, indent=2).split("\n"))
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def jsonl_text(rows: Iterable[ResultRow]) -> Iterator[str]:
    """Yield a line of JSON per row."""
    for row in rows:
        yield dump_json(row) + "\n"


def csv_text(rows: Iterable[ResultRow], labels: Sequence[str], video: bool = False) -> Iterator[str]:
    """Yield the heading and the lines of a CSV; `video` and the columns are as in `columns`."""
    shown = [column for column in columns(labels, video) if column.csv]
    before = csv_line(column.name for column in shown)
    for row in rows:
        faces = (face for _, face in flat_rows([row]))
        yield before + "".join(csv_line(column.csv_value(row, face) for column in shown) for face in faces)
        before = ""
    yield before


def write_parquet(rows: Iterable[ResultRow], path: Path, labels: Sequence[str], video: bool = False) -> None:
    """Write a Parquet file whole or not at all, `ROW_GROUP` lines at a time; columns as in `columns`.

    Raises MissingExtraError without pyarrow.
    """
    pa = require_parquet()
    from pyarrow import parquet

    shown, schema = columns(labels, video), parquet_schema(labels, video)
    lines = (
        {escape(column.name): _clean(column.value(row, face)) for column in shown} for row, face in flat_rows(rows)
    )
    with new_file(path) as part, parquet.ParquetWriter(part, schema) as writer:
        while group := list(islice(lines, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))


def probability_labels(labels: Sequence[str], answers: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the probabilities in a flat row: every answer, and all expressions if a model has them.

    Examples:
        >>> probability_labels(["happy", "sad"], ["happy", "sad"])
        ('happy', 'sad')
    """
    seven = EXPRESSIONS if set(labels) == set(EXPRESSIONS) else ()
    return tuple(dict.fromkeys((*answers, *seven)))


def parquet_schema(labels: Sequence[str], video: bool = False) -> "pa.Schema":
    """Return the schema of a Parquet file of flat rows, for images or the frames of a `video`."""
    pa = require_parquet()
    types = {
        "text": pa.string(), "integer": pa.int32(), "number": pa.float64(), "numbers": pa.list_(pa.float64()),
        "boolean": pa.bool_(),
    }  # fmt: skip
    return pa.schema({escape(column.name): types[column.type] for column in columns(labels, video)})


def require_parquet() -> Any:
    """Return pyarrow; MissingExtraError if it is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtraError("Parquet", "parquet") from None
    return pyarrow


def _clean(value: Any) -> Any:
    """Return a value with its text escaped as in CSV: Parquet's text is UTF-8, and not every file name is."""
    return escape(value) if isinstance(value, str) else value
