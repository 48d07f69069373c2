"""Paired comparison of two classifiers on the same samples: tests, differences of metrics, correction of p-values.

The uncertainty is that of the samples: other images would give other numbers. Training with another seed adds
more, which these samples do not show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64
from mien.errors import InputError
from mien.metrics.bootstrap import BLOCK_SIZE, N_RESAMPLES, bootstrap_replicates, percentile_interval, resample_groups
from mien.metrics.estimates import UNDEFINED, Estimate, bounded_estimate
from mien.metrics.intervals import Interval, paired_difference_interval, wilson_interval
from mien.metrics.registry import compared_metrics
from mien.metrics.samples import Samples
from mien.metrics.validation import group_indices

Method = Literal["McNemar, exact", "McNemar, mid-p", "sign-flip permutation by group"]

#: A difference with a p-value below this is significant.
SIGNIFICANCE_LEVEL = 0.05
#: From this number of discordant samples on, the mid-p form is used; it keeps its level and has more power.
MIN_DISCORDANT_FOR_MID_P = 25
N_PERMUTATIONS = 9999


@dataclass(frozen=True)
class PairedTest:
    """A test of the hypothesis that two classifiers are equally accurate.

    Attributes:
        method: the test.
        p_value: two-sided, in [0, 1].
        only_first: number of samples that only the first gets right.
        only_second: number of samples that only the second gets right.
    """

    method: Method
    p_value: float
    only_first: int
    only_second: int

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "method": self.method, "p_value": self.p_value, "only_first": self.only_first,
            "only_second": self.only_second,
        }  # fmt: skip


def paired_accuracy_test(first: Bool, second: Bool, groups: npt.ArrayLike | None = None, seed: int = 0) -> PairedTest:
    """Test whether two classifiers are equally accurate.

    Independent samples: McNemar's test (1947, Psychometrika 12:153) on the discordant samples, its exact binomial form
    for fewer than 25 of them, else mid-p (Fagerland, Lydersen and Laake 2013, BMC Medical Research Methodology 13:91).
    Samples in groups: a permutation test that gives the lead of each group a random sign 9,999 times (Fisher's
    randomisation test). For single samples it is McNemar's exact test.

    Args:
        first: bool (N,), which samples the first classifier gets right.
        second: bool (N,), which the second gets right.
        groups: (N,) numbers or names; samples of one group are not independent. By default each sample is.
        seed: seed of the permutations.

    Raises:
        InputError: if the shapes differ, or there are no samples.

    Examples:
        >>> import numpy as np
        >>> found = paired_accuracy_test(np.array([True] * 8), np.array([True] * 2 + [False] * 6))
        >>> found.method, round(found.p_value, 4)
        ('McNemar, exact', 0.0313)
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise InputError(
            f"paired_accuracy_test: {first.shape} and {second.shape}; give two rows of booleans of one length"
        )
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    group = group_indices(groups, len(first))
    if group.max() + 1 < len(first):
        lead = np.bincount(group, weights=second.astype(float) - first).astype(np.float64)
        return PairedTest("sign-flip permutation by group", _sign_flip_p(lead, seed), only_first, only_second)
    mid_p = only_first + only_second >= MIN_DISCORDANT_FOR_MID_P
    method: Method = "McNemar, mid-p" if mid_p else "McNemar, exact"
    return PairedTest(method, _mcnemar_p(only_first, only_second, mid_p), only_first, only_second)


def _mcnemar_p(b: int, c: int, mid_p: bool) -> float:
    """Return the two-sided p-value of b against c discordant samples; for mid-p the outcome itself counts half."""
    n, fewer = b + c, min(b, c)
    if n == 0:
        return 1.0
    # Terms n! / (k! (n - k)!) / 2^n for k = 0 ... fewer, through logarithms so that they neither overflow nor vanish.
    k = np.arange(1, fewer + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(n - k + 1) - np.log(k))]) - n * math.log(2)
    terms = np.exp(logs)
    return min(1.0, float(2 * terms.sum() - (terms[-1] if mid_p else 0)))


def _sign_flip_p(lead: Float64, seed: int) -> float:
    lead = lead[lead != 0]
    if len(lead) == 0:
        return 1.0
    rng = np.random.default_rng(seed)
    observed, as_large, done = abs(float(lead.sum())), 0, 0
    while done < N_PERMUTATIONS:
        rows = min(N_PERMUTATIONS - done, max(1, BLOCK_SIZE // len(lead)))
        signs = rng.integers(0, 2, (rows, len(lead))) * 2.0 - 1
        as_large += int((np.abs(signs @ lead) >= observed - 1e-9).sum())
        done += rows
    return (as_large + 1) / (N_PERMUTATIONS + 1)  # the observed signs are one of the possible outcomes


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple tests (Holm 1979, Scandinavian Journal of Statistics 6:65).

    Examples:
        >>> holm_correction([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def metric_differences(
    first: Samples, second: Samples, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, Estimate]:
    """Return the difference, second minus first, of every compared metric with its 95 % interval.

    The intervals come from a paired bootstrap: the same groups are drawn for both. For the accuracy of independent
    samples it is Newcombe's (`accuracy_difference`). If nothing varies between the two, the interval is what this
    number of groups without a difference leaves open.

    Args:
        first: samples with the first classifier's answers.
        second: the same samples, groups and classes with the second's answers.
        n_resamples: number of resamplings.
        seed: seed of the resamplings.

    Returns:
        The differences by metric key (`registry.compared_metrics`); undefined if either metric is. Metrics that need
        probabilities are left out if either has none.

    Raises:
        InputError: if truths, groups or numbers of classes differ.
    """
    alike = first.scores.shape == second.scores.shape
    if not alike or (first.truth != second.truth).any() or (first.group != second.group).any():
        raise InputError("metric_differences: give two classifiers on the same samples, classes and groups")
    n_groups = first.n_groups
    metrics = [one for one in compared_metrics() if one.is_defined(first) and one.is_defined(second)]
    statistics = {metric.key: metric.compute for metric in metrics if metric.compute}
    observed = [np.ones((1, n_groups), np.int64)]
    one, two = (
        bootstrap_replicates(of, statistics, resample_groups(n_groups, n_resamples, seed)) for of in (first, second)
    )
    before, after = (bootstrap_replicates(of, statistics, observed) for of in (first, second))
    found = {}
    for metric in metrics:
        key = metric.key
        if key == "accuracy" and n_groups == first.n:
            found[key] = accuracy_difference(first.truth == first.answers, second.truth == second.answers)
            continue
        lowest, highest = metric.bounds(first.n_classes)
        interval = percentile_interval(two[key] - one[key], n_groups)
        if interval == (0, 0):
            interval = _no_variation_interval(n_groups, highest - lowest)
        found[key] = _difference(float(after[key][0] - before[key][0]), interval, highest - lowest)
    return found


def accuracy_difference(before: npt.ArrayLike, after: npt.ArrayLike) -> Estimate:
    """Return the difference of two accuracies, after minus before, with Newcombe's paired interval.

    Args:
        before: (N,) hits, N >= 1: booleans, or means over several draws in [0, 1], whose interval is then too wide.
        after: (N,) hits of the same samples.

    Raises:
        InputError: if there are no samples.

    Examples:
        >>> print(accuracy_difference([True] * 8 + [False] * 2, [True] * 9 + [False]))
        0.100 [-0.202, 0.400]
    """
    one, two = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    both, lost, won = (float(x.sum()) for x in (one * two, one * (1 - two), (1 - one) * two))
    return _difference((won - lost) / len(one), paired_difference_interval(both, lost, won, len(one)), 1.0)


def independent_difference(before: float, after: float, n: int, n_after: int | None = None) -> Estimate:
    """Return the difference of two accuracies whose pairing is unknown, with Newcombe's (1998) hybrid score interval.

    For two models on the same images, of which only the accuracies are known, it is usually too wide.

    Args:
        before: accuracy of the first, in [0, 1].
        after: accuracy of the second.
        n: number of images, at least 1.
        n_after: number of images of the second. Default: n.

    Examples:
        >>> print(independent_difference(0.5, 0.75, 20))
        0.250 [-0.047, 0.494]
    """
    m = n if n_after is None else n_after
    (low, high), (low_after, high_after) = wilson_interval(before * n, n), wilson_interval(after * m, m)
    down, up = math.hypot(after - low_after, high - before), math.hypot(high_after - after, before - low)
    return _difference(after - before, (after - before - down, after - before + up), 1.0)


def _no_variation_interval(n_groups: int, width: float) -> Interval:
    """Return the interval if no group differs: as many other groups might."""
    _, most = wilson_interval(0, n_groups)
    return -most * width, most * width


def _difference(value: float, interval: Interval, width: float) -> Estimate:
    """Return a difference of two values from a range of this width."""
    return UNDEFINED if math.isnan(value) else bounded_estimate(value, interval, (-width, width))
