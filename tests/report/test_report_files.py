"""The files of a report are written whole, keep every name, and have no NaN."""

import csv
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from predictions import made_up

from mien.errors import OutputError
from mien.evaluation.scoring import Predictions
from mien.report.report import Evaluation, predictions_csv, write_report


@pytest.mark.parametrize("classes", [("happy", "sad"), ("angry", "happy", "neutral", "sad")])
def test_a_report_is_written_whole(tmp_path: Path, classes: tuple[str, ...]) -> None:
    scored = made_up(80, classes)
    evaluation = Evaluation(scored, "test part", {"model": "linear"})
    write_report(evaluation, tmp_path)
    drawn = {"confusion", "precision-recall", "reliability", "risk-coverage", "roc"} | (
        {"thresholds"} if len(classes) == 2 else set()
    )
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{name}.png" for name in drawn} | {"metrics.json", "predictions.csv", "report.html"}
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found == json.loads(json.dumps(evaluation.to_dict()))
    assert found["part"] == "test part"
    assert found["about"] == {"model": "linear"}
    assert found["n"] == 80
    assert np.sum(found["confusion"]) == 80
    for name in ("accuracy", "macro_f1", "roc_auc"):
        assert 0 <= found[name]["low"] <= found[name]["value"] <= found[name]["high"] <= 1
    for label in classes:
        assert found["per_class"][label]["recall"]["low"] < found["per_class"][label]["recall"]["high"]
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert len(table) == 80
    right = np.mean([row["truth"] == row["answer"] for row in table])
    assert right == pytest.approx(found["accuracy"]["value"])
    for name in drawn:
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.format == "PNG"
            assert min(image.size) > 300
            assert max(image.size) < 2000
            assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_undefined_figures_are_null_not_nan(tmp_path: Path) -> None:
    scored = Predictions(("happy", "sad"), ("a", "b"), np.zeros(2, int), np.zeros(2, int), np.array([[0.9, 0.1]] * 2))
    assert math.isnan(scored.metrics.roc_auc.value)
    write_report(Evaluation(scored, "one class only"), tmp_path)
    text = (tmp_path / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["roc_auc"]["value"] is None


def test_names_that_spoil_tables_are_kept(tmp_path: Path) -> None:
    names = ('a,"b".png', "two\nlines.png", "caf\udce9.png", "ünï☹.png")
    scored = Predictions(("x", "y"), names, np.array([0, 1, 0, 1]), np.array([0, 1, 1, 1]), np.array([[0.6, 0.4]] * 4))
    write_report(Evaluation(scored, "odd names"), tmp_path)
    with (tmp_path / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        found = [row["file"] for row in csv.DictReader(stream)]
    assert found == [names[0], names[1], "caf\\udce9.png", names[3]]
    assert predictions_csv(scored).count("\n") == 6


def test_a_report_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_report(Evaluation(made_up(), "test part"), blocked)
    assert list(tmp_path.iterdir()) == [blocked]


def pixels(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size


@pytest.mark.parametrize(
    "classes",
    [("$a$", r"$\bad$"), ("_happy", "_sad"), ("喜", "悲"), ("a" * 60, "b"), tuple(f"class {k}" for k in range(17))],
    ids=["formulas", "underscores", "no glyphs", "long", "seventeen"],
)
def test_any_class_names_can_be_reported(tmp_path: Path, classes: tuple[str, ...]) -> None:
    scored = made_up(200, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_report(Evaluation(scored, "_title $"), tmp_path)
    assert all(max(pixels(path)) < 4000 for path in tmp_path.glob("*.png"))
