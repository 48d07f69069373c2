"""What mien answers: frozen, validated, serialisable results."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mien.arrays import Float32, Float64, UInt8
from mien.errors import ImageError, InputError

Status = Literal["ok", "no_face", "unreadable"]
Landmarks = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the upright picture: left, top, width and height (at least 1 each)."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        """Refuse an empty rectangle."""
        if self.width < 1 or self.height < 1:
            raise InputError(f"box of {self.width}x{self.height}: width and height must be at least 1 pixel")

    def to_dict(self) -> dict[str, int]:
        """Return the four numbers by name."""
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}


@dataclass(frozen=True)
class Detection:
    """A face that was found in a picture.

    `box` lies inside the upright picture. `landmarks` are five points (x, y) in its pixels, as YuNet gives
    them: the person's right eye, left eye, tip of the nose, right and left corner of the mouth; they may lie
    a little outside. `score` is the finder's confidence in [0, 1].
    """

    box: Box
    landmarks: Landmarks
    score: float

    @property
    def roll(self) -> float:
        """How far the face is rolled in the picture, degrees in (-180, 180]; 0 is upright.

        The angle of the line from the person's right eye to the left one, clockwise as pictures are seen.
        """
        (right_x, right_y), (left_x, left_y) = self.landmarks[:2]
        return math.degrees(math.atan2(left_y - right_y, left_x - right_x))

    def rescaled(self, shape: tuple[int, ...], new: tuple[int, ...]) -> "Detection":
        """Return this detection of an image of `shape` (H, W, ...) in the same image resized to the shape `new`."""
        if shape[:2] == new[:2]:
            return self
        down, across = new[0] / shape[0], new[1] / shape[1]
        box = self.box
        left, top = round(box.x * across), round(box.y * down)
        right, bottom = round((box.x + box.width) * across), round((box.y + box.height) * down)
        landmarks = tuple((x * across, y * down) for x, y in self.landmarks)
        return Detection(Box(left, top, max(right - left, 1), max(bottom - top, 1)), landmarks, self.score)


@dataclass(frozen=True)
class Face:
    """One face and what was read from it.

    `score` is the face finder's confidence in [0, 1], or None where the whole picture was read; `landmarks`
    are those of `Detection`, or None likewise.
    `answer` is what mien answers and `probability` how probable it holds that answer, in [0, 1];
    `why` says why an answer differs from the most probable label, and is None where it does not.
    `probabilities` sum to 1 over all possible answers: the model's labels or, of a model that may answer
    `neither`, the labels it answers and `neither`. `two_way` (happy against sad, P(happy) / (P(happy) +
    P(sad))) and `expressions` (all seven) are present only for models that know those labels.
    `person` is the number of the person followed through a film, from 1; None in a single picture.
    """

    box: Box
    score: float | None
    answer: str
    probability: float
    why: str | None
    probabilities: Mapping[str, float]
    two_way: Mapping[str, float] | None = None
    expressions: Mapping[str, float] | None = None
    landmarks: Landmarks | None = None
    person: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the face as plain JSON-ready values."""
        row: dict[str, Any] = {
            "box": self.box.to_dict(),
            "score": self.score,
            "landmarks": [list(point) for point in self.landmarks] if self.landmarks else None,
            "answer": self.answer,
            "probability": self.probability,
            "why": self.why,
            "probabilities": dict(self.probabilities),
        }
        if self.person is not None:
            row["person"] = self.person
        if self.two_way is not None:
            row["two_way"] = dict(self.two_way)
        if self.expressions is not None:
            row["expressions"] = dict(self.expressions)
        return row


@dataclass(frozen=True)
class ImageResult:
    """What was read from one picture.

    `status` is `ok`, `no_face` or `unreadable`; `reason` says why in the last case. `width` and
    `height` are pixels of the upright picture, None where it could not be read.
    """

    source: str
    status: Status
    reason: str | None
    width: int | None
    height: int | None
    model: str
    faces: tuple[Face, ...] = ()

    @property
    def face(self) -> Face:
        """The first (largest) face; ImageError where there is none."""
        if not self.faces:
            raise ImageError(
                self.source, self.reason or "no face was found", "no-face" if self.status == "no_face" else "unreadable"
            )
        return self.faces[0]

    @property
    def answer(self) -> str:
        """The answer for the first (largest) face; ImageError where there is none."""
        return self.face.answer

    @property
    def probability(self) -> float:
        """The probability of that answer; ImageError where there is no face."""
        return self.face.probability

    def to_dict(self) -> dict[str, Any]:
        """Return the row that `--json`, `--jsonl` and HTTP give for this picture."""
        return {
            "source": self.source,
            "status": self.status,
            "reason": self.reason,
            "width": self.width,
            "height": self.height,
            "model": self.model,
            "faces": [face.to_dict() for face in self.faces],
        }

    def __str__(self) -> str:
        """Return one readable line."""
        if self.status != "ok":
            return f"{self.source}: {self.status}" + (f" ({self.reason})" if self.reason else "")
        return f"{self.source}: " + ", ".join(f"{face.answer} {face.probability:.3f}" for face in self.faces)


@dataclass(frozen=True)
class FrameResult(ImageResult):
    """What was read from one frame of a film or camera, `time` seconds after the first.

    Every face has a `person`, the same number for the same person in all frames; its probabilities are
    smoothed over the frames before.
    """

    time: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the row that `--json` and `--jsonl` give for this frame: that of a picture, and its time."""
        row = super().to_dict()
        return {"source": row.pop("source"), "time": round(self.time, 3), **row}


@dataclass(frozen=True, eq=False)
class FaceHeat:
    """What in one face speaks for one label.

    `heat` is float32 (S, S) in [0, 1] over `crop`, uint8 (S, S, C), which is what the network saw; 1 is the
    strongest evidence in it, 0 none or evidence against. `corners` are those of the crop in the upright picture,
    float64 (4, 2), x and y in pixels, clockwise from the crop's upper left; they may lie outside the picture.
    """

    label: str
    method: str
    heat: Float32
    crop: UInt8
    corners: Float64
