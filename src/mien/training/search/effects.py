"""Test which settings of a sweep have a significant effect: means over seeds, and an analysis of variance in blocks.

A seed fixes the split, the initial weights and all random choices, so runs of one seed share their images: a seed with
a hard test split lowers all of them alike. Each factor is therefore tested within blocks, one per seed and combination
of the other factors (randomised complete block design: Fisher, "The Design of Experiments", 1935). Two levels differ
significantly if their means differ by more than Tukey's honestly significant difference, which corrects for the number
of pairs. p-values of several factors are corrected by Bonferroni.

The tests assume normal and independent residuals. Runs of different seeds share images, too, in different splits, so
they are somewhat alike: results on another dataset may vary more than the intervals say.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Float64
from mien.metrics.estimates import Estimate, bounded_estimate
from mien.metrics.formatting import format_estimate, format_p_value, format_points
from mien.metrics.significance import SIGNIFICANCE_LEVEL


@dataclass(frozen=True)
class SeedMean:
    """A mean over `n` seeds with its 95 % t interval (NaN for a single seed)."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return mean, interval and n in one line."""
        if self.n < 2:
            return f"{self.mean:.4f} (n = {self.n})"
        return f"{format_estimate(Estimate(self.mean, self.low, self.high), digits=4)} (n = {self.n})"


@dataclass(frozen=True)
class FactorEffect:
    """The effect of one factor.

    Attributes:
        factor: the setting.
        means: mean accuracy of each level over all blocks.
        blocks: number of blocks.
        p_value: p-value of the factor, corrected for the number of factors; None with fewer than two blocks.
        least_difference: smallest significant difference between two means; None with fewer than two blocks.
    """

    factor: str
    means: Mapping[str, float]
    blocks: int
    p_value: float | None
    least_difference: float | None

    @property
    def significant(self) -> bool:
        """Whether the effect is significant (p < 0.05)."""
        return self.p_value is not None and self.p_value < SIGNIFICANCE_LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "factor": self.factor, "means": dict(self.means), "blocks": self.blocks, "p_value": self.p_value,
            "least_difference": self.least_difference, "matters": self.significant,
        }  # fmt: skip

    def __str__(self) -> str:
        """Return the conclusion in words."""
        ordered = sorted(self.means.items(), key=lambda row: -row[1])
        (best, top), (_, bottom) = ordered[0], ordered[-1]
        if self.p_value is None or self.least_difference is None:
            points = f"{100 * (top - bottom):.1f} points from best to worst"
            return f"{self.factor}: no conclusion from one seed ({points}, of unknown uncertainty)"
        gap = bounded_estimate(
            top - bottom, (top - bottom - self.least_difference, top - bottom + self.least_difference), (-1, 1)
        )
        spread = f"{format_points(gap, signed=False, unit='points')} from best to worst"
        test = f"{format_p_value(self.p_value, named=True)}, {self.blocks} blocks"
        noise = f"differences below {100 * self.least_difference:.1f} points are noise"
        if not self.significant:
            return f"{self.factor} has no significant effect ({spread}; {test}; {noise})"
        equal = [name for name, mean in ordered[1:] if top - mean < self.least_difference]
        worse = [name for name, mean in ordered[1:] if top - mean >= self.least_difference]
        alike = f", not significantly better than {' and '.join(equal)}" if equal else ""
        beaten = f", {' and '.join(worse)} {'is' if len(worse) == 1 else 'are'} significantly worse" if worse else ""
        order = f"{best} has the highest mean{alike}{beaten}"
        return f"{self.factor} has a significant effect ({spread}; {test}): {order} ({noise})"


def mean_over_seeds(values: Sequence[float]) -> SeedMean:
    """Return the mean of one or more values with its 95 % t interval.

    Examples:
        >>> str(mean_over_seeds([0.8, 0.9]))
        '0.8500 [0.2147, 1.4853] (n = 2)'
    """
    from scipy import stats  # type: ignore[import-untyped]  # comes with scikit-learn

    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return SeedMean(mean, math.nan, math.nan, n)
    half = float(stats.t.ppf(1 - SIGNIFICANCE_LEVEL / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return SeedMean(mean, mean - half, mean + half, n)


def effect_of(factor: str, levels: Sequence[str], table: Float64, factors: int = 1) -> FactorEffect:
    """Test one factor.

    Args:
        factor: its name.
        levels: names of its L levels.
        table: float64 (L, B), accuracy of each level in each block.
        factors: number of factors tested at once, for Bonferroni's correction.

    Examples:
        >>> effect_of("dropout", ["0", "0.5"], np.array([[0.80, 0.81, 0.82], [0.70, 0.72, 0.71]])).significant
        True
    """
    from scipy import stats

    means = table.mean(axis=1)
    rows, blocks = table.shape
    named = dict(zip(levels, map(float, means), strict=True))
    if blocks < 2:
        return FactorEffect(factor, named, blocks, None, None)
    p, noise = anova(table)
    widest = float(stats.studentized_range.ppf(1 - SIGNIFICANCE_LEVEL / factors, rows, (rows - 1) * (blocks - 1)))
    return FactorEffect(factor, named, blocks, min(1.0, p * factors), widest * math.sqrt(noise / blocks))


def anova(table: Float64) -> tuple[float, float]:
    """Return the p-value of the F test for equal levels, and the residual variance.

    `table` is float64 (L, B), levels by blocks, at least 2 x 2.
    """
    from scipy import stats

    means = table.mean(axis=1)
    rows, blocks = table.shape
    residuals = table - means[:, None] - table.mean(axis=0)[None, :] + table.mean()
    free = (rows - 1) * (blocks - 1)
    noise = float((residuals**2).sum() / free)
    between = float(blocks * ((means - table.mean()) ** 2).sum() / (rows - 1))
    if noise < 1e-12:  # no residuals, for example if all values are equal
        return (0.0 if between > 1e-12 else 1.0), noise
    return float(stats.f.sf(between / noise, rows - 1, free)), noise


def effects(
    runs: Sequence[tuple[Mapping[str, Any], int, float]], grid: Mapping[str, Sequence[Any]]
) -> list[FactorEffect]:
    """Test every factor of a grid.

    Args:
        runs: (values by setting, seed, accuracy) of each run; a block without all its runs is left out.
        grid: the levels of each setting.
    """
    found = []
    for factor, levels in grid.items():
        blocks: dict[str, dict[str, float]] = {}
        for values, seed, accuracy in runs:
            others = {name: value for name, value in values.items() if name != factor}
            blocks.setdefault(f"{others} {seed}", {})[str(values[factor])] = accuracy
        names = [str(level) for level in levels]
        complete = [block for block in blocks.values() if len(block) == len(names)]
        if complete:
            table = np.array([[block[name] for block in complete] for name in names])
            found.append(effect_of(factor, names, table, len(grid)))
    return found
