"""A run whose files are cut, changed or replaced is one line in every verb that reads it: real runs, no traceback."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reporters import RecordingReporter
from workplace import FOR_A_SPLIT, drawn

from mien.io.layout import BUNDLE, CHECKPOINT, CONFIG, HISTORY, KERAS, METRICS, PREDICTIONS, RUN, SPLIT

Call = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.slow

FINISHED = (CONFIG, RUN, METRICS, HISTORY, PREDICTIONS, SPLIT, KERAS, *(f"{BUNDLE}/{name}" for name in (
    "config.json", "model.onnx", "CARD.md")))  # fmt: skip
UNFINISHED = (CHECKPOINT, CONFIG, RUN, HISTORY, SPLIT)
SETTINGS = {"network": "classic", "size": 24, "width": 0.25, "batch_size": 16, "epochs": 3, "augment": "none"}


class StopError(Exception):
    """Ends a training after its first epoch, as a kill does."""


class StopReporter(RecordingReporter):
    def on_epoch(self, epoch: Any) -> None:
        raise StopError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled data, a finished run, a copy of it, and an unfinished run."""
    pytest.importorskip("keras")
    from mien.training.config import TrainConfig
    from mien.training.source import TrainingSource
    from mien.training.train import train_source

    folder = tmp_path_factory.mktemp("runs")
    drawn(folder / "data", FOR_A_SPLIT)
    source, config = TrainingSource(folder / "data"), TrainConfig.make(SETTINGS)
    with pytest.raises(StopError):
        train_source(source, config, folder / "unfinished", StopReporter())
    train_source(source, config, folder / "finished")
    shutil.copytree(folder / "finished", folder / "other")
    return folder


def damages(whole: bytes) -> dict[str, bytes | None]:
    """Return damaged contents of a file by their kind; None is a folder in its place."""
    rng, found = random.Random(len(whole)), dict[str, bytes | None]()
    for many in (1, 9):
        data = bytearray(whole)
        for _ in range(many):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        found[f"{many} bits flipped"] = bytes(data)
    return {**found, "half of it": whole[: len(whole) // 2], "another file": b"[1, 2\n", "a folder": None}


def assert_lines(called: tuple[int, str, str], what: str) -> None:
    """A bad call is one line of ours; else there may be lines of progress."""
    status, out, errors = called
    assert status in (0, 1, 2), what
    assert "Traceback" not in out + errors, what
    lines = [line for line in errors.splitlines() if line.startswith("mien: ")]
    assert status != 2 or len(lines) == 1, f"{what}: {errors}"


@pytest.mark.parametrize("file", FINISHED)
def test_a_damaged_finished_run(place: Path, tmp_path: Path, call: Call, file: str) -> None:
    run, image = place / "finished", next((place / "data" / "happy").iterdir())
    verbs: dict[str, list[object]] = {
        "evaluate": ["evaluate", "--model", run],
        "runs": ["runs", place],
        "resume": ["train", "--resume", run],
    }
    if file.startswith(BUNDLE):
        verbs["explain"] = ["explain", image, "--model", run, "--out", tmp_path / "map.png"]
    else:
        verbs["compare"] = ["compare", run, place / "other", "--out", tmp_path / "both"]
    check_all(run / file, verbs, tmp_path, call)


@pytest.mark.parametrize("file", UNFINISHED)
def test_a_damaged_unfinished_run(place: Path, tmp_path: Path, call: Call, file: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(place / "unfinished", run)
    verbs: dict[str, list[object]] = {"runs": ["runs", tmp_path], "resume": ["train", "--resume", run]}
    check_all(run / file, verbs, tmp_path, call, lambda: reset(place / "unfinished", run))


def reset(whole: Path, run: Path) -> None:
    shutil.rmtree(run)
    shutil.copytree(whole, run)


def check_all(
    path: Path, verbs: dict[str, list[object]], tmp_path: Path, call: Call, again: Callable[[], None] | None = None
) -> None:  # fmt: skip
    """Damage a file in each way, and give all verbs."""
    whole = path.read_bytes()
    for kind, data in damages(whole).items():
        for verb, words in verbs.items():
            path.unlink()
            if data is None:
                path.mkdir()
            else:
                path.write_bytes(data)
            try:
                assert_lines(call(*words), f"{verb}, {path.name} {kind}")
            finally:
                if again:
                    again()
                else:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    path.write_bytes(whole)
            shutil.rmtree(tmp_path / "both", ignore_errors=True)
            (tmp_path / "map.png").unlink(missing_ok=True)
