"""Choose a decision threshold from the cost of each kind of error."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mien.arrays import Bool, Float64, Int64
from mien.errors import ConfigError
from mien.evaluation.scoring import Predictions
from mien.metrics.bootstrap import percentile_interval, resample_groups
from mien.metrics.intervals import Interval
from mien.metrics.validation import group_indices

#: Thresholds that a table shows besides the present and the cheapest one.
SHOWN = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold leads to.

    Args:
        threshold: in (0, 1).
        wrong: number of wrong answers of each class.
        recall: recall of each class; NaN for one that never occurs.
        accuracy: fraction of right answers.
        cost: cost per 100 images.
    """

    threshold: float
    wrong: Mapping[str, int]
    recall: Mapping[str, float]
    accuracy: float
    cost: float

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; an undefined recall is None."""
        recall = {name: None if np.isnan(value) else value for name, value in self.recall.items()}
        return {
            "threshold": self.threshold, "wrong": dict(self.wrong), "recall": recall, "accuracy": self.accuracy,
            "cost": self.cost,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Costs of all thresholds between two classes.

    Args:
        positive: the class that is answered if its probability is at least the threshold.
        other: the class that is answered otherwise.
        costs: cost of one wrong answer of each class.
        present: the threshold in use.
        cheapest: one of least cost on these images: the present one if it is as cheap, else the nearest to it.
        saved: 95 % interval of what the cheapest saves per 100 images, given that choice.
        points: several thresholds, for a table.
        grid: float64 (M,), thresholds of the curve.
        curve: float64 (M,), their cost per 100 images.
    """

    positive: str
    other: str
    costs: Mapping[str, float]
    present: OperatingPoint
    cheapest: OperatingPoint
    saved: Interval
    points: tuple[OperatingPoint, ...]
    grid: Float64
    curve: Float64

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, without the curve."""
        return {
            "positive": self.positive,
            "costs": dict(self.costs),
            "present": self.present.threshold,
            "cheapest": self.cheapest.threshold,
            "saved": list(self.saved),
            "rows": [point.to_dict() for point in self.points],
        }


def check_costs(costs: Mapping[str, float], classes: tuple[str, ...]) -> dict[str, float]:
    """Return the cost of a wrong answer of each class, 1 if it is not given.

    Raises ConfigError for a class that is not there, a cost that is negative or not finite, costs that are all 0, and
    costs of more or fewer than two classes.
    """
    if costs and len(classes) != 2:
        raise ConfigError(f"`costs=`: is for data of two classes, this has {len(classes)}; use `classes=`")
    for name, cost in costs.items():
        if not 0 <= cost < math.inf:
            raise ConfigError(f"`costs={ {name: cost} }`: give a number of at least 0")
        if name not in classes:
            raise ConfigError(f"`costs={ {name: cost} }`: no such class; the data has {', '.join(classes)}")
    prices = {name: float(costs.get(name, 1.0)) for name in classes}
    if not any(prices.values()):
        raise ConfigError("`costs=`: all are 0, so that every threshold is as good; give one above 0")
    return prices


def measure_thresholds(
    predictions: Predictions, costs: Mapping[str, float] | None = None, present: float = 0.5,
    positive: str | None = None,
) -> Thresholds:  # fmt: skip
    """Compute the cost of every threshold on images of two classes.

    Args:
        predictions: predictions of N images of two classes.
        costs: cost of a wrong answer of each class. Default: 1.
        present: the threshold in use, in (0, 1).
        positive: the class that the threshold is for. Default: the second.

    Raises:
        ConfigError: costs are not usable; see `check_costs`.
    """
    name = positive or predictions.classes[1]
    other = next(label for label in predictions.classes if label != name)
    place = predictions.classes.index(name)
    prices = check_costs(costs or {}, predictions.classes)
    binary = _Binary(name, other, predictions.probabilities[:, place], predictions.truth == place, prices)

    candidates = _between(binary.score)
    paid = binary.costs_at(candidates)
    now = binary.point_at(present)
    cheapest = now
    if len(paid) and paid.min() < now.cost - 1e-9:
        best = candidates[paid <= paid.min() + 1e-9]
        cheapest = binary.point_at(float(best[np.abs(best - present).argmin()]))
    grid = np.linspace(0.01, 0.99, 197)
    return Thresholds(
        name,
        other,
        prices,
        now,
        cheapest,
        saved=_saved(predictions, binary, present, cheapest.threshold),
        points=tuple(binary.point_at(one) for one in sorted({*SHOWN, present, cheapest.threshold})),
        grid=grid,
        curve=binary.costs_at(grid),
    )


@dataclass(frozen=True)
class _Binary:
    """Scores float (N,) of the class `name`, whether each image is of it, and the cost of wrong answers."""

    name: str
    other: str
    score: Float64
    truth: Bool
    costs: Mapping[str, float]

    @cached_property
    def _sorted(self) -> tuple[Float64, Float64]:
        """The scores of the images of the class, and those of the others, each in rising order."""
        return np.sort(self.score[self.truth]), np.sort(self.score[~self.truth])

    def _mistakes(self, thresholds: Float64) -> tuple[Int64, Int64]:
        """Return false alarms and misses at each of M thresholds, int64 (M,) each."""
        of_class, others = self._sorted
        return len(others) - np.searchsorted(others, thresholds), np.searchsorted(of_class, thresholds)

    def costs_at(self, thresholds: Float64) -> Float64:
        """Return the cost of each of M thresholds per 100 images, float64 (M,)."""
        false_alarms, misses = self._mistakes(thresholds)
        paid = 100 * (false_alarms * self.costs[self.name] + misses * self.costs[self.other]) / len(self.truth)
        return np.asarray(paid, np.float64)

    def point_at(self, threshold: float) -> OperatingPoint:
        """Return all that a threshold leads to."""
        false_alarms, misses = (int(counts[0]) for counts in self._mistakes(np.array([threshold])))
        positives, n = len(self._sorted[0]), len(self.truth)
        recall = {
            self.name: 1 - misses / positives if positives else np.nan,
            self.other: 1 - false_alarms / (n - positives) if positives < n else np.nan,
        }
        wrong = {self.name: false_alarms, self.other: misses}
        cost = float(self.costs_at(np.array([threshold]))[0])
        return OperatingPoint(threshold, wrong, recall, 1 - (false_alarms + misses) / n, cost)


def _between(score: Float64) -> Float64:
    """Return a threshold for every way to divide these scores, float64 (M,), in (0, 1), rounded if possible."""
    edges = np.concatenate([[0.0], np.unique(score), [1.0]])
    middles = (edges[:-1] + edges[1:]) / 2
    rounded = middles.round(3)
    fits = (rounded > edges[:-1]) & (rounded < edges[1:])
    found = np.where(fits, rounded, middles)
    return np.asarray(found[(found > 0) & (found < 1)])


def _saved(predictions: Predictions, binary: _Binary, before: float, after: float) -> Interval:
    """Return the bootstrap interval, by group, of what the second threshold saves per 100 images."""
    price = np.where(binary.truth, binary.costs[binary.other], binary.costs[binary.name])
    wrong_before, wrong_after = ((binary.score >= threshold) != binary.truth for threshold in (before, after))
    saved = 100 * price * (wrong_before.astype(float) - wrong_after.astype(float))
    group = group_indices(predictions.groups, len(binary.score))
    sums, sizes = np.bincount(group, saved), np.bincount(group)
    means = [drawn @ sums / (drawn @ sizes) for drawn in resample_groups(len(sums), seed=predictions.seed)]
    return percentile_interval(np.concatenate(means), len(sums))
