"""An estimate with its 95 % confidence interval, and proportions as estimates."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64
from mien.metrics.bootstrap import bootstrap_wilson_interval, resample_groups
from mien.metrics.formatting import format_estimate
from mien.metrics.intervals import Interval, wilson_interval
from mien.metrics.validation import group_indices

#: The range of most metrics.
UNIT: Interval = (0.0, 1.0)


@dataclass(frozen=True)
class Estimate:
    """The value of a metric and its 95 % confidence interval; all three are nan if it is undefined.

    Examples:
        >>> print(Estimate(0.92749, low=0.913, high=0.9386))
        0.927 [0.913, 0.939]
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Return value, low and high for JSON; nan becomes None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if math.isnan(x) else x for name, x in numbers.items()}

    def __str__(self) -> str:
        """Return `0.927 [0.913, 0.939]`, or `undefined`."""
        return format_estimate(self)


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


def bounded_estimate(value: float, interval: Interval, bounds: Interval = UNIT) -> Estimate:
    """Return an estimate whose interval holds its value and stays in bounds, whatever the rounding."""
    (low, high), (lowest, highest) = interval, bounds
    return Estimate(value, low=max(lowest, min(value, low)), high=min(highest, max(value, high)))


def proportion(hits: float, n: int) -> Estimate:
    """Return the fraction of hits with Wilson's interval; undefined for n = 0.

    Args:
        hits: how many of the samples are hits; may be a mean over several draws.
        n: number of samples.

    Examples:
        >>> print(proportion(20, 20))
        1.000 [0.839, 1.000]
    """
    return bounded_estimate(hits / n, wilson_interval(hits, n)) if n else UNDEFINED


def grouped_proportion(is_hit: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0) -> Estimate:
    """Return the fraction of hits with Wilson's interval, or a wider one from a bootstrap by group.

    Args:
        is_hit: (N,) booleans.
        groups: (N,) numbers or names; samples of one group are not independent. By default each sample is.
        seed: seed of the bootstrap.

    Raises:
        InputError: if there is not one group for each sample.
    """
    hit = np.asarray(is_hit, dtype=np.float64)
    estimate = proportion(int(hit.sum()), len(hit))
    group = group_indices(groups, len(hit))
    if len(hit) == 0 or (n_groups := int(group.max()) + 1) == len(hit):
        return estimate
    by_group = np.stack([np.bincount(group, weights=hit), np.bincount(group)], axis=1)
    sums = np.concatenate([counts @ by_group for counts in resample_groups(n_groups, seed=seed)])
    return widen_by_bootstrap(estimate, sums[:, 0] / sums[:, 1], n_groups)


def widen_by_bootstrap(estimate: Estimate, replicates: Float64, n_groups: float, bounds: Interval = UNIT) -> Estimate:
    """Return an estimate with the wider of its own interval and that of its bootstrap.

    Args:
        estimate: the estimate with its interval for independent samples.
        replicates: (R,) its value in each resampling; nan if undefined.
        n_groups: number of groups that inform it.
        bounds: the range of the metric.
    """
    if math.isnan(estimate.value):
        return estimate
    lowest, width = bounds[0], bounds[1] - bounds[0]
    low, high = bootstrap_wilson_interval((estimate.value - lowest) / width, (replicates - lowest) / width, n_groups)
    wider = min(lowest + width * low, estimate.low), max(lowest + width * high, estimate.high)
    return bounded_estimate(estimate.value, wider, bounds)
