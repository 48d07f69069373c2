"""Where a model is worse, without any labels of groups: figures by light, sharpness, size and pose of the faces.

What is measured says what a picture is like, not why a model fails on it: dark pictures may come from one source, and
people in them may be alike in other ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.arrays import Bool, Float64, Int64, UInt8
from mien.errors import InputError
from mien.evaluation.attributes import Attribute, crop_attributes, face_attributes
from mien.evaluation.scoring import Predictions
from mien.evaluation.shortcuts import FEWEST, Shortcut, find_shortcuts
from mien.metrics.estimates import Estimate, grouped_proportion
from mien.metrics.significance import holm_correction
from mien.results import Detection

#: A gap with a corrected probability below this is called more than luck.
LUCK = 0.05
#: So many times the mistakes are dealt out anew to see what luck does.
DEALS = 4999


@dataclass(frozen=True, eq=False)
class Bin:
    """Pictures alike in one measure: from `low` (not included) to `high`, how many, and their accuracy."""

    words: str
    n: int
    accuracy: Estimate


@dataclass(frozen=True, eq=False)
class Slice:
    """Accuracy by one measure.

    `gap` is the difference of accuracy between `best` and `worst`, the two bins of at least FEWEST pictures that
    differ most. `p` is how often luck alone makes bins differ as much (see `measure`), corrected for all slices.
    """

    measure: Attribute
    bins: tuple[Bin, ...]
    best: Bin
    worst: Bin
    p: float

    @property
    def gap(self) -> float:
        """The largest difference of accuracy between bins, in [0, 1]."""
        return self.best.accuracy.value - self.worst.accuracy.value

    @property
    def significant(self) -> bool:
        """Whether the bins differ by more than luck explains."""
        return self.p < LUCK

    def to_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {
            "measure": self.measure.key,
            "meaning": self.measure.meaning,
            "bins": [{"bin": one.words, "pictures": one.n, "accuracy": one.accuracy.to_dict()} for one in self.bins],
            "gap": self.gap,
            "best": self.best.words,
            "worst": self.worst.words,
            "p": self.p,
            "significant": self.significant,
        }


@dataclass(frozen=True, eq=False)
class Slices:
    """Accuracy by every measure, and what blocks at the border tell, of labels and of answers, best block first."""

    n: int
    accuracy: Estimate
    slices: tuple[Slice, ...]
    of_labels: tuple[Shortcut, ...]
    of_answers: tuple[Shortcut, ...]

    def to_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {
            "pictures": self.n,
            "accuracy": self.accuracy.to_dict(),
            "slices": [one.to_dict() for one in self.slices],
            "border": [hint.to_dict() for hint in (*self.of_labels[:3], *self.of_answers[:3])],
        }


def measure_slices(
    crops: UInt8, detections: Sequence[Detection | None] | None, scored: Predictions, seed: int = 0
) -> Slices:
    """Compare a model's accuracy between pictures that differ in how they were taken.

    Whether bins differ by more than luck: within each true class the mistakes are dealt out to its pictures at
    random, DEALS times, and the sum over bins of (mistakes less those expected)² / expected is compared with the one
    found. So a measure that merely goes with the classes, of which one is harder, counts for nothing. The p-values
    are corrected for the number of slices (Holm 1979, Scandinavian Journal of Statistics 6:65). Pictures are taken as
    independent: many of one person or source make gaps look surer than they are. The intervals do heed such groups,
    where `scored` knows them.

    Args:
        crops: uint8 (N, S, S, C), [0, 255], what the network saw.
        detections: the face that each was cut from, None for a whole picture; None where no faces were looked for.
        scored: the answers.
        seed: fixes the deals.

    Raises:
        InputError: not one crop, and one detection, for each answer.
    """
    n = len(scored.truth)
    if len(crops) != n or (detections is not None and len(detections) != n):
        raise InputError(f"slices: {len(crops)} crops for {n} answers; give one crop, and one detection, for each")
    found = []
    for kind, values in (*crop_attributes(crops), *face_attributes(detections or ())):
        slice_ = _slice(kind, values, scored, np.random.default_rng(seed))
        if slice_:
            found.append(slice_)
    labels = tuple(find_shortcuts(crops, scored.classes, scored.truth, "label"))
    answered = tuple(find_shortcuts(crops, scored.classes, scored.answers, "answer"))
    accuracy = grouped_proportion(scored.is_right, scored.groups, scored.seed)
    return Slices(n, accuracy, _corrected(found), labels, answered)


def _slice(kind: Attribute, values: Float64, scored: Predictions, rng: np.random.Generator) -> Slice | None:
    known = np.isfinite(values)
    values, right, truth = values[known], scored.is_right[known], scored.truth[known]
    groups = np.arange(len(values)) if scored.groups is None else scored.groups[known]
    if not len(values):
        return None
    edges = np.unique(np.quantile(values, (0.25, 0.5, 0.75))) if kind.edges is None else np.array(kind.edges)
    place = np.searchsorted(edges, values)
    used = np.unique(place)
    bins = []
    for number in used:
        inside = place == number
        accuracy = grouped_proportion(right[inside], groups[inside], scored.seed)
        bins.append(Bin(_words(edges, int(number), kind.form), int(inside.sum()), accuracy))
    large = [one for one in bins if one.n >= FEWEST]
    if len(large) < 2:
        return None
    best, worst = (choose(large, key=lambda one: one.accuracy.value) for choose in (max, min))
    kept = np.isin(place, [number for number, one in zip(used, bins, strict=True) if one.n >= FEWEST])
    p = luck(np.unique(place[kept], return_inverse=True)[1], ~right[kept], truth[kept], rng)
    return Slice(kind, tuple(bins), best, worst, p)


def luck(bins: Int64, wrong: Bool, truth: Int64, rng: np.random.Generator) -> float:
    """How often mistakes dealt out at random within each true class differ between bins as much as these do.

    `bins` int (N,) from 0, `wrong` bool (N,), `truth` int (N,). Returns a p-value in (0, 1].
    """
    found, expected = np.zeros(bins.max() + 1), np.zeros(bins.max() + 1)
    dealt = np.zeros((DEALS, len(found)))
    for code in np.unique(truth):
        own = truth == code
        counts, mistakes = np.bincount(bins[own], minlength=len(found)), int(wrong[own].sum())
        found += np.bincount(bins[own & wrong], minlength=len(found))
        expected += counts * mistakes / own.sum()
        dealt += rng.multivariate_hypergeometric(counts, mistakes, DEALS)
    used = expected > 0
    apart = ((found - expected)[used] ** 2 / expected[used]).sum()
    by_luck = ((dealt - expected)[:, used] ** 2 / expected[used]).sum(axis=1)
    return float(1 + (by_luck >= apart - 1e-9).sum()) / (1 + DEALS)


def _corrected(found: Sequence[Slice]) -> tuple[Slice, ...]:
    """The slices with p-values corrected by Holm's method, the surest gaps first."""
    in_order = sorted(found, key=lambda one: (one.p, -one.gap))
    corrected = holm_correction([one.p for one in in_order])
    return tuple(replace(one, p=p) for one, p in zip(in_order, corrected, strict=True))


def _words(edges: Float64, number: int, form: str) -> str:
    said = [form.format(edge) for edge in edges]
    if number == 0:
        return f"up to {said[0]}"
    return f"over {said[-1]}" if number == len(edges) else f"{said[number - 1]} to {said[number]}"
