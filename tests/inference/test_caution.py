"""`why` says what makes an answer less sure: few pixels, or a photograph that was read whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

import mien
from mien.arrays import RGB
from mien.inference.caution import is_photograph, small_face
from mien.labels import EXPRESSIONS
from mien.results import Box

WHOLE = "read whole, though it is as large as a photograph"


@pytest.fixture(scope="module")
def astronaut() -> RGB:
    pixels: RGB = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return pixels


@pytest.mark.parametrize(("side", "small"), [(31, True), (32, False)])
def test_a_face_below_32_pixels_is_small(side: int, small: bool) -> None:
    assert (small_face(Box(0, 0, side, 60)) is not None) == small
    assert (small_face(Box(0, 0, 60, side)) is not None) == small


def test_a_photograph_is_large_and_much_larger_than_the_input() -> None:
    assert [is_photograph(side, 2000, 48) for side in (399, 400)] == [False, True]
    assert [is_photograph(side, 2000, 256) for side in (767, 768)] == [False, True]


def test_a_small_face_is_read_and_said_by_every_door(astronaut: RGB) -> None:
    reader = mien.load(threads=1)
    little = np.asarray(Image.fromarray(astronaut).resize((96, 96)))
    found = reader.predict(little)
    box = found.face.box
    assert found.answer == "happy"
    assert found.face.why == f"the face has only {box.width}x{box.height} pixels"
    (frame,) = reader.watch([(0.0, little)])
    assert frame.face.why == found.face.why
    assert reader.predict(astronaut).face.why is None


def test_a_model_of_whole_images_says_so(make_bundle: Callable[..., Path], astronaut: RGB) -> None:
    reader = mien.load(make_bundle(EXPRESSIONS), threads=1)
    row = reader.predict(astronaut).to_dict()
    assert (row["detect"], row["faces"][0]["score"], row["faces"][0]["why"]) == (False, None, WHOLE)
    assert reader.predict(astronaut[:300, :300]).face.why is None
    assert reader.overlooks_faces
    (frame,) = reader.watch([(0.0, astronaut)])
    assert (frame.detect, frame.face.why) == (False, WHOLE)
    asked = mien.load(make_bundle(EXPRESSIONS), threads=1, detect=False)
    assert asked.predict(astronaut).face.why is None  # the caller chose it
    assert asked.variant(threads=1).predict(astronaut).face.why is None


def test_a_model_of_other_things_is_not_asked_for_faces(make_bundle: Callable[..., Path], astronaut: RGB) -> None:
    reader = mien.load(make_bundle(("cat", "dog"), content="other"), threads=1)
    assert reader.predict(astronaut).face.why is None
    assert not reader.overlooks_faces
