"""The order in which images are shown: ranked, with some drawn by chance; of an unsorted folder, by what they teach."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mien.arrays import Float64
from mien.data.fixes.estimate import (
    Draws,
    Remaining,
    count_sampled,
    draw_order,
    estimate_remaining,
    first_draws,
    interleave,
)
from mien.data.fixes.proposals import Proposer
from mien.data.fixes.queue import ORDER, Item, answered, doubt, turn
from mien.data.fixes.records import Fix
from mien.data.label_issues import find_label_issues
from mien.data.look import Look

#: If only so many of the images that the next one was to be drawn from have no decision, images are drawn anew: one
#: of fewer says more about those that are left.
_DRAWN_ANEW = 0.8
#: So many of them come at once then: between grids nobody would see any.
_AT_ONCE = 5
#: Of an unsorted folder so many images are ordered ahead, again after so many labels.
_AHEAD, _AGAIN = 20, 5


class Ranking:
    """The images of a labelled dataset, those in which a look pays most first, some drawn by chance.

    Args:
        items: as ranked.
        first: the names of those that come before all others: decided differently by several people, or changed.
        seed: of what is drawn by chance.
    """

    def __init__(self, items: Sequence[Item], first: Collection[str], seed: int) -> None:
        self.items = {item.name: item for item in items}
        self._first, self._seed = frozenset(first), seed
        self.order: list[str] = []
        self.by_chance: frozenset[str] = frozenset()
        self._draws: list[Draws] = []
        self._ranked: list[str] = []
        self._arranged = 0  # how often
        self._decided = 0  # how many images had a decision
        self._arrange(list(self.items), {})

    def _arrange(self, ranked: list[str], decisions: Mapping[str, Fix], at_once: int = 0) -> None:
        """Order the images that have no decision; those that have one come before them.

        If there is no data issue to look at, `at_once` images that are drawn by chance come first.
        """
        ranked.sort(key=lambda name: name not in self._first)
        self._ranked = ranked
        # One that may have been put off does not leave the estimate by drawing anew: it is the first of them to come.
        put_off = [name for each in self._draws for name in each.names if name not in decisions]
        done = [name for name in self.order if name in decisions]
        ranked = [name for name in ranked if name not in decisions and name not in put_off]
        used = [name for name in ranked if self.items[name].left_out is None]
        # Which of these were drawn before, but not shown, may be known from what was not in a grid: draw anew.
        drawn = draw_order(used, self._seed + self._arranged)
        self._arranged += 1
        issues = sum(name in self._first or self.items[name].kind in ORDER for name in ranked)
        drawn = [*put_off, *drawn]
        front = drawn[: 0 if issues else at_once]
        behind = [name for name in (*ranked, *put_off) if name not in front]
        order, by_chance = interleave(behind, drawn[len(front) :], issues)
        order, by_chance = [*front, *order], by_chance.union(front)
        shown = [name for name in order if self.items[name].left_out is None and name not in put_off]
        self._draws.append(Draws(shown, [place for place, name in enumerate(shown) if name in by_chance]))
        self.order = [*done, *order]
        self.by_chance = self.by_chance.intersection(decisions) | by_chance.union(put_off)

    def remaining(self, decisions: Mapping[str, Fix]) -> Remaining:
        """Estimate how many of the images without a decision are wrong."""
        used = [name for name, item in self.items.items() if item.left_out is None]
        return estimate_remaining(self._draws, self._wrong(decisions), used)

    def _wrong(self, decisions: Mapping[str, Fix]) -> dict[str, bool]:
        return {
            name: fix.decision == "leave-out" or fix.label != self.items[name].label
            for name, fix in decisions.items() if name in self.items
        }  # fmt: skip

    def decided(self, decisions: Mapping[str, Fix]) -> bool:
        """Take note of decisions; return whether the order changed.

        After several at once, such as those of a grid, images are drawn anew if that leaves much fewer to draw from, or
        brings some back.
        """
        steps = len(decisions) - self._decided
        self._decided = len(decisions)
        if steps > -2 and (steps < 2 or not self._are_few_left(decisions)):
            return False
        self._draw_no_more(decisions)
        self._arrange(list(self._ranked), decisions, _AT_ONCE)
        return True

    def _are_few_left(self, decisions: Mapping[str, Fix]) -> bool:
        """Return whether many of the images that the next one was to be drawn from are decided."""
        last = self._draws[-1]
        place = next((place for place in last.places if last.order[place] not in decisions), None)
        if place is None:
            return False
        left = sum(name not in decisions for name in last.order[place:])
        return left < _DRAWN_ANEW * (len(last.order) - place)

    def _draw_no_more(self, decisions: Mapping[str, Fix]) -> None:
        """Keep of the images that were drawn those that count, and the next one, which may have been put off."""
        self._draws = first_draws(self._draws, count_sampled(self._draws, self._wrong(decisions)) + 1)

    def rerank(self, probabilities: Mapping[str, Mapping[str, float]], decisions: Mapping[str, Fix]) -> None:
        """Order the images by the answers of another model, for which the present labels are right or wrong.

        Label issues are found anew; what else was found stays. So do the images that were drawn by chance and looked
        at; those to come are drawn anew from the images without a decision, since the model may know which were seen.
        """
        self._draw_no_more(decisions)
        for name in probabilities.keys() & self.items.keys():
            self.items[name] = answered(self.items[name], probabilities[name])
        margins = self._label_issues(probabilities, decisions)
        for name, margin in margins.items():
            self.items[name] = answered(self.items[name], probabilities[name], label_issue=margin > 0)
        places = {name: place for place, name in enumerate(self.items)}

        def key(name: str) -> tuple[float, float, int]:
            item = self.items[name]
            if item.kind not in ORDER:
                return turn(item), -doubt(item), 0
            return turn(item), -margins.get(name, 0.0), places[name]

        self._arrange(sorted(self.items, key=key), decisions)

    def _label_issues(
        self, probabilities: Mapping[str, Mapping[str, float]], decisions: Mapping[str, Fix]
    ) -> dict[str, float]:
        """Return the margin of each image without a decision whose label the model doubts."""
        labels = {name: fix.label for name, fix in decisions.items()}
        names = [name for name in probabilities if name in self.items]
        labels = {name: labels.get(name, self.items[name].label) for name in names}
        classes = sorted(set().union(*(probabilities[name] for name in names)))
        names = [name for name in names if labels[name] in classes]
        rows = [[probabilities[name].get(one, 0.0) for one in classes] for name in names]
        issues = find_label_issues(rows, [classes.index(labels[name]) for name in names])
        return {names[one.index]: one.margin for one in issues if names[one.index] not in decisions}


class Labelling:
    """The images of an unsorted folder, those whose label teaches most first.

    Args:
        items: all images; those that training cannot use come last.
        looks: what the model saw, by name.
        classes: the classes to label.
    """

    by_chance: frozenset[str] = frozenset()

    def __init__(self, items: Sequence[Item], looks: Mapping[str, Look], classes: Sequence[str]) -> None:
        self.items = {item.name: item for item in items}
        self._classes = list(classes)
        self._names = [item.name for item in items if looks.get(item.name, Look()).labels and item.left_out is None]
        self._places = {name: place for place, name in enumerate(self._names)}
        features = np.array([looks[name].labels for name in self._names]).reshape(len(self._names), -1)
        known = [looks[name].classes for name in self._names]
        self._features: Float64 = features
        self._proposer = Proposer(features, np.array(known) if known and known[0] else None, len(classes))
        self._rest = sorted((name for name in self.items if name not in self._places), key=self._is_left_out)
        self._labels: dict[int, int] = {}
        self._fitted = -1
        self.order: list[str] = []
        self.decided({})

    def _is_left_out(self, name: str) -> bool:
        return self.items[name].left_out is not None

    def decided(self, decisions: Mapping[str, Fix]) -> bool:
        """Take note of decisions, and propose and order anew after some; return whether the order changed."""
        if self._fitted >= 0 and abs(len(decisions) - self._fitted) < _AGAIN:
            return False
        self._fitted = len(decisions)
        labels = {
            self._places[name]: self._classes.index(fix.label)
            for name, fix in decisions.items() if name in self._places and fix.label in self._classes
        }  # fmt: skip
        if labels:
            self._proposer.fit(labels)
        done = [name for name in self.order if name in decisions]
        done += [name for name in decisions if name in self.items and name not in set(done)]
        free = np.array([name not in decisions for name in self._names], bool)
        ahead = [self._names[place] for place in self._proposer.next(list(labels), _AHEAD, free)]
        placed = {*done, *ahead}
        others = [name for name in (*(self.order or self._names), *self._rest) if name not in placed]
        self.order = list(dict.fromkeys([*done, *ahead, *others]))
        if self._proposer.ready:
            rows = self._proposer.probabilities.tolist()
            for name, row in zip(self._names, rows, strict=True):
                self.items[name] = answered(self.items[name], dict(zip(self._classes, row, strict=True)))
        return True

    def remaining(self, decisions: Mapping[str, Fix]) -> Remaining:
        """Count the images without a label."""
        used = [name for name, item in self.items.items() if item.left_out is None]
        open_ones = sum(name not in decisions for name in used)
        return Remaining(open_ones, None, 0, open_ones, 0, len(used), unsorted=True)

    def rerank(self, probabilities: Mapping[str, Mapping[str, float]], decisions: Mapping[str, Fix]) -> None:
        """Let the proposals begin with the answers of another model, for the images that it answers about."""
        equal = dict.fromkeys(self._classes, 1 / max(len(self._classes), 1))
        rows = [[{**equal, **probabilities.get(name, {})}[one] for one in self._classes] for name in self._names]
        self._proposer = Proposer(self._features, np.array(rows).reshape(len(rows), -1), len(self._classes))
        self._fitted = -1
        self.decided(decisions)
