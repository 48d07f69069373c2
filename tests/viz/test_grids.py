"""Grids of numbers are drawn: confusion matrices and blocks of a crop."""

import io
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from mien.viz.charts import Chart, Words
from mien.viz.grids import MOST_NAMED, MOST_NUMBERED, block_grids, confusion_matrix

WORDS: Words = {"name": "drawn", "caption": "c", "alt": "a"}


def texts(chart: Chart) -> list[str]:
    return ["".join(element.itertext()).strip("\u200b") for element in ET.fromstring(chart.svg).iter("text")]


def test_a_confusion_matrix_has_counts_and_shares_of_rows() -> None:
    drawn = confusion_matrix(np.array([[1500, 500], [0, 0]]), ("happy", "sad"), **WORDS)
    found = texts(drawn)
    assert {"1,500", "500", "75 %", "25 %", "0 %", "answered", "labelled"} <= set(found)
    assert found.count("happy") == found.count("sad") == 2


@pytest.mark.parametrize(
    "classes",
    [("$a$", r"$\bad$"), ("_happy", "_sad"), ("喜", "悲"), ("a" * 60, "b"), tuple(f"class {k}" for k in range(17))],
    ids=["formulas", "underscores", "no glyphs", "long", "seventeen"],
)
def test_any_class_names_can_be_drawn(classes: tuple[str, ...]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = confusion_matrix(np.eye(len(classes), dtype=np.int64), classes, r"100 $ of $\x$", **WORDS)
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert max(image.size) < 1300
    assert r"100 $ of $\x$" in texts(drawn)


@pytest.mark.parametrize("count", [MOST_NUMBERED, MOST_NUMBERED + 1, MOST_NAMED, MOST_NAMED + 1, 1000])
def test_texts_do_not_grow_with_the_square_of_the_classes(count: int) -> None:
    drawn = confusion_matrix(np.eye(count, dtype=np.int64), [f"class {k}" for k in range(count)], **WORDS)
    names = 2 * count if count <= MOST_NAMED else 0
    numbers = 2 * count**2 if count <= MOST_NUMBERED else 0
    assert len(texts(drawn)) == 2 + names + numbers
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert max(image.size) < 1300
        diagonal = np.asarray(image.convert("L"))
    assert (diagonal < 200).any(), "right answers are dark"


def test_block_grids_show_every_number() -> None:
    grids = {"labels": {(0, 0): 0.5, (7, 7): 1.0}, "answers": {(0, 7): 0.86}}
    found = texts(block_grids(grids, 8, middle="face", **WORDS))
    assert {"labels", "answers", ".50", "1", ".86"} <= set(found)
    assert found.count("face") == 2
