"""Estimates are drawn with their intervals: rows in order, panels of bands."""

import io
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from mien.metrics.estimates import Estimate
from mien.viz.charts import ACCENT, CATEGORIES, MUTED, Chart, Words
from mien.viz.intervals import BandPanel, IntervalRow, band_panels, interval_chart

WORDS: Words = {"name": "drawn", "caption": "c", "alt": "a"}
HALF = Estimate(0.5, 0.4, 0.6)


def texts(chart: Chart) -> list[str]:
    return ["".join(element.itertext()).strip("\u200b") for element in ET.fromstring(chart.svg).iter("text")]


def has(chart: Chart, colour: str) -> bool:
    with Image.open(io.BytesIO(chart.png)) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return bool((pixels == list(bytes.fromhex(colour[1:]))).all(axis=1).any())


def test_the_first_row_stands_above() -> None:
    drawn = interval_chart([IntervalRow(name, HALF) for name in ("one", "two", "$three$")], "accuracy", **WORDS)
    elements = ET.fromstring(drawn.svg).iter("text")
    heights = {"".join(element.itertext()): float(element.attrib["y"]) for element in elements if "y" in element.attrib}
    assert heights["one"] < heights["two"] < heights["$three$"]
    assert "accuracy" in texts(drawn)


def test_a_muted_row_is_grey() -> None:
    row = IntervalRow("a", HALF)
    assert has(interval_chart([row], "x", **WORDS), ACCENT)
    assert not has(interval_chart([IntervalRow("a", HALF, muted=True)], "x", **WORDS), ACCENT)


def test_headings_stand_among_the_rows() -> None:
    rows: list[IntervalRow | str] = [
        "Brightness",
        IntervalRow("dark", HALF),
        "Size",
        IntervalRow("small", HALF, hollow=True),
    ]
    assert {"Brightness", "dark", "Size", "small"} <= set(texts(interval_chart(rows, "accuracy", **WORDS)))


def test_percent_multiplies_values_reference_and_limits() -> None:
    drawn = interval_chart([IntervalRow("a", HALF)], "x", percent=True, reference=0.5, limits=(0, 1), **WORDS)
    assert {"0", "100"} <= set(texts(drawn))


def test_an_undefined_estimate_leaves_its_row_empty() -> None:
    undefined = Estimate(math.nan, math.nan, math.nan)
    drawn = interval_chart([IntervalRow("a", undefined), IntervalRow("b", HALF)], "x", **WORDS)
    assert {"a", "b"} <= set(texts(drawn))


def test_single_runs_are_dots_beside_the_mean() -> None:
    drawn = interval_chart([IntervalRow("a", HALF, runs=(0.45, 0.55))], "x", title="$t$", **WORDS)
    assert "$t$" in texts(drawn)
    assert drawn.svg.count("<use") > interval_chart([IntervalRow("a", HALF)], "x", **WORDS).svg.count("<use")


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (3, 1), (4, 2)])
def test_band_panels_stand_in_rows_of_three(count: int, rows: int) -> None:
    panels = [BandPanel(f"_{number}", "degrees", (0, 5, 10), (HALF, HALF, HALF), 5) for number in range(count)]
    drawn = band_panels(panels, reference=0.5, lower=0.45, **WORDS)
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert image.size == (256 * min(count, 3), 210 * rows)
    assert {"degrees", *(f"_{number}" for number in range(count))} <= set(texts(drawn))
    assert has(drawn, ACCENT)
    assert not has(drawn, CATEGORIES[1])
    assert has(drawn, MUTED)
