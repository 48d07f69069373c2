"""How much of a model's accuracy is left when its pictures are turned, blurred, darkened, hidden and so on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Bool, Int64, UInt8
from mien.errors import InputError
from mien.evaluation.perturbations import KINDS, Perturbation
from mien.inference.decision import AnswerField, answers
from mien.inference.reader import Reader
from mien.labels import NEITHER
from mien.metrics.classification import Estimate, share
from mien.metrics.estimates import points
from mien.metrics.significance import change as paired_change
from mien.report.document import Note, Section, Table
from mien.text import listed
from mien.viz.charts import ACCENT, FAINT, MUTED, Chart, chart

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
    steps, done = sum(len(kind.strengths) for kind in KINDS), 0
    found = []
    for kind in KINDS:
        hits = []
        for strength in kind.strengths:
            hits.append(read_crops(reader, kind.apply(taken, strength, seed), classes, by) == labels)
            done += 1
            report(done / steps)
        found.append(_tolerance(kind, before, hits))
    return Robustness(len(taken), len(crops), seed, len(classes), share(before), tuple(found))


def read_crops(reader: Reader, crops: UInt8, classes: Sequence[str], by: AnswerField) -> Int64:
    """Return the answers to crops uint8 (N, S, S, C), judged by that field of a face: int64 (N,) into `classes`."""
    config, rows = reader.config, reader.probabilities(crops)
    if by == "answer":
        chosen = answers(rows, config.labels, reader.threshold, config.answer_from, config.answer_over)
        return np.array([list(classes).index(name) for name in reader.answers])[chosen]
    columns = dict(zip(config.labels, rows.T, strict=True))
    if config.answer_from is not None:
        rest = [column for name, column in columns.items() if name not in config.answer_from]
        columns[NEITHER] = np.sum(rest, axis=0)
    best: Int64 = np.stack([columns[name] for name in classes], axis=1).argmax(axis=1)
    return best


def _tolerance(kind: Perturbation, before: Bool, hits: Sequence[Bool]) -> Tolerance:
    lost = tuple(paired_change(before, after) for after in hits)

    def reached(losses: Sequence[float]) -> float | None:
        return first_reach((kind.neutral, *kind.strengths), (0.0, *losses), FALL)

    return Tolerance(
        kind,
        tuple(share(after) for after in hits),
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


# What a reader of the report sees


def robustness_section(found: Robustness) -> Section:
    """Return the report's section: what to conclude, the curves, and two tables."""
    untested = Note(
        f"What is changed is what the network sees, {found.n:,} of {found.of:,} crops. Whether a face that is turned, "
        "dark or small is still found in its picture is not in these figures."
    )
    parts: list[Chart | Note | Table] = [_curves(found), _limits(found), _losses(found), untested]
    if found.unchanged.value <= 1 / found.classes + NEAR_CHANCE:
        text = f"The model is hardly better than chance on these pictures ({found.unchanged}): changes cannot cost it"
        parts.insert(0, Note(f"{text} much, and these figures do not say that it is robust.", "warning"))
    return Section("robustness", "Robustness", _conclusion(found), tuple(parts))


def _conclusion(found: Robustness) -> str:
    reached = [kind for kind in found.kinds if kind.limit is not None]
    kept = [kind.change.name.lower() for kind in found.kinds if kind.limit is None]
    start = f"Of {found.n} pictures {100 * found.unchanged.value:.1f} % are read rightly as they are"
    if not reached:
        return f"{start}, and no change that was tried costs 5 points."
    said = listed([kind.change.words.format(_number(kind.limit or 0.0)) for kind in reached])
    rest = f"; within the range tried it never does by {listed(kept)}" if kept else ""
    return f"{start}; that falls by 5 points at {said}{rest}."


def _curves(found: Robustness) -> Chart:
    columns, rows = 3, -(-len(found.kinds) // 3)
    lowest = min(figure.low for kind in found.kinds for figure in kind.accuracy)

    def draw(axes: Any) -> None:
        axes.set_axis_off()
        for number, kind in enumerate(found.kinds):
            row, column = divmod(number, columns)
            place = (column / columns + 0.02, 1 - (row + 0.72) / rows, 0.76 / columns, 0.52 / rows)
            panel = axes.inset_axes(place)
            _panel(panel, kind, found.unchanged)
            panel.set_ylim(max(0.0, lowest - 0.03), 1.0)
            panel.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            panel.tick_params(labelsize=8)

    return chart(
        "robustness",
        draw,
        caption="Share of right answers at rising strength, with 95 % intervals. The thin line is the accuracy of the "
        "same pictures unchanged, the dashed one 5 points below it; the circle is where the curve crosses that.",
        alt=_conclusion(found),
        height=1.75 * rows,
    )


def _panel(panel: Any, kind: Tolerance, unchanged: Estimate) -> None:
    places = (kind.change.neutral, *kind.change.strengths)
    figures = (unchanged, *kind.accuracy)
    values = [figure.value for figure in figures]
    panel.axhline(unchanged.value, color=FAINT, linewidth=1)
    panel.axhline(unchanged.value - FALL, color=MUTED, linewidth=0.8, linestyle="--")
    panel.fill_between(
        places, [figure.low for figure in figures], [figure.high for figure in figures], color=ACCENT, alpha=0.18,
        linewidth=0,
    )  # fmt: skip
    panel.plot(places, values, color=ACCENT, marker="o", markersize=3, linewidth=1.4)
    if kind.limit is not None:
        panel.plot([kind.limit], [unchanged.value - FALL], "o", markersize=7, color=MUTED, fillstyle="none")
    if places[-1] < places[0]:
        panel.invert_xaxis()
    panel.set_title(kind.change.name, fontsize=9.5)
    panel.set_xlabel(kind.change.unit, fontsize=8, color=MUTED)


def _limits(found: Robustness) -> Table:
    rows = [
        (
            kind.change.name,
            kind.change.unit,
            f"{kind.change.strengths[0]:g} to {kind.change.strengths[-1]:g}",
            "not within the range" if kind.limit is None else _number(kind.limit),
            _range(kind),
            points(kind.lost[-1]),
        )
        for kind in found.kinds
    ]
    return Table(
        ("Change", "Counted in", "Tried", "5 points lost at", "95 % range of that", "Points at the strongest"),
        tuple(rows),
        "The strength at which accuracy has fallen by 5 points, between the strengths tried by straight lines.",
    )


def _range(kind: Tolerance) -> str:
    if kind.earliest is None:
        return "beyond the range"
    return f"{_number(kind.earliest)} to " + ("beyond the range" if kind.latest is None else _number(kind.latest))


def _losses(found: Robustness) -> Table:
    rows = [
        (
            kind.change.name,
            *(f"{strength:g}: {points(lost)}" for strength, lost in zip(kind.change.strengths, kind.lost, strict=True)),
        )
        for kind in found.kinds
    ]
    return Table(
        ("Change", "weakest", "", "", "", "strongest"),
        tuple(rows),
        f"Points of accuracy, changed less unchanged, on the same {found.n} pictures, with 95 % intervals of the "
        "paired difference (Newcombe 1998); where an interval holds 0, it may be luck. Pictures count as independent "
        "here, so that copies, or many of one person, make all intervals of this section too narrow.",
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
