"""The same person in one frame after another: which face is whose, and probabilities smoothed over time.

The loop of SORT (Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016): predict where each person
is now, match the faces found with the people known, and add a person for each face left over. Matching is
greedy, best pair first, as in CenterTrack (Zhou, Koltun and Krähenbühl, "Tracking Objects as Points", ECCV
2020), by distance, size and looks; someone who is out of sight is remembered for `PATIENCE`.
"""

import math
import time as clock
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from PIL import Image

from mien.arrays import Float64, UInt8
from mien.errors import ConfigError, InputError
from mien.results import Box

#: How long someone who is out of sight is remembered, in seconds.
PATIENCE = 2.0
#: Time constant of the smoothing, in seconds. A sudden full change crosses any threshold between 0.3 and 0.7
#: within 0.3 s of its happening, at 5 frames per second and from 7 on, and what flickers from frame to frame is
#: down by a quarter at 5, by two thirds at 30 frames per second.
SMOOTHING = 0.15

#: How far from where it is expected a face may be, in its own sides: at once, and more for every second unseen.
_REACH, _REACH_PER_SECOND, _FARTHEST = 1.0, 2.0, 4.0
#: How many times larger or smaller it may have become.
_GROWTH = 2.0
#: How alike (correlation) it must look, while it is in sight and once it has been away for `_AWAY` seconds. Faces
#: of different people correlate by 0.33 in the median, 1 in 10 above 0.65; one face cut 4-8 % differently by 0.75.
_ALIKE, _ALIKE_AGAIN, _AWAY = 0.0, 0.3, 0.5
#: Someone seen for less than `_SETTLED` seconds is matched only at this extra cost: a face half hidden may have been
#: taken for someone new, and is then given back.
_SETTLED, _DOUBT = 1.0, 0.3
#: Time constant of the measured velocity, and of how soon it is no longer believed, in seconds.
_STEADY = 0.3
_LOOK_SIDE = 12


@dataclass
class Person:
    """Someone seen `since` then, last at `time` (seconds): there the face's middle (x, y), side and velocity in pixels.

    `look` is what the face looks like, `row` its smoothed probabilities.
    """

    number: int
    since: float
    time: float
    middle: Float64
    side: float
    look: Float64
    velocity: Float64
    row: Float64

    def expected(self, time: float) -> Float64:
        """Return where the middle of the face is expected to be; the velocity is believed less and less."""
        gone = time - self.time
        return self.middle + self.velocity * _STEADY * (1 - math.exp(-gone / _STEADY))


class Tracker:
    """Numbers the people in a film, and smooths what is read from each; one for each film.

    Faces of one person are matched over frames by position, size and looks, also after up to `PATIENCE`
    seconds out of sight. Memory does not grow with the length of the film.
    """

    def __init__(self, smoothing: float = SMOOTHING) -> None:
        self._smoothing = smoothing
        self._people: list[Person] = []
        self._numbers = count(1)

    def __call__(
        self, time: float, boxes: Sequence[Box], crops: Sequence[UInt8], rows: Float64
    ) -> tuple[list[int], Float64]:
        """Take the faces of one frame, and return whose they are and their smoothed rows.

        `time` is in seconds and never goes back; `boxes` are in pixels, `crops` are uint8 (S, S, C) and show
        the faces alone, `rows` float (N, K) are their probabilities. Returns the numbers of the persons,
        counted from 1, and rows like those given: exponential moving averages over each person's frames.
        """
        self._people = [person for person in self._people if time - person.time <= PATIENCE]
        seen = [
            (_middle(box), math.sqrt(box.width * box.height), look(crop))
            for box, crop in zip(boxes, crops, strict=True)
        ]
        matched = self._match(time, seen)
        found = []
        for number, (face, row) in enumerate(zip(seen, rows, strict=True)):
            person = matched.get(number)
            if person is None:
                person = self._appear(time, face, row)
            else:
                self._see(person, time, face, row)
            found.append(person)
        smoothed = np.stack([person.row for person in found]) if found else np.asarray(rows, np.float64)
        return [person.number for person in found], smoothed

    def _match(self, time: float, seen: Sequence[tuple[Float64, float, Float64]]) -> dict[int, Person]:
        """Pair faces with people, the least cost first."""
        pairs = [
            (cost, number, place)
            for place, person in enumerate(self._people)
            for number, face in enumerate(seen)
            if (cost := _cost(person, time, *face)) is not None
        ]
        matched: dict[int, Person] = {}
        taken: set[int] = set()
        for _, number, place in sorted(pairs):
            if number not in matched and place not in taken:
                matched[number] = self._people[place]
                taken.add(place)
        return matched

    def _appear(self, time: float, face: tuple[Float64, float, Float64], row: Float64) -> Person:
        middle, side, looks = face
        person = Person(next(self._numbers), time, time, middle, side, looks, np.zeros(2), np.asarray(row, np.float64))
        self._people.append(person)
        return person

    def _see(self, person: Person, time: float, face: tuple[Float64, float, Float64], row: Float64) -> None:
        gone = max(time - person.time, 1e-3)
        middle, person.side, looks = face
        steady = 1 - math.exp(-gone / _STEADY)
        person.velocity += steady * ((middle - person.middle) / gone - person.velocity)
        person.look = _normalised(person.look + steady * (looks - person.look))
        person.row = person.row + (1 - math.exp(-gone / self._smoothing)) * (row - person.row)
        person.middle, person.time = middle, time


def timed(frames: Iterable[UInt8 | tuple[float, UInt8]], fps: float | None = None) -> Iterator[tuple[float, UInt8]]:
    """Give every frame a time in seconds: its own, or 1 / `fps` after the one before, or (None) that of the clock.

    Raises InputError for a time before the last one or a frame that is no array, and ConfigError for an `fps`
    that is not above 0.
    """
    if fps is not None and not 0 < fps < math.inf:
        raise ConfigError(f"{fps} frames per second: give a number above 0")
    begin, last = None, -math.inf
    for number, item in enumerate(frames):
        if isinstance(item, tuple):
            time, frame = float(item[0]), item[1]
        elif fps is not None:
            time, frame = number / fps, item
        else:
            now = clock.monotonic()
            begin = now if begin is None else begin
            time, frame = now - begin, item
        if not isinstance(frame, np.ndarray):
            raise InputError(f"frame {number + 1} is a {type(frame).__name__}: give uint8 arrays (H, W, 3)")
        if not last <= time < math.inf:
            raise InputError(f"frame {number + 1} is of {time:g} s, the one before of {last:g} s: give them in order")
        last = time
        yield time, frame


def look(crop: UInt8) -> Float64:
    """Return what a face, uint8 (S, S, C), looks like: grey, small, free of brightness and contrast; of length 1."""
    image = Image.fromarray(crop[..., 0] if crop.shape[2] == 1 else crop).convert("L")
    return _normalised(
        np.asarray(image.resize((_LOOK_SIDE, _LOOK_SIDE), Image.Resampling.BILINEAR), np.float64).ravel()
    )


def _cost(person: Person, time: float, middle: Float64, side: float, looks: Float64) -> float | None:
    """How little a face is like what is expected of a person; None where it cannot be theirs."""
    gone = time - person.time
    reach = min(_REACH + _REACH_PER_SECOND * gone, _FARTHEST)
    distance = math.dist(middle, person.expected(time)) / ((side + person.side) / 2)
    growth = abs(math.log(side / person.side, _GROWTH))
    alike = float(looks @ person.look)
    if distance > reach or growth > 1 or alike < (_ALIKE if gone < _AWAY else _ALIKE_AGAIN):
        return None
    doubt = _DOUBT if person.time - person.since < _SETTLED else 0.0
    return distance / reach + growth + 1.5 * (1 - alike) + doubt


def _middle(box: Box) -> Float64:
    return np.array([box.x + box.width / 2, box.y + box.height / 2])


def _normalised(values: Float64) -> Float64:
    """Return the values less their mean, of length 1; an even surface is all zeros."""
    centred = values - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 1e-6 else np.zeros_like(centred)
