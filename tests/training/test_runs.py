"""List runs: finished, unfinished, failed and damaged ones."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.errors import TrainingError
from mien.training.config import TrainConfig
from mien.training.runs import list_runs, read_run

HISTORY = """epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,images_per_second,input_share
1,0.6,0.6,0.5,0.71,0.001,1,100,0
2,0.5,0.7,0.4,0.82,0.001,1,100,0
3,0.4,0.8,0.6,0.90,0.001,1,100,0
"""
Call = Callable[..., tuple[int, str, str]]


def make_run(
    folder: Path, created: str, accuracy: float | None = None, network: str = "stack", test_set: str = "a",
    shipped: float | None = 0.85,
) -> None:  # fmt: skip
    """A run folder as `mien train` writes it, without the training."""
    folder.mkdir(parents=True)
    about = {"classes": ["happy", "sad"], "created": created, "counts": {}, "source": {"path": f"/data/{test_set}"}}
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "config.toml").write_text(TrainConfig.make({"network": network}).to_toml())
    (folder / "history.csv").write_text(HISTORY)
    if accuracy is not None:
        figure = {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.1}
        baselines = {
            "largest_class": {"accuracy": {"value": 0.6}},
            "shipped": None if shipped is None else {"accuracy": {"value": shipped}},
        }
        stored = {"part": "test", "accuracy": figure, "n": 40, "baselines": baselines}
        (folder / "metrics.json").write_text(json.dumps({**stored, "about": {"data_sha256": test_set * 64}}))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "mien-runs"
    make_run(folder / "b", "2026-01-02", 0.7)
    make_run(folder / "sweep" / "activation=relu", "2026-01-01", 0.9)
    make_run(folder / "half", "2026-01-04")
    make_run(folder / "lost", "2026-01-03")
    (folder / "lost" / "failed.txt").write_text("the loss is no longer a number in epoch 4; lower --learning-rate\n")
    make_run(folder / "bad", "2026-01-05")
    (folder / "bad" / "config.toml").write_text("= nothing")
    make_run(folder / "folds", "2026-01-06", 0.8)
    make_run(folder / "folds" / "fold-1", "2026-01-06", 0.1)
    (folder / ".cache").mkdir()
    return folder


def test_every_run_is_listed_with_its_figures_best_first(runs: Path) -> None:
    found = list_runs(runs)
    names = [str(run.folder.relative_to(runs)) for run in found]
    assert names[:3] == ["sweep/activation=relu", "folds", "b"]
    assert set(names[3:]) == {"half", "lost", "bad"}
    best = found[0]
    assert (best.state, best.accuracy, best.low, best.high) == ("finished", 0.9, 0.8, 1.0)
    assert (best.network, best.classes, best.epochs) == ("stack", ("happy", "sad"), 3)
    assert best.val_accuracy == 0.82  # of the epoch with the lowest validation loss, which is the one kept


def test_runs_on_unlike_test_sets_are_not_ranked_together(tmp_path: Path, call: Call) -> None:
    for name, accuracy, test_set in (("a-low", 0.7, "a"), ("b-only", 0.9, "b"), ("a-high", 0.8, "a")):
        make_run(tmp_path / name, "2026-01-01", accuracy, test_set=test_set, shipped=None if test_set == "b" else 0.85)
    found = list_runs(tmp_path)
    assert [(run.folder.name, run.best) for run in found] == [("a-high", True), ("a-low", False), ("b-only", False)]
    rows = json.loads(call("runs", tmp_path, "--json", "-")[1])
    assert [(row["data"], row["images"], row["largest_class"], row["shipped"], row["best"]) for row in rows] == [
        ("a", 40, 0.6, 0.85, True), ("a", 40, 0.6, 0.85, False), ("b", 40, 0.6, None, False),
    ]  # fmt: skip
    said = call("runs", tmp_path)[1]
    first, second = said.split("b, test: 40 images; largest class 0.6000\n")
    assert first.startswith("a, test: 40 images; largest class 0.6000; shipped model 0.8500\n")
    assert first.index("0.8000 *") < first.index("0.7000")
    assert "*" not in second
    assert "0.9000" in second


def test_other_orders(runs: Path) -> None:
    assert list_runs(runs, "created")[0].folder.name == "folds"
    assert [run.folder.name for run in list_runs(runs, "name")] == sorted(
        [run.folder.name for run in list_runs(runs, "name")], key=lambda name: "sweep" if "=" in name else name
    )


def test_states_say_how_to_continue(runs: Path) -> None:
    assert read_run(runs / "half").note == f"`mien.train(resume={str(runs / 'half')!r})`"
    lost = read_run(runs / "lost")
    assert (lost.state, lost.note.split(";")[0]) == ("failed", "the loss is no longer a number in epoch 4")
    bad = read_run(runs / "bad")
    assert bad.state == "damaged"
    assert "TOML" in bad.note


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", "[" * 100_000),
        ("run.json", "{}"),
        ("run.json", '{"classes": 3}'),
        ("history.csv", f"val_loss,val_accuracy\n{'1' * 200_000},1\n"),
        ("metrics.json", "[]"),
        ("metrics.json", '{"part": "test", "accuracy": {"value": NaN, "low": 0, "high": 1}}'),
    ],
)
def test_a_damaged_run_is_listed_as_such_and_the_others_stay(runs: Path, name: str, text: str) -> None:
    (runs / "b" / name).write_text(text)
    found = {run.folder.name: run for run in list_runs(runs)}
    assert len(found) == 6
    assert (found["b"].state, found["b"].accuracy) == ("damaged", None)
    assert found["b"].note
    assert found["folds"].state == "finished"


def test_classes_that_are_not_text_are_listed(runs: Path, call: Call) -> None:
    (runs / "b" / "run.json").write_text('{"classes": ["a", 3]}')
    status, said, _ = call("runs", runs)
    assert status == 0
    assert "a, 3" in said


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such folder"):
        list_runs(tmp_path / "none")


def test_the_command_prints_json_and_csv(runs: Path, call: Call) -> None:
    code, out, _ = call("runs", runs, "--json", "-")
    assert code == 0
    rows = json.loads(out)
    assert len(rows) == 6
    assert rows[0]["run"] == str(runs / "sweep" / "activation=relu")
    _, out, _ = call("runs", runs, "--csv", "-", "--sort", "name")
    table = list(csv.DictReader(io.StringIO(out)))
    assert [row["state"] for row in table] == ["finished", "damaged", "finished", "unfinished", "failed", "finished"]
    code, out, _ = call("runs", runs)
    assert f"continue with mien train --resume {runs / 'half'}" in out
    assert "lower --learning-rate" in out


def test_an_empty_folder_says_so(tmp_path: Path, call: Call) -> None:
    code, out, _ = call("runs", tmp_path)
    assert (code, "holds no runs" in out) == (0, True)


def test_a_real_run_that_diverges_is_listed_as_failed(faces: Path, tmp_path: Path, call: Call) -> None:
    pytest.importorskip("keras")
    arguments = ["--network", "classic", "--size", 32, "--width", 0.1, "--epochs", 2, "--optimizer", "sgd"]
    code, _, errors = call("train", faces, "--out", tmp_path / "run", *arguments, "--learning-rate", 10,
                           "--activation", "leaky_relu", "--weight-decay", 1, "--batch-size", 2)  # fmt: skip
    assert code == 2
    assert "no longer a number" in errors
    found = read_run(tmp_path / "run")
    assert found.state == "failed"
    assert "no longer a number" in found.note
    shutil.rmtree(tmp_path / "run")
