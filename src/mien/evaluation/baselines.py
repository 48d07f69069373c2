"""Put the numbers to beat beside a model: always the largest class, and the shipped model, on the same images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.data.dataset import Manifest
from mien.errors import BundleError, DataError
from mien.evaluation.differences import Difference, measure_difference
from mien.evaluation.scoring import Predictions, pool_folds, score
from mien.inference.answer_fields import choose_field
from mien.inference.bundle import find_shipped
from mien.inference.reader import Reader, load
from mien.metrics.classification import ClassificationMetrics, classification_metrics
from mien.metrics.formatting import format_percent, format_points
from mien.metrics.samples import check_samples
from mien.metrics.wording import negated
from mien.text import capitalise, join_words, pluralize

#: How sentences call the model that was trained, and the one it is compared with.
NEW, SHIPPED_NAME = "the new model", "the shipped model"


@dataclass(frozen=True, eq=False)
class ShippedPredictions:
    """What the shipped model answers to the images of a test part.

    Attributes:
        model: its name.
        sha256: of its weights.
        detects: whether it found the faces first; False if it read whole images.
        predictions: its answers, with the class names of the data.
    """

    model: str
    sha256: str
    detects: bool
    predictions: Predictions


@dataclass(frozen=True, eq=False)
class Baseline:
    """A number to beat.

    Attributes:
        name: what it is, in words.
        metrics: its metrics on the images that the new model answered.
        difference: the new model minus this one, on these images.
        no_face: number of images in which it found no face; they count as wrong answers.
    """

    name: str
    metrics: ClassificationMetrics
    difference: Difference
    no_face: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {"name": self.name, "no_face": self.no_face, "accuracy": self.metrics.accuracy.to_dict(),
                "metrics": self.metrics.to_dict(), "difference": self.difference.to_dict()}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Baselines:
    """The numbers that a trained model must beat, measured on the same images.

    Attributes:
        largest_class: always the class with most images, with the frequency of each class as its probability.
        shipped: the shipped model; None if it does not know all classes.
        shipped_by: the shipped model's name, weights, and how it read the images; None without `shipped`.
        reason: why there is no `shipped`; empty if there is.
    """

    largest_class: Baseline
    shipped: Baseline | None
    shipped_by: ShippedPredictions | None
    reason: str = ""

    @property
    def asked(self) -> ShippedPredictions | str:
        """What the shipped model answered, or why it could not be asked."""
        return self.shipped_by or self.reason

    def sentences(self) -> tuple[str, ...]:
        """Say how the new model compares with the shipped model and with the largest class."""
        found = [] if self.shipped is None else [shipped_in_words(self.shipped)]
        return (*found, largest_class_in_words(self.largest_class), *([self.reason] if self.reason else []))

    def in_short(self) -> tuple[str, ...]:
        """Say the same as `sentences` in fewer words, of a model that was just named."""
        largest = self.largest_class
        right = format_percent(largest.metrics.accuracy.value)
        found = f"{capitalise(largest.name)} is right on {right}"
        leads = largest.difference.significant and largest.difference.metrics["accuracy"].value > 0
        beaten = f"{found}." if leads else f"{found}, and this model is not shown to be better."
        return (beaten,) if self.shipped is None else (_in_short(self.shipped), beaten)

    def rows(self) -> list[Baseline]:
        """Return the baselines, the shipped model first."""
        return [one for one in (self.shipped, self.largest_class) if one is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        shipped = None
        if self.shipped is not None and self.shipped_by is not None:
            by = self.shipped_by
            about = {"model": by.model, "sha256": by.sha256, "detect": by.detects}
            shipped = {**self.shipped.to_dict(), **about, "verdict": shipped_in_words(self.shipped)}
        return {
            "largest_class": {
                **self.largest_class.to_dict(), "verdict": largest_class_in_words(self.largest_class),
            },
            "shipped": shipped,
            "reason": self.reason or None,
        }  # fmt: skip


def shipped_in_words(shipped: Baseline) -> str:
    """Say whether the new model is better than the shipped one, with the interval of the difference."""
    found = shipped.difference
    no_face = (
        f"{capitalise(SHIPPED_NAME)} found no face in {shipped.no_face:,} of {pluralize(found.n, 'image')}; they count "
        "as wrong answers."
    )
    advice = "Use the shipped one, or train on more images."
    return " ".join(part for part in (_verdict(found, advice), no_face if shipped.no_face else "") if part)


def _in_short(shipped: Baseline) -> str:
    change = shipped.difference.metrics["accuracy"]
    if not shipped.difference.significant:
        points = format_points(change, unit="points")
        return f"It is not shown to be better than {shipped.name} ({points} on the same images)."
    points = format_points(change if change.value > 0 else negated(change), signed=False, unit="points")
    return f"It is significantly {'more' if change.value > 0 else 'less'} accurate than {shipped.name}, by {points}."


def largest_class_in_words(largest: Baseline) -> str:
    """Say how often always answering the largest class is right, and whether the new model is better."""
    right = format_percent(largest.metrics.accuracy.value)
    advice = "It has learned nothing that helps on these images."
    return f"{capitalise(largest.name)} is right on {right}. {_verdict(largest.difference, advice)}"


def _verdict(found: Difference, if_worse: str) -> str:
    """Say how the new model differs from a baseline, and plainly if it is worse or not shown to be better."""
    said = found.sentence()
    if not found.significant:
        return f"{said} So {NEW} is not shown to be better than {found.first}."
    return said if found.metrics["accuracy"].value > 0 else f"{said} {if_worse}"


def score_shipped(
    manifest: Manifest, detect: bool, on_progress: Callable[[float], None] | None = None
) -> ShippedPredictions | str:
    """Return what the shipped model answers to labelled images, or why it cannot be asked, as a sentence.

    Class names are compared without regard to capitals.

    Args:
        manifest: the images, whole as they are in the data.
        detect: find faces first, as for photographs; False reads whole images, as for crops of faces.
        on_progress: called with the fraction done, in [0, 1].
    """
    try:
        reader = load(find_shipped(), faces="largest", detect=detect, device="cpu")
    except BundleError as error:  # no reason to lose a training that has ended
        return f"{capitalise(SHIPPED_NAME)} cannot be read, so it is not compared ({error})."
    name_of = _known_names(reader, manifest.classes)
    if isinstance(name_of, str):
        return name_of
    samples = tuple(replace(one, label=name_of[one.label], target=None) for one in manifest.samples)
    renamed = replace(manifest, classes=tuple(name_of.values()), samples=samples)
    try:
        found = score(reader, renamed, on_progress)
    except DataError:
        return f"{capitalise(SHIPPED_NAME)} found no face in any of these images, so it is not compared."
    found = replace(found, classes=manifest.classes, crops=None, detections=None, sha256=None)
    return ShippedPredictions(reader.config.name, reader.config.sha256, reader.detect, found)


def pool_shipped(folds: Sequence[ShippedPredictions | str]) -> ShippedPredictions | str:
    """Join what the shipped model answered in several folds; the reason if it could not be asked in one of them."""
    known = [one for one in folds if isinstance(one, ShippedPredictions)]
    if len(known) < len(folds):
        return next(one for one in folds if isinstance(one, str))
    return replace(known[0], predictions=pool_folds([one.predictions for one in known]))


def measure_baselines(predictions: Predictions, shipped: ShippedPredictions | str) -> Baselines:
    """Compare a model with always the largest class and with the shipped model, on the images that it answered.

    The differences and tests are those of `mien compare`. An image in which the shipped model finds no face counts as
    a wrong answer of it, with equal probabilities.

    Args:
        predictions: of the trained model.
        shipped: from `score_shipped`, on at least these images.
    """
    largest = _baseline(*_always_largest(predictions), predictions)
    if isinstance(shipped, str):
        return Baselines(largest, None, None, shipped)
    aligned, no_face = _on_same_images(shipped.predictions, predictions)
    return Baselines(largest, _baseline(SHIPPED_NAME, aligned, predictions, no_face), shipped)


def _baseline(name: str, own: Predictions, new: Predictions, no_face: int = 0) -> Baseline:
    groups = new.groups
    samples = [check_samples(one.truth, one.probabilities, one.classes, one.answers, groups) for one in (own, new)]
    metrics = classification_metrics(own.truth, own.probabilities, own.classes, own.answers, groups)
    return Baseline(name, metrics, measure_difference((name, NEW), (samples[0], samples[1])), no_face)


def _always_largest(predictions: Predictions) -> tuple[str, Predictions]:
    counts = np.bincount(predictions.truth, minlength=len(predictions.classes))
    largest, n = int(counts.argmax()), len(predictions.truth)
    answers = np.full(n, largest, np.int64)
    probabilities = np.tile(counts / n, (n, 1))
    name = f"always answering {predictions.classes[largest]}"
    return name, replace(predictions, answers=answers, probabilities=probabilities, crops=None, detections=None)


def _on_same_images(shipped: Predictions, new: Predictions) -> tuple[Predictions, int]:
    """Return the shipped model's answers to the images of `new`, in its order, and to how many it had none."""
    row_of = {name: row for row, name in enumerate(shipped.names)}
    rows = np.array([row_of.get(name, -1) for name in new.names], np.int64)
    known, k = rows >= 0, len(new.classes)
    counts = np.bincount(new.truth, minlength=k)
    # A wrong answer needs a class: the largest of the others.
    order = np.argsort(-counts, kind="stable")
    answers = np.where(new.truth == order[0], order[1], order[0])
    probabilities = np.full((len(rows), k), 1 / k)
    answers[known] = shipped.answers[rows[known]]
    probabilities[known] = shipped.probabilities[rows[known]]
    aligned = replace(new, answers=answers, probabilities=probabilities, crops=None, detections=None)
    return aligned, int((~known).sum())


def _known_names(reader: Reader, classes: Sequence[str]) -> dict[str, str] | str:
    """Return the model's name of each class of the data, or a sentence with the classes that it lacks."""
    known = {name.casefold(): name for name in (*reader.config.labels, *reader.answers)}
    unknown = [name for name in classes if name.casefold() not in known]
    found = {name: known[name.casefold()] for name in classes if name not in unknown}
    if unknown:
        return f"{capitalise(SHIPPED_NAME)} does not know {join_words(unknown)}, so it is not compared."
    several = len(set(found.values())) < len(found)
    if several or choose_field(reader.config.labels, reader.answers, tuple(found.values())) is None:
        return f"{capitalise(SHIPPED_NAME)} does not tell {join_words(list(classes))} apart, so it is not compared."
    return found
