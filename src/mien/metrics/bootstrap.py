"""The bootstrap (Efron 1979, Annals of Statistics 7:1) by group: a person, or the copies of one image, is one draw.

It gives two intervals:

- `percentile_interval`, for any statistic: the expanded percentile interval (Hesterberg 2015, The American
  Statistician 69:371), which allows for the number of groups.
- `bootstrap_wilson_interval`, for a statistic in [0, 1]: Wilson's interval at the sample size that matches the
  bootstrap's variance (Korn and Graubard 1998, Survey Methodology 24:193). Percentile intervals of proportions near 1
  cover the truth too rarely, in 65 to 90 % of samples for a true 0.95 in 10 to 50 groups, because resampling never
  shows an error that was not seen, and 20 of 20 would be [1, 1]. BCa (Efron 1987) did no better.
  `benchmarks/interval_coverage.py` measures both.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64
from mien.errors import InputError
from mien.metrics.intervals import Z95, Interval, wilson_mean_interval
from mien.metrics.ranking import ranking_areas
from mien.metrics.samples import Samples
from mien.metrics.validation import group_indices

#: Resamplings of one bootstrap.
N_RESAMPLES = 1000
#: Numbers that are drawn at a time: 32 MB.
BLOCK_SIZE = 1 << 22

Key = TypeVar("Key", bound=Hashable)


def bootstrap_interval(
    statistic: Callable[[Int64], float],
    n: int,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return the 95 % bootstrap interval of any statistic of n samples.

    Args:
        statistic: takes the indices of the drawn samples, int64 (M,) in [0, n) with repetitions, and returns a number.
            Resamplings for which it returns nan, for instance because a class was not drawn, are left out.
        n: number of samples, at least 1.
        groups: (n,) numbers or names; samples of one group are drawn together. By default each sample is its own.
        n_resamples: number of resamplings.
        seed: the same seed gives the same interval.

    Returns:
        Low and high; (nan, nan) if the statistic is never defined.

    Raises:
        InputError: if n < 1, or there is not one group for each sample.
    """
    if n < 1:
        raise InputError(f"bootstrap_interval: {n} samples; give at least one")
    group = group_indices(groups, n)
    parts = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group))[:-1])
    values = []
    for counts in resample_groups(len(parts), n_resamples, seed):
        for row in counts:
            drawn = np.repeat(np.arange(len(parts)), row)
            values.append(statistic(np.concatenate([parts[index] for index in drawn])))
    return percentile_interval(np.array(values), len(parts))


def resample_groups(n_groups: int, n_resamples: int = N_RESAMPLES, seed: int = 0) -> Iterator[Int64]:
    """Draw as many groups as there are, with replacement, many times.

    Yields:
        int64 (B, n_groups), how often each group is drawn in each of B resamplings, until there are `n_resamples`.

    Examples:
        >>> [counts.sum(axis=1).tolist() for counts in resample_groups(5, n_resamples=3)]
        [[5, 5, 5]]
    """
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK_SIZE // n_groups)
    for start in range(0, n_resamples, block):
        rows = min(block, n_resamples - start)
        drawn = rng.integers(n_groups, size=(rows, n_groups)) + n_groups * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n_groups).reshape(rows, n_groups)


@dataclass(frozen=True, eq=False)
class Resamples:
    """B resamplings of N samples, and what metrics are computed from; each property is computed on first use.

    Attributes:
        samples: the samples.
        counts: (B, G), how often each group is drawn in each resampling. One row of ones is the samples themselves.
    """

    samples: Samples
    counts: npt.NDArray[np.integer]

    @cached_property
    def _weights(self) -> Float64:
        return self.counts.astype(np.float64)

    @cached_property
    def confusion(self) -> Float64:
        """Confusion matrices, float64 (B, K, K), rows the truth and columns the answer."""
        k = self.samples.n_classes
        return (self._weights @ self.samples.cells_by_group).reshape(-1, k, k)

    @property
    def hits(self) -> Float64:
        """Right answers of each class, (B, K)."""
        return np.diagonal(self.confusion, axis1=1, axis2=2)

    @cached_property
    def support(self) -> Float64:
        """Samples that truly are of each class, (B, K)."""
        return np.asarray(self.confusion.sum(axis=2))

    @cached_property
    def answered(self) -> Float64:
        """Samples answered with each class, (B, K)."""
        return np.asarray(self.confusion.sum(axis=1))

    @property
    def accuracy(self) -> Float64:
        """Fraction of right answers, (B,)."""
        return np.asarray(self.hits.sum(axis=1) / self.confusion.sum(axis=(1, 2)))

    @cached_property
    def precision(self) -> Float64:
        """Precision of each class, (B, K); nan if it is never answered."""
        return _ratio(self.hits, self.answered)

    @cached_property
    def recall(self) -> Float64:
        """Recall of each class, (B, K); nan if it never occurs."""
        return _ratio(self.hits, self.support)

    @cached_property
    def f1(self) -> Float64:
        """F1 of each class, (B, K); nan if it neither occurs nor is answered."""
        return _ratio(2 * self.hits, self.support + self.answered)

    @property
    def mean_loss(self) -> Float64:
        """Brier score, (B,); nan if the scores are not probabilities."""
        sums = self._weights @ self.samples.losses_by_group
        return np.asarray(sums[:, 0] / sums[:, 1])

    @cached_property
    def _areas(self) -> tuple[Float64, Float64]:
        of, drawn = self.samples, self._weights[:, self.samples.group]
        found = [ranking_areas(of.truth == c, of.scores[:, c], drawn) for c in range(of.n_classes)]
        return np.stack([auc for auc, _ in found], axis=1), np.stack([precision for _, precision in found], axis=1)

    @property
    def roc_auc(self) -> Float64:
        """ROC AUC of each class against the rest, (B, K); nan if one side is not drawn."""
        return self._areas[0]

    @property
    def average_precision(self) -> Float64:
        """Average precision of each class, (B, K); nan if the class is not drawn."""
        return self._areas[1]


def bootstrap_replicates(
    samples: Samples, statistics: Mapping[Key, Callable[[Resamples], Float64]], draws: Iterable[Int64]
) -> dict[Key, Float64]:
    """Compute statistics in every resampling.

    Args:
        samples: the samples, G groups.
        statistics: functions of `Resamples` that return (B,) or (B, K).
        draws: blocks (B, G) of how often each group is drawn, as `resample_groups` yields them.

    Returns:
        Each statistic's values in all R resamplings, (R,) or (R, K).
    """
    blocks = (Resamples(samples, counts) for counts in draws)
    parts = [{key: compute(block) for key, compute in statistics.items()} for block in blocks]
    return {key: np.concatenate([part[key] for part in parts]) for key in statistics}


def percentile_interval(replicates: Float64, n_groups: int, expand: bool = True) -> Interval:
    """Return the 95 % percentile interval of a statistic, or (nan, nan) if no replicate is defined.

    Args:
        replicates: (R,) values of the statistic in the resamplings; nan if undefined.
        n_groups: number of groups that were drawn from; fewer than 2 give an infinite interval.
        expand: whether to widen it for the number of groups (Hesterberg 2015), else the plain percentiles.

    Examples:
        >>> import numpy as np
        >>> percentile_interval(np.arange(1001.0), n_groups=50, expand=False)
        (25.0, 975.0)
    """
    known = replicates[~np.isnan(replicates)]
    if len(known) == 0:
        return math.nan, math.nan
    tail = 0.025
    if expand:
        if n_groups < 2:
            return -math.inf, math.inf
        reach = t_quantile(n_groups - 1) * math.sqrt(n_groups / (n_groups - 1))
        tail = NormalDist().cdf(-reach)
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap_wilson_interval(value: float, replicates: Float64, n_groups: float) -> Interval:
    """Return the 95 % interval of a statistic in [0, 1] from its bootstrap; for independent samples Wilson's own.

    The statistic is treated as a mean of one number per group. For the variance one more number at 0 and one more at 1
    are added, so that it is never 0: 20 of 20 right answers in 5 groups tell no more than 5 of 5. Student's t replaces
    the normal quantile, since groups may be few.

    Args:
        value: the statistic, in [0, 1].
        replicates: (R,) its values in the resamplings; nan if undefined.
        n_groups: number of groups that inform the statistic: for a recall, those with the class. Fewer than 2 give
            [0, 1].
    """
    known = replicates[~np.isnan(replicates)]
    if n_groups < 2 or len(known) < 2:
        return 0.0, 1.0
    groups = float(n_groups)
    between = groups * float(known.var()) * groups / (groups - 1)
    return wilson_mean_interval(value, between, groups, t_quantile(groups - 1))


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t for at least 1 degree of freedom, accurate to 0.2 %.

    Exact for 1 and 2, else the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5).

    Examples:
        >>> round(t_quantile(9), 2)
        2.26
    """
    if freedom < 2:
        return math.tan(math.pi * 0.475)
    if freedom < 3:
        return 0.95 * math.sqrt(2 / (1 - 0.95**2))
    z = Z95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def _ratio(part: Float64, whole: Float64) -> Float64:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))
