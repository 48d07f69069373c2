"""Estimate how many of the images that nobody looked at are still wrong, from those that were drawn by chance.

The order of the queue puts what is probably wrong first, so the share of wrong ones among what was seen says little
about the rest. Therefore some images are drawn by chance and asked between the others. Those of them that lie beyond
the place that the person has reached are a random sample of all that lie there: a hypergeometric interval holds for any
order, however good or bad the model is.
"""

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

import numpy as np

from mien.arrays import Float64, Int64
from mien.text import pluralize

#: One image of so many is drawn by chance: few while there are data issues to look at, more after them. Each that is
#: drawn delays the others, and before the issues are looked at nobody asks how much is left.
EVERY_ISSUE, EVERY = 50, 4
#: Nothing is estimated from fewer images drawn by chance.
MIN_SAMPLED = 10
#: It is enough if at most this fraction of the images that training uses is still wrong, or one of them.
ENOUGH = 0.05


@dataclass(frozen=True)
class Remaining:
    """How many of the images that nobody looked at are probably still wrong.

    Attributes:
        undecided: how many nobody looked at, of those that training uses.
        wrong: how many of these are wrong, the best estimate; None if too little was seen.
        low: the lower end of the 95 % interval of that number.
        high: the upper end.
        sampled: the images drawn by chance that it rests on.
        used: how many images training uses.
        unsorted: whether these have no label yet: then nothing is wrong, and nothing is estimated.
        doubtful: the images that are shown before most of those that are drawn by chance.
        coming: the images drawn by chance that nobody looked at.
    """

    undecided: int
    wrong: float | None
    low: int
    high: int
    sampled: int
    used: int
    unsorted: bool = False
    doubtful: int = 0
    coming: int = 0

    @property
    def enough(self) -> bool:
        """Whether going on hardly pays: the upper end is small."""
        return not self.unsorted and self.high <= max(1, ENOUGH * self.used)

    @property
    def sentence(self) -> str:
        """The estimate in words."""
        if not self.undecided:
            return "you looked at every image that training uses"
        if self.unsorted:
            return f"{pluralize(self.undecided, 'image')} without a label"
        if self.wrong is None:
            return self._why_unknown
        wrong = f"{self.wrong:.0f} {'is' if round(self.wrong) == 1 else 'are'}"
        said = (
            f"of {pluralize(self.undecided, 'image')} that nobody looked at, about {wrong} still wrong "
            f"(95 % interval {self.low} to {self.high})"
        )
        return said + (": enough for now" if self.enough else "")

    @property
    def _why_unknown(self) -> str:
        if self.doubtful:
            return (
                f"{pluralize(self.doubtful, 'doubtful image')} to look at first; images picked at random after them "
                "then tell how many of the rest are wrong"
            )
        if MIN_SAMPLED - self.sampled > self.coming:
            return "too few images are left to estimate how many are wrong: look at all of them"
        # No number: it also rises, since only images beyond the place that was reached count.
        return (
            "how many of the rest are wrong is estimated after some more images picked at random, which come one by "
            "one and are in no grid"
        )


def draw_order(names: Iterable[str], seed: int = 0) -> list[str]:
    """Return names in an order of chance that depends on the seed and the names alone, not on their order.

    So a person who comes back later, and another person, get the same images.
    """
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).digest())


def interleave(
    ranked: Sequence[str], drawn: Sequence[str], issues: int = 0, every: int = EVERY
) -> tuple[list[str], frozenset[str]]:
    """Put an image drawn by chance at every `every`-th place of a ranked list, and fewer before.

    Args:
        ranked: all images, those in which a look pays most first.
        drawn: some or all of these, in an order of chance.
        issues: how many of the ranked have a data issue; among these, every `EVERY_ISSUE`-th place is drawn.
        every: the distance of two images drawn by chance after these.

    Returns:
        All images in the order in which to show them, and those that stand where they do by chance.

    Examples:
        >>> interleave(["a", "b", "c", "d"], ["d", "a", "c", "b"], every=3)[0]
        ['a', 'b', 'd', 'c']
    """
    lists = {False: iter(ranked), True: iter(drawn)}
    order: list[str] = []
    shown: set[str] = set()
    by_chance: set[str] = set()
    while len(order) < len(ranked):
        distance = EVERY_ISSUE if len(order) < issues else every
        chance = len(order) % distance == distance - 1
        name = next((one for one in lists[chance] if one not in shown), None)
        if name is None:  # all that may be drawn were shown
            chance, name = False, next(one for one in lists[False] if one not in shown)
        if chance:
            by_chance.add(name)
        shown.add(name)
        order.append(name)
    return order, frozenset(by_chance)


@dataclass(frozen=True)
class Draws:
    """Images that training uses, in two orders.

    Attributes:
        ranked: as ranked.
        drawn: the same images in the order of chance in which they are drawn.
        others: images that training uses, too, but that are not drawn.
        reached: the place up to which they count as looked at in order, if they are shown in another order by now;
            None: the first that nobody looked at.
    """

    ranked: Sequence[str]
    drawn: Sequence[str]
    others: Sequence[str] = ()
    reached: int | None = None

    def place(self, seen: Collection[str]) -> int:
        """Return the place of the first image that nobody looked at, or the fixed place."""
        if self.reached is not None:
            return self.reached
        return next((place for place, name in enumerate(self.ranked) if name not in seen), len(self.ranked))


def estimate_remaining(draws: Draws, wrong: Mapping[str, bool], by_chance: Collection[str]) -> Remaining:
    """Estimate how many of the images that nobody looked at are wrong.

    Args:
        draws: the images.
        wrong: whether each image that somebody looked at was wrong.
        by_chance: the images that were shown by chance, or will be.

    Returns:
        The estimate, with the interval of Clopper and Pearson for draws without replacement.
    """
    everything = [*draws.ranked, *draws.others]
    undecided = sum(name not in wrong for name in everything)
    # Beyond this place, those that were drawn by chance are a sample of all.
    beyond = set(draws.ranked[draws.place(wrong) + 1 :])
    asked = list(takewhile(wrong.__contains__, draws.drawn))
    # How far the draws have come must not depend on who was looked at for other reasons, as in a grid of alike images.
    while asked and asked[-1] not in by_chance:
        asked.pop()
    sample = [wrong[name] for name in asked if name in beyond]
    if not undecided:
        return Remaining(0, 0.0, 0, 0, len(sample), len(everything))
    if len(sample) < MIN_SAMPLED:
        return Remaining(undecided, None, 0, undecided, len(sample), len(everything))
    low, high = hypergeometric_interval(sum(sample), len(sample), len(beyond))
    known = sum(wrong.get(name, False) for name in beyond)
    outside = sum(name not in wrong and name not in beyond for name in everything)  # each of them may be wrong
    low, high = min(max(low - known, 0), undecided), min(max(high - known, 0) + outside, undecided)
    # Jeffreys' estimate of the share: none of 20 is not none of 1000.
    share = (sum(sample) + 0.5) / (len(sample) + 1)
    return Remaining(
        undecided, min(max(share * len(beyond) - known, low), high), low, high, len(sample), len(everything)
    )  # fmt: skip


def hypergeometric_interval(found: int, drawn: int, total: int, confidence: float = 0.95) -> tuple[int, int]:
    """Return the interval for how many of `total` are wrong if `found` of `drawn` without replacement are.

    It is exact (Clopper and Pearson, 1934, for draws without replacement): each end is the last number that a
    one-sided test at half of the error does not refuse.

    Examples:
        >>> hypergeometric_interval(0, 20, 100)
        (0, 15)
    """
    error = (1 - confidence) / 2
    low, high = found, total - (drawn - found)
    lowest, highest = low, high
    while low < highest:  # the smallest number for which so many or more found are not too rare
        middle = (low + highest) // 2
        if _at_least(found, drawn, middle, total) > error:
            highest = middle
        else:
            low = middle + 1
    while lowest < high:  # the largest number for which so few or fewer found are not too rare
        middle = (lowest + high + 1) // 2
        if 1 - _at_least(found + 1, drawn, middle, total) > error:
            lowest = middle
        else:
            high = middle - 1
    return low, high


def _at_least(found: int, drawn: int, wrong: int, total: int) -> float:
    """Return the probability of at least `found` wrong ones among `drawn` of `total`, `wrong` of which are."""
    counts: Int64 = np.arange(max(found, drawn - (total - wrong), 0), min(drawn, wrong) + 1)
    if not len(counts) or found <= max(0, drawn - (total - wrong)):
        return 1.0 if len(counts) else 0.0
    logs = _log_choose(wrong, counts) + _log_choose(total - wrong, drawn - counts)
    return float(min(1.0, np.exp(logs - _log_choose(total, np.array([drawn]))).sum()))


def _log_choose(total: int, counts: Int64) -> Float64:
    table = _log_factorials(1 << max(total, 1).bit_length())
    found: Float64 = table[total] - table[counts] - table[total - counts]
    return found


@lru_cache(maxsize=4)
def _log_factorials(count: int) -> Float64:
    return np.array([math.lgamma(number + 1) for number in range(count + 1)])
