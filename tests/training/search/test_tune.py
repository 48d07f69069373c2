"""Tuning as a person does it: whole studies on drawn faces; the test part stays closed."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reporters import RecordingReporter

from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import write_dataset
from mien.errors import DataError, OutputError, TrainingError
from mien.training.config import TrainConfig
from mien.training.reporter import QuietReporter
from mien.training.search.results import Trial, TuningResult, read_result, write_result
from mien.training.search.study import Budget, run_trials
from mien.training.search.tune import Options, Tuning, tune
from mien.training.source import TrainingSource

optuna = pytest.importorskip("optuna")

#: A network that is built and trained in a second; test_detect.py lets a study decide whether faces are found first.
TINY = {
    "network": "classic", "size": 32, "width": 0.1, "colour": "grey", "epochs": 2, "batch_size": 16, "detect": False,
}  # fmt: skip
#: The same as flags.
FIXED = [part for name, value in TINY.items() if name != "detect" for part in ("--fix", f"{name}={value}")]
#: Each step multiplies the weights by -9, so that the loss overflows.
DIVERGING = {
    **TINY, "optimizer": "sgd", "learning_rate": 10.0, "weight_decay": 1.0, "activation": "leaky_relu", "batch_size": 2,
}  # fmt: skip
SEARCH = ("learning_rate", "dropout")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces in train, validation and test folders."""
    folder = tmp_path_factory.mktemp("data") / "drawn"
    for seed, (part, count) in enumerate({"train": 24, "validation": 12, "test": 10}.items()):
        write_dataset(folder / part, count, seed, 48)
    return folder


def run(data: Path, out: Path, trials: int = 2, settings: dict[str, Any] | None = None) -> Tuning:
    return tune(TrainingSource(data), {**TINY, **(settings or {})}, out, Options(Budget(trials)), SEARCH)


def accuracies(found: Tuning) -> list[float | None]:
    return [trial.accuracy for trial in read_result(found).trials]


@pytest.fixture(scope="module")
def finished(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    found = run(parts, tmp_path_factory.mktemp("runs") / "study", 3)
    write_result(read_result(found), found.folder)
    return found


def test_the_folder_says_everything(finished: Tuning) -> None:
    names = {path.name for path in finished.folder.iterdir()}
    assert {"best.toml", "trials.csv", "summary.json", "history.png", "split.csv", "study.db", "trials"} <= names
    summary = json.loads((finished.folder / "summary.json").read_text())
    assert len(summary["trials"]) == 3
    assert summary["trials"][0]["default"] is True
    assert summary["validation"] == 24
    assert summary["best_accuracy"] == max(row["accuracy"] for row in summary["trials"] if row["accuracy"] is not None)
    assert "significant" in summary["conclusion"] or "nothing better was found" in summary["conclusion"]
    assert len((finished.folder / "trials.csv").read_text().splitlines()) == 4
    assert (finished.folder / "history.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("equal", [True, False])
def test_equal_trials_say_nothing_about_importance(finished: Tuning, equal: bool) -> None:
    """Nothing distinguishes their settings: shares would be made up."""
    study = optuna.create_study(direction="maximize")
    (first, *_) = finished.study.trials()
    for number in range(8):
        settings = {**first.params, "dropout": number / 20}
        study.add_trial(
            optuna.trial.create_trial(
                params=settings, distributions=first.distributions, value=0.5 if equal else 0.9 - number / 10
            )
        )
    found = read_result(replace(finished, study=replace(finished.study, inner=study))).importance
    assert (found == {}) if equal else (found["dropout"] > found["learning_rate"]), found


def test_trials_train_only_on_train_and_are_judged_only_on_validation(finished: Tuning) -> None:
    rows = (finished.folder / "split.csv").read_text().splitlines()[1:]
    assert {row.split(",")[2] for row in rows} == {"train", "validation"}
    assert len(rows) == 2 * 24 + 2 * 12
    caches = list((finished.folder / ".cache").glob("*.npy"))
    assert caches
    assert {path.stat().st_size // (32 * 32) for path in caches} == {len(rows)}  # one header, no image more


def test_every_trial_says_what_it_came_to(
    parts: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    options = (*FIXED, "--no-detect", "--search", "dropout", "--trials", 3)
    code, _, errors = call("tune", parts, "--out", tmp_path / "study", *options)
    assert code == 0, errors
    trials = json.loads((tmp_path / "study" / "summary.json").read_text())["trials"]
    said = [line for line in errors.splitlines() if "best so far" in line]
    leaders = itertools.accumulate(trials, lambda one, other: max(one, other, key=lambda row: row["accuracy"] or 0))
    for line, trial, best in zip(said, trials, leaders, strict=True):
        figure = trial["accuracy"]
        came = f"stopped early ({trial['stopped']})" if figure is None else f"accuracy {figure:.4f}"
        so_far = f"best so far {best['accuracy']:.4f} (trial {best['trial']})"
        assert line == f"trial {trial['trial']}: {came}; {so_far}"


def test_the_same_call_says_what_was_finished_before(finished: Tuning, parts: Path) -> None:
    reporter = RecordingReporter()
    tune(TrainingSource(parts), TINY, finished.folder, Options(Budget(3)), SEARCH, reporter)
    assert reporter.said == ["resuming: 3 trials finished before"]


def test_a_trial_that_failed_says_why(parts: Path, tmp_path: Path) -> None:
    reporter = RecordingReporter()
    tune(TrainingSource(parts), DIVERGING, tmp_path / "study", Options(Budget(1)), ("dropout",), reporter)
    (said,) = [text for text in reporter.said if text.startswith("trial 0")]
    assert said.startswith("trial 0: stopped early (")
    assert "the loss is no longer a number" in said
    assert said.endswith("; no trial is complete so far")


def test_training_takes_the_best_settings(
    finished: Tuning, parts: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    best = finished.folder / "best.toml"
    wanted = tomllib.loads(best.read_text(encoding="utf-8"))
    code, _, errors = call("train", parts, "--config", best, "--out", tmp_path / "run")
    assert code == 0, errors
    stored = tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))
    assert stored == wanted
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["part"] == "test"


def test_the_test_part_changes_nothing(parts: Path, tmp_path: Path) -> None:
    """Its labels are exchanged, then its files are made unreadable: the trials come out the same."""
    data = tmp_path / "data"
    shutil.copytree(parts, data)
    plain = accuracies(run(data, tmp_path / "plain"))
    (data / "test" / "happy").rename(data / "test" / "other")
    (data / "test" / "sad").rename(data / "test" / "happy")
    (data / "test" / "other").rename(data / "test" / "sad")
    poisoned = run(data, tmp_path / "poisoned")
    assert accuracies(poisoned) == plain
    for path in (data / "test").rglob("*.*"):
        path.write_bytes(b"not a image")
    more = run(data, tmp_path / "poisoned", 3)
    assert accuracies(more)[:2] == plain
    assert len(accuracies(more)) == 3
    assert accuracies(run(data, tmp_path / "unreadable")) == plain


def test_no_file_of_the_test_part_is_opened_by_trials(
    parts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    watching: list[bool] = []
    sys.addaudithook(lambda event, what: opened.append(str(what[0])) if watching and event == "open" else None)

    def watched(*arguments: Any) -> None:
        watching.append(True)
        try:
            run_trials(*arguments)
        finally:
            watching.clear()  # a hook stays as long as the process

    monkeypatch.setattr("mien.training.search.tune.run_trials", watched)
    run(parts, tmp_path / "study", 1)
    images = [name for name in opened if str(parts) in name]
    assert sum("/test/" in name for name in images) == 0
    assert sum("/train/" in name for name in images) == 48


def test_the_split_is_the_one_that_training_makes(faces: Path, tmp_path: Path) -> None:
    from mien.training.config import TrainConfig
    from mien.training.data_split import split_data
    from mien.training.source import TrainingSource, audit_source

    run(faces, tmp_path / "study", 1)
    rows = [row.split(",") for row in (tmp_path / "study" / "split.csv").read_text().splitlines()[1:]]
    audited = audit_source(TrainingSource(faces), QuietReporter())
    split = split_data(audited, TrainConfig.make(TINY))
    want = {
        (sample.name, part) for sample, part in zip(split.manifest.samples, split.splits, strict=True) if part != "test"
    }
    assert {(row[0], row[2]) for row in rows} == want
    assert len(want) < len(read_manifest(faces).samples)


def test_a_folder_of_another_study_is_refused(finished: Tuning, parts: Path, faces: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="was begun with other data or another seed"):
        run(faces, finished.folder)
    with pytest.raises(OutputError, match="was begun with another settings"):
        run(parts, finished.folder, settings={"epochs": 3})
    (tmp_path / "mine.txt").write_text("not a study")
    with pytest.raises(OutputError, match="already exists and holds no study"):
        run(parts, tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [("tune.json", "{"), ("split.csv", "[1\n"), ("split.csv", "file,label,part,group\nx\n"), ("split.csv", "")],
)
def test_damaged_files_of_a_study_are_named(
    finished: Tuning, parts: Path, tmp_path: Path, name: str, text: str
) -> None:
    out = tmp_path / "study"
    out.mkdir()
    for kept in ("tune.json", "split.csv"):
        shutil.copy(finished.folder / kept, out)
    (out / name).write_text(text)
    with pytest.raises((OutputError, TrainingError), match="cannot be read") as caught:
        run(parts, out)
    assert str(out / name) in str(caught.value)


def test_a_study_whose_images_have_changed_says_so(parts: Path, tmp_path: Path) -> None:
    shutil.copytree(parts, tmp_path / "data")
    run(tmp_path / "data", tmp_path / "study", 1)
    for number, path in enumerate(sorted((tmp_path / "data" / "train" / "sad").iterdir())[:2]):
        path.write_bytes(path.read_bytes() + bytes(number + 1))
    words = r"train/sad/\S+ has changed since this run began \(2 files changed\); put back"
    with pytest.raises(TrainingError, match=words):
        run(tmp_path / "data", tmp_path / "study", 2)


def test_settings_that_diverge_are_a_trial_that_failed_not_an_end(parts: Path, tmp_path: Path) -> None:
    found = tune(TrainingSource(parts), DIVERGING, tmp_path / "study", Options(Budget(2)), ("dropout",))
    assert all(trial.user_attrs["seconds"] > 0 for trial in found.study.trials())  # also before a first epoch
    with pytest.raises(TrainingError, match="no trial was finished"):
        read_result(found)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give a budget: --trials N, --minutes M or both"),
        (["--minutes", "nan"], "--minutes nan: must be a finite number"),
        (["--trials", 1, "--json", "/dev/null/x.json"], "/dev/null/x.json: cannot be written"),
        (["--trials", 1, "--fix", "minutes=3"], "minutes: a trial ends by its epochs"),
        (["--trials", 1, "--search", "epochs"], "--search epochs: is none of"),
    ],
)
def test_a_wrong_call_is_one_line(
    faces: Path, tmp_path: Path, call: Callable[..., tuple[int, str, str]], arguments: list[Any], words: str
) -> None:
    code, _, errors = call("tune", faces, "--out", tmp_path / "study", *arguments)
    assert code == 2
    assert words in errors
    assert not (tmp_path / "study").exists()


def test_data_that_cannot_be_used_leave_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        run(tmp_path / "nope", tmp_path / "study")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_command_is_killed_and_goes_on_and_two_share_it(parts: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    command = [sys.executable, "-m", "mien", "tune", str(parts), "--out", str(out), *FIXED, "--fix", "epochs=12",
               "--no-detect", "--silent-after", "12", "--search", "learning_rate,dropout", "--trials", "6"]  # fmt: skip
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(out.glob("trials/*/checkpoint.npz")):
        assert first.poll() is None
        time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.wait() == 0, process.stderr and process.stderr.read()
        assert process.stderr is not None
        process.stderr.close()
    summary = json.loads((out / "summary.json").read_text())
    assert len(summary["trials"]) == 6
    assert sum(row["default"] for row in summary["trials"]) == 1
    assert [row["epochs"] for row in summary["trials"] if row["default"]] == [12]  # it went on from its checkpoint


def test_four_images_of_thirty_are_no_gain() -> None:
    trials = tuple(Trial(n, accuracy, 3, 1.0, {}, "", n == 0) for n, accuracy in enumerate((23 / 30, 27 / 30)))
    said = TuningResult(trials, trials[1], TrainConfig(), {}, 30, 2.0).conclusion()
    assert "The difference between trial 0 (the default settings) and trial 1 is not significant" in said
    assert "trial 1 leads by +13.3 points [-6." in said
    assert "brought" not in said
