"""What a user sees of a run on the terminal: epochs as a table, and how to continue after Ctrl-C."""

from pathlib import Path

import pytest

from mien.cli.output.training_progress import SearchProgress, TrainingProgress
from mien.errors import TrainingError
from mien.io.atomic import LOCK, locked
from mien.training.loop.schedule import Epoch


def epoch(number: int) -> Epoch:
    return Epoch(number, 0.5, 0.9, 0.4123, 0.95, 0.001, 12.4, 345.6, 0.0)


def test_epochs_stand_in_columns_under_one_header(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        progress.on_epoch(epoch(1))
        progress.say("epoch 2: training all layers from here")
        progress.on_epoch(epoch(2))
        progress.on_epoch(epoch(1))  # of the next fold
    lines = capsys.readouterr().err.splitlines()
    header, first = lines[:2]
    assert header.split() == ["epoch", "loss", "accuracy", "validation", "loss", "accuracy", "images/s", "seconds"]
    assert first.split() == ["1", "0.5000", "0.9000", "0.4123", "0.9500", "346", "12"]
    assert len(header) == len(first) <= 80
    assert lines.count(header) == 2
    assert lines.index(header, 1) == 4


def test_an_interrupted_run_says_how_to_continue(tmp_path: Path) -> None:
    run = tmp_path / "my run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    with (
        pytest.raises(KeyboardInterrupt, match=f"interrupted; continue with: mien train --resume '{run}'"),
        TrainingProgress() as progress,
    ):
        progress.on_start(run)
        raise KeyboardInterrupt


def test_a_run_that_another_process_has_or_that_is_finished_is_not_to_be_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").touch()

    def said() -> str:
        with pytest.raises(TrainingError), TrainingProgress() as progress:
            progress.on_start(tmp_path)
            raise TrainingError("refused")
        return "".join(capsys.readouterr())

    assert "continue with" in said()
    with locked(tmp_path / LOCK):
        assert said() == ""
    (tmp_path / "metrics.json").touch()
    assert said() == ""


def test_before_there_is_a_run_an_interrupt_says_nothing_more(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"^$"), TrainingProgress() as progress:
        progress.on_start(tmp_path / "none")
        raise KeyboardInterrupt


def test_an_interrupted_search_names_its_command_if_it_is_still_there(tmp_path: Path) -> None:
    marker = tmp_path / "tune.json"
    for message in ("^$", "^interrupted; continue with: mien tune data --trials 3$"):
        with pytest.raises(KeyboardInterrupt, match=message), SearchProgress("mien tune data --trials 3", marker):
            raise KeyboardInterrupt
        marker.touch()
