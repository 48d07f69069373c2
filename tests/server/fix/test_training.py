"""Train and look again: a real `mien train` in a process of its own, its progress, its end, and what it changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from mien.inference.bundle import find_shipped, load_bundle
from mien.server.fix.training import Training, _free_folder, _StoppedError

#: A training may take as long as it needs, in milliseconds.
HOURS = 4 * 3_600_000


def test_each_training_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first = _free_folder(tmp_path, Path("photos.zip"))
    assert first == tmp_path / "fix-photos-1"
    first.mkdir()
    assert _free_folder(tmp_path, Path("photos.zip")).name == "fix-photos-2"


@pytest.mark.slow
def test_train_stop_train_and_look_again(command: Any, browser: Any, visit: Callable[..., Any], data: Path) -> None:
    page = visit(browser, command.start())
    page.tab.locator(".stage[data-state=shown]").wait_for()
    for _ in range(3):
        name = page.name
        page.press("2")
        page.wait_until_not(name)
    page.tab.click("#enough-open")
    page.tab.click("#train")
    page.wait_for("#training-text", "Training on your decisions: fold 1 of 3", HOURS)
    page.wait_for("#training-text", "left", HOURS)
    page.check_accessible()
    page.tab.click("#train-stop")
    page.wait_for("#training-text", "The training was stopped.")
    page.tab.click("#train")
    page.wait_for("#training-text", "Training on your decisions", HOURS)
    page.press("k")  # one can go on meanwhile
    page.wait_for("#progress-text", "4 decided")
    page.wait_for("#training-text", "The pictures are in a new order", HOURS)
    page.wait_for("#training-text", "Now training without the decisions, to compare", HOURS)
    page.wait_for("#training-text", "left", HOURS)
    page.check_accessible()
    page.wait_for("#outcome-text", "images", HOURS)
    page.wait_for("#training-text", "The pictures are in a new order")
    page.check_accessible()
    assert page.tab.locator("#outcome-table tbody tr").count() > 2
    assert page.tab.is_hidden("#compare-field"), "what was trained without the decisions is kept"
    runs = sorted(path.name for path in (data.parent / "mien-runs").glob("fix-*"))
    assert runs == ["fix-data-1", "fix-data-2", "fix-data-3"]


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True])
def test_a_folder_of_the_name_of_the_shipped_model_changes_no_training(
    own: bool, make_bundle: Callable[..., Path], faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if own:  # a model of the user's
        shutil.copytree(make_bundle(("cat", "dog")), "mien")
    else:  # a clone of mien
        Path("mien/src/mien").mkdir(parents=True)
    flags = ("--epochs", "1", "--detect", "no")
    training = Training(faces, flags, Path("fixes.csv"), lambda predictions: None, comparable=False)
    run = training._train("Training on your decisions", ["--no-fixes"])
    shipped = json.loads((run / "metrics.json").read_text())["baselines"]["shipped"]
    assert shipped["sha256"] == load_bundle(find_shipped()).config.sha256
    assert 'start_from = "mien"' in (run / "config.toml").read_text()


def test_a_training_that_fails_says_why(serve: Callable[..., Any], browser: Any, visit: Callable[..., Any]) -> None:
    served = serve()
    served.app.state.mien.training._flags = ("--epochs", "none")
    page = visit(browser, served.url)
    page.tab.click("#enough-open")
    page.tab.click("#train")
    page.wait_for("#training-text", "The training failed: ")
    assert "epochs" in page.tab.text_content("#training-text")
    assert page.tab.is_visible("#train")
    page.tab.reload()
    page.wait_for("#running", "The training failed: ")
    page.check_accessible()
    page.tab.click("#enough-open")
    page.tab.locator("#running").wait_for(state="hidden")


def test_a_training_is_seen_beside_the_pictures_and_its_end_is_told(
    serve: Callable[..., Any], browser: Any, visit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = Event()

    def train(training: Training, *_: object) -> Path:
        ended.wait()
        raise _StoppedError

    def stop(training: Training) -> bool:
        ended.set()
        return whole(training)

    whole = Training.stop
    monkeypatch.setattr(Training, "_train", train)  # one that lasts until it is stopped
    monkeypatch.setattr(Training, "stop", stop)
    served = serve()
    page = visit(browser, served.url)
    page.tab.click("#enough-open")
    page.tab.click("#train")
    page.tab.locator("#train-stop").wait_for()
    assert page.tab.is_hidden("#running"), "the panel says it"
    page.tab.click("#enough-close")
    page.wait_for("#running", "A training runs: ")
    page.check_accessible()
    page.tab.click("#enough-open")
    page.tab.locator("#running").wait_for(state="hidden")
    page.tab.click("#enough-close")
    ended.set()
    page.wait_for("#running", "The training was stopped.")
    page.tab.click("#enough-open")
    page.tab.locator("#running").wait_for(state="hidden")
    ended.clear()
    page.tab.click("#train")
    page.tab.locator("#train-stop").wait_for()
    assert served.app.state.mien.training.stop(), "one ran"
    assert not served.app.state.mien.training.stop()
    page.wait_for("#training-text", "The training was stopped.")
