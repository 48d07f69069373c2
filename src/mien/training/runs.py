"""What stands in a folder of runs: settings, state and figures of each, without loading any framework."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.errors import MienError, TrainingError
from mien.io.layout import CONFIG, FAILED, HISTORY, METRICS, RUN, is_finished, is_run
from mien.training.config import read_settings

State = Literal["finished", "unfinished", "failed", "damaged"]
SORTS = ("accuracy", "created", "name")


@dataclass(frozen=True)
class Run:
    """One run: its folder, its state, and what is known of it.

    `accuracy` is that of the part that was judged, in [0, 1], with its 95 % interval `low` to `high`; None unless
    finished. `val_accuracy` is that of the epoch with the lowest validation loss so far. `note` says how to go on, or
    what went wrong.
    """

    folder: Path
    state: State
    network: str = ""
    classes: tuple[str, ...] = ()
    created: str = ""
    epochs: int = 0
    accuracy: float | None = None
    low: float | None = None
    high: float | None = None
    part: str = ""
    val_accuracy: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "run": str(self.folder), "state": self.state, "network": self.network, "classes": list(self.classes),
            "created": self.created, "epochs": self.epochs, "accuracy": self.accuracy, "low": self.low,
            "high": self.high, "part": self.part, "val_accuracy": self.val_accuracy, "note": self.note,
        }  # fmt: skip


def read_about(folder: Path) -> dict[str, Any]:
    """Return what `run.json` says; TrainingError where the folder is no run."""
    if not folder.is_dir():
        raise TrainingError(f"{folder}: no such run folder")
    try:
        found: dict[str, Any] = json.loads((folder / RUN).read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        raise TrainingError(f"{folder}: is not a run folder ({RUN} is missing or damaged)") from None


def read_unfinished(folder: Path) -> dict[str, Any]:
    """Return what `run.json` says of a run to be continued; TrainingError where it is no run, or finished."""
    about = read_about(folder)
    if is_finished(folder):
        raise TrainingError(f"{folder}: this run is finished; see {folder / METRICS}")
    return about


def list_runs(folder: Path, sort: str = "accuracy") -> list[Run]:
    """Return every run in a folder and the folders in it; the folds of a run belong to it and are left out.

    Sorted by `accuracy` (best first, unfinished last), `created` (newest first) or `name`. Raises TrainingError where
    there is no such folder.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder}: no such folder; runs are where mien train --out put them")
    found = [read_run(path) for path in _run_folders(folder)]
    if sort == "created":
        return sorted(found, key=lambda run: run.created, reverse=True)
    if sort == "name":
        return sorted(found, key=lambda run: str(run.folder))
    return sorted(found, key=lambda run: (run.accuracy is None, -(run.accuracy or 0), -(run.val_accuracy or 0)))


def read_run(folder: Path) -> Run:
    """Read what one run folder says; a damaged one says so in its state."""
    try:
        return _read(folder)
    except KeyError as error:
        return Run(folder, "damaged", note=f"{error} is missing in its files"[:160])
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, csv.Error, MienError) as error:
        return Run(folder, "damaged", note=" ".join(str(error).split())[:160])


def _run_folders(folder: Path) -> Iterator[Path]:
    if is_run(folder):
        yield folder
        return
    for child in sorted(folder.iterdir()):
        if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
            yield from _run_folders(child)


def _read(folder: Path) -> Run:
    about = json.loads((folder / RUN).read_text(encoding="utf-8"))
    settings = read_settings(folder / CONFIG)
    history = list(_epochs(folder / HISTORY))
    best = min(history, key=lambda row: row["val_loss"], default=None)
    known: dict[str, Any] = {
        "network": str(settings.get("backbone") or settings["network"]), "classes": tuple(map(str, about["classes"])),
        "created": str(about.get("created", "")), "epochs": len(history),
        "val_accuracy": best["val_accuracy"] if best else None,
    }  # fmt: skip
    metrics = folder / METRICS
    if metrics.exists():
        figures = json.loads(metrics.read_text(encoding="utf-8"))
        value, low, high = (float(figures["accuracy"][name]) for name in ("value", "low", "high"))
        if not 0 <= low <= value <= high <= 1:
            raise ValueError(f"{metrics}: the accuracy is no number in its interval in [0, 1]")
        return Run(folder, "finished", **known, accuracy=value, low=low, high=high, part=str(figures["part"]))
    failed = folder / FAILED
    if failed.exists():
        return Run(folder, "failed", **known, note=failed.read_text(encoding="utf-8").strip())
    return Run(folder, "unfinished", **known, note=f"mien train --resume {folder}")


def _epochs(path: Path) -> Iterable[dict[str, float]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: float(row[name]) for name in ("val_loss", "val_accuracy")} for row in csv.DictReader(stream)]
