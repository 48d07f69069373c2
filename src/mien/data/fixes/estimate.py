"""Estimate how many of the images that nobody looked at are still wrong, from those that were drawn by chance.

The order of the queue puts what is probably wrong first, so the share of wrong ones among what was seen says little
about the rest. Therefore some images are drawn by chance and asked between the others, each from all that come after
it. The interval holds for any order, however good or bad the model is. It gets narrower with every image that turns out
right, and wider only if one that was drawn is wrong.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.data.fixes.trials import Trials, likely, lower_end, upper_end
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
    def wants_draws(self) -> bool:
        """Whether the images drawn by chance are what to look at next, before more grids."""
        return not (self.unsorted or self.enough or self.doubtful or self.is_hopeless)

    @property
    def is_hopeless(self) -> bool:
        """Whether too few images are left to estimate anything."""
        return self.wrong is None and MIN_SAMPLED - self.sampled > self.coming

    @property
    def sentence(self) -> str:
        """The estimate in words."""
        if not self.undecided:
            return "you looked at every image that training uses"
        if self.unsorted:
            return f"{pluralize(self.undecided, 'image')} without a label"
        if self.wrong is None:
            return self._why_unknown if not self.enough else self._at_most
        wrong = f"{self.wrong:.0f} {'is' if round(self.wrong) == 1 else 'are'}"
        few = ": too few were picked at random to say more" if self.high >= self.undecided else ""
        said = (
            f"of {pluralize(self.undecided, 'image')} that nobody looked at, about {wrong} still wrong "
            f"(95 % interval {self.low} to {self.high}{few})"
        )
        return said + (": enough for now" if self.enough else "")

    @property
    def _at_most(self) -> str:
        images = pluralize(self.undecided, "image")
        return f"{images} that nobody looked at are few of {self.used}, even if all were wrong: enough for now"

    @property
    def _why_unknown(self) -> str:
        if self.doubtful:
            return (
                f"{pluralize(self.doubtful, 'doubtful image')} to look at; images picked at random, which come in "
                "between and after, tell how many of the rest are wrong"
            )
        if self.is_hopeless:
            return "too few images are left to estimate how many are wrong: look at all of them"
        count = MIN_SAMPLED - self.sampled
        come = "is picked at random; it comes soon" if count == 1 else "are picked at random; they come one by one"
        more = f"{pluralize(count, 'more image')} that {come}"
        return f"how many of the rest are wrong is estimated after {more}"


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
    """Images in the order in which they are shown, some of them drawn by chance.

    Attributes:
        order: the images that training uses.
        places: of those that were drawn, each from all that come after it.
    """

    order: Sequence[str]
    places: Sequence[int]

    @property
    def names(self) -> list[str]:
        """Those that were drawn."""
        return [self.order[place] for place in self.places]


def count_sampled(draws: Iterable[Draws], wrong: Mapping[str, bool]) -> int:
    """Return how many of the drawn images count: up to the first that nobody looked at, or to the last wrong one.

    A sample without those that were put off would be one of easy images.
    """
    names = [name for each in draws for name in each.names]
    first = next((place for place, name in enumerate(names) if name not in wrong), len(names))
    last = max((place for place, name in enumerate(names) if wrong.get(name)), default=-1)
    return max(first, last + 1)


def first_draws(draws: Iterable[Draws], count: int) -> list[Draws]:
    """Return the first `count` images that were drawn."""
    found = []
    for each in draws:
        found.append(replace(each, places=each.places[:count]))
        count -= len(found[-1].places)
    return [each for each in found if each.places]


def estimate_remaining(draws: Sequence[Draws], wrong: Mapping[str, bool], used: Collection[str]) -> Remaining:
    """Estimate how many of the images that nobody looked at are wrong.

    Args:
        draws: the orders in which images were shown, one after the other. A later one has those that were not decided.
        wrong: whether each image that somebody looked at was wrong.
        used: the images that training uses.

    Returns:
        The estimate. Its interval is that of Clopper and Pearson if all images are drawn by chance. An image that is
        right never raises the upper end, and a wrong one that was not drawn lowers it.
    """
    undecided = sum(name not in wrong for name in used)
    sampled = count_sampled(draws, wrong)
    if not undecided:
        return Remaining(0, 0.0, 0, 0, sampled, len(used))
    if sampled < MIN_SAMPLED:
        return Remaining(undecided, None, 0, undecided, sampled, len(used))
    draws = first_draws(draws, sampled)
    # Those that were put off are wrong at worst, right at best.
    missing = {name for each in draws for name in each.names}.difference(wrong)
    open_ones = undecided - len(missing)
    worst, best = (_trials(draws, {**wrong, **dict.fromkeys(missing, end)}, open_ones) for end in (True, False))
    high = min(upper_end(worst), open_ones) + len(missing)
    low = min(lower_end(best), high)
    # The ends count an image as drawn from all that was left then. If few that were looked at since were wrong, that
    # leaves too many for the rest: the best guess is at most the share of the drawn.
    share = (sum(worst.wrong) + 0.5) / (sampled + 1) * open_ones
    middle = min(max(min(likely(worst), share) + len(missing), low), high)
    return Remaining(undecided, middle, low, high, sampled, len(used))


def _trials(draws: Iterable[Draws], wrong: Mapping[str, bool], open_ones: int) -> Trials:
    """Return what is known of each drawn image; `open_ones` is how many images nobody looked at."""
    rows: list[tuple[int, int, int, int]] = []
    before = 0  # wrong ones that were drawn
    for each in draws:
        known = np.array([wrong.get(name, False) for name in each.order])
        unknown = np.array([name not in wrong for name in each.order])
        from_here = [flags[::-1].cumsum()[::-1].tolist() for flags in (known, unknown)]  # at this place and after it
        for place in each.places:
            found = int(known[place])
            rows.append((len(each.order) - place, from_here[0][place] + before, open_ones - from_here[1][place], found))
            before += found
    return Trials(*zip(*rows, strict=True))
