"""`mien.train`: the same run as `mien train`, from Python."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reporters import RecordingReporter

import mien
from mien.errors import ConfigError, DataError, OutputError, TrainingError
from mien.io.layout import CONFIG, FAILED, METRICS
from mien.training.reporter import QuietReporter
from mien.training.result import TrainingResult

TINY: dict[str, Any] = {
    "network": "classic", "size": 24, "width": 0.1, "colour": "grey", "epochs": 1, "deterministic": True,
}  # fmt: skip
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def result(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    """A run on half of two renamed classes."""
    out = tmp_path_factory.mktemp("runs") / "door"
    return mien.train(faces, out=out, classes=("glad", "sad"), rename={"happy": "glad"}, **TINY)


def test_a_run_from_python_is_the_run_of_the_command(
    result: TrainingResult, faces: Path, tmp_path: Path, call: Call
) -> None:
    flags = [f"--{name}={value}" for name, value in TINY.items() if name != "deterministic"]
    options = ["--classes", "glad,sad", "--map", "happy=glad", "--deterministic", *flags]
    status, said, errors = call("train", faces, "--out", tmp_path / "run", *options)
    assert status == 0, errors
    ours, theirs = (json.loads((folder / METRICS).read_text()) for folder in (result.folder, tmp_path / "run"))
    assert {name: ours[name] for name in ("accuracy", "confusion", "roc_auc")} == {
        name: theirs[name] for name in ("accuracy", "confusion", "roc_auc")
    }
    assert (result.folder / CONFIG).read_text() == (tmp_path / "run" / CONFIG).read_text()
    assert str(result.predictions.metrics.accuracy) in said


def test_a_result_is_json_and_a_table(result: TrainingResult) -> None:
    found = json.loads(json.dumps(result.to_dict()))
    assert (found["run"], found["evaluated_on"], found["best_epoch"]) == (str(result.folder), "test", 1)
    assert found["metrics"]["accuracy"] == json.loads((result.folder / METRICS).read_text())["accuracy"]
    assert found["agreement"]["same_answer"] == found["agreement"]["crops"]
    page = result._repr_html_()
    assert "recall of glad" in page
    assert f"{result.folder.name}, evaluated on: test" in page


def test_names_in_a_table_are_escaped(faces: Path, tmp_path: Path) -> None:
    found = mien.train(faces, out=tmp_path / "<b>", rename={"happy": "<i>"}, detect=False, **TINY)
    assert "&lt;b&gt;, evaluated" in found._repr_html_()
    assert "<i>" not in found._repr_html_()


def test_the_default_folder_is_named_by_data_and_network(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert mien.train(faces, detect=False, **TINY).folder == Path("mien-runs") / "faces-classic"
    reporter = RecordingReporter()
    with pytest.raises(
        OutputError, match=r"holds a finished run; give another name, such as `out='mien-runs/faces-c.*-2'`"
    ):
        mien.train(faces, reporter=reporter, **TINY)
    assert reporter.said == []


def test_settings_override_those_of_a_file(faces: Path, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('network = "classic"\nsize = 32\nwidth = 0.1\nepochs = 3\n')
    found = mien.train(faces, out=tmp_path / "run", config=tmp_path / "settings.toml", epochs=1, detect=False)
    assert len(found.history) == 1
    assert "size = 32" in (found.folder / CONFIG).read_text()


class Interrupt(QuietReporter):
    """Interrupts a run after its first epoch."""

    def on_epoch(self, epoch: Any) -> None:
        raise KeyboardInterrupt


def test_an_interrupted_run_is_resumed(faces: Path, tmp_path: Path) -> None:
    settings = {**TINY, "epochs": 2, "detect": False}
    with pytest.raises(KeyboardInterrupt):
        mien.train(faces, out=tmp_path / "run", reporter=Interrupt(), **settings)
    assert not (tmp_path / "run" / FAILED).exists()
    run = tmp_path / "run"
    again = f"continue it with `mien.train(resume='{run}')`, or begin another with `out='{run}-2'`"
    with pytest.raises(OutputError, match="holds an unfinished run; " + re.escape(again)):
        mien.train(faces, out=tmp_path / "run", **settings)
    reporter = RecordingReporter()
    found = mien.train(resume=tmp_path / "run", reporter=reporter)
    assert "resuming at epoch 2 of 2" in reporter.said
    assert [row.epoch for row in found.history] == [1, 2]
    with pytest.raises(TrainingError, match="this run is finished"):
        mien.train(resume=tmp_path / "run")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ConfigError, "give `data=`, a labelled folder, CSV or zip"),
        ({"resume": "run", "epochs": 3}, ConfigError, "`resume=`: takes the run's own data and settings"),
        ({"resume": "run", "folds": 3}, ConfigError, "`resume=`: takes the run's own data and settings"),
        ({"resume": "nowhere"}, TrainingError, "nowhere: no such run folder"),
        ({"data": "nowhere"}, DataError, "no such file or folder"),
        ({"data": "FACES", "epochs": 0}, ConfigError, "`epochs=0`: must lie between"),
        ({"data": "FACES", "epoch": 1}, ConfigError, "unknown setting 'epoch'"),
        ({"data": "FACES", "folds": 2, "network": "classic"}, ConfigError, "2 folds: .* give at least 3"),
        ({"data": "FACES", "out": "taken"}, OutputError, "taken: already exists"),
    ],
)
def test_a_wrong_call_is_one_line_and_leaves_nothing(
    faces: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    given = {name: str(faces) if value == "FACES" else value for name, value in given.items()}
    with pytest.raises(error, match=words) as caught:
        mien.train(**given)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_numbers_to_beat_are_printed_and_reported(faces: Path, tmp_path: Path, call: Call) -> None:
    flags = [f"--{name}={value}" for name, value in TINY.items() if name != "deterministic"]
    status, said, errors = call("train", faces, "--out", tmp_path / "run", "--no-detect", *flags)
    assert status == 0, errors
    stored = json.loads((tmp_path / "run" / METRICS).read_text())
    shipped, largest = stored["baselines"]["shipped"], stored["baselines"]["largest_class"]
    assert shipped["difference"]["images"] == stored["n"]
    assert largest["accuracy"]["value"] == 0.5
    flat = " ".join(said.split())
    assert f"The numbers to beat, on the same {stored['n']} images" in flat
    assert shipped["verdict"] in flat
    assert largest["verdict"] in flat
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert page.index("The numbers to beat") < page.index("Which mistakes")
    assert shipped["difference"]["sentence"] in page.replace("&lt;", "<")


def test_classes_that_the_shipped_model_lacks_are_compared_with_the_largest_alone(result: TrainingResult) -> None:
    assert result.baselines.shipped is None
    found = result.to_dict()["baselines"]
    assert found["reason"] == "The shipped model does not know glad, so it is not compared."
    assert 0 < found["largest_class"]["accuracy"]["value"] < 1
    assert "accuracy of always answering" in result._repr_html_()
