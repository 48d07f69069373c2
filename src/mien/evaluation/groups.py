"""Compare metrics between groups (age, skin tone, camera…) and report the largest gaps."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, compress
from statistics import NormalDist
from typing import Any

import numpy as np

from mien.arrays import Bool
from mien.evaluation.groups_file import Groups
from mien.evaluation.scoring import Predictions
from mien.metrics.classification import ClassificationMetrics
from mien.metrics.estimates import UNIT, Estimate, grouped_proportion
from mien.metrics.formatting import format_value
from mien.metrics.intervals import Z95, Interval
from mien.metrics.registry import OVERALL
from mien.text import pluralize

#: Fewest images of a group: with fewer, all of them right, an accuracy of 0.89 is still not excluded.
FEWEST = 30
#: Widest interval of a group's accuracy: wider ones do not distinguish it from another group's.
WIDEST = 0.2


@dataclass(frozen=True, eq=False)
class GroupResult:
    """The metrics of one group.

    Attributes:
        name: the group.
        metrics: its metrics.
        false_positive_rates: by class, how often the images of other classes are answered with it.
        too_small: why the group is too small to compare; None if it is not.
    """

    name: str
    metrics: ClassificationMetrics
    false_positive_rates: Mapping[str, Estimate]
    too_small: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        rates = {name: rate.to_dict() for name, rate in self.false_positive_rates.items()}
        return {
            "group": self.name, **self.metrics.to_dict(), "false_positive_rate": rates, "too_small": self.too_small
        }  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """The largest difference of one metric between two groups that are large enough.

    The 95 % interval is simultaneous over all pairs of groups (Bonferroni), because these two were chosen for being the
    furthest apart. It combines the intervals of the two groups (Zou and Donner 2008, Statistics in Medicine 27:1693).

    Attributes:
        metric: key of the metric, or the rate of a class in words.
        highest: the group with the highest value.
        lowest: the group with the lowest value.
        difference: highest minus lowest, with its interval.
    """

    metric: str
    highest: str
    lowest: str
    difference: Estimate

    @property
    def significant(self) -> bool:
        """Whether the difference is significant (the interval excludes 0)."""
        return self.difference.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "metric": self.metric, "higher": self.highest, "lower": self.lowest, **self.difference.to_dict(),
            "significant": self.significant,
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Grouping:
    """The results of one column of the groups file.

    Attributes:
        name: the column.
        results: its groups, largest first.
        gaps: the largest gap of each metric; none if fewer than two groups are large enough.
        equalised_odds: the largest difference between groups in the true or false positive rate of a class: of the
            second for two classes, of any against the rest for more (Hardt, Price and Srebro 2016, NeurIPS; the
            difference as in fairlearn's `equalized_odds_difference`). None if fewer than two groups are large enough.
        without: number of images that have no group.
    """

    name: str
    results: tuple[GroupResult, ...]
    gaps: tuple[Gap, ...]
    equalised_odds: Gap | None
    without: int

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "grouping": self.name,
            "groups": [result.to_dict() for result in self.results],
            "largest_gaps": [gap.to_dict() for gap in self.gaps],
            "equalised_odds_difference": self.equalised_odds.to_dict() if self.equalised_odds else None,
            "without_group": self.without,
        }


@dataclass(frozen=True, eq=False)
class GroupMetrics:
    """The results of every grouping, and what the groups file lacks, as sentences."""

    groupings: tuple[Grouping, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {"groupings": [one.to_dict() for one in self.groupings], "notes": list(self.notes)}


def measure_groups(scored: Predictions, groups: Groups) -> GroupMetrics:
    """Compute all metrics in every group, the largest gaps and the equalised-odds differences.

    If groups of near-duplicates are known (`scored.groups`), each counts as one draw.
    """
    return GroupMetrics(tuple(_grouping(scored, name, of) for name, of in groups.columns.items()), groups.notes)


def _grouping(scored: Predictions, name: str, values: Sequence[str | None]) -> Grouping:
    given = np.array([value or "" for value in values])
    sizes = Counter(value for value in values if value is not None)
    order = sorted(sizes, key=lambda value: (-sizes[value], value))
    results = tuple(_result(scored, value, given == value) for value in order)
    large = [result for result in results if result.too_small is None]
    gaps = [
        _gap(key, {result.name: result.metrics.overall[key] for result in large}, metric.bounds(len(scored.classes)))
        for key, metric in OVERALL.items()
        if metric.in_gaps and all(key in result.metrics.overall for result in large)
    ]
    found = tuple(gap for gap in gaps if gap)
    return Grouping(name, results, found, _equalised_odds(scored.classes, large), list(values).count(None))


def _result(scored: Predictions, name: str, chosen: Bool) -> GroupResult:
    own = _only(scored, chosen)
    metrics = own.metrics
    rates = {}
    for code, label in enumerate(scored.classes):
        others = own.truth != code
        copies = None if own.groups is None else own.groups[others]
        rates[label] = grouped_proportion(own.answers[others] == code, copies, own.seed)
    return GroupResult(name, metrics, rates, _too_small(metrics))


def _only(scored: Predictions, chosen: Bool) -> Predictions:
    """Return the predictions of the chosen images, bool (N,), without the images."""
    return replace(
        scored, names=tuple(compress(scored.names, chosen)), truth=scored.truth[chosen], answers=scored.answers[chosen],
        probabilities=scored.probabilities[chosen], groups=None if scored.groups is None else scored.groups[chosen],
        crops=None, detections=None,
    )  # fmt: skip


def _too_small(metrics: ClassificationMetrics) -> str | None:
    if metrics.n < FEWEST:
        return pluralize(metrics.n, "image")
    low, high = metrics.accuracy.low, metrics.accuracy.high
    if high - low <= WIDEST:
        return None
    return f"accuracy is only known to be between {format_value(low, 2)} and {format_value(high, 2)}"


def _equalised_odds(classes: Sequence[str], results: Sequence[GroupResult]) -> Gap | None:
    chosen = classes[1:] if len(classes) == 2 else classes
    rates = {}
    for label in chosen:
        rates[f"{label}: recall"] = {result.name: result.metrics.per_class[label].recall for result in results}
        rates[f"{label}: false positives"] = {result.name: result.false_positive_rates[label] for result in results}
    gaps = [gap for name, of in rates.items() if (gap := _gap(name, of, n_metrics=len(rates)))]
    return max(gaps, key=lambda gap: gap.difference.value, default=None)


def _gap(metric: str, of: Mapping[str, Estimate], bounds: Interval = UNIT, n_metrics: int = 1) -> Gap | None:
    """Return the largest difference of a metric between two groups; None if it is defined in fewer than two.

    Args:
        metric: its name.
        of: its estimate in each group.
        bounds: its range.
        n_metrics: number of metrics of which this may be the largest; the interval holds for all their pairs of groups.
    """
    known = {group: estimate for group, estimate in of.items() if not math.isnan(estimate.value)}
    if len(known) < 2:
        return None
    highest = max(known, key=lambda group: known[group].value)
    lowest = min((group for group in known if group != highest), key=lambda group: known[group].value)
    high, low = known[highest], known[lowest]
    comparisons = len(list(combinations(known, 2))) * n_metrics
    reach = NormalDist().inv_cdf(1 - 0.025 / comparisons) / Z95
    value, width = high.value - low.value, bounds[1] - bounds[0]
    down = reach * math.hypot(high.value - high.low, low.high - low.value)
    up = reach * math.hypot(high.high - high.value, low.value - low.low)
    return Gap(metric, highest, lowest, Estimate(value, max(-width, value - down), min(width, value + up)))
