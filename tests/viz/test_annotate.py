"""Answers are drawn at their faces; labels are legible, inside the image, and never overlap."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageColor

from mien.arrays import UInt8
from mien.labels import EXPRESSIONS
from mien.results import Box, Face, ImageResult
from mien.viz.annotate import MAX_SEARCHED, MIN_SIDE, MIN_TEXT, annotate, answer_colours, face_label, place_labels

THREE = ("happy", "sad", "neither")
Rectangle = tuple[int, int, int, int]


def face(box: Box, answer: str = "happy", person: int | None = None, answers: tuple[str, ...] = THREE) -> Face:
    return Face(box, 0.9, answer, 0.973, None, dict.fromkeys(answers, 1 / len(answers)), person=person)


def drawn(width: int, height: int, *faces: Face, value: int = 70) -> UInt8:
    rgb = np.full((height, width, 3), value, np.uint8)
    status = "ok" if faces else "no_face"
    return np.asarray(annotate(rgb, ImageResult("a.png", status, None, width, height, "mien", faces)))  # type: ignore[arg-type]


def extent(image: UInt8, colour: str) -> Rectangle:
    """Left, top, right and bottom of what has a colour."""
    rows, columns = np.nonzero((image == ImageColor.getrgb(colour)).all(axis=2))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Box], list[tuple[int, int]], int, int]:
    width, height = draw(st.integers(1, 400)), draw(st.integers(1, 400))
    boxes, sizes = [], []
    for _ in range(draw(st.integers(0, 12))):
        x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        boxes.append(Box(x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y))))
        sizes.append((draw(st.integers(1, 120)), draw(st.integers(1, 40))))
    return boxes, sizes, width, height


def rectangles(places: list[tuple[int, int] | None], sizes: list[tuple[int, int]]) -> list[Rectangle]:
    return [(p[0], p[1], p[0] + s[0], p[1] + s[1]) for p, s in zip(places, sizes, strict=True) if p]


def overlap(a: Rectangle, b: Rectangle) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@given(scenes())
def test_labels_lie_inside_and_never_overlap(scene: tuple[list[Box], list[tuple[int, int]], int, int]) -> None:
    boxes, sizes, width, height = scene
    placed = rectangles(place_labels(boxes, sizes, width, height), sizes)
    for left, top, right, bottom in placed:
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
    assert not any(overlap(a, b) for a, b in itertools.combinations(placed, 2))


@given(scenes())
def test_a_label_is_left_out_only_if_there_is_no_room(
    scene: tuple[list[Box], list[tuple[int, int]], int, int],
) -> None:
    boxes, sizes, width, height = scene
    places = place_labels(boxes, sizes, width, height)
    for number, (place, (wide, high)) in enumerate(zip(places, sizes, strict=True)):
        if place is not None:
            continue
        before = rectangles(places[:number], sizes[:number])
        blocked = np.zeros((max(height - high + 1, 0), max(width - wide + 1, 0)), bool)
        for left, top, right, bottom in before:
            blocked[max(top - high + 1, 0) : bottom, max(left - wide + 1, 0) : right] = True
        assert blocked.all()


def test_in_a_crowd_the_labels_that_have_no_room_at_their_face_are_left_out() -> None:
    boxes = [Box(20 * (number % 30), 20 * (number // 30), 20, 20) for number in range(480)]
    crowd = place_labels(boxes, [(40, 12)] * len(boxes), 600, 600)
    few = place_labels(boxes[:MAX_SEARCHED], [(40, 12)] * MAX_SEARCHED, 600, 600)
    assert None not in few
    assert None in crowd
    placed = rectangles(crowd, [(40, 12)] * len(boxes))
    assert len(placed) > 100
    assert not any(overlap(a, b) for a, b in itertools.combinations(placed, 2))


def test_a_label_stands_above_its_face_if_it_can() -> None:
    middle, top = Box(100, 100, 50, 60), Box(100, 5, 50, 60)
    assert place_labels([middle], [(40, 20)], 300, 300) == [(100, 80)]
    assert place_labels([top], [(40, 20)], 300, 300) == [(100, 65)]
    above = Box(100, 40, 50, 60)
    ((left, upper), _) = place_labels([middle, above], [(40, 20), (40, 20)], 300, 300)  # type: ignore[misc]
    assert not overlap((left, upper, left + 40, upper + 20), (100, 40, 150, 100)), "on another face"


@pytest.mark.parametrize("size", [(48, 48), (320, 240), (512, 512), (4000, 3000), (1200, 300)])
def test_labels_can_be_read_at_any_size(size: tuple[int, int]) -> None:
    width, height = size
    image = drawn(width, height, face(Box(width // 4, height // 4, width // 2, height // 2)))
    assert max(image.shape[:2]) >= MIN_SIDE
    colour = answer_colours(THREE)["happy"]
    filled = (image == ImageColor.getrgb(colour)).all(axis=2)
    solid = [row for row in filled if row.sum() > 5 * MIN_TEXT / 2]
    assert len(solid) >= MIN_TEXT
    written = (image < 60).all(axis=2).sum()
    assert written > 50, "there is no text"


def test_a_box_is_drawn_around_the_face() -> None:
    image = drawn(600, 600, face(Box(200, 250, 180, 220), "sad"), value=250)
    left, top, right, bottom = extent(image, answer_colours(THREE)["sad"])
    assert (left, right, bottom) == (201, 379, 469)
    assert 200 < top < 250, "its label is above it"
    changed = (image != 250).any(axis=2)
    assert not changed[260:460, 215:365].any(), "the face itself stays free"


def test_a_small_image_is_drawn_enlarged() -> None:
    assert drawn(48, 48, face(Box(0, 0, 48, 48))).shape == (336, 336, 3)
    assert drawn(48, 40).shape == (280, 336, 3)
    assert drawn(MIN_SIDE, 10).shape == (10, MIN_SIDE, 3)


def test_an_image_without_faces_stays_as_it_is() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    result = ImageResult("a.png", "no_face", None, 500, 400, "mien")
    np.testing.assert_array_equal(np.asarray(annotate(rgb, result)), rgb)


def test_the_given_image_is_not_changed() -> None:
    rgb = np.full((400, 400, 3), 70, np.uint8)
    rgb.setflags(write=False)
    result = ImageResult("a.png", "ok", None, 400, 400, "mien", (face(Box(10, 10, 100, 100)),))
    assert isinstance(annotate(rgb, result), Image.Image)
    assert (rgb == 70).all()


@pytest.mark.parametrize("width, height", [(1, 1), (1, 12_931), (3000, 2)])
def test_odd_images_do_no_harm(width: int, height: int) -> None:
    assert drawn(width, height, face(Box(0, 0, width, height))).size > 0


@pytest.mark.parametrize("answer", ["ünï 😀", "a\nb", "x" * 300, "", "[red]"])
def test_odd_answers_do_no_harm(answer: str) -> None:
    drawn(400, 300, face(Box(20, 20, 60, 60), answer, answers=(answer, "b")))


def test_what_is_written() -> None:
    assert face_label(face(Box(0, 0, 1, 1))) == "happy 97%"
    assert face_label(face(Box(0, 0, 1, 1), person=12)) == "12: happy 97%"


@pytest.mark.parametrize("answers", [THREE, EXPRESSIONS, ("cat", "dog"), ("happy", "sleepy", "bored")])
def test_answers_have_colours_of_their_own(answers: tuple[str, ...]) -> None:
    colours = answer_colours(answers)
    assert set(colours) == set(answers)
    assert len(set(colours.values())) == len(answers)


def test_the_colour_of_an_answer_is_always_the_same() -> None:
    assert answer_colours(THREE)["happy"] == answer_colours(EXPRESSIONS)["happy"] == answer_colours(("happy",))["happy"]


def test_more_answers_than_colours() -> None:
    assert len(answer_colours([str(number) for number in range(30)])) == 30
