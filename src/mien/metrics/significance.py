"""Two classifiers on the same samples: is one better by more than luck?

Luck here is that of the samples: other pictures would have given other figures. The luck of training, another seed,
comes on top and is not in these samples.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64
from mien.errors import InputError
from mien.metrics.bootstrap import AT_ONCE, REPEATS, percentile_interval, resamplings
from mien.metrics.estimates import UNDEFINED, Estimate
from mien.metrics.intervals import Interval, paired_difference, wilson
from mien.metrics.resampled import Answers, replicate
from mien.metrics.validation import members

Test = Literal["McNemar, exact", "McNemar, mid-p", "sign flips by group"]

#: From so many samples on that only one gets right, the mid-p form is used, which holds its level and misses less.
FEW_DISCORDANT = 25
FLIPS = 9999
#: The figures that `differences` compares, all in [0, 1] but for the Brier score of more than two classes.
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "average_precision", "brier")


@dataclass(frozen=True)
class PairedTest:
    """A test of "both are right equally often".

    `only_first` and `only_second` count the samples that one alone gets right; `p` is two-sided, in [0, 1].
    """

    test: Test
    p: float
    only_first: int
    only_second: int

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {"test": self.test, "p": self.p, "only_first": self.only_first, "only_second": self.only_second}


def compare_hits(first: Bool, second: Bool, groups: npt.ArrayLike | None = None, seed: int = 0) -> PairedTest:
    """Test whether two classifiers are right equally often.

    Independent samples: McNemar's test (1947, Psychometrika 12:153) on those that only one gets right, its exact
    binomial form for fewer than 25 of them, else mid-p (Fagerland, Lydersen and Laake 2013, BMC Medical Research
    Methodology 13:91). Samples in groups: the lead of each group is given a random sign 9,999 times, and `p` is how
    often the total is as large (Fisher's randomisation test); of single samples this is McNemar's exact test.

    Args:
        first: bool (N,), which samples the first gets right.
        second: bool (N,), which the second does.
        groups: (N,) numbers or names; samples of one group are not independent.
        seed: of the random signs.

    Raises:
        InputError: shapes that differ, or no samples.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise InputError(f"compare_hits: {first.shape} and {second.shape}; give two rows of booleans of one length")
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    member = members(groups, len(first))
    if member.max() + 1 < len(first):
        lead = np.bincount(member, weights=second.astype(float) - first).astype(np.float64)
        return PairedTest("sign flips by group", _flipped(lead, seed), b, c)
    test: Test = "McNemar, exact" if b + c < FEW_DISCORDANT else "McNemar, mid-p"
    return PairedTest(test, _binomial(b, c, mid=test == "McNemar, mid-p"), b, c)


def _binomial(b: int, c: int, mid: bool) -> float:
    """Two-sided p of b against c at even odds; with `mid`, the outcome itself counts half."""
    n, few = b + c, min(b, c)
    if n == 0:
        return 1.0
    # Terms n! / (k! (n - k)!) / 2^n for k = 0 ... few, through logarithms so that they neither overflow nor vanish.
    k = np.arange(1, few + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(n - k + 1) - np.log(k))]) - n * math.log(2)
    terms = np.exp(logs)
    return min(1.0, float(2 * terms.sum() - (terms[-1] if mid else 0)))


def _flipped(lead: Float64, seed: int) -> float:
    lead = lead[lead != 0]
    if len(lead) == 0:
        return 1.0
    rng = np.random.default_rng(seed)
    seen, as_large, done = abs(float(lead.sum())), 0, 0
    while done < FLIPS:
        rows = min(FLIPS - done, max(1, AT_ONCE // len(lead)))
        signs = rng.integers(0, 2, (rows, len(lead))) * 2.0 - 1
        as_large += int((np.abs(signs @ lead) >= seen - 1e-9).sum())
        done += rows
    return (as_large + 1) / (FLIPS + 1)  # what was seen is one of the possible outcomes


def holm(p: list[float]) -> list[float]:
    """Return p values corrected for being several (Holm 1979, Scandinavian Journal of Statistics 6:65)."""
    order = sorted(range(len(p)), key=lambda index: p[index])
    corrected, largest = [0.0] * len(p), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    return corrected


def differences(first: Answers, second: Answers, repeats: int = REPEATS, seed: int = 0) -> dict[str, Estimate]:
    """Return how much higher every figure of FIGURES is for the second, each with its 95 % interval; nan if undefined.

    The intervals are of a paired bootstrap: the same groups are drawn for both. That of the accuracy of independent
    samples is Newcombe's (`mien.metrics.intervals.paired_difference`). Where nothing varies between the two, the
    interval is
    what so many groups without a difference leave open.

    Raises:
        InputError: truths, groups or numbers of classes that differ.
    """
    alike = first.scores.shape == second.scores.shape
    if not alike or (first.truth != second.truth).any() or (first.member != second.member).any():
        raise InputError("differences: two classifiers are compared on the same samples, classes and groups")
    groups = first.groups
    one, two = (replicate(of, resamplings(groups, repeats, seed)).overall() for of in (first, second))
    before, after = (replicate(of, [np.ones((1, groups), np.int64)]).overall() for of in (first, second))
    found = {}
    for name in FIGURES:
        if name == "accuracy" and groups == len(first.truth):
            found[name] = change(first.truth == first.answers, second.truth == second.answers)
            continue
        top = 2.0 if name == "brier" and first.scores.shape[1] > 2 else 1.0
        interval = percentile_interval(two[name] - one[name], groups)
        if interval == (0, 0):
            interval = _nothing_varies(groups, top)
        found[name] = _figure(float(after[name][0] - before[name][0]), interval, top)
    return found


def change(before: npt.ArrayLike, after: npt.ArrayLike) -> Estimate:
    """Return how much higher the share of hits is after than before, with Newcombe's paired interval.

    Args:
        before, after: (N,) hits of the same samples: booleans, or means over several draws in [0, 1], whose interval
            is then too wide. N >= 1.

    Raises:
        InputError: no samples.
    """
    one, two = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    both, lost, won = (float(x.sum()) for x in (one * two, one * (1 - two), (1 - one) * two))
    interval = paired_difference(both, lost, won, len(one))
    return _figure((won - lost) / len(one), interval, 1.0)


def _nothing_varies(groups: int, top: float) -> Interval:
    """As many groups without a difference do not exclude that so many others have one."""
    _, most = wilson(0, groups)
    return -most * top, most * top


def _figure(value: float, interval: Interval, top: float) -> Estimate:
    """A difference whose interval holds it and stays in [-top, top]."""
    if math.isnan(value):
        return UNDEFINED
    low, high = interval
    return Estimate(value, max(-top, min(low, value)), min(top, max(high, value)))
