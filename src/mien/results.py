"""Results of inference: frozen, validated, JSON-serialisable."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mien.arrays import Float32, Float64, UInt8
from mien.errors import ImageError, InputError
from mien.markup import table, to_html
from mien.text import one_line

Status = Literal["ok", "no_face", "unreadable"]
Landmarks = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the upright image: left, top, width and height (at least 1 each).

    Examples:
        >>> Box(120, 80, 96, 96).to_dict()
        {'x': 120, 'y': 80, 'width': 96, 'height': 96}
    """

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
    """A detected face.

    Args:
        box: inside the upright image.
        landmarks: five points (x, y) in its pixels, as YuNet gives them: the person's right eye, left eye, tip of
            the nose, right and left corner of the mouth. They may lie a little outside.
        score: the detector's confidence, in [0, 1].

    Examples:
        >>> eyes, rest = ((60.0, 50.0), (90.0, 80.0)), ((75.0, 60.0), (62.0, 80.0), (88.0, 80.0))
        >>> Detection(Box(50, 20, 50, 80), eyes + rest, 0.9).roll
        45.0
    """

    box: Box
    landmarks: Landmarks
    score: float

    @property
    def roll(self) -> float:
        """The roll of the face in degrees, in (-180, 180]; 0 is upright.

        It is the angle of the line from the person's right eye to the left one, clockwise as the image is seen.
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
    """One face and the answer for it.

    Args:
        box: the face, or the whole image if it was classified whole.
        score: the detector's confidence, in [0, 1]; None if the whole image was classified.
        answer: what mien answers.
        probability: of that answer, in [0, 1].
        why: why the answer differs from the most probable label, and what makes it less sure: a face of few pixels,
            or a photograph that was read whole. None if there is nothing to say.
        probabilities: of all possible answers; they sum to 1. These are the model's labels or, for a model that may
            answer `neither`, the labels it answers and `neither`.
        two_way: happy against sad, P(happy) / (P(happy) + P(sad)); None if the model does not know both.
        expressions: of all seven expressions; None if the model does not know them.
        landmarks: those of `Detection`; None if the whole image was classified.
        person: the number of the person tracked through a video, from 1; None in a single image.

    Examples:
        >>> face = Face(Box(0, 0, 48, 48), None, "happy", 0.9, None, {"happy": 0.9, "sad": 0.1})
        >>> face.to_dict()["answer"]
        'happy'
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
        """Return a JSON-serialisable dict."""
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

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "Face":
        """Return the face that `to_dict` gave as a part of a row."""
        points = row["landmarks"]
        landmarks = tuple((float(x), float(y)) for x, y in points) if points else None
        return cls(**{**row, "box": Box(**row["box"]), "landmarks": landmarks})


@dataclass(frozen=True)
class ImageResult:
    """The result for one image.

    Args:
        source: the name of the image.
        status: `ok`, `no_face` or `unreadable`.
        reason: why the status is not `ok`. With `ok`: None, or a note on a file that was read although its end is
            missing.
        width: pixels of the upright image; None if it could not be decoded.
        height: likewise.
        model: the name of the model.
        faces: largest first; the first is that of `answer` and `probability`. If `detect` is False, the only one is the
            whole image.
        detect: whether faces were looked for. False: the model read the whole image.

    Examples:
        >>> str(ImageResult("me.jpg", "no_face", "no face was found", 640, 480, "mien"))
        'me.jpg: no_face (no face was found)'
    """

    source: str
    status: Status
    reason: str | None
    width: int | None
    height: int | None
    model: str
    faces: tuple[Face, ...] = ()
    detect: bool = field(default=True, kw_only=True)

    @property
    def face(self) -> Face:
        """The first (largest) face; ImageError if there is none."""
        if not self.faces:
            reason, missing = self.reason or "no face was found", self.status == "no_face"
            advice = "look at `result.status` before `result.answer`" + ", or load with `detect=False`" * missing
            raise ImageError(self.source, f"{reason}; {advice}", "no-face" if missing else "unreadable")
        return self.faces[0]

    @property
    def answer(self) -> str:
        """The answer for the first (largest) face; ImageError if there is none."""
        return self.face.answer

    @property
    def probability(self) -> float:
        """The probability of that answer; ImageError if there is no face."""
        return self.face.probability

    def to_dict(self) -> dict[str, Any]:
        """Return the row that `--json`, `--jsonl` and HTTP give for this image."""
        return {
            "source": self.source,
            "status": self.status,
            "reason": self.reason,
            "width": self.width,
            "height": self.height,
            "model": self.model,
            "detect": self.detect,
            "faces": [face.to_dict() for face in self.faces],
        }

    def __str__(self) -> str:
        """Return one readable line."""
        if self.status != "ok":
            return one_line(f"{self.source}: {self.status}" + (f" ({self.reason})" if self.reason else ""))
        faces = ", ".join(f"{face.answer} {face.probability:.3f}" for face in self.faces)
        return one_line(f"{self.source}: {faces}")

    def _repr_html_(self) -> str:
        """Return the answers as a table, for notebooks."""
        caption = str(self) if self.status != "ok" else f"{self.source} ({self.width}x{self.height})"
        rows = [
            (
                f"face {number}, {face.box.width}x{face.box.height} pixels" if self.detect else "whole image",
                face.answer,
                f"{face.probability:.3f}",
                ", ".join(f"{label} {share:.2f}" for label, share in face.probabilities.items()),
                face.why or "",
            )
            for number, face in enumerate(self.faces, 1)
        ]
        return to_html(table(("", "answer", "probability", "probabilities", "why"), rows, caption))


@dataclass(frozen=True)
class FrameResult(ImageResult):
    """The result for one frame of a video or webcam.

    Every face has a `person`, the same number for the same person in all frames of a scene; its probabilities are
    smoothed over the frames before.

    Args:
        time: seconds since the first frame.
        frame: the number of the frame among all of the video, from 1.
        scene: the number of the scene, from 1; every hard cut begins another.

    Examples:
        >>> FrameResult("party.mp4", "no_face", None, 640, 360, "mien", (), 2.5).to_dict()["time"]
        2.5
    """

    time: float = 0.0
    frame: int = 1
    scene: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the row that `--json` and `--jsonl` give for this frame: that of an image, and its place."""
        row = super().to_dict()
        place = {"time": round(self.time, 3), "frame": self.frame, "scene": self.scene}
        return {"source": row.pop("source"), **place, **row}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "FrameResult":
        """Return the result that `to_dict` gave as a row."""
        names = ("source", "status", "reason", "width", "height", "model", "detect", "time", "frame", "scene")
        return cls(**{name: row[name] for name in names}, faces=tuple(map(Face.from_dict, row["faces"])))


@dataclass(frozen=True, eq=False)
class FaceHeat:
    """The evidence for one label in one face.

    Args:
        label: the label.
        method: how the evidence was computed.
        heat: float32 (S, S) in [0, 1] over the crop; 1 is its strongest evidence, 0 none or evidence against.
        crop: uint8 (S, S, C), the input of the network.
        corners: of the crop in the upright image, float64 (4, 2), x and y in pixels, clockwise from the crop's
            upper left; they may lie outside the image.
    """

    label: str
    method: str
    heat: Float32
    crop: UInt8
    corners: Float64

    def rescaled(self, old_shape: tuple[int, ...], new_shape: tuple[int, ...]) -> "FaceHeat":
        """Return the same evidence in a resized image; shapes are (H, W, ...)."""
        if old_shape[:2] == new_shape[:2]:
            return self
        scale = (new_shape[1] / old_shape[1], new_shape[0] / old_shape[0])
        return replace(self, corners=self.corners * scale)
