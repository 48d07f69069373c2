"""Show accuracy by image properties, and border marks that predict a class."""

from collections.abc import Sequence
from typing import Any

from mien.evaluation.shortcuts import FEWEST, GRID, WHOSE, Shortcut
from mien.evaluation.slices import Slices
from mien.metrics.estimates import Estimate
from mien.report.document import Note, Section, Table
from mien.text import listed
from mien.viz.charts import ACCENT, FAINT, INK, MUTED, PAPER, Chart, chart


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


def hints_table(found: Sequence[Shortcut]) -> Table:
    """Return hints as a table of the report."""
    rows = [
        (
            f"pictures that {WHOSE[hint.of]} {hint.label}",
            hint.place,
            f"{'more' if hint.more else 'less'} {hint.number}",
            str(hint.area),
            "yes" if hint.tells else "no",
        )
        for hint in found
    ]
    return Table(
        ("Told from the others", "Block", "By", "Area under the ROC curve", "Far better than chance"),
        tuple(rows),
        f"How well a single block at the border, of {GRID} by {GRID}, tells a class; 0.5 is chance. A corner that "
        "tells one is most likely a watermark.",
    )


def hints_chart(found: Sequence[Shortcut]) -> Chart:
    """Draw how well each block tells the labels and the answers: the grid of each, with the areas under the curve."""
    kinds = sorted({hint.of for hint in found}, reverse=True)
    best = max(found, key=lambda hint: hint.area.low)

    def draw(axes: Any) -> None:
        axes.set_axis_off()
        axes.set_xlim(-0.2, 2 * GRID + 1.2)
        axes.set_ylim(GRID + 0.2, -1.2)
        axes.set_aspect("equal")
        for number, kind in enumerate(kinds):
            left = number * (GRID + 1)
            axes.text(left, -0.4, f"pictures that {WHOSE[kind]} a class", color=INK, fontsize=9)
            axes.text(left + GRID / 2, GRID / 2, "face", color=MUTED, fontsize=9, ha="center", va="center")
            for hint in (hint for hint in found if hint.of == kind):
                place = (left + hint.column, hint.row)
                for colour, alpha in ((FAINT, 1.0), (ACCENT, min(2 * (hint.area.value - 0.5), 1.0))):
                    axes.bar(place[0], 0.94, 0.94, place[1], align="edge", color=colour, alpha=alpha, linewidth=0)
                dark = hint.area.value > 0.8
                axes.text(place[0] + 0.5, place[1] + 0.55, f"{hint.area.value:.2f}"[1:] if hint.area.value < 1 else "1",
                          color=PAPER if dark else INK, fontsize=7, ha="center", va="center")  # fmt: skip

    return chart(
        "border",
        draw,
        caption=f"How well each block at the border, alone, tells a class: area under the ROC curve, .50 is chance. "
        f"The strongest is the {best.place}, for {best.label}.",
        alt=f"A grid of {GRID} by {GRID} blocks; the {best.place} has the largest area, {best.area}.",
        height=3.6,
    )
