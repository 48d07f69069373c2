"""People keep their numbers while they move, cross, shake and turn away; what is read from them is smoothed."""

import json
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.faces.tracker import (
    LONGEST_GAP_SECONDS,
    MAX_GAP_FRAMES,
    MAX_GAP_SECONDS,
    SMOOTHING_SECONDS,
    Tracker,
    appearance,
)  # fmt: skip
from mien.results import Box

Crop = npt.NDArray[np.uint8]
#: Where someone is at a time: the middle of the face, or None while it is out of sight.
Path = Callable[[float], tuple[float, float] | None]


def crop_of(who: int, noise: int = 0) -> Crop:
    """A face of its own, with other noise in every frame."""
    small = np.random.default_rng(who).integers(40, 216, (6, 6, 3), np.uint8)
    large = np.asarray(Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(large + np.random.default_rng(noise).normal(0, 15, large.shape), 0, 255).astype(np.uint8)


def follow(
    paths: Sequence[Path], seconds: float, fps: float = 5, side: float = 60, jitter: float = 0.0, seed: int = 0
) -> list[dict[int, int]]:
    """The number that each person gets in each frame."""
    rng = np.random.default_rng(seed)
    tracker, numbers = Tracker(), []
    for frame in range(int(seconds * fps)):
        time = frame / fps
        visible = [(who, place) for who, path in enumerate(paths) if (place := path(time)) is not None]
        rng.shuffle(visible)
        boxes, crops = [], []
        for who, (x, y) in visible:
            dx, dy, growth = rng.normal(0, jitter, 3)
            width = round(side * (1 + growth))
            boxes.append(Box(round(x + dx * side - width / 2), round(y + dy * side - width / 2), width, width))
            crops.append(crop_of(int(who), frame))
        people, _ = tracker(time, boxes, crops, np.full((len(boxes), 2), 0.5))
        numbers.append(dict(zip([int(who) for who, _ in visible], people, strict=True)))
    return numbers


def numbers_of(frames: list[dict[int, int]], who: int) -> set[int]:
    return {frame[who] for frame in frames if who in frame}


def standing(x: float, y: float = 200) -> Path:
    return lambda _: (x, y)


def away(path: Path, start: float, end: float) -> Path:
    return lambda time: None if start <= time < end else path(time)


def test_people_are_numbered_from_one_in_the_order_they_come() -> None:
    frames = follow([standing(100), away(standing(400), 0, 1)], 3)
    assert numbers_of(frames, 0) == {1}
    assert numbers_of(frames, 1) == {2}


@pytest.mark.parametrize("fps", [2, 5, 25])
@pytest.mark.parametrize("seed", range(3))
def test_shaking_boxes_change_nothing(fps: float, seed: int) -> None:
    frames = follow([standing(100), standing(170), standing(240)], 4, fps, jitter=0.06, seed=seed)
    assert [len(numbers_of(frames, who)) for who in range(3)] == [1, 1, 1]
    assert len({number for frame in frames for number in frame.values()}) == 3


@pytest.mark.parametrize("fps", [5, 10, 30])
@pytest.mark.parametrize("jitter", [0.0, 0.05])
def test_people_who_cross_keep_their_numbers(fps: float, jitter: float) -> None:
    """They walk through each other's place; for a while the one behind is hidden."""
    first: Path = lambda time: (100 + 100 * time, 200)  # noqa: E731
    second: Path = lambda time: (500 - 100 * time, 215)  # noqa: E731
    frames = follow([first, away(second, 1.8, 2.2)], 4, fps, jitter=jitter)
    assert numbers_of(frames, 0) == {1} or numbers_of(frames, 0) == {2}
    assert len(numbers_of(frames, 1)) == 1
    assert numbers_of(frames, 0) != numbers_of(frames, 1)


@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("moving", [0, 30])
def test_someone_who_turns_away_comes_back_as_the_same(seconds: float, moving: float) -> None:
    walking: Path = lambda time: (400 + moving * time, 200)  # noqa: E731
    frames = follow([standing(100), away(walking, 2, 2 + seconds), standing(700)], 6, jitter=0.03)
    assert [len(numbers_of(frames, who)) for who in range(3)] == [1, 1, 1]
    assert len({number for frame in frames for number in frame.values()}) == 3


def test_two_neighbours_who_turn_away_are_not_swapped() -> None:
    """They come back a little nearer to each other's place: looks decide."""
    first: Path = lambda time: (200 if time < 2 else 232, 200)  # noqa: E731
    second: Path = lambda time: (264 if time < 2 else 296, 200)  # noqa: E731
    frames = follow([away(first, 2, 3), away(second, 2, 3)], 5)
    assert numbers_of(frames, 0) != numbers_of(frames, 1)
    assert len(numbers_of(frames, 0)) == len(numbers_of(frames, 1)) == 1


def test_a_face_half_hidden_may_be_someone_new_but_not_for_long() -> None:
    """Whoever passes in front makes another face of it, for two frames."""
    tracker, numbers = Tracker(), []
    for frame in range(30):
        hidden = frame in {15, 16}
        box, crop = (Box(100, 100, 34, 60), 255 - crop_of(0)) if hidden else (Box(100, 100, 60, 60), crop_of(0, frame))
        numbers += tracker(frame / 10, [box], [crop], np.ones((1, 2)) / 2)[0]
    assert numbers == [1] * 15 + [2] * 2 + [1] * 13


def test_someone_else_in_the_same_place_is_someone_else() -> None:
    """As when a video cuts from one speaker to the other."""
    frames = follow([away(standing(200), 2, 9), away(standing(200), 0, 2.8)], 5)
    assert numbers_of(frames, 0).isdisjoint(numbers_of(frames, 1))


def test_a_far_jump_is_someone_else() -> None:
    assert len(numbers_of(follow([lambda time: (100 if time < 1 else 900, 200)], 2), 0)) == 2


def test_whoever_stays_away_is_forgotten() -> None:
    frames = follow([away(standing(200), 1, 1 + MAX_GAP_SECONDS + 1)], 6)
    assert numbers_of(frames, 0) == {1, 2}


def returns(pauses: Sequence[float], missed: Sequence[bool]) -> bool:
    """Whether someone is the same to the end, in frames with these pauses between them, some of which miss the face."""
    tracker, time, people = Tracker(), 0.0, set()
    for pause, hidden in zip([0.0, *pauses], [False, *missed], strict=True):
        time += pause
        boxes, crops = ([], []) if hidden else ([Box(100, 100, 60, 60)], [crop_of(0)])
        people |= set(tracker(time, boxes, crops, np.full((len(boxes), 2), 0.5))[0])
    return people == {1}


@given(st.lists(st.floats(0.01, LONGEST_GAP_SECONDS - 1e-6), min_size=1, max_size=20))  # their sum is rounded
def test_whoever_is_in_every_frame_is_one_person_however_slowly_frames_come(pauses: list[float]) -> None:
    assert returns(pauses, [False] * len(pauses))


@given(st.floats(0.05, 60), st.integers(0, 50))
def test_someone_is_forgotten_after_seconds_and_frames_whichever_is_later(pause: float, hidden: int) -> None:
    """So many frames miss the face before it is back."""
    gap = pause * (hidden + 1)
    kept = gap <= MAX_GAP_SECONDS - 1e-6 or (hidden < MAX_GAP_FRAMES and gap <= LONGEST_GAP_SECONDS - 1e-6)
    if min(abs(gap - limit) for limit in (MAX_GAP_SECONDS, LONGEST_GAP_SECONDS)) > 1e-6:
        assert returns([pause] * (hidden + 1), [True] * hidden + [False]) == kept


def test_two_people_in_slow_frames_are_not_swapped() -> None:
    frames = follow([standing(100), away(standing(400), 12, 16), standing(700)], 60, fps=0.25, jitter=0.03)
    assert [len(numbers_of(frames, who)) for who in range(3)] == [1, 1, 1]
    assert len({number for frame in frames for number in frame.values()}) == 3


def test_memory_holds_only_who_was_seen_lately() -> None:
    tracker = Tracker()
    for number in range(300):
        tracker(number * 1.0, [Box(1 + 500 * (number % 2), 1, 50, 50)], [crop_of(number)], np.ones((1, 2)) / 2)
    assert len(tracker._tracks) <= MAX_GAP_SECONDS + 1


def test_an_even_face_has_no_looks_and_is_followed_by_place() -> None:
    tracker, even = Tracker(), np.full((16, 16, 3), 90, np.uint8)
    people = [tracker(time, [Box(10, 10, 40, 40)], [even], np.ones((1, 2)) / 2)[0] for time in (0, 0.2, 0.4)]
    assert people == [[1], [1], [1]]


def test_looks_do_not_depend_on_light() -> None:
    crop = crop_of(1)
    darker = (crop * 0.5 + 20).astype(np.uint8)
    assert appearance(crop) @ appearance(darker) > 0.99
    assert math.isclose(appearance(crop) @ appearance(crop), 1)
    assert appearance(crop) @ appearance(crop_of(2)) < 0.7
    assert appearance(crop[..., :1]).shape == appearance(crop).shape


# Smoothing


def smooth(values: Sequence[float], fps: float) -> list[float]:
    """What is made of the first probability of someone who does not move."""
    tracker = Tracker()
    rows = []
    for number, value in enumerate(values):
        row = np.array([[value, 1 - value]])
        rows.append(tracker(number / fps, [Box(10, 10, 50, 50)], [crop_of(0)], row)[1])
    np.testing.assert_allclose([row.sum() for row in rows], 1)
    return [float(row[0, 0]) for row in rows]


@pytest.mark.parametrize("fps", [5, 7.5, 10, 24, 30, 60])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
@pytest.mark.parametrize("rising", [True, False])
def test_a_sudden_change_is_found_within_300_ms(fps: float, threshold: float, rising: bool) -> None:
    """The change may come just after frame 9 was taken, and is in the video from frame 10 on."""
    before, after = (0.0, 1.0) if rising else (1.0, 0.0)
    values = smooth([before] * 10 + [after] * 60, fps)
    crossed = next(number for number, value in enumerate(values) if (value > threshold) == rising and number >= 10)
    assert (crossed - 9) / fps <= 0.3


@pytest.mark.parametrize(("fps", "most"), [(5, 0.8), (10, 0.65), (30, 0.4)])
def test_noise_is_smoothed(fps: float, most: float) -> None:
    noise = np.clip(np.random.default_rng(0).normal(0.5, 0.1, 2000), 0, 1)
    assert np.std(smooth(noise.tolist(), fps)[20:]) < most * np.std(noise)


def test_the_first_frame_is_taken_as_it_is_and_people_are_smoothed_apart() -> None:
    tracker = Tracker()
    boxes, crops = [Box(10, 10, 50, 50), Box(300, 10, 50, 50)], [crop_of(0), crop_of(1)]
    _, rows = tracker(0.0, boxes, crops, np.array([[1.0, 0.0], [0.2, 0.8]]))
    np.testing.assert_array_equal(rows, [[1.0, 0.0], [0.2, 0.8]])
    share = math.exp(-0.2 / SMOOTHING_SECONDS)
    people, rows = tracker(0.2, boxes[::-1], crops[::-1], np.array([[0.2, 0.8], [0.0, 1.0]]))
    assert people == [2, 1]
    np.testing.assert_allclose(rows, [[0.2, 0.8], [share, 1 - share]])


def test_a_frame_without_faces() -> None:
    people, rows = Tracker()(0.0, [], [], np.empty((0, 3)))
    assert people == []
    assert rows.shape == (0, 3)


# Scenes and interruptions


def test_nobody_crosses_a_cut() -> None:
    tracker, box, crop = Tracker(), Box(10, 10, 50, 50), crop_of(0)
    tracker(0.0, [box], [crop], np.array([[1.0, 0.0]]))
    tracker.cut()
    people, rows = tracker(0.03, [box], [crop], np.array([[0.0, 1.0]]))
    assert (people, tracker.scene) == ([2], 2)
    np.testing.assert_array_equal(rows, [[0.0, 1.0]])  # not smoothed with whoever was there before


def test_a_tracker_goes_on_from_its_state_to_the_last_digit() -> None:
    rng = np.random.default_rng(0)
    whole, first = Tracker(), Tracker()
    for frame in range(40):
        if frame == 12:
            whole.cut()
            first.cut()
        if frame == 20:
            state = json.loads(json.dumps(first.state()))
            first = Tracker()
            first.restore(state)
        boxes = [Box(10 + 2 * frame, 10, 50, 50), Box(300 - frame, 40, 60, 62)][: 1 + (frame % 7 > 0)]
        crops = [crop_of(who, frame) for who in range(len(boxes))]
        values = rng.dirichlet((1, 1), len(boxes))
        expected, found = (one(frame / 10, boxes, crops, values) for one in (whole, first))
        assert found[0] == expected[0]
        np.testing.assert_array_equal(found[1], expected[1])
    assert first.scene == whole.scene == 2
