"""The shipped models say of a handful of images what they said when they were released, through every door."""

import json
from pathlib import Path

import pytest
from golden_answers import ANSWERS, ASTRONAUT, CROPS, FORMS, PHOTOGRAPHS, TOLERANCE
from PIL import Image

import mien
from mien.cli import main


@pytest.mark.parametrize("model", list(ANSWERS))
@pytest.mark.parametrize("name", [*CROPS, *PHOTOGRAPHS])
def test_probabilities_are_as_released(model: str, name: str) -> None:
    reader = mien.load(model, detect=name in PHOTOGRAPHS)
    (face,) = reader.predict((CROPS | PHOTOGRAPHS)[name]).faces
    assert face.expressions == pytest.approx(ANSWERS[model][name], abs=TOLERANCE[model])


@pytest.mark.parametrize("model", list(ANSWERS))
def test_the_astronaut_is_happy(model: str) -> None:
    for found in (mien.load(model).predict(ASTRONAUT), mien.load(model, detect=False).predict(CROPS["astronaut"])):
        assert found.status == "ok"
        (face,) = found.faces
        assert face.answer == "happy"
        assert face.probability > 0.9


def test_every_door_gives_the_same_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "astronaut.png"
    Image.fromarray(ASTRONAUT).save(path)
    reader = mien.load()
    expected = reader.predict(ASTRONAUT).face.to_dict()
    assert reader.predict(path).face.to_dict() == expected
    assert reader.predict(str(path)).face.to_dict() == expected
    assert reader.predict(path.read_bytes()).face.to_dict() == expected
    with pytest.raises(SystemExit):
        main(["predict", str(path), "--json", "-"])
    assert json.loads(capsys.readouterr().out)[0]["faces"] == [expected]


@pytest.mark.parametrize("form", FORMS)
def test_the_astronaut_in_any_form_is_the_same_face(form: str) -> None:
    reader = mien.load(threads=1)
    (expected,) = reader.predict(ASTRONAUT).faces
    (face,) = reader.predict(FORMS[form](Image.fromarray(ASTRONAUT))).faces
    assert face.answer == expected.answer == "happy"
    assert face.expressions == pytest.approx(expected.expressions, abs=0.02)
    if "side" not in form:  # the image comes upright, so the face lies where it always does
        assert (face.box.x, face.box.y) == pytest.approx((expected.box.x, expected.box.y), abs=5)
