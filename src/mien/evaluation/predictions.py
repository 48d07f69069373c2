"""Read back the predictions that `mien evaluate --out` or a run has written."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.arrays import Float64, Int64
from mien.data.layouts.tables import csv_rows
from mien.errors import DataError
from mien.evaluation.scoring import Predictions
from mien.io.archives import MAX_LARGE_BYTES
from mien.io.bounded import parse_json, parse_toml, read_bytes
from mien.io.layout import CONFIG, METRICS, PREDICTIONS


@dataclass(frozen=True, eq=False)
class SavedPredictions:
    """The predictions of one evaluation: N images, K classes.

    Attributes:
        path: the folder they were read from.
        classes: the K class names.
        names: (N,) relative paths of the images, all different.
        truth: int64 (N,), the true class, in [0, K).
        answers: int64 (N,), the answered class, in [0, K).
        probabilities: float64 (N, K), in [0, 1]; all nan if there were only answers.
        groups: (N,) names of groups of near-duplicates; None if unknown.
        part: what was evaluated, in words.
        model: the model's name.
        settings: what a run was trained with; None if the folder is not a run.
        data_sha256: hash of the data; None if it was not recorded.
    """

    path: Path
    classes: tuple[str, ...]
    names: tuple[str, ...]
    truth: Int64
    answers: Int64
    probabilities: Float64
    groups: tuple[str, ...] | None
    part: str
    model: str
    settings: Mapping[str, Any] | None = None
    data_sha256: str | None = None


def saved_predictions(predictions: Predictions, path: Path, part: str, model: str) -> SavedPredictions:
    """Return predictions that are still in memory as `read_predictions` would read them.

    Args:
        predictions: the predictions.
        path: stands for the folder; its name is shown.
        part: what was evaluated, in words.
        model: the model's name.
    """
    groups = None if predictions.groups is None else tuple(map(str, predictions.groups))
    return SavedPredictions(
        path, predictions.classes, predictions.names, predictions.truth, predictions.answers,
        predictions.probabilities, groups, part, model, data_sha256=predictions.sha256,
    )  # fmt: skip


def read_predictions(folder: Path) -> SavedPredictions:
    """Read a report or run folder.

    Raises DataError if the folder is neither, or its files are damaged or contradict each other.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: is not a folder; give one that `mien.evaluate(out=DIR)` or `mien.train` has written"
        )
    for name in (METRICS, PREDICTIONS):
        if not (folder / name).is_file():
            raise DataError(
                f"{folder}: has no {name}; give a folder that `mien.evaluate(out=DIR)` or `mien.train` has written"
            )
    metrics = _metrics(folder / METRICS)
    rows = csv_rows(_bytes(folder / PREDICTIONS), str(folder / PREDICTIONS))
    return _predictions(folder, metrics, next(rows, []), list(rows))


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path, MAX_LARGE_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _metrics(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(_bytes(path))
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error}); evaluate again") from None
    if not isinstance(found, dict) or not isinstance(found.get("about") or {}, dict):
        raise DataError(f"{path}: is not what mien evaluate writes; evaluate again")
    return found


def _settings(path: Path) -> dict[str, Any] | None:
    """Return what a run was trained with; None if there is no such file or it cannot be read."""
    try:
        return parse_toml(read_bytes(path))
    except (OSError, ValueError):
        return None


def _predictions(
    folder: Path, metrics: Mapping[str, Any], header: list[str], rows: list[list[str]]
) -> SavedPredictions:
    path = folder / PREDICTIONS
    classes = tuple(name[2:] for name in header if name.startswith("p_"))
    wanted = ["file", "truth", "answer", *(f"p_{name}" for name in classes)]
    if header[: len(wanted)] != wanted or len(classes) < 2 or len(set(classes)) < len(classes):
        raise DataError(f"{path}: the header must be file,truth,answer and p_CLASS for each class; evaluate again")
    for number, cells in enumerate(rows):
        if len(cells) != len(header) or not {cells[1], cells[2]} <= set(classes):
            raise DataError(f"{path}: row {number} is damaged (file '{cells[0] if cells else ''}'); evaluate again")
    names = tuple(cells[0] for cells in rows)
    if not names or len(set(names)) < len(names):
        what = "has no images" if not names else f"has '{_repeated(names)}' twice"
        raise DataError(f"{path}: {what}; evaluate again")
    about = metrics.get("about") or {}
    return SavedPredictions(
        path=folder,
        classes=classes,
        names=names,
        truth=np.array([classes.index(cells[1]) for cells in rows]),
        answers=np.array([classes.index(cells[2]) for cells in rows]),
        probabilities=_probabilities(path, [cells[3 : 3 + len(classes)] for cells in rows]),
        groups=tuple(cells[header.index("group")] for cells in rows) if "group" in header else None,
        part=str(metrics.get("part", "")),
        model=str(about.get("model") or about.get("run") or folder.name),
        settings=_settings(folder / CONFIG),
        data_sha256=str(about["data_sha256"]) if "data_sha256" in about else None,
    )


def _probabilities(path: Path, cells: Sequence[Sequence[str]]) -> Float64:
    if not any(cell for row in cells for cell in row):
        return np.full((len(cells), len(cells[0])), math.nan)
    try:
        found = np.array(cells, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{path}: a probability is not a number ({error}); evaluate again") from None
    if not ((found >= 0) & (found <= 1)).all():
        raise DataError(f"{path}: a probability is not in [0, 1]; evaluate again")
    return found


def _repeated(names: Sequence[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
