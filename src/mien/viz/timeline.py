"""Summarise a video per person: when each was seen, with which answers. Memory does not grow with its length."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Most people that are remembered; of more, those seen in most frames.
MAX_PEOPLE = 200
#: Most bins of time; a longer video has longer bins.
MAX_BINS = 1500
#: Most cuts whose times are remembered.
MAX_CUTS = 10_000


@dataclass
class Presence:
    """One person of a video.

    Args:
        person: the number of the person, as in `Face.person`.
        scene: the number of the scene that the person was seen in.
        first: when the person was first seen, in seconds.
        last: when the person was last seen, in seconds.
        answer: the latest answer.
        frames: number of frames with each answer.
        changes: how often the answer changed.
        bins: maps each bin of time to the number of frames and the sum of probabilities of each answer.
    """

    person: int
    scene: int
    first: float
    last: float
    answer: str
    frames: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    bins: dict[int, dict[str, tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stretch:
    """A stretch of time, in seconds, with its most frequent `answer` and the mean probability of that answer."""

    start: float
    end: float
    answer: str
    probability: float


class Timeline:
    """Collects the rows of frames.

    Attributes:
        frames: number of all frames.
        faceless: number of frames without a face.
        end: the time of the last frame, in seconds.
        scenes: number of the last scene.
        cuts: times of the first frame of each scene but the first, in seconds; the first `MAX_CUTS` of them.

    Args:
        step: the approximate time between two frames, in seconds.
    """

    def __init__(self, step: float) -> None:
        self.frames = self.faceless = 0
        self.end = 0.0
        self.scenes = 1
        self.cuts: list[float] = []
        self._width = step
        self._people: dict[int, Presence] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the row of the next frame, as `FrameResult.to_dict` gives it."""
        time, faces = row["time"], row["faces"]
        self.frames += 1
        self.faceless += not faces
        self.end = time
        if row["scene"] != self.scenes:
            self.scenes = row["scene"]
            self.cuts += [time] if len(self.cuts) < MAX_CUTS else []
        while time >= MAX_BINS * self._width:
            self._widen()
        for face in faces:
            person, answer = face["person"], face["answer"]
            known = self._people.setdefault(person, Presence(person, row["scene"], time, time, answer))
            known.changes += known.answer != answer
            known.answer, known.last = answer, time
            known.frames[answer] += 1
            # A time on the border of two bins falls into the later one.
            cell = known.bins.setdefault(int(time / self._width + 1e-6), {})
            _put(cell, answer, 1, face["probability"])
        if len(self._people) > 2 * MAX_PEOPLE:
            self._people = {presence.person: presence for presence in self.people()[:MAX_PEOPLE]}

    def people(self) -> list[Presence]:
        """Return the people, those seen in most frames first."""
        return sorted(self._people.values(), key=lambda presence: -presence.frames.total())

    def stretches(self, presence: Presence) -> list[Stretch]:
        """Return the answers of a person over time; between two that are not adjacent, the person was not seen."""
        found: list[Stretch] = []
        for place in sorted(presence.bins):
            answer, (count, total) = max(presence.bins[place].items(), key=lambda item: item[1])
            start, probability = place * self._width, total / count
            # One bin without a frame is no absence: frames are not evenly spaced.
            if found and start - found[-1].end < 1.5 * self._width:
                found[-1] = Stretch(found[-1].start, start, found[-1].answer, found[-1].probability)
            found.append(Stretch(start, start + self._width, answer, probability))
        return found

    def _widen(self) -> None:
        """Make bins twice as long."""
        self._width *= 2
        for presence in self._people.values():
            wider: dict[int, dict[str, tuple[int, float]]] = {}
            for place, cell in presence.bins.items():
                for answer, (count, total) in cell.items():
                    _put(wider.setdefault(place // 2, {}), answer, count, total)
            presence.bins = wider


def _put(cell: dict[str, tuple[int, float]], answer: str, count: int, total: float) -> None:
    before = cell.get(answer, (0, 0.0))
    cell[answer] = (before[0] + count, before[1] + total)
