"""Measure in simulated sessions whether the interval of `mien fix`, of images that are still wrong, holds the truth.

    python benchmarks/fix_coverage.py [--runs 100] [--images 200 1000]

The first quarter of each ranked list has data issues, as in a spoiled folder; images are drawn by chance as `mien fix`
draws them. In each session the interval is asked at four fixed places, and when the estimate first says "enough for
now". A person decides one by one, or many at once now and then, or trains twice and goes on in the order of the new
model, which knows what was decided; or looks at grids as long as there are some, then one by one. The last column is
the median of the steps until it first says so, over all sessions; a grid is one step.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median

import numpy as np
import numpy.typing as npt

from mien.data.fixes.estimate import Remaining
from mien.data.fixes.order import Ranking
from mien.data.fixes.queue import Item
from mien.data.fixes.records import Fix
from mien.data.fixes.views import first_batch

Floats = npt.NDArray[np.float64]

#: How the rate of wrong labels falls with the place in the list, in [0, 1].
RATES: dict[str, Callable[[Floats], Floats]] = {
    "falls steeply": lambda place: 0.9 * np.exp(-8 * place) + 0.02,
    "falls slowly": lambda place: 0.4 * (1 - place),
    "the same everywhere": lambda place: np.full(len(place), 0.2),
    "rises (a model that is wrong)": lambda place: 0.4 * place,
}
#: The fraction of the images that has data issues.
ISSUES = 0.25
#: When the interval is asked, and when somebody trains, as fractions of all decisions.
ASKED, TRAINED = (0.3, 0.5, 0.7, 0.9), (0.35, 0.6)
#: Whether it is enough is asked after each so many steps.
ASK = 5
WAYS = ("one by one", "many at once", "grids first", "train and look again")


class Session:
    """A person who knows the truth goes through a ranked list."""

    def __init__(self, truth: dict[str, bool], seed: int) -> None:
        names = list(truth)
        kinds = ["label-issue" if place < ISSUES * len(names) else "uncertain" for place in range(len(names))]
        items = [Item(name, kind, "", "happy", suggestion=kind) for name, kind in zip(names, kinds, strict=True)]
        self.truth, self.ranking, self.decisions = truth, Ranking(items, (), seed), dict[str, Fix]()
        self._odd: list[str] = []
        self._rng = np.random.default_rng(seed)

    def decide(self, *names: str) -> None:
        """Decide rightly, about several at once."""
        for name in names:
            wrong = self.truth[name]
            fix = Fix("0" * 64, name, "relabel" if wrong else "keep", "sad" if wrong else "happy", "happy")
            self.decisions[name] = fix
        self.ranking.decided(self.decisions)

    def go_on(self) -> None:
        """Decide about the next image."""
        self.decide(next(name for name in (*self._odd, *self.ranking.order) if name not in self.decisions))

    def decide_many(self) -> None:
        """Decide about a grid as far as it is alike: the wrong ones come back one by one, or the right ones do.

        Without a grid, or while some come back, decide about one.
        """
        if any(name not in self.decisions for name in self._odd) or self._is_drawn_next():
            return self.go_on()
        passed = {*self.decisions, *self.ranking.by_chance}
        items = first_batch((self.ranking.items[name] for name in self.ranking.order if name not in passed), 50)
        names = [item.name for item in items]
        mostly_wrong = 2 * sum(self.truth[name] for name in names) > len(names)
        alike = [name for name in names if self.truth[name] == mostly_wrong]
        self._odd = [name for name in names if name not in alike]
        return self.decide(*alike) if alike else self.go_on()

    def _is_drawn_next(self) -> bool:
        """Return whether the page shows an image that was drawn before it offers another grid."""
        left = [name for name in self.ranking.order if name not in self.decisions]
        if not left or left[0] not in self.ranking.by_chance:
            return False
        doubtful = sum(self.ranking.items[name].doubtful for name in left)
        coming = sum(name in self.ranking.by_chance for name in left)
        return replace(self.ranking.remaining(self.decisions), doubtful=doubtful, coming=coming).wants_draws

    def train(self) -> None:
        """Rank anew by a model that knows the truth in part, and answers better about what was decided."""
        shown = {}
        for name, wrong in self.truth.items():
            doubt = (0.65 if wrong else 0.3) + self._rng.normal(0, 0.05 if name in self.decisions else 0.25)
            shown[name] = {"sad": float(np.clip(doubt, 0, 1)), "happy": float(1 - np.clip(doubt, 0, 1))}
        self.ranking.rerank(shown, self.decisions)

    def remaining(self) -> tuple[Remaining, bool]:
        """Return the estimate, and whether its interval holds the truth."""
        found = self.ranking.remaining(self.decisions)
        left = sum(wrong for name, wrong in self.truth.items() if name not in self.decisions)
        return found, found.low <= left <= found.high


def ask(session: Session, way: str) -> Iterator[tuple[str, bool, int]]:
    """Yield whether the interval holds at the fixed places and where it first says enough, and when."""
    count, told = len(session.truth), False
    places, trainings = ([round(part * count) for part in parts] for parts in (ASKED, TRAINED))
    for step in range(count):
        if len(session.decisions) == count:
            return
        if way == "grids first" or (way == "many at once" and step % 15 == 14):
            session.decide_many()
        else:
            session.go_on()
        if way == "train and look again" and trainings and len(session.decisions) >= trainings[0]:
            trainings.pop(0)
            session.train()
        fixed = bool(places) and len(session.decisions) >= places[0]
        if not fixed and (told or step % ASK != ASK - 1):
            continue
        found, held = session.remaining()
        if fixed:
            places.pop(0)
            if found.wrong is not None:
                yield "fixed", held, step + 1
        if found.enough and not told:
            told = True
            yield "enough", held, step + 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="simulated sessions of each kind  [100]")
    parser.add_argument("--images", type=int, nargs="+", default=[200, 1000], help="images of a list  [200 1000]")
    options = parser.parse_args()
    print("| a person decides | rate of wrong labels | n | holds at fixed places | where it says enough | steps |")
    print("|---|---|---|---|---|---|")
    for way in WAYS:
        for title, rate in RATES.items():
            for count in options.images:
                found: dict[str, list[bool]] = {"fixed": [], "enough": []}
                steps: list[int] = []
                rng = np.random.default_rng(0)
                for run in range(options.runs):
                    wrong = (rng.random(count) < rate(np.arange(count) / count)).tolist()
                    truth = {str(number): one for number, one in enumerate(wrong)}
                    for kind, held, step in ask(Session(truth, run), way):
                        found[kind].append(held)
                        steps += [step] if kind == "enough" else []
                cells = " | ".join(f"{sum(one)} of {len(one)}" for one in found.values())
                print(f"| {way} | {title} | {count} | {cells} | {median(steps) if steps else '-'} |", flush=True)


if __name__ == "__main__":
    main()
