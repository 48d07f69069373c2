"""Answers are validated, printable and JSON-ready."""

import dataclasses
import json

import pytest

from mien.errors import ImageError, InputError
from mien.results import Box, Face, ImageResult

FACE = Face(Box(1, 2, 30, 40), 0.9, "happy", 0.75, None, {"happy": 0.75, "sad": 0.25})


def result(status: str = "ok", reason: str | None = None, faces: tuple[Face, ...] = (FACE,)) -> ImageResult:
    return ImageResult("a.jpg", status, reason, 64, 48, "m", faces)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_an_empty_box_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="at least 1 pixel"):
        Box(0, 0, *size)


def test_a_row_survives_json() -> None:
    row = json.loads(json.dumps(result().to_dict()))
    assert list(row) == ["source", "status", "reason", "width", "height", "model", "detect", "faces"]
    assert row["faces"][0]["box"] == {"x": 1, "y": 2, "width": 30, "height": 40}
    assert row["faces"][0]["probabilities"] == {"happy": 0.75, "sad": 0.25}
    assert not {"two_way", "expressions"} & set(row["faces"][0])


def test_optional_readings_are_written_where_there_are_some() -> None:
    face = dataclasses.replace(FACE, two_way={"happy": 1.0, "sad": 0.0}, expressions={"fear": 1.0})
    assert face.to_dict()["two_way"] == {"happy": 1.0, "sad": 0.0}
    assert face.to_dict()["expressions"] == {"fear": 1.0}


def test_the_first_face_answers() -> None:
    other = dataclasses.replace(FACE, answer="sad", probability=0.6)
    both = result(faces=(FACE, other))
    assert (both.answer, both.probability, both.face) == ("happy", 0.75, FACE)
    assert str(both) == "a.jpg: happy 0.750, sad 0.600"


def test_no_face_is_an_error_only_when_asked_for_one() -> None:
    assert str(result("no_face", None, ())) == "a.jpg: no_face"
    bad = result("unreadable", "is empty", ())
    assert str(bad) == "a.jpg: unreadable (is empty)"
    with pytest.raises(ImageError, match=r"a\.jpg: is empty"):
        _ = bad.answer
    with pytest.raises(ImageError, match=r"no face was found; look at `result\.status`.*`detect=False`"):
        _ = result("no_face", None, ()).probability


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        FACE.answer = "sad"  # type: ignore[misc]
