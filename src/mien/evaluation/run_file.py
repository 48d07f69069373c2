"""Read `run.json` and `history.csv` of a run folder, and check that they are what a training writes."""

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.data.detection import DetectionChoice
from mien.data.fixes.decisions import Fixes
from mien.data.fixes.store import fixes_path
from mien.io.bounded import read_object, read_text
from mien.io.layout import HISTORY, RUN

#: Where labelled data is, the classes that are used (None: all), the classes that are renamed, and the decisions of
#: people that are used.
Source = tuple[Path, tuple[str, ...] | None, dict[str, str], Fixes]


def read_run_file(folder: Path) -> dict[str, Any]:
    """Return the content of `run.json`; OSError if it cannot be read, ValueError if it is damaged."""
    found = read_object(folder / RUN)
    read_source(found.get("source"))
    if not _is_names(found.get("classes")):
        raise ValueError("does not name its classes")
    DetectionChoice.from_dict(found.get("detection"))
    folds, counts = found.get("folds", 0), found.get("counts", {})
    if type(folds) is not int or not (folds == 0 or 3 <= folds <= 1000):
        raise ValueError("does not say how many folds it has")
    if not isinstance(counts, dict) or not all(isinstance(one, dict) for one in counts.values()):
        raise ValueError("does not count its images")
    return found


def read_source(row: Any) -> Source:
    """Return the labelled data that the `source` of a `run.json` names; ValueError if it names none."""
    found = row if isinstance(row, Mapping) else {}
    path, classes, rename = found.get("path"), found.get("classes"), found.get("rename")
    if not isinstance(path, str) or not (classes is None or _is_names(classes)) or not isinstance(rename, dict):
        raise ValueError("does not name its data")
    if not all(isinstance(name, str) for name in rename.values()):
        raise ValueError("does not name its data")
    fixes = Fixes.from_rows(fixes_path(Path(path)), found.get("fixes", []))
    return Path(path), tuple(classes) if classes else None, rename, fixes


def read_history(folder: Path) -> list[dict[str, float]]:
    """Return the rows of `history.csv`, of finite numbers.

    Raises OSError if it cannot be read, ValueError if it is damaged.
    """
    reader = csv.DictReader(io.StringIO(read_text(folder / HISTORY), newline=""))
    try:
        rows = [{str(name): float(value) for name, value in row.items()} for row in reader]
    except (TypeError, csv.Error) as error:  # a row is longer or shorter than the header
        raise ValueError(f"a row is damaged ({error})") from None
    if not all(math.isfinite(value) for row in rows for value in row.values()):
        raise ValueError("a number is not finite")
    return rows


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
