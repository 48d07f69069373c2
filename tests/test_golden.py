"""The shipped models say of a handful of images what they said when they were released, through every door."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_answers import ANSWERS, ASTRONAUT, CROPS, PHOTOGRAPHS, TOLERANCE
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


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned_by_exif(image: Image.Image, orientation: int) -> bytes:
    turned = image.rotate({3: 180, 6: 90, 8: 270}[orientation], expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(turned, "JPEG", quality=98, subsampling=0, exif=exif)


def sixteen_bit(image: Image.Image) -> bytes:
    """A 16-bit grey PNG, whose values are spread over all of the range."""
    return saved(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")


FORMS: dict[str, Callable[[Image.Image], bytes]] = {
    "turned by EXIF 3": lambda image: turned_by_exif(image, 3),
    "turned by EXIF 6": lambda image: turned_by_exif(image, 6),
    "turned by EXIF 8": lambda image: turned_by_exif(image, 8),
    "CMYK JPEG": lambda image: saved(image.convert("CMYK"), "JPEG", quality=95),
    "progressive JPEG": lambda image: saved(image, "JPEG", quality=90, progressive=True),
    "16-bit PNG": sixteen_bit,
    "RGBA PNG": lambda image: saved(image.convert("RGBA"), "PNG"),
    "palette GIF": lambda image: saved(image.convert("P", palette=Image.Palette.ADAPTIVE), "GIF"),
    "WebP": lambda image: saved(image, "WEBP", quality=90),
    "upside down": lambda image: saved(image.rotate(180), "PNG"),
    "on its left side": lambda image: saved(image.rotate(90), "PNG"),
    "on its right side": lambda image: saved(image.rotate(270), "PNG"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_astronaut_in_any_form_is_the_same_face(form: str) -> None:
    reader = mien.load(threads=1)
    (expected,) = reader.predict(ASTRONAUT).faces
    (face,) = reader.predict(FORMS[form](Image.fromarray(ASTRONAUT))).faces
    assert face.answer == expected.answer == "happy"
    assert face.expressions == pytest.approx(expected.expressions, abs=0.02)
    if "side" not in form:  # the image comes upright, so the face lies where it always does
        assert (face.box.x, face.box.y) == pytest.approx((expected.box.x, expected.box.y), abs=5)
