"""Compare a row of the browser with Python's."""

import re
from typing import Any

import numpy as np
import pytest

#: Boxes and landmarks may differ by so many pixels, probabilities by so much.
PIXELS, PROBABILITY = 2, 0.02


def check_row(row: dict[str, Any], wanted: dict[str, Any], tolerance: float = PROBABILITY) -> None:
    """Check a row: the same fields in the same order, status, answers and reasons; numbers within tolerance."""
    assert list(row) == list(wanted)
    assert {**row, "faces": 0, "reason": 0} == {**wanted, "faces": 0, "reason": 0}
    if row["status"] == "unreadable":
        assert row["reason"]  # in the words of another decoder
        return
    assert row["reason"] == wanted["reason"]
    assert len(row["faces"]) == len(wanted["faces"])
    for face, expected in zip(row["faces"], wanted["faces"], strict=True):
        _check_face(face, expected, tolerance)


def _check_face(face: dict[str, Any], expected: dict[str, Any], tolerance: float) -> None:
    assert list(face) == list(expected)
    assert face["box"] == pytest.approx(expected["box"], abs=PIXELS)
    assert face["answer"] == expected["answer"]
    assert _without_numbers(face["why"]) == _without_numbers(expected["why"])
    assert face["probability"] == pytest.approx(expected["probability"], abs=tolerance)
    for name in ("probabilities", "two_way", "expressions"):
        assert face.get(name) == (expected.get(name) and pytest.approx(expected[name], abs=tolerance))
    if expected["score"] is None:
        assert (face["score"], face["landmarks"]) == (None, None)
        return
    assert face["score"] == pytest.approx(expected["score"], abs=0.01)
    assert np.array(face["landmarks"]) == pytest.approx(np.array(expected["landmarks"]), abs=PIXELS)


def _without_numbers(text: str | None) -> str | None:
    return text and re.sub(r"\d+(\.\d+)?", "0", text)
