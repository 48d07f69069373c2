"""List runs: settings, state and accuracy of each. Needs no Keras."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mien.errors import MienError, OutputError, TrainingError
from mien.evaluation.run_file import read_history, read_run_file
from mien.io.atomic import LOCK, is_locked
from mien.io.bounded import read_object, read_text
from mien.io.folders import MAX_DEPTH
from mien.io.layout import CONFIG, FAILED, HISTORY, METRICS, RUN, is_finished, is_run
from mien.io.targets import free_folder
from mien.training.config import read_settings

State = Literal["finished", "training", "unfinished", "failed", "damaged"]
SORT_KEYS = ("accuracy", "created", "name")


@dataclass(frozen=True)
class Run:
    """Summary of one run.

    Attributes:
        folder: the run folder.
        state: finished, training (by another process now), unfinished, failed or damaged.
        network: network or backbone.
        classes: class names, in the order of the model's outputs.
        created: ISO 8601 time.
        epochs: number of finished epochs.
        accuracy: in [0, 1] on `part`, with its 95 % confidence interval `low` to `high`; None unless finished.
        part: the split that was evaluated.
        images: number of images on `part`; None unless finished.
        data: name of the labelled data.
        test_sha256: hash of these images and labels; runs with equal ones are judged on the same images.
        largest_class: accuracy of always answering the largest class on them; None if unknown.
        shipped: accuracy of the shipped model on them; None if it does not know the classes.
        best: whether it has the highest accuracy of at least two runs that are judged on the same images.
        val_accuracy: validation accuracy of the epoch with the lowest validation loss so far.
        note: how to resume, or what went wrong.
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
    images: int | None = None
    data: str = ""
    test_sha256: str | None = None
    largest_class: float | None = None
    shipped: float | None = None
    best: bool = False
    val_accuracy: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "run": str(self.folder), "state": self.state, "network": self.network, "classes": list(self.classes),
            "created": self.created, "epochs": self.epochs, "accuracy": self.accuracy, "low": self.low,
            "high": self.high, "part": self.part, "images": self.images, "data": self.data,
            "test_sha256": self.test_sha256, "largest_class": self.largest_class, "shipped": self.shipped,
            "best": self.best, "val_accuracy": self.val_accuracy, "note": self.note,
        }  # fmt: skip


def read_about(folder: Path) -> dict[str, Any]:
    """Return the content of `run.json`; TrainingError if the folder is not a run."""
    if not folder.is_dir():
        raise TrainingError(f"{folder}: {'is a file' if folder.exists() else 'no such run folder'}")
    try:
        return read_run_file(folder)
    except (OSError, ValueError):
        raise TrainingError(f"{folder}: is not a run folder ({RUN} is missing or damaged)") from None


def read_unfinished(folder: Path) -> dict[str, Any]:
    """Return the content of `run.json` of a run to resume; TrainingError if it is not a run, or finished."""
    about = read_about(folder)
    if is_finished(folder):
        raise TrainingError(f"{folder}: this run is finished; see {folder / METRICS}")
    return about


def refuse_existing_run(folder: Path) -> None:
    """Raise OutputError if the folder of a new run exists; it names a free one, and how to resume what is there."""
    if not folder.name:
        raise OutputError(f"{folder}: is a folder; give the name of a new one")
    if not os.path.lexists(folder):
        return
    other = f"`out={str(free_folder(folder.parent, folder.name))!r}`"
    if not is_run(folder):
        raise OutputError(f"{folder}: already exists; give another name, such as {other}")
    if is_finished(folder):
        raise OutputError(f"{folder}: holds a finished run; give another name, such as {other}")
    raise OutputError(
        f"{folder}: holds an unfinished run; continue it with `mien.train(resume={str(folder)!r})`, "
        f"or begin another with {other}"
    )


def list_runs(folder: Path, sort: str = "accuracy") -> list[Run]:
    """Return all runs in a folder and its subfolders, without the folds of cross-validated runs.

    Sort by `accuracy` (best first among runs judged on the same images, by data; unfinished last), `created` (newest
    first) or `name`. Raises TrainingError if there is no such folder.
    """
    if not folder.is_dir():
        wrong = "is a file" if folder.exists() else "no such folder"
        raise TrainingError(f"{folder}: {wrong}; give the folder that `mien.train(out=FOLDER)` wrote to")
    found = _mark_best([read_run(path) for path in _run_folders(folder)])
    if sort == "created":
        return sorted(found, key=lambda run: run.created, reverse=True)
    if sort == "name":
        return sorted(found, key=lambda run: str(run.folder))
    return sorted(
        found, key=lambda run: (run.accuracy is None, *_test_set(run), -(run.accuracy or 0), -(run.val_accuracy or 0))
    )


def group_runs(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the finished runs in groups that are judged on the same images, then the others; each in its order."""
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.accuracy is None):
        groups.setdefault(() if run.accuracy is None else _test_set(run), []).append(run)
    return list(groups.values())


def _test_set(run: Run) -> tuple[str, ...]:
    """Return what runs that are judged on the same images have in common."""
    return run.data, run.part, run.test_sha256 or str(run.folder)


def _mark_best(runs: Sequence[Run]) -> list[Run]:
    highest: dict[tuple[str, ...], float] = {}
    for group in group_runs(runs):
        if len(group) > 1 and group[0].accuracy is not None:
            highest[_test_set(group[0])] = max(run.accuracy or 0 for run in group)
    return [replace(run, best=run.accuracy is not None and run.accuracy == highest.get(_test_set(run))) for run in runs]


def read_run(folder: Path) -> Run:
    """Return the summary of a run folder; a damaged one has the state `damaged`."""
    try:
        return _read(folder)
    except KeyError as error:
        return Run(folder, "damaged", note=f"{error} is missing in its files"[:160])
    except (OSError, ValueError, TypeError, AttributeError, MienError) as error:
        return Run(folder, "damaged", note=" ".join(str(error).split())[:160])


def _run_folders(folder: Path, depth: int = 0) -> Iterator[Path]:
    if is_run(folder):
        yield folder
        return
    for child in sorted(folder.iterdir()) if depth <= MAX_DEPTH else ():
        if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
            yield from _run_folders(child, depth + 1)


def _read(folder: Path) -> Run:
    about = read_object(folder / RUN)
    settings = read_settings(folder / CONFIG)
    history = read_history(folder) if (folder / HISTORY).exists() else []
    best = min(history, key=lambda row: row["val_loss"], default=None)
    known: dict[str, Any] = {
        "network": str(settings.get("backbone") or settings["network"]), "classes": tuple(map(str, about["classes"])),
        "created": str(about.get("created", "")), "data": _data_name(about), "epochs": len(history),
        "val_accuracy": best["val_accuracy"] if best else None,
    }  # fmt: skip
    metrics = folder / METRICS
    if metrics.exists():
        stored = read_object(metrics)
        value, low, high = (float(stored["accuracy"][name]) for name in ("value", "low", "high"))
        if not 0 <= low <= value <= high <= 1:
            raise ValueError(f"{metrics}: the accuracy is not in its confidence interval in [0, 1]")
        return Run(
            folder, "finished", **known, accuracy=value, low=low, high=high, part=str(stored["part"]),
            images=int(stored["n"]), test_sha256=stored["about"].get("data_sha256"),
            **_baselines(stored.get("baselines") or {}),
        )  # fmt: skip
    if is_locked(folder / LOCK):
        return Run(folder, "training", **known)
    failed = folder / FAILED
    if failed.exists():
        return Run(folder, "failed", **known, note=read_text(failed).strip())
    return Run(folder, "unfinished", **known, note=f"`mien.train(resume={str(folder)!r})`")


def _data_name(about: Mapping[str, Any]) -> str:
    return Path((about.get("source") or {}).get("path", "")).name


def _baselines(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: float(stored[name]["accuracy"]["value"]) for name in ("largest_class", "shipped") if stored.get(name)}
