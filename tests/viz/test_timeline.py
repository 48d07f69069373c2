"""A timeline counts what it was given, whatever its length, and holds no more than it says."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mien.results import Box, Face, FrameResult
from mien.viz.timeline import MAX_BINS, MAX_PEOPLE, Timeline


def frame(time: float, **answers: Any) -> dict[str, Any]:
    """The row of a frame in which `p1="happy"` says what person 1 answers."""
    scene = answers.pop("scene", 1)
    faces = tuple(
        Face(Box(0, 0, 9, 9), 0.9, answer, 0.8, None, {answer: 0.8}, person=int(name[1:]))
        for name, answer in answers.items()
    )
    result = FrameResult("video.mp4", "ok" if faces else "no_face", None, 9, 9, "mien", faces, time, scene=scene)
    return result.to_dict()


def spans(timeline: Timeline, place: int = 0) -> list[tuple[float, float, str]]:
    return [
        (round(one.start, 3), round(one.end, 3), one.answer) for one in timeline.stretches(timeline.people()[place])
    ]


def test_who_was_seen_when_and_how() -> None:
    timeline = Timeline(0.5)
    for number, answer in enumerate(["happy", "happy", "sad", "happy"]):
        others = {"p2": "sad"} if number == 1 else {}
        timeline.add(frame(number * 0.5, p1=answer, **others))
    timeline.add(frame(2.0))
    first, second = timeline.people()
    assert (first.person, first.first, first.last, first.changes) == (1, 0.0, 1.5, 2)
    assert dict(first.frames) == {"happy": 3, "sad": 1}
    assert (second.person, second.first, second.last, second.changes) == (2, 0.5, 0.5, 0)
    assert (timeline.frames, timeline.faceless, timeline.end) == (5, 1, 2.0)


def test_stretches_show_absence() -> None:
    timeline = Timeline(0.2)
    for number in range(20):
        away = 5 <= number < 10
        timeline.add(frame(number / 5, **({} if away else {"p1": "happy" if number < 15 else "sad"})))
    found = spans(timeline)
    assert {answer for start, _, answer in found if start < 3} == {"happy"}
    assert {answer for start, _, answer in found if start >= 3} == {"sad"}
    assert not any(start < 1.9 and end > 1.1 for start, end, _ in found)
    assert [one.probability for one in timeline.stretches(timeline.people()[0])] == pytest.approx([0.8] * 15)


def test_uneven_times_leave_no_gaps() -> None:
    timeline = Timeline(0.2)
    times = np.arange(100) * 0.2 + np.random.default_rng(0).uniform(-0.05, 0.05, 100)
    for time in np.clip(times, 0, None):
        timeline.add(frame(float(time), p1="happy"))
    found = spans(timeline)
    assert all(before[1] == after[0] for before, after in pairwise(found))


def test_a_long_video_takes_no_more_room_and_keeps_its_times() -> None:
    timeline = Timeline(0.2)
    count = 12 * MAX_BINS
    for number in range(count):
        timeline.add(frame(number / 5, p1="happy" if number < count // 2 else "sad"))
    person = timeline.people()[0]
    assert len(person.bins) <= MAX_BINS
    assert person.frames.total() == count
    assert person.changes == 1
    change = next(start for start, _, answer in spans(timeline) if answer == "sad")
    assert change == pytest.approx(count / 10, abs=0.01 * count / 5)


def test_of_very_many_people_those_seen_longest_are_kept() -> None:
    timeline = Timeline(0.2)
    for number in range(5 * MAX_PEOPLE):
        timeline.add(frame(number / 5, p1="happy", **{f"p{number + 2}": "sad"}))
    people = timeline.people()
    assert len(people) <= 2 * MAX_PEOPLE
    assert people[0].person == 1
    assert people[0].frames.total() == 5 * MAX_PEOPLE
    assert {person.person for person in people} >= {5 * MAX_PEOPLE + 1}
