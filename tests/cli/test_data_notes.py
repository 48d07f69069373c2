"""Every verb that reads labelled data says once what was guessed about it, and why nothing of it can be used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.training.reporter import QuietReporter
from mien.training.search.experiment import _Data
from mien.training.search.sweep import Sweep
from mien.training.source import TrainingSource

Call = Callable[..., tuple[int, str, str]]
MakeBundle = Callable[..., Path]

NOTE = "reads test_set as test, training_set as train\n"
ALIKE = "classes Sad and sad count as different; --map Sad=sad makes them one\n"


@pytest.fixture(scope="module")
def guessed(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces in parts whose names are guessed, with a class under two names."""
    root = tmp_path_factory.mktemp("guessed") / "data"
    for place, part in enumerate(("training_set", "test_set")):
        for label in ("happy", "sad"):
            files = sorted((faces / label).iterdir())[place::2]
            for number, name in enumerate(files):
                to = root / part / ("Sad" if label == "sad" and number % 2 else label) / f"{part}{number}{name.suffix}"
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(name, to)
    return root


@pytest.fixture(scope="module")
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle()


def arguments(verb: str, data: Path, bundle: Path, out: Path) -> list[object]:
    return {
        "check": ["check", data, "--quick"],
        "show": ["show", data, "--out", out / "grid.png"],
        "evaluate": ["evaluate", data, "--model", bundle],
        "explain": ["explain", data, "--summary", "--model", bundle, "--method", "occlusion", "--limit", "4"],
        "export": ["export", bundle, "--int8", "--data", data, "--out", out / "int8"],
    }[verb]  # fmt: skip


VERBS = ("check", "show", "evaluate", "explain", "export")


@pytest.mark.parametrize("verb", VERBS)
def test_each_guess_is_said_once_on_stderr(call: Call, guessed: Path, bundle: Path, tmp_path: Path, verb: str) -> None:
    options = [] if verb == "export" else ["--map", "Sad=sad"]
    _, out, err = call(*arguments(verb, guessed, bundle, tmp_path), *options)
    assert err.count(NOTE) == 1
    assert err.count(ALIKE) == (verb == "export")  # which takes no --map
    assert NOTE not in out


def test_two_names_for_a_class_are_said(call: Call, guessed: Path) -> None:
    status, out, err = call("check", guessed, "--quick", "--json", "-")
    assert err.count(ALIKE) == 1
    notes = json.loads(out)["notes"]
    assert notes == [NOTE.strip(), ALIKE.strip().replace("--map Sad=sad", "`rename={'Sad': 'sad'}`")]
    assert status in (0, 1)


def test_a_sweep_that_audits_twice_says_it_once(guessed: Path) -> None:
    class Listening(QuietReporter):
        def __init__(self) -> None:
            self.said: list[str] = []

        def say(self, text: str) -> None:
            self.said.append(text)

    reporter = Listening()
    data = _Data(TrainingSource(guessed, None, {"Sad": "sad"}), reporter)
    for run in Sweep("Faces?", {"size": 24}, {"detect": (True, False)}, (0,)).runs():
        data.split(run)
    assert reporter.said.count(NOTE.strip()) == 1


@pytest.mark.parametrize("verb", [*VERBS, "train", "tune", "experiment"])
def test_the_first_reason_and_the_count_if_every_row_is_refused(
    call: Call, bundle: Path, tmp_path: Path, verb: str
) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("file,label\na.png,happy\nb.png,sad\n")
    sweep = tmp_path / "sweep.toml"
    sweep.write_text('title = "Size?"\n[grid]\nsize = [24, 32]\n')
    given = {
        "train": ["train", data, "--out", tmp_path / "run"],
        "tune": ["tune", data, "--trials", "1", "--out", tmp_path / "study"],
        "experiment": ["experiment", sweep, data, "--out", tmp_path / "sweep"],
    }  # fmt: skip
    status, out, err = call(*(given.get(verb) or arguments(verb, data, bundle, tmp_path)))
    assert (status, out) == (2, "")
    reason = "none of its 2 labelled entries can be used; the first is row 0: file 'a.png' does not exist"
    assert err == f"mien: {data}: {reason}\n"
