"""Rows of results as text and tables: JSON, JSON lines, CSV and Parquet, one row at a time.

A row is what `ImageResult.to_dict()` gives. CSV and Parquet have one line per face, and one for every
picture without; their columns are those of `flat_rows`. The rows of a film (`FrameResult.to_dict()`) have a
time and persons as well.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.errors import MissingExtraError
from mien.io.atomic import new_file
from mien.labels import EXPRESSIONS

if TYPE_CHECKING:
    import pyarrow as pa

ResultRow = Mapping[str, Any]

#: Lines in a row group of a Parquet file; no more than these are held.
ROW_GROUP = 8192
_FACE = ("answer", "probability", "why")
_FILM = ("time", "person")
_CSV = ("source", "status", "reason", "x", "y", "width", "height", "score", *_FACE)


def json_text(rows: Iterable[ResultRow]) -> Iterator[str]:
    """Yield the text of one JSON array, indented by two."""
    before = "[\n"
    for row in rows:
        yield before + "\n".join(f"  {line}" for line in json.dumps(row, indent=2, ensure_ascii=False).split("\n"))
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def jsonl_text(rows: Iterable[ResultRow]) -> Iterator[str]:
    """Yield a line of JSON per row."""
    for row in rows:
        yield json.dumps(row, ensure_ascii=False) + "\n"


def csv_text(rows: Iterable[ResultRow], labels: Sequence[str], film: bool = False) -> Iterator[str]:
    """Yield the heading and the lines of a CSV; probabilities of `labels` as columns `p_LABEL`, with six decimals.

    With `film` it has the columns `time` and `person` too.
    """
    buffer = io.StringIO()
    names = [*_CSV[:1], *(_FILM if film else ()), *_CSV[1:], *(f"p_{label}" for label in labels)]
    writer = csv.DictWriter(buffer, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        for line in flat_rows(row, labels):
            writer.writerow({name: round(value, 6) if _is_share(name) else value for name, value in line.items()})
        yield _taken(buffer)
    yield _taken(buffer)


def write_parquet(rows: Iterable[ResultRow], path: Path, labels: Sequence[str], film: bool = False) -> None:
    """Write a Parquet file whole or not at all, `ROW_GROUP` lines at a time; MissingExtraError without pyarrow.

    With `film` it has the columns `time` and `person` too.
    """
    pa = require_parquet()
    from pyarrow import parquet

    schema = parquet_schema(labels, film)
    lines = (_clean(line) for row in rows for line in flat_rows(row, labels))
    with new_file(path) as part, parquet.ParquetWriter(part, schema) as writer:
        while group := list(islice(lines, ROW_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema))


def flat_rows(row: ResultRow, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield one flat dict per face of a row, or one for a picture without.

    `x`, `y`, `width` and `height` are the face's box in pixels, `picture_width` and `picture_height` the
    picture's size, `face` counts from 0, `landmarks` is x, y of each point in turn, and `p_LABEL` the
    probability of each of `labels`; of a film also `time` in seconds and `person`. What
    a row does not have is left out.
    """
    head = {name: row[name] for name in ("source", "status", "reason", "model")}
    head |= {f"picture_{name}": row[name] for name in ("width", "height")}
    head |= {"time": row["time"]} if "time" in row else {}
    for number, face in enumerate(row["faces"]):
        known = {**face.get("expressions", {}), **face["probabilities"]}
        shares = {f"p_{label}": known[label] for label in labels}
        points = [value for point in face["landmarks"] or () for value in point]
        about = {"face": number, "score": face["score"], "landmarks": points or None}
        about |= {"person": face["person"]} if "person" in face else {}
        yield head | face["box"] | about | {name: face[name] for name in _FACE} | shares
    if not row["faces"]:
        yield head


def probability_labels(labels: Sequence[str], answers: Sequence[str]) -> tuple[str, ...]:
    """Name the probabilities of a flat row: of every answer, and of all expressions where a model has them."""
    seven = EXPRESSIONS if set(labels) == set(EXPRESSIONS) else ()
    return tuple(dict.fromkeys((*answers, *seven)))


def parquet_schema(labels: Sequence[str], film: bool = False) -> "pa.Schema":
    """Return the columns of a Parquet file of flat rows, of a `film` or of pictures."""
    pa = require_parquet()
    kinds: dict[str, Any] = {"source": pa.string()}
    kinds |= {"time": pa.float64(), "person": pa.int32()} if film else {}
    kinds |= dict.fromkeys(("status", "reason", "model"), pa.string())
    kinds |= dict.fromkeys(("picture_width", "picture_height", "face", "x", "y", "width", "height"), pa.int32())
    kinds |= {"score": pa.float64(), "landmarks": pa.list_(pa.float64())}
    kinds |= {"answer": pa.string(), "probability": pa.float64(), "why": pa.string()}
    return pa.schema(kinds | {f"p_{label}": pa.float64() for label in labels})


def require_parquet() -> Any:
    """Return pyarrow; MissingExtraError where it is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtraError("--parquet", "parquet") from None
    return pyarrow


def _is_share(name: str) -> bool:
    return name == "probability" or name.startswith("p_")


def _clean(line: dict[str, Any]) -> dict[str, Any]:
    """Write bytes of a file name that are no UTF-8 as what they are, like `\\udce9`: Parquet's text is UTF-8."""
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in line.items()
    }


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
