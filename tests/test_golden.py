"""The shipped models say of a handful of pictures what they said when they were released, through every door."""

import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import mien
from mien.cli import main

PATH = Path(__file__).parent / "golden" / "pictures.py"
SPEC = importlib.util.spec_from_file_location("golden_pictures", PATH)
assert SPEC is not None
assert SPEC.loader is not None
golden = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(golden)

ANSWERS = json.loads(golden.ANSWERS.read_text(encoding="utf-8"))
PICTURES: dict[str, npt.NDArray[np.uint8]] = dict(golden.pictures())

#: Processors with and without fused or 8-bit instructions round differently, int8 graphs most of all.
TOLERANCE = {"mien": 0.005, "mien-int8": 0.08}


@pytest.mark.parametrize("model", list(ANSWERS))
@pytest.mark.parametrize("name", list(PICTURES))
def test_probabilities_are_as_released(model: str, name: str) -> None:
    face = mien.load(model).predict(PICTURES[name]).face
    assert face.expressions == pytest.approx(ANSWERS[model][name], abs=TOLERANCE[model])


@pytest.mark.parametrize("model", list(ANSWERS))
def test_the_astronaut_is_happy(model: str) -> None:
    face = mien.load(model).predict(PICTURES["astronaut"]).face
    assert face.answer == "happy"
    assert face.probability > 0.9


def test_every_door_gives_the_same_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = PICTURES["astronaut"]
    path = tmp_path / "astronaut.png"
    Image.fromarray(picture).save(path)
    reader = mien.load()
    expected = reader.predict(picture).face.to_dict()
    assert reader.predict(path).face.to_dict() == expected
    assert reader.predict(str(path)).face.to_dict() == expected
    assert reader.predict(path.read_bytes()).face.to_dict() == expected
    with pytest.raises(SystemExit):
        main(["predict", str(path), "--json", "-"])
    assert json.loads(capsys.readouterr().out)[0]["faces"] == [expected]


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_rotated_jpeg_reads_like_the_upright_one(orientation: int) -> None:
    upright = Image.fromarray(PICTURES["astronaut"])
    turned = upright.rotate({3: 180, 6: 90, 8: 270}[orientation], expand=True)
    found = []
    for image, tag in ((upright, 1), (turned, orientation)):
        exif, buffer = Image.Exif(), io.BytesIO()
        exif[0x0112] = tag
        image.save(buffer, "JPEG", quality=98, subsampling=0, exif=exif)
        found.append(mien.load().predict(buffer.getvalue()).face)
    assert found[0].expressions == pytest.approx(found[1].expressions, abs=0.02)
