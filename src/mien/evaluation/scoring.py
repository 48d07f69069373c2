"""A reader meets labelled data: what it answered for every picture, and the figures."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mien.arrays import Bool, Float64, Int64, UInt8
from mien.data.dataset import Manifest, Sample
from mien.errors import DataError, ImageError
from mien.inference.decision import AnswerField, choose_field, renormalise
from mien.inference.preprocess import PreparedImage
from mien.inference.reader import Reader
from mien.metrics.calibration import Reliability, area_under_risk_coverage, choose_bins, reliability
from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.metrics.estimates import Estimate
from mien.results import Detection, Face

#: Crops are kept up to so many bytes; what is larger is judged all the same, without gallery and slices.
MOST_CROPS = 1 << 30


@dataclass(frozen=True)
class Predictions:
    """What a model said of labelled pictures.

    names (N), truth int64 (N,) and answers int64 (N,) as indices into `classes`, probabilities float64
    (N, K), rows summing to 1; `skipped` are pictures that could not be read, with the reason, and `no_face`
    those in which no face was found. `by` is the field of a face that was judged. Where known, `crops` uint8
    (N, S, S, C) is what the network saw, [0, 255], `detections` (N) the face it was cut from, None for a whole
    picture, and `groups` int64 (N,) the group of near-duplicates that each picture is in. `sha256` is that of the
    data: of every picture's name, label and bytes, in order. `seed` fixes all that a report of these answers draws:
    the resamplings behind its intervals, and pictures to look at.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    truth: Int64
    answers: Int64
    probabilities: Float64
    skipped: tuple[tuple[str, str], ...] = ()
    by: AnswerField = "answer"
    no_face: tuple[str, ...] = ()
    crops: UInt8 | None = None
    detections: tuple[Detection | None, ...] | None = None
    groups: Int64 | None = None
    sha256: str | None = None
    seed: int = 0

    @property
    def is_right(self) -> Bool:
        """Which answers are right, bool (N,)."""
        return np.asarray(self.answers == self.truth)

    @property
    def confidence(self) -> Float64:
        """The probability of each answer, float64 (N,) in [0, 1]."""
        return np.asarray(self.probabilities[np.arange(len(self.answers)), self.answers])

    @cached_property
    def risk_area(self) -> Estimate:
        """The area under the risk-coverage curve, its interval by a bootstrap over the groups."""
        return area_under_risk_coverage(self.confidence, self.is_right, self.groups, self.seed)

    @cached_property
    def reliability(self) -> Reliability:
        """Confidence against accuracy, in up to 15 bins of at least 8 answers."""
        return reliability(self.confidence, self.is_right, choose_bins(len(self.names)), self.groups)

    def evaluation(self) -> ClassificationMetrics:
        """Return every figure with its interval, by a bootstrap over the groups where these are known."""
        return self._evaluation

    @cached_property
    def _evaluation(self) -> ClassificationMetrics:
        return classification_metrics(
            self.truth, self.probabilities, self.classes, self.answers, self.groups, self.seed
        )


def score(reader: Reader, manifest: Manifest, on_progress: Callable[[float], None] | None = None) -> Predictions:
    """Read every sample of a manifest and set the answers, of the largest face in each, beside the labels.

    `judged_field` says which field of a face is judged. Where the data has only some of its classes,
    probabilities are taken among these. Raises DataError where the data has a class that the model does
    not know, or fewer than two classes, or no picture can be judged.
    """
    by = judged_field(reader, manifest)
    if len(manifest.classes) < 2:
        raise DataError(f"{manifest.path}: has only the class '{manifest.classes[0]}'; figures need at least two")
    kept = _Kept(reader, len(manifest.samples))
    skipped: list[tuple[str, str]] = []
    no_face: list[str] = []
    digest = hashlib.sha256()
    pictures = ((sample.name, _picture(manifest, sample, digest)) for sample in manifest.samples)
    for number, (prepared, result) in enumerate(reader.predict_prepared(pictures)):
        sample = manifest.samples[number]
        if result.status == "ok":
            row = [_read(result.face, by)[name] for name in manifest.classes]
            kept.add(sample.name, manifest.classes.index(sample.label), row, result.answer, prepared)
        elif result.status == "no_face":
            no_face.append(sample.name)
        else:
            skipped.append((sample.name, result.reason or result.status))
        if on_progress:
            on_progress((number + 1) / len(manifest.samples))
    if not kept.names:
        raise _nothing_judged(manifest, len(no_face))
    shares = renormalise(kept.rows)
    answers = shares.argmax(axis=1)
    if by == "answer":
        answers = np.array([manifest.classes.index(label) for label in kept.answered])
    return Predictions(
        manifest.classes, tuple(kept.names), np.array(kept.truth), answers, shares, tuple(skipped), by,
        tuple(no_face), kept.crops, tuple(kept.detections), sha256=digest.hexdigest(),
    )  # fmt: skip


class _Kept:
    """What is kept of every picture that is judged."""

    def __init__(self, reader: Reader, most: int) -> None:
        size, channels = reader.config.input_size, reader.config.input_channels
        self.names: list[str] = []
        self.truth: list[int] = []
        self.rows: list[list[float]] = []
        self.answered: list[str] = []
        self.detections: list[Detection | None] = []
        fits = most * size * size * channels <= MOST_CROPS
        self._crops = np.empty((most, size, size, channels), np.uint8) if fits else None

    def add(self, name: str, truth: int, row: list[float], answer: str, prepared: PreparedImage) -> None:
        if self._crops is not None:
            self._crops[len(self.names)] = prepared.crops[0]
        self.names.append(name)
        self.truth.append(truth)
        self.rows.append(row)
        self.answered.append(answer)
        self.detections.append(prepared.detections[0])

    @property
    def crops(self) -> UInt8 | None:
        return None if self._crops is None else self._crops[: len(self.names)]


def judged_field(reader: Reader, manifest: Manifest) -> AnswerField:
    """Return which field of a face is judged by these labels, as `choose_field` does; DataError if none can be."""
    found = choose_field(reader.config.labels, reader.answers, manifest.classes)
    if found is None:
        raise _unknown(reader, manifest)
    return found


def _unknown(reader: Reader, manifest: Manifest) -> DataError:
    known = tuple(dict.fromkeys((*reader.answers, *reader.config.labels)))
    odd = next((name for name in manifest.classes if name not in known), None)
    if odd is not None:
        return DataError(
            f"{manifest.path}: the model does not know the class '{odd}' (it knows {', '.join(known)}); "
            f"use --map {odd}={known[0]} or --classes"
        )
    part = next(name for name in manifest.classes if name not in reader.answers)
    other = reader.answers[-1]
    return DataError(f"{manifest.path}: for this model '{part}' is part of '{other}'; use --map {part}={other}")


def _nothing_judged(manifest: Manifest, no_face: int) -> DataError:
    count = len(manifest.samples)
    if no_face:
        return DataError(
            f"{manifest.path}: no face was found in {no_face} of {count} pictures, and the others could not be read; "
            "read cropped faces whole with --no-detect"
        )
    return DataError(f"{manifest.path}: none of the {count} pictures could be read")


def _read(face: Face, by: AnswerField) -> Mapping[str, float]:
    found = {"two_way": face.two_way, "expressions": face.expressions}.get(by)
    return face.probabilities if found is None else found


def pool(parts: Sequence[Predictions]) -> Predictions:
    """Join the scores of several folds of one source, each made by the model that had not seen them.

    Groups are taken to be numbered alike in all folds.
    """
    crops = [part.crops for part in parts if part.crops is not None]
    groups = [part.groups for part in parts if part.groups is not None]
    detections = [part.detections for part in parts if part.detections is not None]
    return Predictions(
        parts[0].classes,
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.answers for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        tuple(skip for part in parts for skip in part.skipped),
        parts[0].by,
        tuple(name for part in parts for name in part.no_face),
        np.concatenate(crops) if len(crops) == len(parts) else None,
        tuple(one for found in detections for one in found) if len(detections) == len(parts) else None,
        np.concatenate(groups) if len(groups) == len(parts) else None,
    )


def _picture(manifest: Manifest, sample: Sample, digest: "hashlib._Hash") -> bytes | ImageError:
    digest.update(f"{sample.name}\0{sample.label}\0".encode("utf-8", "surrogatepass"))
    try:
        data = manifest.read(sample.name)
    except ImageError as error:
        return error
    digest.update(hashlib.sha256(data).digest())
    return data


def rows(scored: Predictions) -> Iterator[dict[str, Any]]:
    """Yield one row per picture: file, truth, answer, the probability of every class, and, where known, the group."""
    for index, name in enumerate(scored.names):
        probabilities = zip(scored.classes, scored.probabilities[index], strict=True)
        yield {
            "file": name,
            "truth": scored.classes[scored.truth[index]],
            "answer": scored.classes[scored.answers[index]],
            **{f"p_{label}": round(float(value), 6) for label, value in probabilities},
            **({} if scored.groups is None else {"group": int(scored.groups[index])}),
        }
