"""How far a training is, and how long it will take."""

from pathlib import Path

import pytest

from mien.io.layout import CONFIG, FINAL, HISTORY, METRICS
from mien.server.fix.training_time import FOLDS, fraction_done, time_left


def test_progress_is_that_of_the_run_folder(tmp_path: Path) -> None:
    assert fraction_done(tmp_path) == 0
    seen = [0.0]
    for name in [*(f"fold-{number + 1}" for number in range(FOLDS)), FINAL]:
        (tmp_path / name).mkdir()
        (tmp_path / name / CONFIG).write_text("epochs = 4\n")
        for epochs in range(1, 5):
            (tmp_path / name / HISTORY).write_text("header\n" + "row\n" * epochs)
            seen.append(fraction_done(tmp_path))
        (tmp_path / name / METRICS).write_text("{}")
        seen.append(fraction_done(tmp_path))
    assert seen == sorted(seen) and seen[-1] == 0.99
    assert seen[1:3] == pytest.approx([1 / 16, 2 / 16])
    assert seen[5] == pytest.approx(1 / (FOLDS + 1))


def test_the_time_left_follows_from_what_is_done_or_from_the_training_before() -> None:
    assert time_left(0, 10, None) == "The time left is said after the first epoch"
    assert time_left(0, 10, 100) == "About 2 minutes are left"
    assert time_left(0.5, 50, 1000) == "About 1 minute is left", "its own pace counts as soon as it is known"
    assert time_left(0.5, 600, None) == "About 10 minutes are left"
    assert time_left(0, 300, 200) == "It ends soon"
