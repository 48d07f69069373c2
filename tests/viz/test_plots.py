"""The plots of calibration and of abstention are drawn; those of a report are in test_evaluation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.metrics.calibration import reliability, risk_coverage
from mien.viz import plots
from mien.viz.charts import CATEGORIES

RNG = np.random.default_rng(0)
CONFIDENCE = 0.5 + 0.5 * RNG.random(200)
RIGHT = RNG.random(200) < CONFIDENCE


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (3, 3, 1), (5, 3, 2)])
def test_reliability_diagrams_stand_in_rows_of_three(tmp_path: Path, count: int, columns: int, rows: int) -> None:
    diagrams = {f"$model_{number}": reliability(CONFIDENCE, RIGHT) for number in range(count)}
    plots.reliability(tmp_path / "r.png", diagrams)
    with Image.open(tmp_path / "r.png") as picture:
        assert picture.size == (504 * columns, 528 * rows)
        assert len(np.unique(np.asarray(picture))) > 20


def test_risk_is_drawn_for_every_curve(tmp_path: Path) -> None:
    sizes = []
    for count in (1, 2):
        curves = {f"_{number}": risk_coverage(CONFIDENCE[number:], RIGHT[number:]) for number in range(count)}
        plots.risk_coverage(tmp_path / f"{count}.png", curves, "title")
        with Image.open(tmp_path / f"{count}.png") as picture:
            colours = {tuple(pixel) for pixel in np.asarray(picture.convert("RGB")).reshape(-1, 3).tolist()}
        sizes.append([tuple(bytes.fromhex(colour[1:])) in colours for colour in CATEGORIES[:2]])
    assert sizes == [[True, False], [True, True]]
