"""Track faces over the frames of a video and smooth their probabilities.

The loop of SORT (Bewley et al., "Simple Online and Realtime Tracking", ICIP 2016): predict the position of each
track, match the detections with the tracks, and start a track for each detection left over. Matching is greedy,
best pair first, as in CenterTrack (Zhou, Koltun and Krähenbühl, "Tracking Objects as Points", ECCV 2020), by
distance, size and appearance. `_Track.is_remembered` says how long a track without a detection is kept.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from mien.arrays import Float64, UInt8
from mien.results import Box

#: How long a person who is out of sight is remembered, in seconds; longer if frames come slowly, until so many have
#: missed them. At most `LONGEST_GAP_SECONDS`: a webcam that was paused for longer may show somebody else.
MAX_GAP_SECONDS, MAX_GAP_FRAMES, LONGEST_GAP_SECONDS = 2.0, 2, 30.0
#: Time constant of the smoothing, in seconds. A sudden full change crosses any threshold between 0.3 and 0.7 within
#: 0.3 s, at 5 frames per second and from 7 up. A flicker from frame to frame is reduced by a quarter at 5, by two
#: thirds at 30 frames per second.
SMOOTHING_SECONDS = 0.15

#: Largest distance of a face from its expected position, in its own sides: at once, more per second unseen, at most.
_MAX_DISTANCE, _MORE_PER_SECOND, _FARTHEST = 1.0, 2.0, 4.0
#: How many times larger or smaller a face may have become.
_MAX_GROWTH = 2.0
#: Least correlation of appearances, while a face is in sight and after a gap of `_GAP_SECONDS`. Faces of different
#: people correlate by 0.33 in the median, 1 in 10 above 0.65; one face cropped 4-8 % differently by 0.75.
_MIN_CORRELATION, _MIN_CORRELATION_AFTER_GAP, _GAP_SECONDS = 0.0, 0.3, 0.5
#: A track younger than this, in seconds, is matched only at this extra cost: a face half hidden may have started a
#: new track, and then returns to its old one.
_ESTABLISHED_SECONDS, _NEW_TRACK_COST = 1.0, 0.3
#: Time constant of the measured velocity, and of its decay while the face is unseen, in seconds.
_VELOCITY_SECONDS = 0.3
#: Appearances are compared at so many pixels a side.
_APPEARANCE_SIDE = 12


@dataclass(frozen=True, eq=False)
class _Observation:
    """A face in one frame: centre (x, y) and side in pixels, appearance, and probabilities float64 (K,)."""

    centre: Float64
    side: float
    appearance: Float64
    probabilities: Float64


@dataclass
class _Track:
    """One person: since `start`, last seen at `time` (seconds), with velocity in pixels per second.

    `missed` counts the frames since then.
    """

    person: int
    start: float
    time: float
    centre: Float64
    side: float
    appearance: Float64
    velocity: Float64
    probabilities: Float64
    missed: int = 0

    def is_remembered(self, time: float) -> bool:
        """Return whether a face at this time may be this person's.

        A person is forgotten after `MAX_GAP_SECONDS` and `MAX_GAP_FRAMES`, whichever is later: seconds alone would
        forget everybody between two frames of a slow machine.
        """
        gap = time - self.time
        return gap <= MAX_GAP_SECONDS or (self.missed < MAX_GAP_FRAMES and gap <= LONGEST_GAP_SECONDS)

    def expected(self, time: float) -> Float64:
        """Return the expected centre of the face; the velocity decays while the face is unseen."""
        gap = time - self.time
        return self.centre + self.velocity * _VELOCITY_SECONDS * (1 - math.exp(-gap / _VELOCITY_SECONDS))

    def update(self, time: float, seen: _Observation, smoothing: float) -> None:
        """Continue the track with a face."""
        gap = max(time - self.time, 1e-3)
        weight = 1 - math.exp(-gap / _VELOCITY_SECONDS)
        self.velocity += weight * ((seen.centre - self.centre) / gap - self.velocity)
        self.appearance = _normalised(self.appearance + weight * (seen.appearance - self.appearance))
        change = seen.probabilities - self.probabilities
        self.probabilities = self.probabilities + (1 - math.exp(-gap / smoothing)) * change
        self.centre, self.side, self.time, self.missed = seen.centre, seen.side, time, 0


class Tracker:
    """Numbers the people in one video and smooths their probabilities.

    Faces of one person are matched over frames by position, size and appearance, also after a while out of sight
    (`MAX_GAP_SECONDS`, or 1 frame if frames come more slowly), but never across a cut. Memory does not grow with the
    length of the video.

    Attributes:
        scene: the number of the scene, from 1.
    """

    def __init__(self, smoothing: float = SMOOTHING_SECONDS) -> None:
        self._smoothing = smoothing
        self._tracks: list[_Track] = []
        self._people = 0
        self.scene = 1

    def __call__(
        self, time: float, boxes: Sequence[Box], crops: Sequence[UInt8], rows: Float64
    ) -> tuple[list[int], Float64]:
        """Match the faces of one frame with people.

        Args:
            time: seconds; never goes back.
            boxes: N boxes in pixels of the frame.
            crops: N crops, uint8 (S, S, C), of the faces alone.
            rows: float (N, K), their probabilities.

        Returns:
            The number of each face's person, counted from 1, and smoothed rows, float64 (N, K): exponential moving
            averages over each person's frames.
        """
        self._tracks = [track for track in self._tracks if track.is_remembered(time)]
        observed = [
            _Observation(_centre(box), math.sqrt(box.width * box.height), appearance(crop), np.asarray(row, np.float64))
            for box, crop, row in zip(boxes, crops, rows, strict=True)
        ]
        matched = self._match(time, observed)
        for known in self._tracks:
            known.missed += 1
        found = []
        for number, seen in enumerate(observed):
            track = matched.get(number)
            if track is None:
                track = self._start(time, seen)
            else:
                track.update(time, seen, self._smoothing)
            found.append(track)
        smoothed = np.stack([track.probabilities for track in found]) if found else np.asarray(rows, np.float64)
        return [track.person for track in found], smoothed

    def cut(self) -> None:
        """Begin a new scene: whoever is seen from now is somebody new, and not smoothed with anybody before."""
        self._tracks = []
        self.scene += 1

    def state(self) -> dict[str, Any]:
        """Return all that this tracker knows, JSON-serialisable; `restore` continues with it to the last digit."""
        tracks = [
            {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(track).items()}
            for track in self._tracks
        ]
        return {"scene": self.scene, "people": self._people, "tracks": tracks}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where another tracker was when it gave this `state`."""
        self.scene, self._people = int(state["scene"]), int(state["people"])
        arrays = ("centre", "appearance", "velocity", "probabilities")
        self._tracks = [
            _Track(**{**track, **{name: np.array(track[name], np.float64) for name in arrays}})
            for track in state["tracks"]
        ]

    def _match(self, time: float, observed: Sequence[_Observation]) -> dict[int, _Track]:
        """Pair faces with tracks, the least cost first."""
        pairs = [
            (cost, number, place)
            for place, track in enumerate(self._tracks)
            for number, seen in enumerate(observed)
            if (cost := _cost(track, time, seen)) is not None
        ]
        matched: dict[int, _Track] = {}
        taken: set[int] = set()
        for _, number, place in sorted(pairs):
            if number not in matched and place not in taken:
                matched[number] = self._tracks[place]
                taken.add(place)
        return matched

    def _start(self, time: float, seen: _Observation) -> _Track:
        self._people += 1
        track = _Track(
            person=self._people,
            start=time,
            time=time,
            centre=seen.centre,
            side=seen.side,
            appearance=seen.appearance,
            velocity=np.zeros(2),
            probabilities=seen.probabilities,
        )
        self._tracks.append(track)
        return track


def appearance(crop: UInt8) -> Float64:
    """Return a face, uint8 (S, S, C), as a small grey vector of length 1, free of brightness and contrast."""
    image = Image.fromarray(crop[..., 0] if crop.shape[2] == 1 else crop).convert("L")
    small = image.resize((_APPEARANCE_SIDE, _APPEARANCE_SIDE), Image.Resampling.BILINEAR)
    return _normalised(np.asarray(small, np.float64).ravel())


def _cost(track: _Track, time: float, seen: _Observation) -> float | None:
    """Return how far a face is from what its track expects; None if it cannot be the same person."""
    gap = time - track.time
    reach = min(_MAX_DISTANCE + _MORE_PER_SECOND * gap, _FARTHEST)
    distance = math.dist(seen.centre, track.expected(time)) / ((seen.side + track.side) / 2)
    growth = abs(math.log(seen.side / track.side, _MAX_GROWTH))
    alike = float(seen.appearance @ track.appearance)
    if distance > reach or growth > 1:
        return None
    if alike < (_MIN_CORRELATION if gap < _GAP_SECONDS else _MIN_CORRELATION_AFTER_GAP):
        return None
    extra = _NEW_TRACK_COST if track.time - track.start < _ESTABLISHED_SECONDS else 0.0
    return distance / reach + growth + 1.5 * (1 - alike) + extra


def _centre(box: Box) -> Float64:
    return np.array([box.x + box.width / 2, box.y + box.height / 2])


def _normalised(values: Float64) -> Float64:
    """Return the values less their mean, of length 1; an even surface is all zeros."""
    centred = values - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 1e-6 else np.zeros_like(centred)
