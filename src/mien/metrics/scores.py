"""The value of each metric with its 95 % interval for independent samples, and its values in resamplings.

`mien.metrics.registry` lists these functions as metrics. The intervals of independent samples:

- accuracy, precision and recall: Wilson's;
- F1: Wilson's of the Jaccard index;
- ROC AUC: Newcombe's;
- average precision: Wilson's with the positives as trials (the binomial interval of Boyd, Eng and Page 2013, ECML PKDD
  8190:451, who found that it covers the truth better than the bootstrap);
- means over classes and the Brier score: Wilson's at their effective sample size.

Sources are in `mien.metrics.intervals`.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from mien.arrays import Float64, Int64
from mien.metrics.bootstrap import Resamples
from mien.metrics.calibration import choose_bins, reliability
from mien.metrics.estimates import UNDEFINED, Estimate, bounded_estimate, proportion
from mien.metrics.intervals import (
    Interval,
    auc_interval,
    f1_interval,
    mean_auc_interval,
    mean_f1_interval,
    mean_proportion_interval,
    wilson_interval,
    wilson_mean_interval,
)
from mien.metrics.samples import Samples

# One class against the rest


def precision(samples: Samples, c: int) -> Estimate:
    """Return the precision of class c; undefined if it is never answered."""
    return proportion(int(samples.hits[c]), int(samples.answered[c]))


def recall(samples: Samples, c: int) -> Estimate:
    """Return the recall of class c; undefined if it never occurs."""
    return proportion(int(samples.hits[c]), int(samples.support[c]))


def f1(samples: Samples, c: int) -> Estimate:
    """Return F1 of class c; undefined if it neither occurs nor is answered."""
    hits, total = int(samples.hits[c]), int(samples.support[c] + samples.answered[c])
    errors = total - 2 * hits
    return bounded_estimate(2 * hits / total, f1_interval(hits, errors)) if total else UNDEFINED


def roc_auc(samples: Samples, c: int) -> Estimate:
    """Return the ROC AUC of class c against the rest; undefined if one side never occurs."""
    area, support = float(samples.areas[0][c]), int(samples.support[c])
    if math.isnan(area):
        return UNDEFINED
    return bounded_estimate(area, auc_interval(area, support, samples.n - support))


def average_precision(samples: Samples, c: int) -> Estimate:
    """Return the average precision of class c; undefined if it never occurs."""
    area, support = float(samples.areas[1][c]), int(samples.support[c])
    return bounded_estimate(area, wilson_interval(area * support, support)) if support else UNDEFINED


# All classes


def accuracy(samples: Samples) -> Estimate:
    """Return the fraction of right answers."""
    return proportion(int(samples.hits.sum()), samples.n)


def balanced_accuracy(samples: Samples) -> Estimate:
    """Return the mean recall over the classes that occur."""
    known = [estimate for estimate in _of_classes(recall, samples) if not math.isnan(estimate.value)]
    return _mean(known, _mean_recall_interval(samples))


def macro_precision(samples: Samples) -> Estimate:
    """Return the mean precision over the classes; an undefined one counts as 0."""
    used = samples.answered > 0
    interval = mean_proportion_interval(samples.hits[used], samples.answered[used])
    return _mean(_of_classes(precision, samples), interval)


def macro_recall(samples: Samples) -> Estimate:
    """Return the mean recall over the classes; an undefined one counts as 0."""
    return _mean(_of_classes(recall, samples), _mean_recall_interval(samples))


def macro_f1(samples: Samples) -> Estimate:
    """Return the mean F1 over the classes; an undefined one counts as 0."""
    return _mean(_of_classes(f1, samples), mean_f1_interval(samples.confusion))


def macro_roc_auc(samples: Samples) -> Estimate:
    """Return the ROC AUC of class 1 for two classes, else the mean one-vs-rest over the classes that occur."""
    if samples.n_classes == 2:
        return roc_auc(samples, 1)
    present = [c for c, support in enumerate(samples.support) if support]
    if len(present) == 1:
        return UNDEFINED
    is_positive = np.stack([samples.truth == c for c in present])
    interval = mean_auc_interval(is_positive, samples.scores[:, present].T)
    return _mean([roc_auc(samples, c) for c in present], interval)


def macro_average_precision(samples: Samples) -> Estimate:
    """Return the mean average precision over the classes; an undefined one counts as 0."""
    seen = samples.support > 0
    trials = samples.support[seen]
    interval = mean_proportion_interval(samples.areas[1][seen] * trials, trials)
    return _mean(_of_classes(average_precision, samples), interval)


def brier_score(samples: Samples) -> Estimate:
    """Return the Brier score (Brier 1950, Monthly Weather Review 78:1); undefined without probabilities.

    For two classes it is the mean squared error of class 1's probability, for more that of all probabilities summed.
    """
    if not samples.are_probabilities:
        return UNDEFINED
    _, most = brier_bounds(samples.n_classes)
    mean = float(samples.losses.mean()) / most
    low, high = wilson_mean_interval(mean, float(samples.losses.var()) / most**2, samples.n)
    unit = bounded_estimate(mean, (low, high))
    return Estimate(unit.value * most, unit.low * most, unit.high * most)


def brier_bounds(n_classes: int) -> Interval:
    """Return the range of the Brier score."""
    return 0.0, 1.0 if n_classes == 2 else 2.0


def calibration_error(samples: Samples) -> Estimate:
    """Return the expected calibration error, its interval by group; undefined without probabilities."""
    if not samples.are_probabilities:
        return UNDEFINED
    confidence = samples.scores[np.arange(samples.n), samples.answers]
    groups = samples.group if samples.has_groups else None
    return reliability(confidence, samples.truth == samples.answers, choose_bins(samples.n), groups).error


def _of_classes(metric: Callable[[Samples, int], Estimate], samples: Samples) -> list[Estimate]:
    return [metric(samples, c) for c in range(samples.n_classes)]


def _mean_recall_interval(samples: Samples) -> Interval:
    seen = samples.support > 0
    return mean_proportion_interval(samples.hits[seen], samples.support[seen])


def _mean(estimates: Sequence[Estimate], interval: Interval) -> Estimate:
    """Return the mean of estimates, given the interval of the mean of the defined ones.

    An undefined one counts as 0 and could be anything from 0 to 1.
    """
    known = [estimate.value for estimate in estimates if not math.isnan(estimate.value)]
    fraction = len(known) / len(estimates)
    low, high = interval
    return bounded_estimate(sum(known) / len(estimates), (low * fraction, high * fraction + 1 - fraction))


# Means over the classes in resamplings


def mean_with_zeros(values: Float64) -> Float64:
    """Return the means (B,) over the classes of (B, K); undefined ones count as 0."""
    return np.asarray(np.nan_to_num(values, nan=0.0).mean(axis=1))


def mean_of_defined(values: Float64) -> Float64:
    """Return the means (B,) over the defined classes of (B, K); nan if none is defined."""
    known = (~np.isnan(values)).sum(axis=1)
    return np.asarray(np.divide(np.nansum(values, axis=1), known, out=np.full(len(values), np.nan), where=known > 0))


def resampled_roc_auc(resamples: Resamples) -> Float64:
    """Return the values (B,) of `macro_roc_auc` in resamplings."""
    areas = resamples.roc_auc
    return areas[:, 1] if areas.shape[1] == 2 else mean_of_defined(areas)


# How many groups inform a metric


def groups_with_class(samples: Samples) -> Int64:
    """Return the number of groups in which each class occurs, (K,)."""
    return _count_groups(samples, lambda c: samples.truth == c)


def groups_without_class(samples: Samples) -> Int64:
    """Return the number of groups in which something other than each class occurs, (K,)."""
    return _count_groups(samples, lambda c: samples.truth != c)


def groups_answered(samples: Samples) -> Int64:
    """Return the number of groups in which each class is answered, (K,)."""
    return _count_groups(samples, lambda c: samples.answers == c)


def groups_involved(samples: Samples) -> Int64:
    """Return the number of groups in which each class occurs or is answered, (K,)."""
    return _count_groups(samples, lambda c: (samples.truth == c) | (samples.answers == c))


def groups_on_both_sides(samples: Samples) -> Int64:
    """Return the smaller number of groups with and without each class, (K,)."""
    return np.minimum(groups_with_class(samples), groups_without_class(samples))


def pooled_groups(groups: Int64) -> float:
    """Return how many groups inform one proportion as much as `groups` (K,) inform a mean of K proportions."""
    known = groups[groups > 0]
    return float(len(known) ** 2 / (1 / known).sum()) if len(known) else 0.0


def _count_groups(samples: Samples, chosen: Callable[[int], np.ndarray]) -> Int64:
    return np.array([samples.count_groups(chosen(c)) for c in range(samples.n_classes)])
