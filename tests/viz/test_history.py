"""Learning curves and the trials of a search are drawn."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from mien.viz.charts import Chart, Words
from mien.viz.history import LearningCurve, learning_curves, trial_history

WORDS: Words = {"name": "drawn", "caption": "c", "alt": "a"}


def texts(chart: Chart) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(chart.svg).iter("text")]


@pytest.mark.parametrize("epochs", [1, 3, 50])
def test_every_metric_has_a_panel(tmp_path: Path, epochs: int) -> None:
    values = [1 / (epoch + 1) for epoch in range(epochs)]
    curves = [LearningCurve(name, values, values) for name in ("loss", "accuracy")]
    drawn = learning_curves(range(1, epochs + 1), curves, epochs - 1, **WORDS)
    assert {"loss", "accuracy", "epoch", "training", "validation", f"kept: epoch {epochs}"} <= set(texts(drawn))
    drawn.save(tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > 1.5 * image.height > 300
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_trials_that_were_stopped_are_named() -> None:
    found = texts(trial_history({0: 0.5, 2: 0.7, 3: 0.6}, [1], 0.5, "accuracy", **WORDS))
    assert {"trials", "stopped early", "best so far", "defaults", "accuracy"} <= set(found)
    found = texts(trial_history({0: 0.5}, [], None, "accuracy", **WORDS))
    assert not {"stopped early", "defaults"} & set(found)
