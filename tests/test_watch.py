"""`Reader.watch` reads frames as they come: real faces found, followed, read and smoothed."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mien
from mien.arrays import RGB
from mien.errors import InputError
from mien.results import FrameResult

TwoPeople = Callable[..., RGB]


@pytest.fixture(scope="module")
def reader(brightness_bundle: Path) -> mien.Reader:
    return mien.load(brightness_bundle, threads=1)


def test_a_frame_is_read_as_an_image_is(reader: mien.Reader, two_people: TwoPeople) -> None:
    frame = two_people(0, True, False)
    (watched,) = reader.watch([frame])
    image = reader.predict(frame)
    assert isinstance(watched, FrameResult)
    assert (watched.status, watched.width, watched.height, watched.model) == ("ok", 640, 360, image.model)
    assert watched.time == 0
    assert sorted(face.person or 0 for face in watched.faces) == [1, 2]
    assert {face.answer for face in watched.faces} == {"happy", "sad"}
    without: list[dict[str, Any]] = [{**face.to_dict(), "person": None} for face in watched.faces]
    assert without == [{**face.to_dict(), "person": None} for face in image.faces]


def test_people_keep_their_numbers_and_answers(reader: mien.Reader, two_people: TwoPeople) -> None:
    """The one on the right turns away for a second and comes back with another face."""

    def right(time: float) -> bool | None:
        return None if 1 <= time < 2 else time >= 2

    times = [number / 5 for number in range(16)]
    found: dict[int, list[tuple[float, str]]] = {}
    for result in reader.watch(((time, two_people(time, True, right(time))) for time in times), source="hall"):
        assert result.source == "hall"
        for face in result.faces:
            found.setdefault(face.person or 0, []).append((result.time, face.answer))
    assert sorted(map(len, found.values())) == [11, 16]
    (steady,) = (rows for rows in found.values() if len(rows) == 16)
    (turned,) = (rows for rows in found.values() if len(rows) == 11)
    assert {answer for _, answer in steady} == {"happy"}
    assert [answer for _, answer in turned] == ["sad"] * 5 + ["happy"] * 6


def test_answers_follow_the_rule_of_the_model_on_smoothed_probabilities(
    brightness_bundle: Path, two_people: TwoPeople
) -> None:
    frames = [(number / 20, two_people(0, number < 4, None)) for number in range(16)]
    strict = mien.load(brightness_bundle, threads=1, threshold=0.9)  # "sad" from 0.9 on
    shares = []
    for result in strict.watch(frames, cuts=False):
        (face,) = result.faces
        shares.append(face.probabilities["sad"])
        assert face.answer == ("sad" if face.probabilities["sad"] >= 0.9 else "happy")
        assert face.probability == face.probabilities[face.answer]
    assert shares == sorted(shares), "it rises smoothly"
    assert sum(0.05 < share < 0.95 for share in shares) >= 4


def test_a_frame_without_a_face(reader: mien.Reader, two_people: TwoPeople) -> None:
    empty = np.full((360, 640, 3), 90, np.uint8)
    found = list(reader.watch([empty, two_people(0), empty], fps=5))
    assert [result.status for result in found] == ["no_face", "ok", "no_face"]
    assert [len(result.faces) for result in found] == [0, 2, 0]
    assert [result.time for result in found] == [0, 0.2, 0.4]


def test_whole_frames_are_one_person(brightness_bundle: Path) -> None:
    whole = mien.load(brightness_bundle, threads=1, detect=False)
    frames = [np.full((30, 40, 3), value, np.uint8) for value in (200, 200, 10, 10, 10)]
    found = list(whole.watch(frames, fps=5))
    assert [face.person for result in found for face in result.faces] == [1] * 5
    assert [result.answer for result in found] == ["happy", "happy", "sad", "sad", "sad"]


def test_only_the_largest_face(brightness_bundle: Path, two_people: TwoPeople) -> None:
    largest = mien.load(brightness_bundle, threads=1, faces="largest")
    assert [len(result.faces) for result in largest.watch([two_people(0)] * 2, fps=5)] == [1, 1]


def test_each_frame_is_read_before_the_next_is_taken(reader: mien.Reader) -> None:
    taken = 0

    def endless() -> Iterator[RGB]:
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros((48, 64, 3), np.uint8)

    for number, _ in enumerate(islice(reader.watch(endless()), 5), 1):
        assert taken == number


@pytest.mark.parametrize("frame", [None, "a.png", np.zeros((4, 4, 3))])
def test_what_is_no_frame(reader: mien.Reader, frame: Any) -> None:
    with pytest.raises(InputError):
        list(reader.watch([frame]))


def test_a_row_has_time_and_person(reader: mien.Reader, two_people: TwoPeople) -> None:
    row = next(reader.watch([(1.23456, two_people(0))], source="hall")).to_dict()
    assert list(row)[:5] == ["source", "time", "frame", "scene", "status"]
    assert (row["source"], row["time"]) == ("hall", 1.235)
    assert sorted(face["person"] for face in row["faces"]) == [1, 2]
