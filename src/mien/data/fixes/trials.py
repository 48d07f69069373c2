"""Bound how many images are wrong, from some that were drawn by chance from lists that get shorter.

If an image is drawn from `total`, of which `wrong` are wrong, it is wrong with probability wrong / total, whatever was
seen before. How many were wrong then is how many are known to be by now, and how many are left. So each number that may
be left has a probability of so few, or so many, wrong ones among the drawn.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mien.arrays import Bool, Float64, Int64

#: The error at each end of an interval of 95 %.
_ERROR = 0.025
#: So many numbers are tried at a time.
_AT_A_TIME = 16


class Trials(NamedTuple):
    """The images that were drawn by chance, one after the other.

    Attributes:
        total: how many images each was drawn from.
        known: how many of these are known to be wrong by now, and of those drawn before it.
        passed: how many images that nobody looked at it was not drawn from.
        wrong: whether it is wrong, 0 or 1.
    """

    total: tuple[int, ...]
    known: tuple[int, ...]
    passed: tuple[int, ...]
    wrong: tuple[int, ...]


def likely(trials: Trials) -> float:
    """Return how many images that nobody looked at are wrong if as many of the drawn are as expected.

    It may be negative. Half a wrong one is added, as by Jeffreys: none of 20 is not none of 1000.
    """
    found, total = np.array(trials.wrong), np.array(trials.total)
    expected = ((np.array(trials.known) - found.cumsum() + found) / total).sum()
    return float((found.sum() + 0.5 - expected) / (1 / total).sum())


@lru_cache(maxsize=8)  # most decisions change nothing
def upper_end(trials: Trials) -> int:
    """Return the largest number of wrong images that nobody looked at for which so few drawn ones are not too rare.

    They count as those that came first: fewer of the drawn ones could then have been among them.

    Examples:
        >>> upper_end(Trials(tuple(range(100, 80, -1)), (0,) * 20, (0,) * 20, (0,) * 20))
        15
    """

    def is_likely(left: Int64) -> Bool:
        ahead = np.maximum(left[:, None] - np.array(trials.passed), 0)
        return _at_most(sum(trials.wrong), ahead, trials) > _ERROR

    return max(_last(is_likely, trials.total[0] + max(trials.passed)), 0)


@lru_cache(maxsize=8)
def lower_end(trials: Trials) -> int:
    """Return the smallest number for which so many drawn ones are not too rare; see `upper_end`."""
    found = sum(trials.wrong)
    if not found:
        return 0

    def is_too_rare(left: Int64) -> Bool:
        ahead = np.repeat(left[:, None], len(trials.total), axis=1)
        return 1 - _at_most(found - 1, ahead, trials) <= _ERROR

    return _last(is_too_rare, trials.total[0]) + 1


def _last(holds: Callable[[Int64], Bool], most: int) -> int:
    """Return the last number up to `most` that a condition holds for, which it does up to some number; -1 if none."""
    low, high = -1, most
    while low < high:
        tried = np.unique(np.linspace(low + 1, high, _AT_A_TIME).astype(np.int64))
        count = int(holds(tried).sum())
        if count < len(tried):
            high = int(tried[count]) - 1
        if count:
            low = int(tried[count - 1])
    return low


def _at_most(found: int, ahead: Int64, trials: Trials) -> Float64:
    """Return the probability of at most `found` wrong ones among the drawn.

    Args:
        found: a number of images.
        ahead: (N, trials), how many that nobody looked at are wrong of those that each was drawn from, in N cases.
        trials: what else is known. A wrong one that is drawn is not drawn again.
    """
    number = np.arange(found + 1)
    chances = np.zeros((len(ahead), found + 1))  # of each number of wrong ones so far
    chances[:, 0] = 1
    for place, (total, known) in enumerate(zip(trials.total, trials.known, strict=True)):
        moved = chances * (np.clip(ahead[:, place, None] + known - number, 0, total) / total)
        chances -= moved
        chances[:, 1:] += moved[:, :-1]
    total_chance: Float64 = chances.sum(axis=1)
    return total_chance
