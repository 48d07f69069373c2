"""Show accuracy by image properties, and border marks that predict a class."""

from collections.abc import Sequence

from mien.evaluation.shortcuts import FEWEST, GRID, WHOSE, Shortcut
from mien.evaluation.slices import Slices
from mien.metrics.formatting import format_p_value, format_percent
from mien.report.document import Note, Section, Table
from mien.text import join_words
from mien.viz.charts import Chart
from mien.viz.grids import block_grids
from mien.viz.intervals import IntervalRow, interval_chart


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
        also = f" (and with {join_words(others)})" if others else ""
        said.append(
            f"accuracy differs by more than luck with {most.measure.name.lower()}{also}: "
            f"{format_percent(most.worst.accuracy.value)} where that is {most.worst.words}, "
            f"{format_percent(most.best.accuracy.value)} where it is {most.best.words}"
        )
    elif found.slices:
        said.append("no gap in accuracy by light, sharpness, size or pose is larger than luck explains")
    text = "; ".join(said) or "too few pictures to compare any"
    return f"{text[0].upper()}{text[1:]}."


def _chart(found: Slices) -> Chart:
    rows: list[IntervalRow | str] = []
    for one in found.slices:
        rows.append(f"{one.measure.name}{' *' if one.significant else ''}")
        for each in one.bins:
            few = each.n < FEWEST
            rows.append(IntervalRow(f"{each.words}  (n {each.n})", each.accuracy, muted=few, hollow=few))
    lows = [each.accuracy.low for one in found.slices for each in one.bins if each.n >= FEWEST]
    return interval_chart(
        rows,
        "accuracy, %",
        reference=found.accuracy.value,
        limits=(min(lows) - 0.03, 1.01),
        percent=True,
        name="slices",
        caption="Accuracy by what pictures are like, with 95 % intervals; dashed: all pictures. A star marks measures "
        f"whose bins differ by more than luck explains; hollow: bins of fewer than {FEWEST} pictures.",
        alt=_conclusion(found),
    )


def _table(found: Slices) -> Table:
    rows = [
        (
            f"{one.measure.name}: {one.measure.meaning}",
            f"{one.worst.words} (n {one.worst.n}): {format_percent(one.worst.accuracy.value)}",
            f"{one.best.words} (n {one.best.n}): {format_percent(one.best.accuracy.value)}",
            f"{100 * one.gap:.1f}",
            format_p_value(one.p),
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

    grids = {
        f"pictures that {WHOSE[kind]} a class": {
            (hint.row, hint.column): hint.area.value for hint in found if hint.of == kind
        }
        for kind in kinds
    }
    return block_grids(
        grids,
        GRID,
        middle="face",
        name="border",
        caption=f"How well each block at the border, alone, tells a class: area under the ROC curve, .50 is chance. "
        f"The strongest is the {best.place}, for {best.label}.",
        alt=f"A grid of {GRID} by {GRID} blocks; the {best.place} has the largest area, {best.area}.",
    )
