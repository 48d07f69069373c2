"""95 % confidence intervals of proportions, F1, ROC AUC and their means: arithmetic on counts, no data structures.

`z` is the standard normal quantile of the confidence level, 1.959964 for 95 %. No interval collapses to a point if the
estimate is 0 or 1, as the textbook `p ± z·se` does.

Means over classes take Wilson's interval at an effective sample size: the number of independent answers whose
proportion would vary as much as the mean does (Korn and Graubard 1998, Survey Methodology 24:193, use it for means over
survey strata). For one class it is the class's own interval. The variance is taken at counts with one added hit and
one added miss per class, so that it is never 0. MOVER (Zou and Donner 2008) on the classes' own Wilson intervals was
tried first and covers the truth too rarely: 85 to 91 % for seven classes at n = 50 and accuracy 0.95, because the
short side of every skewed interval makes one side of the mean's too short.

`benchmarks/interval_coverage.py` measures the coverage of all of them.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64, Int64
from mien.errors import InputError
from mien.metrics.ranking import average_ranks

Z95 = 1.959964
"""The 97.5 % quantile of the standard normal."""

Interval = tuple[float, float]


def wilson_interval(successes: float, n: float, z: float = Z95) -> Interval:
    """Return the Wilson score interval of a proportion (Wilson 1927, JASA 22:209); 0 of 0 gives (0, 1).

    Args:
        successes: count, or mean count over several draws.
        n: number of trials.
        z: see the module's docstring.

    Raises:
        InputError: unless 0 <= successes <= n, both finite.

    Examples:
        >>> low, high = wilson_interval(20, 20)
        >>> round(low, 4), high
        (0.8389, 1.0)
    """
    if not (0 <= successes <= n and math.isfinite(n)):
        raise InputError(f"wilson: {successes} successes of {n}; give 0 <= successes <= n, finite")
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    shrink = 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z / shrink * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # The exact interval holds p and stays in [0, 1]; rounding must not break either.
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def wilson_mean_interval(value: float, variance: float, n: float, z: float = Z95) -> Interval:
    """Return Wilson's interval of the mean of n independent numbers in [0, 1], at the size that matches their variance.

    For the variance one more number at 0 and one more at 1 are added, so that it is never 0. For n numbers that are
    each 0 or 1 this is Wilson's own interval.

    Args:
        value: the mean, in [0, 1].
        variance: the variance of the numbers, at most value * (1 - value).
        n: number of numbers, more than 0.
        z: see the module's docstring.
    """
    centre = (n * value + 1) / (n + 2)
    spread = n * (variance + (value - centre) ** 2) + centre**2 + (1 - centre) ** 2
    size = n * (n + 2) * centre * (1 - centre) / spread
    return wilson_interval(min(1.0, value) * size, size, z)


def f1_interval(true_positives: float, errors: float, z: float = Z95) -> Interval:
    """Return the interval of F1 = 2 TP / (2 TP + errors).

    The Jaccard index J = TP / (TP + FP + FN) is a binomial proportion given its denominator, and F1 = 2 J / (1 + J)
    rises with it. This is Wilson's interval of J, mapped to F1.

    Args:
        true_positives: TP.
        errors: FP + FN.
        z: see the module's docstring.

    Raises:
        InputError: for negative or non-finite counts.
    """
    low, high = wilson_interval(true_positives, true_positives + errors, z)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def paired_difference_interval(
    both: float, only_first: float, only_second: float, n: float, z: float = Z95
) -> Interval:
    """Return the interval of the difference, second minus first, of two proportions on the same samples.

    Newcombe 1998 (Statistics in Medicine 17:2635), method 10: both Wilson intervals, combined by their correlation.

    Args:
        both: successes of first and second.
        only_first: successes of the first alone.
        only_second: successes of the second alone.
        n: number of samples, at least 1. Counts may be means over several draws; the interval is then too wide.
        z: see the module's docstring.

    Raises:
        InputError: for negative or non-finite counts, or more successes than samples.
    """
    counts = (both, only_first, only_second)
    neither = n - sum(counts)
    if not (all(0 <= count < math.inf for count in counts) and neither > -1e-9 * n and n >= 1):
        raise InputError(f"paired_difference: {counts} of {n}; give counts of at least 0 that sum to n at most")
    neither = max(0.0, neither)
    first, second = min(n, both + only_first), min(n, both + only_second)
    low_first, high_first = wilson_interval(first, n, z)
    low_second, high_second = wilson_interval(second, n, z)
    first_share, second_share = first / n, second / n
    phi = _phi(both, only_first, only_second, neither)

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    difference = second_share - first_share
    down = reach(second_share - low_second, high_first - first_share)
    up = reach(high_second - second_share, first_share - low_first)
    return max(-1.0, difference - down), min(1.0, difference + up)


def _phi(both: float, only_first: float, only_second: float, neither: float) -> float:
    """Return Newcombe's correlation of two binary variables, shrunk by half a sample; 0 if one never varies."""
    sides = (both + only_first) * (only_second + neither) * (both + only_second) * (only_first + neither)
    if sides == 0:
        return 0.0
    excess = both * neither - only_first * only_second
    half = (both + only_first + only_second + neither) / 2
    return (excess if excess < 0 else max(excess - half, 0.0)) / math.sqrt(sides)


def auc_interval(auc: float, positives: int, negatives: int, z: float = Z95) -> Interval:
    """Return the interval of an area under the ROC curve (Newcombe 2006, Statistics in Medicine 25:559, method 5).

    It is a score interval: an area `t` is inside if |auc - t| <= z·sd(t), with Hanley and McNeil's variance in which
    both sample sizes in the numerator are replaced by their mean.

    Args:
        auc: the area, in [0, 1].
        positives: number of positives, at least 1.
        negatives: number of negatives, at least 1.
        z: see the module's docstring.

    Raises:
        InputError: unless 0 <= auc <= 1 and there is at least one positive and one negative.
    """
    if not (0 <= auc <= 1 and positives >= 1 and negatives >= 1):
        raise InputError(
            f"auc_interval: AUC {auc} from {positives} positives and {negatives} negatives; "
            "give an AUC in [0, 1] and at least one of each"
        )
    # The variance is the same at t and 1 - t, so the upper limit is the lower one, mirrored.
    low = _auc_low(auc, positives, negatives, z)
    return low, 1 - _auc_low(1 - auc, positives, negatives, z)


def _auc_variance(t: float, positives: int, negatives: int) -> float:
    weight = (positives + negatives) / 2 - 1
    bracket = 1 + weight * ((1 - t) / (2 - t) + t / (1 + t))
    return t * (1 - t) * bracket / positives / negatives


def _auc_low(auc: float, positives: int, negatives: int, z: float) -> float:
    """Return the smallest `t` with auc - t <= z·sd(t), by bisection.

    sd is concave in t, so the excess auc - t - z·sd(t) is convex: it is >= 0 at 0, <= 0 at `auc`, and changes
    sign once between them.
    """
    outside, inside = 0.0, auc
    for _ in range(60):
        t = (outside + inside) / 2
        if auc - t > z * math.sqrt(_auc_variance(t, positives, negatives)):
            outside = t
        else:
            inside = t
    return inside


def mean_proportion_interval(successes: npt.NDArray[Any], totals: Int64, z: float = Z95) -> Interval:
    """Return the interval of the unweighted mean of K independent proportions.

    Args:
        successes: (K,) counts.
        totals: (K,) counts, each at least 1.
        z: see the module's docstring.
    """
    smooth = (successes + 1) / (totals + 2)
    variance = float((smooth * (1 - smooth) / totals).sum()) / len(totals) ** 2
    return _effective_wilson(float((successes / totals).mean()), float(smooth.mean()), variance, z)


def mean_f1_interval(confusion: Int64, z: float = Z95) -> Interval:
    """Return the interval of the mean F1 over the classes that occur or are answered.

    Args:
        confusion: (K, K) counts, K >= 2, rows the truth and columns the answer; not all 0.
        z: see the module's docstring.
    """
    known = confusion.sum(axis=0) + confusion.sum(axis=1) > 0
    k = len(confusion)
    # One added hit per class; its added miss is half in its row, half in its column.
    smooth = confusion + np.where(np.eye(k, dtype=bool), 1.0, 0.5 / (k - 1))
    f1, covariance = _f1_covariance(smooth)
    # The added samples give the variance a shape; they must not also make it smaller.
    variance = covariance[np.ix_(known, known)].sum() / known.sum() ** 2 * smooth.sum() / confusion.sum()
    value = float(_f1_covariance(confusion)[0][known].mean())
    return _effective_wilson(value, float(f1[known].mean()), float(variance), z)


def _f1_covariance(confusion: npt.NDArray[Any]) -> tuple[Float64, Float64]:
    """Return F1 (K,) and its covariance (K, K); a class with neither truth nor answers has 0.

    Delta method on multinomial counts: with s_k the sum of class k's row and column, one more sample in cell (k, k)
    changes its F1 by 2 (1 - F1_k) / s_k, one more elsewhere in its row or column by -F1_k / s_k. Two classes share only
    the samples that are mistaken for each other.
    """
    hits, total = np.diag(confusion), confusion.sum(axis=0) + confusion.sum(axis=1)
    divisor = np.where(total > 0, total, 1.0)
    f1 = 2 * hits / divisor
    covariance: Float64 = (confusion + confusion.T) * np.outer(f1 / divisor, f1 / divisor)
    variance = hits * (2 * (1 - f1) / divisor) ** 2 + (total - 2 * hits) * (f1 / divisor) ** 2
    np.fill_diagonal(covariance, variance)
    return f1, covariance


def mean_auc_interval(is_positive: Bool, scores: Float64, z: float = Z95) -> Interval:
    """Return the interval of the mean of K areas under the ROC curve of the same N samples.

    The variances are Newcombe's, each at the middle of its class's interval, so that they are never 0. The correlations
    are DeLong's (DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837).

    Args:
        is_positive: (K, N); every row has both values.
        scores: (K, N), higher for likelier positive.
        z: see the module's docstring.
    """
    k, n = is_positive.shape
    positives = is_positive.sum(axis=1)
    influences = [auc_influence(*row) for row in zip(is_positive, scores, strict=True)]
    aucs = [auc for auc, _ in influences]
    middles = [sum(auc_interval(a, int(m), int(n - m), z)) / 2 for a, m in zip(aucs, positives, strict=True)]
    variances = [_auc_variance(t, int(m), int(n - m)) for t, m in zip(middles, positives, strict=True)]
    sd = np.sqrt(variances)
    influence = np.stack([values for _, values in influences])
    variance = float(sd @ _correlation(influence @ influence.T) @ sd) / k**2
    return _effective_wilson(sum(aucs) / k, sum(middles) / k, variance, z)


def auc_influence(is_positive: Bool, scores: Float64) -> tuple[float, Float64]:
    """Return the ROC AUC and each sample's influence (N,) on it; two areas covary as the inner product of theirs.

    Computed from ranks (Sun and Xu 2014, IEEE Signal Processing Letters 21:1389).
    """
    negative = ~is_positive
    m, n = int(is_positive.sum()), int(negative.sum())
    ranks = average_ranks(scores)
    beaten = (ranks[is_positive] - average_ranks(scores[is_positive])) / n
    unbeaten = 1 - (ranks[negative] - average_ranks(scores[negative])) / m
    auc = float(beaten.mean())
    influence = np.empty(len(scores))
    influence[is_positive], influence[negative] = (beaten - auc) / m, (unbeaten - auc) / n
    return min(1.0, max(0.0, auc)), influence


def _correlation(covariance: Float64) -> Float64:
    """Return correlations (K, K), none below 0; an area without variance, such as 1, gets 1.

    A positive correlation only widens the interval of a mean; a negative one could narrow it to nothing.
    """
    sd = np.sqrt(np.diag(covariance))
    scale = np.outer(sd, sd)
    r: Float64 = np.divide(covariance, scale, out=np.ones_like(covariance), where=scale > 0)
    return np.maximum(r, 0.0)


def _effective_wilson(value: float, centre: float, variance: float, z: float) -> Interval:
    """Return Wilson's interval of `value` for as many answers as give a proportion of `centre` this variance."""
    n = centre * (1 - centre) / variance
    return wilson_interval(min(1.0, value) * n, n, z)
