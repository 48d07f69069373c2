"""TensorBoard logs: what TensorBoard itself reads back is the history, also after an interruption."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.training.loop.history import read_history
from mien.training.loop.schedule import Epoch
from mien.training.loop.tensorboard import FOLDER, EventLog
from mien.training.reporter import QuietReporter

ROWS = [Epoch(n, 1.0 / n, 0.5, 2.0 / n, 0.6 + n / 100, 1e-3, 3.0, 100.0, 0.0) for n in range(1, 5)]


def read_back(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    found: dict[str, list[tuple[int, float]]] = {}
    for split in ("train", "validation"):
        events: Any = EventAccumulator(str(folder / FOLDER / split))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            found[f"{split}/{tag}"] = [(event.step, event.value) for event in events.Scalars(tag)]
    return found


def test_every_epoch_is_there_once_also_after_an_interruption(tmp_path: Path) -> None:
    log = EventLog(tmp_path, [], QuietReporter())
    for row in ROWS[:3]:
        log.on_epoch(row)
    log.close()
    log = EventLog(tmp_path, ROWS[:2], QuietReporter())  # the third epoch was written but not kept
    for row in ROWS[2:]:
        log.on_epoch(row)
    log.close()
    found = read_back(tmp_path)
    assert [step for step, _ in found["train/epoch_loss"]] == [0, 1, 2, 3]
    assert [value for _, value in found["train/epoch_loss"]] == pytest.approx([row.loss for row in ROWS])
    assert [value for _, value in found["validation/epoch_accuracy"]] == pytest.approx(
        [row.val_accuracy for row in ROWS]
    )


def test_a_run_writes_them_when_asked(faces: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]]) -> None:
    arguments = ["--network", "classic", "--size", 32, "--width", 0.1, "--epochs", 2, "--tensorboard"]
    code, _, errors = call("train", faces, "--out", tmp_path / "run", *arguments)
    assert code == 0, errors
    history = read_history(tmp_path / "run")
    found = read_back(tmp_path / "run")
    assert [value for _, value in found["validation/epoch_loss"]] == pytest.approx([row.val_loss for row in history])


def test_without_tensorboardx_it_is_one_line(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., tuple[int, str, str]]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    code, _, errors = call("train", faces, "--out", tmp_path / "run", "--network", "classic", "--tensorboard")
    assert code == 2
    assert errors.strip().endswith("--tensorboard needs an optional part of mien: pip install 'mien[tensorboard]'")
    assert not (tmp_path / "run").exists()
