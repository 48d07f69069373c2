"""How much of a model's accuracy is left when its pictures are turned, blurred, darkened, hidden and so on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Bool, Int64, UInt8
from mien.errors import InputError
from mien.evaluation.perturbations import PERTURBATIONS, Perturbation
from mien.inference.decision import AnswerField
from mien.inference.reader import Reader
from mien.metrics.estimates import Estimate, grouped_proportion
from mien.metrics.significance import accuracy_difference

#: The loss of accuracy whose strength is sought, as a share.
FALL = 0.05
#: From this accuracy down there is little to lose, and a change that costs nothing says nothing.
NEAR_CHANCE = 0.1


@dataclass(frozen=True, eq=False)
class Tolerance:
    """What one kind of change does, at each of its strengths.

    `accuracy` is the share of right answers and `lost` its difference from that of the same pictures unchanged,
    below 0 where the change does harm; both with 95 % intervals, each strength's on its own. `limit` is the strength
    at which accuracy has fallen by FALL, straight lines taken between the strengths tried, and None where it has not
    within them. `earliest` and `latest` are where the interval's ends have: the likely range of `limit`.
    """

    change: Perturbation
    accuracy: tuple[Estimate, ...]
    lost: tuple[Estimate, ...]
    limit: float | None
    earliest: float | None
    latest: float | None

    def to_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {
            "name": self.change.name,
            "unit": self.change.unit,
            "neutral": self.change.neutral,
            "strengths": list(self.change.strengths),
            "accuracy": [figure.to_dict() for figure in self.accuracy],
            "difference": [figure.to_dict() for figure in self.lost],
            "limit": self.limit,
            "limit_earliest": self.earliest,
            "limit_latest": self.latest,
        }


@dataclass(frozen=True, eq=False)
class Robustness:
    """What every kind of change does to `n` of `of` pictures, drawn by `seed`; `unchanged` is their accuracy."""

    n: int
    of: int
    seed: int
    classes: int
    unchanged: Estimate
    kinds: tuple[Tolerance, ...]

    def to_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {
            "pictures": self.n,
            "of": self.of,
            "seed": self.seed,
            "fall": FALL,
            "unchanged": self.unchanged.to_dict(),
            "kinds": [kind.to_dict() for kind in self.kinds],
        }


def measure_robustness(
    reader: Reader, crops: UInt8, truth: Int64, classes: Sequence[str], by: AnswerField,
    seed: int = 0, limit: int = 1000, on_progress: Callable[[float], None] | None = None,
) -> Robustness:  # fmt: skip
    """Read changed pictures and compare the answers with those for the same pictures unchanged.

    What is changed is the crop, after the face was found: the finder's own failures are not in these figures.

    Args:
        reader: reads the crops.
        crops: uint8 (N, S, S, C), [0, 255], as the reader's network takes them.
        truth: int64 (N,), indices into `classes`.
        classes: what the pictures may be.
        by: which field of a face is judged, as `mien.evaluation.scoring.score` chose it.
        seed: fixes the pictures that are taken and all that is random.
        limit: at most so many pictures are taken, at random.
        on_progress: called with the share done.

    Raises:
        InputError: there is no picture, or not one label for each.
    """
    if not len(crops) or len(crops) != len(truth) or limit < 1:
        raise InputError(f"robustness: {len(crops)} crops, {len(truth)} labels, limit {limit}; give at least one each")
    report = on_progress or (lambda share: None)
    chosen = np.random.default_rng(seed).permutation(len(crops))[:limit]
    chosen.sort()
    taken, labels = crops[chosen], truth[chosen]
    before = read_crops(reader, taken, classes, by) == labels
    steps, done = sum(len(kind.strengths) for kind in PERTURBATIONS), 0
    found = []
    for kind in PERTURBATIONS:
        hits = []
        for strength in kind.strengths:
            hits.append(read_crops(reader, kind.apply(taken, strength, seed), classes, by) == labels)
            done += 1
            report(done / steps)
        found.append(_tolerance(kind, before, hits))
    return Robustness(len(taken), len(crops), seed, len(classes), grouped_proportion(before), tuple(found))


def read_crops(reader: Reader, crops: UInt8, classes: Sequence[str], by: AnswerField) -> Int64:
    """Return the answers to crops uint8 (N, S, S, C), judged by that field of a face: int64 (N,) into `classes`."""
    rows = reader.probabilities(crops)
    if by == "answer":
        places = np.array([list(classes).index(name) for name in reader.answers])
        return np.asarray(places[reader.rule.choose(rows)])
    return np.asarray(reader.rule.probabilities_of(rows, classes).argmax(axis=1))


def _tolerance(kind: Perturbation, before: Bool, hits: Sequence[Bool]) -> Tolerance:
    lost = tuple(accuracy_difference(before, after) for after in hits)

    def reached(losses: Sequence[float]) -> float | None:
        return first_reach((kind.neutral, *kind.strengths), (0.0, *losses), FALL)

    return Tolerance(
        kind,
        tuple(grouped_proportion(after) for after in hits),
        lost,
        reached([-figure.value for figure in lost]),
        reached([-figure.low for figure in lost]),
        reached([-figure.high for figure in lost]),
    )


def first_reach(places: Sequence[float], values: Sequence[float], goal: float) -> float | None:
    """Return the first place at which straight lines through the values, from one below it, reach the goal."""
    for number in range(1, len(places)):
        (left, right), (low, high) = places[number - 1 : number + 1], values[number - 1 : number + 1]
        if high >= goal:
            return left + (right - left) * (goal - low) / (high - low)
    return None
