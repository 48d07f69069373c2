"""The bootstrap (Efron 1979, Annals of Statistics 7:1) by group: a person, or the copies of one picture, is one draw.

Two intervals are made of what a figure comes to in the resamplings:

- `percentile_interval`, for any figure: the expanded percentile interval (Hesterberg 2015, The American Statistician
  69:371), which allows for the number of groups.
- `share_interval`, for a figure in [0, 1]: Wilson's interval at the sample size that the bootstrap's variance stands
  for (Korn and Graubard 1998, Survey Methodology 24:193). Percentile intervals of shares near 1 hold the truth too
  rarely, 65 to 90 times in 100 for a true 0.95 in 10 to 50 groups, since resampling never shows an error of a kind
  that was not seen, and 20 of 20 would be [1, 1]; BCa (Efron 1987) did no better. `benchmarks/interval_coverage.py`
  measures both.
"""

import math
from collections.abc import Callable, Iterator
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64
from mien.errors import InputError
from mien.metrics.intervals import Z95, Interval, wilson_of_mean
from mien.metrics.validation import members

REPEATS = 1000
#: So many numbers are resampled at a time: 32 MB.
AT_ONCE = 1 << 22


def grouped_interval(
    statistic: Callable[[Int64], float],
    n: int,
    groups: npt.ArrayLike | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> Interval:
    """Return the 95 % bootstrap interval of any figure of n samples.

    Args:
        statistic: the figure of the samples with these indices, int64 (M,) in [0, n), some of them repeatedly. It
            may be nan, as where a class is not drawn; such resamplings do not count.
        n: samples, at least 1.
        groups: (n,) numbers or names; equal ones are drawn together. Every sample is its own by default.
        repeats: resamplings.
        seed: the same seed gives the same interval.

    Returns:
        Low and high; (nan, nan) where the figure is never defined.

    Raises:
        InputError: n < 1, or not one group for each sample.
    """
    if n < 1:
        raise InputError(f"grouped_interval: {n} samples; give at least one")
    member = members(groups, n)
    by_group = np.argsort(member, kind="stable")
    parts = np.split(by_group, np.cumsum(np.bincount(member))[:-1])
    values = []
    for counts in resamplings(len(parts), repeats, seed):
        for row in counts:
            drawn = np.repeat(np.arange(len(parts)), row)
            values.append(statistic(np.concatenate([parts[group] for group in drawn])))
    return percentile_interval(np.array(values), len(parts))


def resamplings(groups: int, repeats: int = REPEATS, seed: int = 0) -> Iterator[Int64]:
    """Draw as many groups as there are, with replacement, again and again.

    Yields int64 (B, groups), how often each group is drawn in each of B resamplings, until there are `repeats`.
    """
    rng = np.random.default_rng(seed)
    at_once = max(1, AT_ONCE // groups)
    for start in range(0, repeats, at_once):
        rows = min(at_once, repeats - start)
        drawn = rng.integers(groups, size=(rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups)


def percentile_interval(replicates: Float64, groups: int) -> Interval:
    """Return the 95 % expanded percentile interval of a figure; (nan, nan) where no replicate is defined.

    Args:
        replicates: (R,) values of the figure in the resamplings, nan where undefined.
        groups: how many groups were drawn from.
    """
    known = replicates[~np.isnan(replicates)]
    if len(known) == 0:
        return math.nan, math.nan
    if groups < 2:
        return -math.inf, math.inf
    reach = t_quantile(groups - 1) * math.sqrt(groups / (groups - 1))
    tail = NormalDist().cdf(-reach)
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def share_interval(value: float, replicates: Float64, groups: float) -> Interval:
    """Return the 95 % interval of a figure in [0, 1] from its bootstrap; Wilson's own for a share of single samples.

    The figure is taken as the mean of one number for each group, of which one more at 0 and one more at 1 are
    imagined for the variance, so that it is never 0: 20 of 20 right answers in 5 groups tell no more than 5 of 5. With
    few groups, Student's t stands for the normal.

    Args:
        value: the figure, in [0, 1].
        replicates: (R,) its values in the resamplings, nan where undefined.
        groups: how many groups bear on the figure: those with the class, for a recall. Fewer than 2 tell nothing.
    """
    known = replicates[~np.isnan(replicates)]
    if groups < 2 or len(known) < 2:
        return 0.0, 1.0
    groups = float(groups)
    between = groups * float(known.var()) * groups / (groups - 1)
    return wilson_of_mean(value, between, groups, t_quantile(groups - 1))


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t for at least 1 degree of freedom, to 0.2 %.

    Exact for 1 and 2, else the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5).
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
