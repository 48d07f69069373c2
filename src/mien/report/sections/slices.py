"""Show accuracy by image properties, and border marks that predict a class."""

from collections.abc import Sequence

from mien.evaluation.shortcuts import GRID, MIN_IMAGES, TARGETS, Shortcut
from mien.evaluation.slices import Slices
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_p_value, format_percent, format_percent_interval
from mien.report.document import Block, Note, Section, Table
from mien.text import join_words
from mien.viz.charts import Chart
from mien.viz.grids import block_grids
from mien.viz.intervals import IntervalRow, interval_chart


def slices_section(found: Slices) -> Section:
    """Show accuracy by slice as chart and table, and shortcuts; strong shortcuts come first, as warnings."""
    strong = _strong(found)
    parts: list[Block] = [Note(shortcut.warning(), "warning") for shortcut in strong]
    if strong:
        parts.append(shortcuts_chart((*found.label_shortcuts, *found.answer_shortcuts)))
    if found.slices:
        parts += [_chart(found), _table(found)]
    if found.label_shortcuts or found.answer_shortcuts:
        parts.append(shortcuts_table((*found.label_shortcuts[:3], *found.answer_shortcuts[:3])))
    return Section("slices", "Accuracy by image properties", _conclusion(found), tuple(parts))


def _strong(found: Slices) -> list[Shortcut]:
    """Return the best shortcuts to labels and to answers, if they are strong."""
    best = (*found.label_shortcuts[:1], *found.answer_shortcuts[:1])
    return [shortcut for shortcut in best if shortcut.is_strong]


def _conclusion(found: Slices) -> str:
    said = [
        f"The {shortcut.place} alone predicts {_target(shortcut)} (ROC-AUC {shortcut.auc}): look there for a "
        "mark before you trust any metric."
        for shortcut in _strong(found)[:1]
    ]
    gaps = [one for one in found.slices if one.significant]
    if gaps:
        most = max(gaps, key=lambda one: one.gap)
        others = [one.attribute.name.lower() for one in gaps if one is not most]
        also = f" (and with {join_words(others)})" if others else ""
        said.append(
            f"Accuracy differs significantly with {most.attribute.name.lower()}{also}: "
            f"{_percent(most.worst.accuracy)} if it is {most.worst.label}, "
            f"{_percent(most.best.accuracy)} if it is {most.best.label}."
        )
    elif found.slices:
        names = ", ".join(one.attribute.name.lower() for one in found.slices)
        said.append(f"No gap in accuracy is significant (by {names}).")
    return " ".join(said) or "Too few images to compare any."


def _percent(accuracy: Estimate) -> str:
    return f"{format_percent(accuracy.value)} ({format_percent_interval(accuracy)})"


def _target(shortcut: Shortcut) -> str:
    if shortcut.target == "label":
        return f"the label {shortcut.label}"
    return f"which images the model answers {shortcut.label}"


def _chart(found: Slices) -> Chart:
    rows: list[IntervalRow | str] = []
    for one in found.slices:
        rows.append(f"{one.attribute.name}{' *' if one.significant else ''}")
        for each in one.bins:
            few = each.n < MIN_IMAGES
            rows.append(IntervalRow(f"{each.label}  (n {each.n})", each.accuracy, muted=few, hollow=few))
    lows = [each.accuracy.low for one in found.slices for each in one.bins]
    return interval_chart(
        rows,
        "accuracy, %",
        reference=found.accuracy.value,
        limits=(max(min(lows) - 0.03, -0.01), 1.01),
        percent=True,
        name="slices",
        caption="Accuracy by image properties, with 95 % intervals; dashed: all images. A star marks properties whose "
        f"bins differ significantly; hollow: bins of fewer than {MIN_IMAGES} images.",
        alt=_conclusion(found),
    )


def _table(found: Slices) -> Table:
    rows = [
        (
            f"{one.attribute.name}: {one.attribute.meaning}",
            f"{one.worst.label} (n {one.worst.n}): {_percent(one.worst.accuracy)}",
            f"{one.best.label} (n {one.best.n}): {_percent(one.best.accuracy)}",
            f"{100 * one.gap:.1f}",
            format_p_value(one.p_value),
            "significant" if one.significant else "not significant",
        )
        for one in found.slices
    ]
    return Table(
        ("property", "lowest accuracy", "highest accuracy", "gap, points", "p, corrected", "difference between bins"),
        tuple(rows),
        f"Bins of at least {MIN_IMAGES} images. p: permutation test, mistakes permuted within each class, corrected "
        f"for {len(found.slices)} properties (Holm). It assumes independent images: many of one person or source make "
        "a difference look surer than it is.",
    )


def shortcuts_table(found: Sequence[Shortcut]) -> Table:
    """Return shortcuts as a table of a report."""
    rows = [
        (
            f"images that {TARGETS[shortcut.target]} {shortcut.label}",
            shortcut.place,
            f"{'more' if shortcut.higher else 'less'} {shortcut.feature}",
            str(shortcut.auc),
            "yes" if shortcut.is_strong else "no",
        )
        for shortcut in found
    ]
    return Table(
        ("predicted", "block", "by", "ROC-AUC", "far better than chance"),
        tuple(rows),
        f"How well a single block at the border, of {GRID} by {GRID}, predicts a class; 0.5 is chance. A corner that "
        "predicts one is most likely a watermark.",
    )


def shortcuts_chart(found: Sequence[Shortcut]) -> Chart:
    """Draw the ROC-AUC of each block at the border, for labels and for answers."""
    targets = sorted({shortcut.target for shortcut in found}, reverse=True)
    best = max(found, key=lambda shortcut: shortcut.auc.low)
    grids = {
        f"images that {TARGETS[target]} a class": {
            (shortcut.row, shortcut.column): shortcut.auc.value for shortcut in found if shortcut.target == target
        }
        for target in targets
    }
    return block_grids(
        grids,
        GRID,
        middle="image",
        name="border",
        caption="How well each block at the border, alone, predicts a class: ROC-AUC, .50 is chance. The strongest is "
        f"the {best.place}, for {best.label}.",
        alt=f"A grid of {GRID} by {GRID} blocks; the {best.place} has the highest ROC-AUC, {best.auc}.",
    )
