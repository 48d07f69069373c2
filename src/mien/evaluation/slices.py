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
from mien.evaluation.attributes import Attribute, of_crops, of_faces
from mien.evaluation.scoring import Predictions
from mien.evaluation.shortcuts import FEWEST, Shortcut, find_shortcuts, hints_chart, hints_table
from mien.metrics.classification import Estimate, share
from mien.report.document import Note, Section, Table
from mien.results import Detection
from mien.text import listed
from mien.viz.charts import ACCENT, FAINT, INK, MUTED, Chart, chart

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
    for kind, values in (*of_crops(crops), *of_faces(detections or ())):
        slice_ = _slice(kind, values, scored, np.random.default_rng(seed))
        if slice_:
            found.append(slice_)
    labels = tuple(find_shortcuts(crops, scored.classes, scored.truth, "label"))
    answered = tuple(find_shortcuts(crops, scored.classes, scored.answers, "answer"))
    accuracy = share(scored.is_right, scored.groups, scored.seed)
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
        accuracy = share(right[inside], groups[inside], scored.seed)
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
    in_order, largest, out = sorted(found, key=lambda one: (one.p, -one.gap)), 0.0, []
    for number, one in enumerate(in_order):
        largest = max(largest, min(1.0, one.p * (len(found) - number)))
        out.append(replace(one, p=largest))
    return tuple(out)


def _words(edges: Float64, number: int, form: str) -> str:
    said = [form.format(edge) for edge in edges]
    if number == 0:
        return f"up to {said[0]}"
    return f"over {said[-1]}" if number == len(edges) else f"{said[number - 1]} to {said[number]}"


# What a reader of the report sees


def slices_section(found: Slices) -> Section:
    """Return the report's section: what to conclude, accuracy by slice as chart and table, marks at the border."""
    telling = _telling(found)
    parts: list[Chart | Note | Table] = [Note(hint.warning(), "warning") for hint in telling]
    if telling:
        parts.append(hints_chart((*found.of_labels, *found.of_answers)))
    if found.slices:
        parts += [_chart(found), _table(found)]
    if found.of_labels or found.of_answers:
        parts.append(hints_table((*found.of_labels[:3], *found.of_answers[:3])))
    return Section("slices", "By light, sharpness, size and pose", _conclusion(found), tuple(parts))


def _telling(found: Slices) -> list[Shortcut]:
    """The best block of labels and of answers, where it tells."""
    return [hint for best in (found.of_labels[:1], found.of_answers[:1]) for hint in best if hint.tells]


def _whose(hint: Shortcut) -> str:
    return f"{hint.label} pictures" if hint.of == "label" else f"which pictures the model answers {hint.label}"


def _conclusion(found: Slices) -> str:
    said = [
        f"the {hint.place} alone tells {_whose(hint)} (area under the ROC curve {hint.area.value:.2f}): look there for "
        "a mark before trusting any figure"
        for hint in _telling(found)[:1]
    ]
    gaps = [one for one in found.slices if one.significant]
    if gaps:
        most = max(gaps, key=lambda one: one.gap)
        others = [one.measure.name.lower() for one in gaps if one is not most]
        also = f" (and with {listed(others)})" if others else ""
        said.append(
            f"accuracy differs by more than luck with {most.measure.name.lower()}{also}: "
            f"{_percent(most.worst.accuracy)} where that is {most.worst.words}, "
            f"{_percent(most.best.accuracy)} where it is {most.best.words}"
        )
    elif found.slices:
        said.append("no gap in accuracy by light, sharpness, size or pose is larger than luck explains")
    text = "; ".join(said) or "too few pictures to compare any"
    return f"{text[0].upper()}{text[1:]}."


def _chart(found: Slices) -> Chart:
    rows = sum(len(one.bins) + 1 for one in found.slices)

    def draw(axes: Any) -> None:
        axes.axvline(100 * found.accuracy.value, color=MUTED, linewidth=0.8, linestyle="--")
        ticks, words, place = [], [], 0
        for one in found.slices:
            mark = " *" if one.significant else ""
            axes.text(0, place, f"{one.measure.name}{mark}", transform=axes.get_yaxis_transform(), va="center",
                      fontweight="bold", color=INK, fontsize=9)  # fmt: skip
            for number, each in enumerate(one.bins, start=place + 1):
                few = each.n < FEWEST
                figure, colour = each.accuracy, MUTED if few else ACCENT
                axes.plot([100 * figure.low, 100 * figure.high], [number, number], color=colour, linewidth=1.4)
                axes.plot(
                    [100 * figure.value], [number], "o", markersize=5, color=colour, fillstyle="none" if few else "full"
                )
                ticks.append(number)
                words.append(f"{each.words}  (n {each.n})")
            place += len(one.bins) + 1
        axes.set_yticks(ticks, words, fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(place - 0.5, -0.7)
        lows = [each.accuracy.low for one in found.slices for each in one.bins if each.n >= FEWEST]
        axes.set_xlim(100 * min(lows) - 3, 101)
        axes.set_xlabel("accuracy, %")
        axes.grid(axis="x", color=FAINT)
        axes.spines["left"].set_visible(False)

    return chart(
        "slices",
        draw,
        caption="Accuracy by what pictures are like, with 95 % intervals; dashed: all pictures. A star marks measures "
        f"whose bins differ by more than luck explains; hollow: bins of fewer than {FEWEST} pictures.",
        alt=_conclusion(found),
        height=0.9 + 0.2 * rows,
    )


def _table(found: Slices) -> Table:
    rows = [
        (
            f"{one.measure.name}: {one.measure.meaning}",
            f"{one.worst.words} (n {one.worst.n}): {_percent(one.worst.accuracy)}",
            f"{one.best.words} (n {one.best.n}): {_percent(one.best.accuracy)}",
            f"{100 * one.gap:.1f}",
            f"{one.p:.3f}" if one.p >= 0.001 else "< 0.001",
            "more than luck" if one.significant else "may be luck",
        )
        for one in found.slices
    ]
    return Table(
        ("Measure", "Lowest accuracy", "Highest accuracy", "Gap, points", "p, corrected", "Difference between bins"),
        tuple(rows),
        f"Bins of at least {FEWEST} pictures. p: how often mistakes dealt out at random within each true class make "
        f"bins differ as much, corrected for {len(found.slices)} measures (Holm), as if pictures were independent: "
        "many of one person or source make a difference look surer than it is.",
    )


def _percent(figure: Estimate) -> str:
    return f"{100 * figure.value:.1f} %"
