"""Bars are drawn: shares by name, and answers over time."""

import io
import xml.etree.ElementTree as ET

from PIL import Image

from mien.viz.bars import bar_chart, timeline_chart
from mien.viz.charts import Chart, Words
from mien.viz.timeline import Stretch

WORDS: Words = {"name": "drawn", "caption": "c", "alt": "a"}


SECONDS = "seconds; the height of a bar is the mean probability of its answer"


def texts(chart: Chart) -> list[str]:
    return ["".join(element.itertext()).strip("\u200b") for element in ET.fromstring(chart.svg).iter("text")]


def test_the_largest_bar_stands_above() -> None:
    found = texts(bar_chart({"small": 0.1, "_large": 0.7, "mid": 0.2}, "$share$", **WORDS))
    assert [name for name in found if name in ("small", "mid", "_large")] == ["small", "mid", "_large"]
    assert "$share$" in found


def test_every_person_has_a_lane() -> None:
    people = {"person 1": [Stretch(0, 1, "happy", 0.9)], "person $2": [Stretch(0.5, 2, "sad", 0.6)]}
    drawn = timeline_chart(people, ("happy", "sad"), "party.mp4", **WORDS)
    assert {"person 1", "person $2", "happy", "sad", SECONDS, "party.mp4"} <= set(texts(drawn))
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert image.size == (1200, round(120 * 2.7))


def test_a_timeline_may_be_empty() -> None:
    assert SECONDS in texts(timeline_chart({}, ("happy",), "t", **WORDS))
