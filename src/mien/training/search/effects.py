"""What matters in a sweep and what is noise: means over seeds, and an analysis of variance in blocks.

A seed fixes the split, the first weights and every random choice, so runs of one seed share their pictures: a seed
that happens to test on hard pictures lowers all of them alike. Each factor is therefore judged within blocks, one per
seed and combination of the other factors, as in a randomised complete block design (Fisher, "The Design of
Experiments", 1935): its effect is compared with how differently its values do from block to block. Two values are
told apart where their means differ by more than Tukey's honestly significant difference, which allows for how many
pairs there are to choose from. Where several factors are varied, their p-values are corrected by Bonferroni.

Both take the residuals for normal and independent. Runs of different seeds share pictures too, in another split, so
they are somewhat alike: another dataset may vary more than another seed does, and the limits here say nothing of that.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Float64
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_estimate, format_p_value

LEVEL = 0.05


@dataclass(frozen=True)
class Mean:
    """A mean over `n` seeds and its 95 % t interval (NaN for a single seed), in the unit of the figures."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Return it in one line."""
        if self.n < 2:
            return f"{self.mean:.4f} (n = {self.n})"
        return f"{format_estimate(Estimate(self.mean, self.low, self.high), digits=4)} (n = {self.n})"


@dataclass(frozen=True)
class Effect:
    """What one factor does: the mean of each value over all blocks, and how much of that is noise.

    `p` is the probability of differences as large if the factor did nothing, corrected for the number of factors;
    `least` the smallest difference of two means that is more than noise, both None with fewer than two blocks.
    """

    factor: str
    means: Mapping[str, float]
    blocks: int
    p: float | None
    least: float | None

    @property
    def matters(self) -> bool:
        """Whether the factor does something beyond chance."""
        return self.p is not None and self.p < LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "factor": self.factor, "means": dict(self.means), "blocks": self.blocks, "p": self.p,
            "least_difference": self.least, "matters": self.matters,
        }  # fmt: skip

    def __str__(self) -> str:
        """Say in words what to conclude."""
        ordered = sorted(self.means.items(), key=lambda row: -row[1])
        (best, top), (_, bottom) = ordered[0], ordered[-1]
        spread = f"{100 * (top - bottom):.1f} points from best to worst"
        if self.p is None or self.least is None:
            return f"{self.factor}: nothing can be said from one seed ({spread})"
        said = f"{format_p_value(self.p, named=True)}, {self.blocks} blocks"
        limit = f"{100 * self.least:.1f} points"
        if not self.matters:
            return f"{self.factor} does not show above the noise ({spread}; {said}; less than {limit} is noise here)"
        equal = [name for name, mean in ordered[1:] if top - mean < self.least]
        worse = [name for name, mean in ordered[1:] if top - mean >= self.least]
        alike = f", {' and '.join(equal)} cannot be told from it" if equal else ""
        beaten = f", {' and '.join(worse)} {'is' if len(worse) == 1 else 'are'} worse" if worse else ""
        return f"{self.factor} matters ({spread}; {said}): {best} is best{alike}{beaten} (less than {limit} is noise)"


def mean_over_seeds(values: Sequence[float]) -> Mean:
    """Return the mean of one or more figures with its t interval."""
    from scipy import stats  # type: ignore[import-untyped]  # comes with scikit-learn

    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Mean(mean, math.nan, math.nan, n)
    half = float(stats.t.ppf(1 - LEVEL / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n))
    return Mean(mean, mean - half, mean + half, n)


def effect_of(factor: str, levels: Sequence[str], table: Float64, factors: int = 1) -> Effect:
    """Judge one factor from `table` (levels, blocks), the figure of each of its values in each block.

    `factors` is how many are judged at once.
    """
    from scipy import stats

    means = table.mean(axis=1)
    rows, blocks = table.shape
    named = dict(zip(levels, map(float, means), strict=True))
    if blocks < 2:
        return Effect(factor, named, blocks, None, None)
    p, noise = analyse(table)
    widest = float(stats.studentized_range.ppf(1 - LEVEL / factors, rows, (rows - 1) * (blocks - 1)))
    return Effect(factor, named, blocks, min(1.0, p * factors), widest * math.sqrt(noise / blocks))


def analyse(table: Float64) -> tuple[float, float]:
    """Return the p-value of the rows of `table` (levels, blocks) being alike, and the variance of the noise.

    At least two rows and two columns; the F test of an analysis of variance with blocks.
    """
    from scipy import stats

    means = table.mean(axis=1)
    rows, blocks = table.shape
    residuals = table - means[:, None] - table.mean(axis=0)[None, :] + table.mean()
    free = (rows - 1) * (blocks - 1)
    noise = float((residuals**2).sum() / free)
    between = float(blocks * ((means - table.mean()) ** 2).sum() / (rows - 1))
    if noise < 1e-12:  # the same in every block, as where all figures are equal
        return (0.0 if between > 1e-12 else 1.0), noise
    return float(stats.f.sf(between / noise, rows - 1, free)), noise


def effects(runs: Sequence[tuple[Mapping[str, Any], int, float]], grid: Mapping[str, Sequence[Any]]) -> list[Effect]:
    """Judge every factor of `grid` from runs (values, seed, figure); blocks that lack a run are left out."""
    found = []
    for factor, levels in grid.items():
        blocks: dict[str, dict[str, float]] = {}
        for values, seed, figure in runs:
            others = {name: value for name, value in values.items() if name != factor}
            blocks.setdefault(f"{others} {seed}", {})[str(values[factor])] = figure
        names = [str(level) for level in levels]
        whole = [block for block in blocks.values() if len(block) == len(names)]
        if whole:
            table = np.array([[block[name] for block in whole] for name in names])
            found.append(effect_of(factor, names, table, len(grid)))
    return found
