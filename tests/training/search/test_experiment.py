"""Sweeps as a person runs them: every combination a normal run; resumed, extended, refused."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from reporters import RecordingReporter

from mien.errors import ConfigError, OutputError, TrainingError
from mien.training.runs import list_runs
from mien.training.search.experiment import experiment
from mien.training.search.sweep import Sweep
from mien.training.source import TrainingSource

Call = Callable[..., tuple[int, str, str]]
BASE = {"network": "classic", "size": 32, "width": 0.1, "colour": "grey", "epochs": 1, "batch_size": 16}
BASE["detect"] = False  # test_detect.py lets an experiment decide whether faces are found first
TOML = """
title = "Which rate?"
seeds = 1
[base]
network = "classic"
size = 32
width = 0.1
colour = "grey"
epochs = 1
batch_size = 16
detect = false
[grid]
learning_rate = [0.001, 0.01]
"""


@pytest.fixture(scope="module")
def done(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of one seed and two values."""
    out = tmp_path_factory.mktemp("sweeps") / "rates"
    experiment(TrainingSource(faces), Sweep("Which rate?", BASE, {"learning_rate": (0.001, 0.01)}, (0,)), out)
    return out


def test_each_combination_is_a_normal_run_and_the_result_has_every_one(done: Path) -> None:
    runs = list_runs(done)
    assert {run.folder.name for run in runs} == {"learning_rate=0.001_seed=0", "learning_rate=0.01_seed=0"}
    assert {run.state for run in runs} == {"finished"}
    found = json.loads((done / "experiment.json").read_text())
    assert {row["run"]: row["accuracy"] for row in found["runs"]} == {run.folder.name: run.accuracy for run in runs}
    assert found["levels"]["learning_rate=0.01"]["seeds"] == 1
    assert "no conclusion from one seed" in found["conclusion"]
    with (done / "experiment.csv").open() as stream:
        assert [row["learning_rate"] for row in csv.DictReader(stream)] == ["0.001", "0.01"]
    assert (done / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_seeds_can_be_added_and_finished_runs_are_kept(done: Path, faces: Path, tmp_path: Path, call: Call) -> None:
    before = {path: path.stat().st_mtime_ns for path in done.glob("*/metrics.json")}
    sweep = tmp_path / "rates.toml"
    sweep.write_text(TOML.replace("seeds = 1", "seeds = 2"))
    code, out, errors = call("experiment", sweep, faces, "--out", done)
    assert code == 0, errors
    assert "learning_rate" in out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list_runs(done)) == 4
    found = json.loads((done / "experiment.json").read_text())
    assert found["effects"][0]["blocks"] == 2
    assert found["levels"]["learning_rate=0.01"]["low"] is not None


def test_every_run_says_its_accuracy_when_it_is_finished(faces: Path, tmp_path: Path, call: Call) -> None:
    sweep = tmp_path / "rates.toml"
    sweep.write_text(TOML)
    code, _, errors = call("experiment", sweep, faces, "--out", tmp_path / "out")
    assert code == 0, errors
    for done in json.loads((tmp_path / "out" / "experiment.json").read_text())["runs"]:
        lines = [line for line in errors.splitlines() if line.startswith(done["run"])]
        assert lines == [
            f"{done['run']}: accuracy {done['accuracy']:.4f} (largest class {done['largest_class']:.4f}, shipped model "
            f"{done['shipped']:.4f}; evaluated on: test)"
        ]
    assert ": accuracy" not in call("experiment", sweep, faces, "--out", tmp_path / "out")[2], "nothing was trained"


def test_a_name_that_keras_alone_knows_is_refused_before_the_first_run(faces: Path, tmp_path: Path) -> None:
    sweep = Sweep(
        "", {"epochs": 1, "size": 32, "backbone_weights": "none"}, {"backbone": ("MobileNet", "MobilNet")}, (0,)
    )
    with pytest.raises(ConfigError, match=r"`backbone='MobilNet'`: is none of keras\.applications; like MobileNet"):
        experiment(TrainingSource(faces), sweep, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_is_resumed(done: Path, faces: Path) -> None:
    run = done / "learning_rate=0.01_seed=0"
    (run / "metrics.json").unlink()
    history = (run / "history.csv").read_text()
    sweep, reporter = Sweep("", BASE, {"learning_rate": (0.001, 0.01)}, (0,)), RecordingReporter()
    outcome = experiment(TrainingSource(faces), sweep, done, reporter)
    assert "resuming: 1 of 2 runs are finished" in reporter.said
    assert len(outcome.runs) == 2
    assert len((run / "history.csv").read_text().splitlines()) == len(history.splitlines())


def test_runs_of_one_experiment_have_the_same_data(done: Path, faces: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "sweep")
    shutil.copytree(faces, tmp_path / "data")
    job = json.loads((tmp_path / "sweep" / "job.json").read_text())
    for path in (tmp_path / "sweep" / "job.json", *(tmp_path / "sweep").glob("*/run.json")):
        path.write_text(path.read_text().replace(job["data"]["path"], str(tmp_path / "data")))
    source = TrainingSource(tmp_path / "data")
    sweep = Sweep("Which rate?", BASE, {"learning_rate": (0.001, 0.01, 0.1)}, (0,))
    first, second, *_ = sorted((tmp_path / "data" / "happy").iterdir())
    before = first.read_bytes()

    first.write_bytes(second.read_bytes())
    with pytest.raises(TrainingError, match=rf"happy/{first.name} has changed since this run began \(1 file changed\)"):
        experiment(source, sweep, tmp_path / "sweep")
    first.write_bytes(before)
    shutil.copy(second, second.with_name("new.png"))
    with pytest.raises(TrainingError, match=r"happy/new\.png came after .* \(1 file in all\); remove what was added"):
        experiment(TrainingSource(tmp_path / "data"), sweep, tmp_path / "sweep")
    assert not (tmp_path / "sweep" / "learning_rate=0.1_seed=0").exists()
    finished = Sweep("Which rate?", BASE, {"learning_rate": (0.001, 0.01)}, (0,))
    assert len(experiment(source, finished, tmp_path / "sweep").runs) == 2, "nothing is trained"


def test_another_sweep_is_refused(done: Path, faces: Path, tmp_path: Path) -> None:
    grid = {"learning_rate": (0.001, 0.01)}
    with pytest.raises(OutputError, match="was begun with another base"):
        experiment(TrainingSource(faces), Sweep("", {**BASE, "epochs": 2}, grid, (0,)), done)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="holds no experiment"):
        experiment(TrainingSource(faces), Sweep("", BASE, grid, (0,)), tmp_path)


def test_a_run_that_fails_is_reported_and_the_others_go_on(faces: Path, tmp_path: Path) -> None:
    base = {**BASE, "optimizer": "sgd", "weight_decay": 1.0, "activation": "leaky_relu", "batch_size": 2}
    del base["epochs"]
    sweep = Sweep("", {**base, "epochs": 1}, {"learning_rate": (1e-6, 10.0)}, (0,))
    outcome = experiment(TrainingSource(faces), sweep, tmp_path / "out")
    assert [run.values["learning_rate"] for run, _ in outcome.failed] == [10.0]
    assert "1 runs failed" in outcome.conclusion()
    assert json.loads((tmp_path / "out" / "experiment.json").read_text())["failed"][0]["reason"]


def test_data_that_cannot_be_used_leave_no_folder(faces: Path, tmp_path: Path, call: Call) -> None:
    sweep = tmp_path / "rates.toml"
    sweep.write_text(TOML)
    status, said, err = call("experiment", sweep, tmp_path / "nope", "--out", tmp_path / "out")
    assert (status, said) == (2, "")
    assert "nope: no such file or folder" in err
    assert not (tmp_path / "out").exists()


def test_damaged_files_of_an_experiment_are_named(done: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    sweep = Sweep("Which rate?", BASE, {"learning_rate": (0.001, 0.01)}, (0,))
    (out / "learning_rate=0.001_seed=0" / "metrics.json").write_text("{")
    outcome = experiment(TrainingSource(faces), sweep, out)
    assert [done.run.folder for done in outcome.runs] == ["learning_rate=0.01_seed=0"]
    assert "is damaged" in outcome.failed[0][1]
    (out / "job.json").write_text("{")
    with pytest.raises(OutputError, match=r"job\.json: cannot be read"):
        experiment(TrainingSource(faces), sweep, out)
