"""From which probability on the second of two classes should be answered, given what each kind of error costs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Bool, Float64
from mien.errors import ConfigError
from mien.evaluation.scoring import Predictions
from mien.metrics.bootstrap import percentile_interval, resample_groups
from mien.metrics.intervals import Interval
from mien.metrics.validation import group_indices

#: Thresholds that the table shows besides the present and the cheapest one.
SHOWN = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold comes to: `wrong` answers of each class, by its name, and what they cost per 100 pictures."""

    threshold: float
    wrong: Mapping[str, int]
    recall: Mapping[str, float]
    accuracy: float
    cost: float

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON; the recall of a class that never occurs is None."""
        recall = {name: None if np.isnan(value) else value for name, value in self.recall.items()}
        return {
            "threshold": self.threshold, "wrong": dict(self.wrong), "recall": recall, "accuracy": self.accuracy,
            "cost": self.cost,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Rows for several thresholds of `positive`, which is answered from its threshold on, and `other` below it.

    `costs` is what one wrong answer of each class costs. `present` is the threshold in use, `cheapest` one of least
    cost on these pictures: the present one where that is as cheap, else the nearest to it. `saved` is the 95 %
    interval of what it would save per 100 pictures, given that choice. `grid` and `curve`, each float64 (M,), are
    thresholds and their cost per 100 pictures.
    """

    positive: str
    other: str
    costs: Mapping[str, float]
    present: OperatingPoint
    cheapest: OperatingPoint
    saved: Interval
    rows: tuple[OperatingPoint, ...]
    grid: Float64
    curve: Float64

    def to_dict(self) -> dict[str, Any]:
        """Everything but the curve, ready for JSON."""
        return {
            "positive": self.positive,
            "costs": dict(self.costs),
            "present": self.present.threshold,
            "cheapest": self.cheapest.threshold,
            "saved": list(self.saved),
            "rows": [row.to_dict() for row in self.rows],
        }


def check_costs(costs: Mapping[str, float], classes: tuple[str, ...]) -> dict[str, float]:
    """Return the cost of a wrong answer of each class, 1 if it is not given.

    Raises ConfigError for a class that is not there, a cost that is negative or not finite, costs that are all 0, and
    more than two classes.
    """
    if costs and len(classes) != 2:
        raise ConfigError(f"--cost: is for data of two classes, this has {len(classes)}; use --classes")
    for name, cost in costs.items():
        if not 0 <= cost < math.inf:
            raise ConfigError(f"--cost {name}={cost:g}: give a number from 0 on")
        if name not in classes:
            raise ConfigError(f"--cost {name}: no such class; the data has {', '.join(classes)}")
    prices = {name: float(costs.get(name, 1.0)) for name in classes}
    if not any(prices.values()):
        raise ConfigError("--cost: all are 0, so that every threshold is as good; give one above 0")
    return prices


def measure_thresholds(
    scored: Predictions, costs: Mapping[str, float] | None = None, present: float = 0.5, positive: str | None = None
) -> Thresholds:
    """Work out what every threshold would cost on these pictures of two classes.

    `costs` says of a class what it costs to answer it wrongly, 1 where nothing is said; `positive` is the class
    that the threshold is of, by default the second.
    """
    name = positive or scored.classes[1]
    other = next(label for label in scored.classes if label != name)
    prices = check_costs(costs or {}, scored.classes)
    place = scored.classes.index(name)
    score, truth = scored.probabilities[:, place], scored.truth == place

    def row(threshold: float) -> OperatingPoint:
        return _row(score, truth, threshold, (name, other), prices)

    candidates = _between(score)
    paid = np.array([row(threshold).cost for threshold in candidates])
    now = row(present)
    cheapest = now
    if len(paid) and paid.min() < now.cost - 1e-9:
        best = candidates[paid <= paid.min() + 1e-9]
        cheapest = row(float(best[np.abs(best - present).argmin()]))
    saved = _saved(scored, score, truth, (present, cheapest.threshold), (prices[name], prices[other]))
    shown = sorted({*SHOWN, present, cheapest.threshold})
    grid = np.linspace(0.01, 0.99, 197)
    curve = np.array([row(float(threshold)).cost for threshold in grid])
    return Thresholds(name, other, prices, now, cheapest, saved, tuple(row(t) for t in shown), grid, curve)


def _between(score: Float64) -> Float64:
    """Thresholds (M,) in (0, 1), one for every way in which these scores can be parted, and as round as may be."""
    edges = np.concatenate([[0.0], np.unique(score), [1.0]])
    middles = (edges[:-1] + edges[1:]) / 2
    rounded = middles.round(3)
    fits = (rounded > edges[:-1]) & (rounded < edges[1:])
    found = np.where(fits, rounded, middles)
    return np.asarray(found[(found > 0) & (found < 1)])


def _saved(
    scored: Predictions, score: Float64, truth: Bool, thresholds: tuple[float, float],
    costs: tuple[float, float],
) -> Interval:  # fmt: skip
    """Bootstrap, by group, what the second threshold saves per 100 pictures against the first."""
    before, after = ((score >= threshold) for threshold in thresholds)
    price = np.where(truth, costs[1], costs[0])
    saved = 100 * price * ((before != truth).astype(float) - (after != truth).astype(float))
    group = group_indices(scored.groups, len(score))
    sums, sizes = np.bincount(group, saved), np.bincount(group)
    means = [drawn @ sums / (drawn @ sizes) for drawn in resample_groups(len(sums), seed=scored.seed)]
    return percentile_interval(np.concatenate(means), len(sums))


def _row(
    score: Float64, truth: Bool, threshold: float, names: tuple[str, str], costs: Mapping[str, float]
) -> OperatingPoint:
    name, other = names
    answered = score >= threshold
    false_alarms, misses = int((answered & ~truth).sum()), int((~answered & truth).sum())
    positives, n = int(truth.sum()), len(truth)
    recall = {
        name: 1 - misses / positives if positives else np.nan,
        other: 1 - false_alarms / (n - positives) if positives < n else np.nan,
    }
    cost = 100 * (false_alarms * costs[name] + misses * costs[other]) / n
    return OperatingPoint(threshold, {name: false_alarms, other: misses}, recall, 1 - (false_alarms + misses) / n, cost)
