"""Who was seen when in a film, and with what answers, in memory that does not grow with its length."""

from collections import Counter
from dataclasses import dataclass, field

from mien.results import FrameResult

#: People that are remembered; of more, those that are seen longest.
PEOPLE = 200
#: Stretches of time that are told apart; a longer film has longer ones.
BINS = 1500


@dataclass
class Presence:
    """One person: seen `first` to `last` (seconds), in how many frames with which answer, and what changed.

    `changes` counts how often the answer became another one. `bins` maps a stretch of time to each answer's
    number of frames in it and sum of probabilities.
    """

    person: int
    first: float
    last: float
    answer: str
    frames: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    bins: dict[int, dict[str, tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stretch:
    """From `start` to `end` (seconds) the person mostly had this `answer`, with this mean probability."""

    start: float
    end: float
    answer: str
    probability: float


class Timeline:
    """Collects frame results; `step` (seconds) is the time between two of them, about.

    `frames` counts them all, `faceless` those without a face, and `end` is the time of the last one.
    """

    def __init__(self, step: float) -> None:
        self.frames = self.faceless = 0
        self.end = 0.0
        self._width = step
        self._people: dict[int, Presence] = {}

    def add(self, result: FrameResult) -> None:
        """Add the next frame."""
        self.frames += 1
        self.faceless += not result.faces
        self.end = result.time
        while result.time >= BINS * self._width:
            self._widen()
        for face in result.faces:
            person = face.person or 1
            known = self._people.setdefault(person, Presence(person, result.time, result.time, face.answer))
            known.changes += known.answer != face.answer
            known.answer, known.last = face.answer, result.time
            known.frames[face.answer] += 1
            # A time on the border of two stretches falls into the later one.
            cell = known.bins.setdefault(int(result.time / self._width + 1e-6), {})
            _put(cell, face.answer, 1, face.probability)
        if len(self._people) > 2 * PEOPLE:
            self._people = {presence.person: presence for presence in self.people()[:PEOPLE]}

    def people(self) -> list[Presence]:
        """Return the people, those seen in most frames first."""
        return sorted(self._people.values(), key=lambda presence: -presence.frames.total())

    def stretches(self, presence: Presence) -> list[Stretch]:
        """Return what a person answered over time; where two are not adjacent the person was not seen."""
        found: list[Stretch] = []
        for place in sorted(presence.bins):
            answer, (count, total) = max(presence.bins[place].items(), key=lambda item: item[1])
            start, probability = place * self._width, total / count
            # One stretch without a frame is no absence: times of frames are not even.
            if found and start - found[-1].end < 1.5 * self._width:
                found[-1] = Stretch(found[-1].start, start, found[-1].answer, found[-1].probability)
            found.append(Stretch(start, start + self._width, answer, probability))
        return found

    def _widen(self) -> None:
        """Make stretches twice as long."""
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
