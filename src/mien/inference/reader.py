"""The reading rail: the only file that knows the order image → detect → crop → classify → calibrate → result."""

import copy
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import Literal, get_args

import numpy as np

from mien.arrays import Float32, Float64, UInt8
from mien.errors import BundleError, ConfigError, ImageError, InputError
from mien.faces.crop import crop, face_region
from mien.faces.detector import Detector
from mien.faces.tracker import Tracker, timed
from mien.inference.bundle import Bundle, load_bundle
from mien.inference.calibration import probabilities
from mien.inference.classifier import Classifier
from mien.inference.decision import Answer, two_way
from mien.inference.preprocess import Prepared, Preparer, in_order
from mien.io.image import ImageSource, load_image
from mien.labels import EXPRESSIONS
from mien.results import Box, Detection, Face, FrameResult, ImageResult
from mien.runtime import available_cores

#: Which of the faces in a picture are read.
Faces = Literal["largest", "all"]


class Reader:
    """Answers from pictures with one bundle; build it once and use it for many pictures.

    `threads` is how many threads a call may use, None one per available core; several pictures are decoded
    and searched for faces side by side. `threshold` overrides the bundle's own (two classes: the second
    label is answered from that probability on). `detect` says whether to find faces and read each, or to
    read the whole picture; None is as the bundle was trained (its `framing`). Of the faces found, `faces`
    takes all, largest first, or the largest alone.
    `answers` are all that this model may answer: its labels, or some of them and `neither`. Raises
    ConfigError for fewer threads than 1, a threshold outside (0, 1), or for a model of more than two labels or
    with a rule of its own, or another word for `faces`, and BundleError for a graph that does not fit the config.
    """

    def __init__(
        self, bundle: Bundle, threads: int | None = None, threshold: float | None = None, *, faces: Faces = "all",
        detect: bool | None = None,
    ) -> None:  # fmt: skip
        self.config = bundle.config
        _check(bundle, threads, threshold, faces)
        rule = bundle.config.rule
        self.rule = rule if threshold is None else replace(rule, threshold=threshold)
        self.detect = bundle.config.framing == "face" if detect is None else detect
        self._threads = available_cores() if threads is None else threads
        self._limit = 1 if faces == "largest" else None
        self._classifier = Classifier(bundle, threads)

    @property
    def answers(self) -> tuple[str, ...]:
        """Every possible answer of this model: its labels, or some of them and `neither`."""
        return self.rule.answers

    @property
    def threshold(self) -> float:
        """The probability from which the second of two labels is the answer."""
        return self.rule.threshold

    @cached_property
    def detector(self) -> Detector:
        """The face finder, built when first asked for; one thread per call, since pictures go side by side."""
        return Detector(threads=1)

    def variant(
        self, *, faces: Faces | None = None, detect: bool | None = None, threads: int | None = None
    ) -> "Reader":  # fmt: skip
        """Return a reader that shares this one's networks and differs in what is given, None is as here.

        `threads` is how many pictures are prepared side by side. Raises ConfigError for another word for `faces`.
        """
        other = copy.copy(self)
        other.__dict__.pop("_preparer", None)
        other.__dict__["detector"] = self.detector
        if faces is not None:
            _check_faces(faces)
            other._limit = 1 if faces == "largest" else None
        other.detect = self.detect if detect is None else detect
        other._threads = self._threads if threads is None else threads
        return other

    def predict(self, source: ImageSource) -> ImageResult:
        """Read one picture: a path, the bytes of an image file, or a uint8 RGB array (H, W, 3).

        A file that cannot be read is a result with status `unreadable`, a picture in which no face is found
        one with status `no_face`. Raises InputError for an object that is no picture at all.
        """
        return self.read(self.prepare(source))

    def prepare(self, source: ImageSource) -> Prepared:
        """Decode one picture, find its faces and cut them out, as `predict` does before the network sees them.

        Raises InputError for an object that is no picture at all.
        """
        return self._preparer((_name(source), source))

    def read(self, picture: Prepared) -> ImageResult:
        """Read what `prepare` gave: `reader.read(reader.prepare(source))` is `reader.predict(source)`."""
        return next(self._results([picture]))

    def predict_many(self, sources: Iterable[ImageSource], batch_size: int = 32) -> Iterator[ImageResult]:
        """Read pictures, in order; one bad file never stops the others.

        They are taken from `sources` a little ahead, and about `batch_size` crops are classified at a time;
        memory does not grow with the number of sources. Raises InputError for one picture in place of several.
        """
        if isinstance(sources, str | bytes | os.PathLike):
            raise InputError("predict_many takes several pictures; put a single one into a list, or use predict")
        return self.predict_named(((_name(source), source) for source in sources), batch_size)

    def predict_named(
        self, sources: Iterable[tuple[str, ImageSource | ImageError]], batch_size: int = 32
    ) -> Iterator[ImageResult]:
        """Read pictures as `predict_many` does, each under the name given with it.

        An ImageError in place of a picture (its bytes could not be had) becomes an `unreadable` row.
        """
        return (result for _, result in self.predict_prepared(sources, batch_size))

    def predict_prepared(
        self, sources: Iterable[tuple[str, ImageSource | ImageError]], batch_size: int = 32
    ) -> Iterator[tuple[Prepared, ImageResult]]:
        """Read pictures as `predict_named` does, each result beside the crops that the network saw."""
        block: list[Prepared] = []
        crops = 0
        with closing(in_order(self._preparer, sources, self._threads)) as found:
            for picture in found:
                block.append(picture)
                crops += len(picture.crops)
                if max(crops, len(block)) >= batch_size:
                    yield from zip(block, self._results(block), strict=True)
                    block, crops = [], 0
            yield from zip(block, self._results(block), strict=True)

    def read_faces(self, rgb: UInt8, detections: Sequence[Detection]) -> tuple[Face, ...]:
        """Read faces that were found in a picture, uint8 (H, W, 3), RGB, [0, 255], in whose pixels they are given."""
        picture = load_image(rgb)
        size, channels = self.config.input_size, self.config.input_channels
        crops = [crop(picture, size, channels, face_region(found)) for found in detections]
        rows = self._classify(crops)
        return self._faces([found.box for found in detections], detections, rows)

    def watch(
        self, frames: Iterable[UInt8 | tuple[float, UInt8]], fps: float | None = None, *, source: str = "<frames>"
    ) -> Iterator[FrameResult]:
        """Read frames one by one as they come, follow the people in them and smooth what is read from each.

        `frames` are uint8 (H, W, 3), RGB, [0, 255], or pairs of a time in seconds and a frame (what
        `mien.io.video.open_video(path).frames(fps)` gives). A frame without a time is taken to be 1 / `fps` seconds
        after the one before or, where that is None, to be of the moment it comes in, as from a camera. Nothing
        is read ahead, and memory does not grow with the number of frames. How people are followed and
        probabilities smoothed: `mien.faces.tracker.Follower`. Answers are the model's own rule on smoothed
        probabilities. Raises InputError for a frame that is no picture, or a time before the last one.
        """
        follow = Tracker()
        for time, frame in timed(frames, fps):
            picture = self._preparer((source, frame))
            rows = self._classify(picture.crops)
            people, rows = follow(time, picture.boxes, picture.crops, rows)
            found = self._faces(picture.boxes, picture.detections, rows)
            faces = tuple(replace(face, person=person) for face, person in zip(found, people, strict=True))
            size = picture.width, picture.height
            yield FrameResult(source, picture.status, picture.reason, *size, self.config.name, faces, time)

    def probabilities(self, crops: UInt8, batch_size: int = 32) -> Float64:
        """Return calibrated probabilities float64 (N, K) for crops uint8 (N, S, S, C), [0, 255]."""
        return probabilities(self.logits(crops, batch_size), self.config.temperature)

    def logits(self, crops: UInt8, batch_size: int = 32) -> Float32:
        """Return what the network says, float32 (N, K), for crops uint8 (N, S, S, C), [0, 255]."""
        parts = [self._classifier(crops[i : i + batch_size])[0] for i in range(0, len(crops), batch_size)]
        found = np.concatenate(parts) if parts else np.empty((0, len(self.config.labels)), np.float32)
        if not np.isfinite(found).all():
            raise BundleError(f"{self.config.name}: the network gives logits that are not numbers; train it again")
        return found

    def maps(self, crops: UInt8, batch_size: int = 32) -> Float32:
        """Return class activation maps float32 (N, h, w, K), whose means are the logits, for crops uint8 (N, S, S, C).

        Raises ConfigError for a model whose graph has none (`config.maps`).
        """
        if not self.config.maps:
            raise ConfigError(f"{self.config.name}: this model gives no class activation maps; use occlusion")
        parts = [self._classifier(crops[i : i + batch_size])[1] for i in range(0, max(len(crops), 1), batch_size)]
        return np.concatenate([part for part in parts if part is not None])

    @cached_property
    def _preparer(self) -> Preparer:
        detector = self.detector if self.detect else None
        return Preparer(self.config.input_size, self.config.input_channels, detector, self._limit)

    def _results(self, pictures: Sequence[Prepared]) -> Iterator[ImageResult]:
        """Classify the crops of some pictures together."""
        crops = [one for picture in pictures for one in picture.crops]
        rows = self._classify(crops)
        boxes = [box for picture in pictures for box in picture.boxes]
        faces_of_all = iter(self._faces(boxes, [found for picture in pictures for found in picture.detections], rows))
        for picture in pictures:
            faces = tuple(islice(faces_of_all, len(picture.crops)))
            size = picture.width, picture.height
            yield ImageResult(picture.name, picture.status, picture.reason, *size, self.config.name, faces)

    def _classify(self, crops: Sequence[UInt8]) -> Float64:
        return self.probabilities(np.stack(crops)) if crops else np.empty((0, len(self.config.labels)))

    def _faces(
        self, boxes: Sequence[Box], detections: Sequence[Detection | None], rows: Float64
    ) -> tuple[Face, ...]:  # fmt: skip
        """Decide what to answer for faces, given their probabilities (N, K)."""
        answers = self.rule.decide(rows) if len(rows) else []
        return tuple(map(self._face, boxes, detections, rows.tolist(), answers))

    def _face(self, box: Box, found: Detection | None, row: list[float], answer: Answer) -> Face:
        by_label = dict(zip(self.config.labels, row, strict=True))
        return Face(
            box=box,
            score=round(found.score, 4) if found else None,
            answer=answer.label,
            probability=answer.probability,
            why=answer.why,
            probabilities=answer.probabilities,
            two_way=two_way(by_label),
            expressions=by_label if set(self.config.labels) == set(EXPRESSIONS) else None,
            landmarks=tuple((round(x, 1), round(y, 1)) for x, y in found.landmarks) if found else None,
        )


def load(
    model: str | os.PathLike[str] | None = None, *, threads: int | None = None, threshold: float | None = None,
    faces: Faces = "all", detect: bool | None = None,
) -> Reader:  # fmt: skip
    """Open a model for reading pictures: the shipped one, or a bundle, a run folder or a shipped model by its name.

    Raises BundleError when there is no such model or it is not sound, ConfigError for a threshold that
    does not fit. `threads`, `threshold`, `faces` and `detect` as in Reader.
    """
    return Reader(load_bundle(model), threads, threshold, faces=faces, detect=detect)


def _check(bundle: Bundle, threads: int | None, threshold: float | None, faces: str) -> None:
    _check_faces(faces)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ConfigError(f"threads {threads!r:.20}: give a whole number from 1 on, or None for one per core")
    if threshold is None:
        return
    labels = bundle.config.labels
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold {threshold}: give a number between 0 and 1")
    if len(labels) != 2:
        raise ConfigError(f"threshold {threshold}: is for models of two labels, this one has {len(labels)}")
    if bundle.config.answer_from is not None:
        raise ConfigError(f"threshold {threshold}: this model has a rule of its own for what it answers")


def _check_faces(faces: str) -> None:
    if faces not in get_args(Faces):
        raise ConfigError(f"faces {faces!r:.20}: give {' or '.join(get_args(Faces))}")


def _name(source: ImageSource) -> str:
    if isinstance(source, bytes):
        return "<bytes>"
    if isinstance(source, np.ndarray):
        return "<array>"
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    raise InputError(f"a picture is a path, bytes or a uint8 array, not {type(source).__name__}")
