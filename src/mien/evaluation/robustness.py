"""Measure robustness: the accuracy on perturbed images, and the strength at which it has dropped by 5 points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Bool, Int64, UInt8
from mien.errors import InputError
from mien.evaluation.perturbations import PERTURBATIONS, Perturbation
from mien.evaluation.scoring import Predictions
from mien.inference.answer_fields import AnswerField
from mien.inference.reader import Reader
from mien.metrics.estimates import Estimate, grouped_proportion
from mien.metrics.significance import accuracy_difference

#: The drop in accuracy that is looked for, in [0, 1].
DROP = 0.05
#: A model within this distance of chance has little accuracy to lose, so that it cannot be called robust.
NEAR_CHANCE = 0.1


@dataclass(frozen=True, eq=False)
class Tolerance:
    """How much of one perturbation a model tolerates.

    Args:
        perturbation: the perturbation.
        accuracy: accuracy at each strength, with its own 95 % interval.
        differences: accuracy less that of the same images unperturbed, with the 95 % interval of the paired
            difference; negative if the perturbation does harm.
        limit: strength at which accuracy has dropped by DROP, interpolated linearly; None if it never does.
        earliest: strength at which the lower end of the difference has; start of the 95 % range of `limit`.
        latest: strength at which the upper end has; end of that range.
    """

    perturbation: Perturbation
    accuracy: tuple[Estimate, ...]
    differences: tuple[Estimate, ...]
    limit: float | None
    earliest: float | None
    latest: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "name": self.perturbation.name,
            "unit": self.perturbation.unit,
            "neutral": self.perturbation.neutral,
            "strengths": list(self.perturbation.strengths),
            "accuracy": [estimate.to_dict() for estimate in self.accuracy],
            "difference": [estimate.to_dict() for estimate in self.differences],
            "limit": self.limit,
            "limit_earliest": self.earliest,
            "limit_latest": self.latest,
        }


@dataclass(frozen=True, eq=False)
class Robustness:
    """Accuracy under every perturbation.

    Args:
        n: images perturbed.
        available: images that these were drawn from.
        seed: fixes which images, and all random choices of the perturbations.
        n_classes: classes of the data.
        unchanged: accuracy on the same images unperturbed.
        tolerances: one for each perturbation.
        detected: whether the images were crops of faces that had been detected.
    """

    n: int
    available: int
    seed: int
    n_classes: int
    unchanged: Estimate
    tolerances: tuple[Tolerance, ...]
    detected: bool

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "images": self.n,
            "of": self.available,
            "seed": self.seed,
            "drop": DROP,
            "unchanged": self.unchanged.to_dict(),
            "perturbations": [one.to_dict() for one in self.tolerances],
        }


def measure_robustness(
    reader: Reader, predictions: Predictions, limit: int = 1000, on_progress: Callable[[float], None] | None = None
) -> Robustness:
    """Perturb images and compare the accuracy with that on the same images unperturbed.

    Crops are perturbed, after the face was detected: failures of the detector are not measured.

    Args:
        reader: the model.
        predictions: its predictions, with the crops; their seed fixes all random choices.
        limit: largest number of images, drawn at random.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        InputError: there are no crops, or not one label for each.
    """
    crops = predictions.crops if predictions.crops is not None else np.empty((0, 1, 1, 1), np.uint8)
    truth, classes, answer_field = predictions.truth, predictions.classes, predictions.answer_field
    if not len(crops) or len(crops) != len(truth) or limit < 1:
        raise InputError(f"robustness: {len(crops)} crops, {len(truth)} labels, limit {limit}; give at least one each")
    report = on_progress or (lambda fraction: None)
    chosen = np.random.default_rng(predictions.seed).permutation(len(crops))[:limit]
    chosen.sort()
    taken, labels = crops[chosen], truth[chosen]
    before = predict_crops(reader, taken, classes, answer_field) == labels
    steps, done = sum(len(perturbation.strengths) for perturbation in PERTURBATIONS), 0
    found = []
    for perturbation in PERTURBATIONS:
        hits = []
        for strength in perturbation.strengths:
            perturbed = perturbation.apply(taken, strength, predictions.seed)
            hits.append(predict_crops(reader, perturbed, classes, answer_field) == labels)
            done += 1
            report(done / steps)
        found.append(_tolerance(perturbation, before, hits))
    unchanged = grouped_proportion(before)
    detected = any(predictions.detections or ())
    return Robustness(len(taken), len(crops), predictions.seed, len(classes), unchanged, tuple(found), detected)


def predict_crops(reader: Reader, crops: UInt8, classes: Sequence[str], answer_field: AnswerField) -> Int64:
    """Return the answers to crops, int64 (N,), as indices into `classes`.

    Args:
        reader: the model.
        crops: uint8 (N, S, S, C), [0, 255].
        classes: K names.
        answer_field: the field of a face that has the answer.
    """
    rows = reader.probabilities(crops)
    if answer_field == "answer":
        places = np.array([list(classes).index(name) for name in reader.answers])
        return np.asarray(places[reader.rule.choose(rows)])
    return np.asarray(reader.rule.probabilities_of(rows, classes).argmax(axis=1))


def _tolerance(perturbation: Perturbation, before: Bool, hits: Sequence[Bool]) -> Tolerance:
    differences = tuple(accuracy_difference(before, after) for after in hits)

    def crossing(losses: Sequence[float]) -> float | None:
        return first_crossing((perturbation.neutral, *perturbation.strengths), (0.0, *losses), DROP)

    return Tolerance(
        perturbation,
        accuracy=tuple(grouped_proportion(after) for after in hits),
        differences=differences,
        limit=crossing([-estimate.value for estimate in differences]),
        earliest=crossing([-estimate.low for estimate in differences]),
        latest=crossing([-estimate.high for estimate in differences]),
    )


def first_crossing(places: Sequence[float], values: Sequence[float], goal: float) -> float | None:
    """Return the first place at which values, interpolated linearly, reach a goal; None if they never do.

    Args:
        places: N places, in order.
        values: N values; the first is below the goal.
        goal: the value to reach.

    Examples:
        >>> first_crossing([0, 10, 20], [0.0, 0.25, 0.75], 0.5)
        15.0
    """
    for number in range(1, len(places)):
        (left, right), (low, high) = places[number - 1 : number + 1], values[number - 1 : number + 1]
        if high >= goal:
            return left + (right - left) * (goal - low) / (high - low)
    return None
