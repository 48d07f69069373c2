"""Rows as text and tables: the same values everywhere, a line per face, never more held than a row group."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from mien.errors import MissingExtraError
from mien.io import formats as module
from mien.io.atomic import to_bytes
from mien.io.cells import from_cell
from mien.io.formats import (
    Column,
    columns,
    csv_text,
    flat_rows,
    json_text,
    jsonl_text,
    parquet_schema,
    probability_labels,
    write_parquet,
)
from mien.labels import EXPRESSIONS

LABELS = ("happy", "sad")


def face(x: int, happy: float, **more: Any) -> dict[str, Any]:
    shares = {"happy": happy, "sad": 1 - happy}
    return {
        "box": {"x": x, "y": 2, "width": 30, "height": 40},
        "score": 0.9,
        "landmarks": [[1.5, 2.0], [3.0, 4.5]],
        "answer": "happy",
        "probability": happy,
        "why": None,
        "probabilities": shares,
        **more,
    }


def row(source: str, *faces: dict[str, Any], status: str = "ok", reason: str | None = None) -> dict[str, Any]:
    size = (None, None) if status == "unreadable" else (640, 480)
    return {
        "source": source,
        "status": status,
        "reason": reason,
        "width": size[0],
        "height": size[1],
        "model": "m",
        "detect": True,
        "faces": list(faces),
    }


ROWS = [
    row("two.png", face(1, 0.75), face(100, 1 / 3)),
    row('odd,"\n".png', face(5, 1, score=None, landmarks=None)),
    row("none.png", status="no_face", reason="no face was found"),
    row("caf\udce9.png", status="unreadable", reason="is empty (zero bytes)"),
]


@pytest.mark.parametrize("count", range(5))
def test_json_is_what_json_would_write(count: int) -> None:
    written = "".join(json_text(ROWS[:count]))
    assert written == to_bytes(json.dumps(ROWS[:count], indent=2, ensure_ascii=False) + "\n").decode()
    assert json.loads(written) == ROWS[:count]


def test_json_lines_are_rows() -> None:
    assert [json.loads(line) for line in jsonl_text(ROWS)] == ROWS


def test_csv_has_a_line_per_face_and_one_for_an_image_without() -> None:
    found = list(csv.DictReader(io.StringIO("".join(csv_text(ROWS, LABELS)), newline="")))
    assert [from_cell(line["source"]) for line in found] == [
        "two.png",
        "two.png",
        'odd,"\n".png',
        "none.png",
        "caf\udce9.png",
    ]
    assert [line["p_happy"] for line in found] == ["0.75", "0.333333", "1", "", ""]
    assert [(line["x"], line["width"], line["score"]) for line in found][:3] == [
        *(("1", "30", "0.9"), ("100", "30", "0.9"), ("5", "30", "")),
    ]
    assert "".join(csv_text([], LABELS)).startswith(
        "source,status,reason,model,detect,image_width,image_height,face,x,y,"
    )


def test_text_comes_row_by_row() -> None:
    """Nothing waits for the last row: each is there before the next is asked for."""
    asked = []

    def endless() -> Iterator[dict[str, Any]]:
        for number in range(10**9):
            asked.append(number)
            yield ROWS[0]

    for text in (json_text(endless()), jsonl_text(endless()), csv_text(endless(), LABELS)):
        asked.clear()
        first = next(text)
        assert "two.png" in first
        assert asked == [0]


def test_parquet_holds_the_flat_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROW_GROUP", 2)
    write_parquet(iter(ROWS), tmp_path / "out.parquet", LABELS)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    file = parquet.ParquetFile(tmp_path / "out.parquet")
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [2, 2, 1]
    found = file.read().to_pylist()
    for line, (one, shown) in zip(found, flat_rows(ROWS), strict=True):
        expected = {column.name: column.value(one, shown) for column in columns(LABELS)}
        assert line == {**expected, "source": expected["source"].replace("\udce9", r"\udce9")}
    assert [line["face"] for line in found] == [1, 2, 1, None, None]
    assert found[1]["landmarks"] == [1.5, 2.0, 3.0, 4.5]
    assert (found[3]["image_width"], found[4]["image_width"]) == (640, None)


def test_probabilities_of_all_expressions_where_a_model_has_them() -> None:
    assert probability_labels(("happy", "sad"), ("happy", "sad")) == ("happy", "sad")
    assert probability_labels(EXPRESSIONS, ("happy", "sad", "neither")) == (
        *("happy", "sad", "neither", "angry", "disgust", "fear", "neutral", "surprise"),
    )
    seven = dict.fromkeys(EXPRESSIONS, 1 / 7)
    ((one, shown),) = flat_rows([row("a", face(0, 0.5, expressions=seven))])
    assert [column.value(one, shown) for column in columns(("happy", "fear"))[-2:]] == [0.5, 1 / 7]


def test_a_new_column_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    area = Column("area", "integer", of_face=lambda face: face["box"]["width"] * face["box"]["height"])
    monkeypatch.setattr(module, "COLUMNS", (*module.COLUMNS, area))
    found = list(csv.DictReader(io.StringIO("".join(csv_text(ROWS, LABELS)), newline="")))
    assert [line["area"] for line in found] == ["1200", "1200", "1200", "", ""]
    assert "area" in parquet_schema(LABELS).names


def test_frames_of_a_video_have_a_place_in_it_and_persons() -> None:
    place = ["time", "frame", "scene", "person"]
    names = [column.name for column in columns(LABELS, video=True)]
    assert [name for name in names if name not in [column.name for column in columns(LABELS)]] == place
    one = {**row("a.mp4", face(0, 0.5, person=3)), "time": 0.2, "frame": 7, "scene": 2}
    first, second, _ = csv.DictReader(io.StringIO("".join(csv_text([one, ROWS[0]], LABELS, video=True)), newline=""))
    assert [first[name] for name in place] == ["0.2", "7", "2", "3"]
    assert [second[name] for name in place] == [""] * 4, "an image among videos"


def test_a_missing_extra_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"^Parquet needs .*: pip install 'mien\[parquet\]'$"):
        write_parquet(iter(ROWS), tmp_path / "out.parquet", LABELS)
    assert list(tmp_path.iterdir()) == []
