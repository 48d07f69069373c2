"""Curves of ROC, precision-recall, reliability, risk-coverage, cost and probability are drawn."""

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from mien.metrics.calibration import reliability, risk_coverage
from mien.viz.charts import CATEGORIES, Chart, Words
from mien.viz.curves import (
    MOST_NAMED,
    Mark,
    cost_curve,
    precision_recall_curves,
    probability_curves,
    reliability_diagrams,
    risk_coverage_curves,
    roc_curves,
)

RNG = np.random.default_rng(0)
CONFIDENCE = 0.5 + 0.5 * RNG.random(200)
RIGHT = RNG.random(200) < CONFIDENCE
WORDS: Words = {"name": "drawn", "caption": "c", "alt": "a"}


def texts(chart: Chart) -> list[str]:
    return ["".join(element.itertext()).strip("\u200b") for element in ET.fromstring(chart.svg).iter("text")]


def colours(chart: Chart) -> list[bool]:
    """Whether each of the first two colours occurs."""
    with Image.open(io.BytesIO(chart.png)) as image:
        found = {tuple(pixel) for pixel in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    return [tuple(bytes.fromhex(colour[1:])) in found for colour in CATEGORIES[:2]]


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (3, 3, 1), (5, 3, 2)])
def test_reliability_diagrams_stand_in_rows_of_three(count: int, columns: int, rows: int) -> None:
    diagrams = {f"$model_{number}": reliability(CONFIDENCE, RIGHT) for number in range(count)}
    drawn = reliability_diagrams(diagrams, **WORDS)
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert image.size == (504 * columns, 528 * rows)
    assert {f"$model_{number}" for number in range(count)} <= set(texts(drawn))


def test_risk_is_drawn_for_every_curve() -> None:
    for count, expected in ((1, [True, False]), (2, [True, True])):
        curves = {f"_{number}": risk_coverage(CONFIDENCE[number:], RIGHT[number:]) for number in range(count)}
        drawn = risk_coverage_curves(curves, "title", **WORDS)
        assert colours(drawn) == expected
        assert ("_0" in texts(drawn)) == (count > 1), "one curve needs no legend"
        assert "title" in texts(drawn)


@pytest.mark.parametrize("draw", [roc_curves, precision_recall_curves])
def test_a_legend_names_the_classes_if_there_are_few(draw: object) -> None:
    assert callable(draw)
    for count in (1, 3, MOST_NAMED + 1):
        truth, probabilities = RNG.integers(0, count + 1, 300), RNG.dirichlet(np.ones(count + 1), 300)
        drawn = draw(truth, probabilities, {code: f"class {code}" for code in range(count)}, **WORDS)
        assert ("class 0" in texts(drawn)) == (1 < count <= MOST_NAMED)


@pytest.mark.parametrize("draw", [roc_curves, precision_recall_curves])
def test_a_class_without_samples_has_no_curve(draw: object) -> None:
    assert callable(draw)
    drawn = draw(np.zeros(20, np.int64), RNG.dirichlet(np.ones(2), 20), {0: "one", 1: "two"}, **WORDS)
    assert colours(drawn) == [False, False]


def test_a_cost_curve_names_both_thresholds() -> None:
    grid = np.linspace(0, 1, 50)
    marks = (Mark(0.5, 0.25, "in use: 0.5"), Mark(0.1, 0.01, "cheapest: 0.1"))
    drawn = cost_curve(grid, grid**2, marks, "answer $a$ from here", "cost", **WORDS)
    assert {"in use: 0.5", "cheapest: 0.1", "answer $a$ from here", "cost"} <= set(texts(drawn))


def test_every_probability_curve_has_a_name() -> None:
    share = np.linspace(0, 1, 5)
    drawn = probability_curves(share, dict.fromkeys(("a", "b", "c", "ours"), share), "x", "y", **WORDS)
    assert {"a", "b", "c", "ours", "x", "y"} <= set(texts(drawn))
