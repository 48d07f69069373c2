"""Score a model on a labelled dataset: its predictions beside the labels, and their metrics."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mien.arrays import Bool, Float64, Int64, UInt8
from mien.data.dataset import Manifest, Sample
from mien.errors import DataError, ImageError
from mien.inference.answer_fields import AnswerField, choose_field, renormalise
from mien.inference.caution import is_photograph
from mien.inference.preprocess import PreparedImage
from mien.inference.reader import Reader
from mien.metrics.calibration import Reliability, area_under_risk_coverage, choose_bins, reliability
from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.metrics.estimates import Estimate
from mien.results import Detection, Face

#: Crops are kept up to this many bytes. Larger datasets are evaluated without gallery, slices and robustness.
MAX_CROP_BYTES = 1 << 30


@dataclass(frozen=True)
class Predictions:
    """Predictions of a model on a labelled dataset of N images and K classes.

    Args:
        classes: K names.
        names: N file names.
        truth: int64 (N,), the label of each image, as an index into `classes`.
        answers: int64 (N,), the answer to each image.
        probabilities: float64 (N, K), rows sum to 1; all nan if there are only answers.
        skipped: files that could not be read, each with the reason.
        answer_field: the field of a face that was compared with the labels.
        no_face: files without a face.
        no_answer: files that given answers do not have.
        crops: uint8 (N, S, S, C), [0, 255], the input of the network; None if it was not kept.
        detections: the face that each crop was cut from; None for a whole image.
        groups: int64 (N,), the group of near-duplicates of each image; None if it is not known.
        sha256: hash of the names, labels and bytes of all images, in any order: equal for equal test sets.
        seed: fixes all random choices of a report: bootstrap resamples, permutations, the images shown.
        photographs: how many images are as large as photographs, if the model reads them whole and nobody asked for
            that.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    truth: Int64
    answers: Int64
    probabilities: Float64
    skipped: tuple[tuple[str, str], ...] = ()
    answer_field: AnswerField = "answer"
    no_face: tuple[str, ...] = ()
    no_answer: tuple[str, ...] = ()
    crops: UInt8 | None = None
    detections: tuple[Detection | None, ...] | None = None
    groups: Int64 | None = None
    sha256: str | None = None
    seed: int = 0
    photographs: int = 0

    @property
    def has_probabilities(self) -> bool:
        """Whether there are probabilities, and not only answers."""
        return not math.isnan(self.probabilities[0, 0])

    @property
    def is_right(self) -> Bool:
        """Whether each answer is right, bool (N,)."""
        return np.asarray(self.answers == self.truth)

    @property
    def confidence(self) -> Float64:
        """The probability of each answer, float64 (N,), in [0, 1]."""
        return np.asarray(self.probabilities[np.arange(len(self.answers)), self.answers])

    @cached_property
    def metrics(self) -> ClassificationMetrics:
        """All metrics with their confidence intervals, by a bootstrap over the groups if these are known."""
        return classification_metrics(
            self.truth, self.probabilities, self.classes, self.answers, self.groups, self.seed
        )

    @cached_property
    def reliability(self) -> Reliability:
        """Accuracy against confidence, in up to 15 bins of at least 8 answers."""
        return reliability(self.confidence, self.is_right, choose_bins(len(self.names)), self.groups)

    @cached_property
    def risk_area(self) -> Estimate:
        """The area under the risk-coverage curve, with its confidence interval."""
        return area_under_risk_coverage(self.confidence, self.is_right, self.groups, self.seed)


def score(reader: Reader, manifest: Manifest, on_progress: Callable[[float], None] | None = None) -> Predictions:
    """Predict every sample of a dataset; the face that a person chose counts in each image, or else the largest.

    If the data has only some of the model's classes, probabilities are rescaled among these.

    Args:
        reader: the model.
        manifest: labelled samples of at least two classes.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        DataError: the model does not know a class, there are fewer than two classes, or no image can be used.
    """
    answer_field = choose_answer_field(reader, manifest)
    if len(manifest.classes) < 2:
        raise DataError(f"{manifest.path}: has only the class '{manifest.classes[0]}'; evaluation needs at least two")
    kept = _Kept(reader, len(manifest.samples))
    skipped: list[tuple[str, str]] = []
    no_face: list[str] = []
    photographs = 0
    digest = SetDigest()
    images = ((sample.name, _read_bytes(manifest, sample, digest)) for sample in manifest.samples)
    chosen = manifest.fixes.faces if manifest.fixes else None
    for number, (prepared, result) in enumerate(reader.predict_prepared(images, chosen=chosen)):
        sample = manifest.samples[number]
        size = (result.width or 0, result.height or 0, reader.config.input_size)
        photographs += reader.overlooks_faces and is_photograph(*size)
        if result.status == "ok":
            row = [_probabilities(result.face, answer_field)[name] for name in manifest.classes]
            kept.add(sample.name, manifest.classes.index(sample.label), row, result.answer, prepared)
        elif result.status == "no_face":
            no_face.append(sample.name)
        else:
            skipped.append((sample.name, result.reason or result.status))
        if on_progress:
            on_progress((number + 1) / len(manifest.samples))
    if not kept.names:
        raise _nothing_usable(manifest, len(no_face))
    probabilities = renormalise(kept.rows)
    answers = probabilities.argmax(axis=1)
    if answer_field == "answer":
        answers = np.array([manifest.classes.index(label) for label in kept.answers])
    return Predictions(
        manifest.classes,
        tuple(kept.names),
        np.array(kept.truth),
        answers,
        probabilities,
        skipped=tuple(skipped),
        answer_field=answer_field,
        no_face=tuple(no_face),
        crops=kept.crops,
        detections=tuple(kept.detections),
        sha256=digest.hexdigest(),
        photographs=photographs,
    )


def choose_answer_field(reader: Reader, manifest: Manifest) -> AnswerField:
    """Return the field of a face to compare with these labels; DataError if the model does not know a class."""
    found = choose_field(reader.config.labels, reader.answers, manifest.classes)
    if found is None:
        raise _unknown_class(reader, manifest)
    return found


def pool_folds(folds: Sequence[Predictions]) -> Predictions:
    """Join the predictions on several folds of one dataset, each by a model that was not trained on its fold.

    Groups must be numbered alike in all folds.
    """
    crops = [fold.crops for fold in folds if fold.crops is not None]
    groups = [fold.groups for fold in folds if fold.groups is not None]
    detections = [fold.detections for fold in folds if fold.detections is not None]
    return Predictions(
        folds[0].classes,
        tuple(name for fold in folds for name in fold.names),
        np.concatenate([fold.truth for fold in folds]),
        np.concatenate([fold.answers for fold in folds]),
        np.concatenate([fold.probabilities for fold in folds]),
        skipped=tuple(skip for fold in folds for skip in fold.skipped),
        answer_field=folds[0].answer_field,
        no_face=tuple(name for fold in folds for name in fold.no_face),
        crops=np.concatenate(crops) if len(crops) == len(folds) else None,
        detections=tuple(one for found in detections for one in found) if len(detections) == len(folds) else None,
        groups=np.concatenate(groups) if len(groups) == len(folds) else None,
        sha256=SetDigest.join(fold.sha256 for fold in folds),
        photographs=sum(fold.photographs for fold in folds),
    )


def prediction_rows(predictions: Predictions) -> Iterator[dict[str, Any]]:
    """Yield a row for each image: file, truth, answer, the probability of each class, and the group if it is known."""
    for index, name in enumerate(predictions.names):
        probabilities = zip(predictions.classes, predictions.probabilities[index], strict=True)
        yield {
            "file": name,
            "truth": predictions.classes[predictions.truth[index]],
            "answer": predictions.classes[predictions.answers[index]],
            **{f"p_{label}": round(float(value), 6) for label, value in probabilities if predictions.has_probabilities},
            **({} if predictions.groups is None else {"group": int(predictions.groups[index])}),
        }


class SetDigest:
    """A hash of a set of labelled images that does not depend on their order: the sum of the hashes of all images."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, name: str, label: str, data: bytes) -> None:
        """Add one image."""
        start = f"{name}\0{label}\0".encode("utf-8", "surrogatepass")
        self._sum += int.from_bytes(hashlib.sha256(start + hashlib.sha256(data).digest()).digest())

    def hexdigest(self) -> str:
        """Return 64 hexadecimal digits."""
        return f"{self._sum % 2**256:064x}"

    @classmethod
    def join(cls, digests: Iterable[str | None]) -> str | None:
        """Return the digest of several disjoint sets together; None if one of theirs is unknown."""
        found = cls()
        for digest in digests:
            if digest is None:
                return None
            found._sum += int(digest, 16)
        return found.hexdigest()


@dataclass
class _Kept:
    """What is kept of every image that is used."""

    reader: Reader
    most: int
    names: list[str] = field(default_factory=list)
    truth: list[int] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    detections: list[Detection | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        size, channels = self.reader.config.input_size, self.reader.config.input_channels
        fits = self.most * size * size * channels <= MAX_CROP_BYTES
        self._crops = np.empty((self.most, size, size, channels), np.uint8) if fits else None

    def add(self, name: str, truth: int, row: list[float], answer: str, prepared: PreparedImage) -> None:
        if self._crops is not None:
            self._crops[len(self.names)] = prepared.crops[0]
        self.names.append(name)
        self.truth.append(truth)
        self.rows.append(row)
        self.answers.append(answer)
        self.detections.append(prepared.detections[0])

    @property
    def crops(self) -> UInt8 | None:
        return None if self._crops is None else self._crops[: len(self.names)]


def _unknown_class(reader: Reader, manifest: Manifest) -> DataError:
    known = tuple(dict.fromkeys((*reader.answers, *reader.config.labels)))
    odd = next((name for name in manifest.classes if name not in known), None)
    if odd is not None:
        return DataError(
            f"{manifest.path}: the model does not know the class '{odd}' (it knows {', '.join(known)}); "
            f"use `rename={ {odd: known[0]} }` or `classes=`"
        )
    part = next(name for name in manifest.classes if name not in reader.answers)
    other = reader.answers[-1]
    return DataError(f"{manifest.path}: for this model '{part}' is part of '{other}'; use `rename={ {part: other} }`")


def _nothing_usable(manifest: Manifest, no_face: int) -> DataError:
    count = len(manifest.samples)
    if no_face:
        return DataError(
            f"{manifest.path}: no face was found in {no_face} of {count} images, and the others could not be read; "
            "use cropped faces whole with `detect=False`"
        )
    return DataError(f"{manifest.path}: none of the {count} images could be read")


def _probabilities(face: Face, answer_field: AnswerField) -> Mapping[str, float]:
    found = {"two_way": face.two_way, "expressions": face.expressions}.get(answer_field)
    return face.probabilities if found is None else found


def _read_bytes(manifest: Manifest, sample: Sample, digest: SetDigest) -> bytes | ImageError:
    try:
        data = manifest.read(sample.name)
    except ImageError as error:
        digest.add(sample.name, sample.label, b"")
        return error
    digest.add(sample.name, sample.label, data)
    return data
