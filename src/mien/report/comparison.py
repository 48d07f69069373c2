"""A comparison of evaluations as tables, a chart and a page."""

import json
from pathlib import Path

from mien.evaluation.comparison import Comparison
from mien.io.atomic import write_text
from mien.metrics.estimates import interval_words, points
from mien.report.document import Note, Section, Table
from mien.report.html import Key, page
from mien.text import listed
from mien.viz.charts import Chart
from mien.viz.intervals import IntervalRow, interval_chart

#: The figures that are set side by side, and their names.
SHOWN = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "F1, macro",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "brier": "Brier score (less is better)",
}


def side_by_side(found: Comparison) -> Table:
    """Return every figure of every report with its interval, one column for each report."""
    rows = tuple(
        (words, *(str(getattr(evaluation, name)) for evaluation in found.evaluations.values()))
        for name, words in SHOWN.items()
    )
    return Table(
        ("figure", *found.evaluations), rows, f"All on the same {found.n:,} pictures; 95 % intervals in brackets."
    )


def difference_table(found: Comparison) -> Table:
    """Return how much higher every figure of each report is than the first's, in points."""
    rows = tuple((words, *(points(one.figures[name]) for one in found.differences)) for name, words in SHOWN.items())
    first = found.differences[0].first
    return Table(
        ("points more", *(f"{one.second} than {first}" for one in found.differences)), rows,
        "A difference whose interval holds 0 is not shown to be one.",
    )  # fmt: skip


def luck_table(found: Comparison) -> Table:
    """Return the tests of each report against the first."""
    columns = ("against", "only it right", "only the first right", "test", "p", "p, corrected", "McNemar's p")
    rows = tuple(
        (
            one.second, f"{one.test.only_second:,}", f"{one.test.only_first:,}", one.test.test,
            _p(one.test.p), _p(one.p), _p(one.mcnemar.p),
        )
        for one in found.differences
    )  # fmt: skip
    return Table(columns, rows, f"{found.differences[0].first} is the first.")


def verdict(found: Comparison) -> str:
    """Say in one sentence what the comparison comes to."""
    if len(found.differences) == 1:
        return found.differences[0].sentence()
    first = found.differences[0].first
    sure = [one for one in found.differences if one.significant]
    better = [one.second for one in sure if one.figures["accuracy"].value > 0]
    worse = [one.second for one in sure if one.figures["accuracy"].value < 0]
    rest = [one.second for one in found.differences if not one.significant]
    said = [
        f"{listed(names)} {'is' if len(names) == 1 else 'are'} {words} {first}"
        for names, words in (
            (better, "better, by more than luck, than"),
            (worse, "worse, by more than luck, than"),
            (rest, "not shown to differ from"),
        )
        if names
    ]
    return f"{'; '.join(said)}."


def write_page(found: Comparison, folder: Path) -> None:
    """Write `compare.html`, `compare.json` and the chart as a PNG into an existing folder.

    Raises MissingExtraError where matplotlib is not installed, OutputError where the folder cannot be written.
    """
    drawn = _forest(found)
    notes = tuple(Note(text) for text in found.notes)
    sections = [
        Section("figures", "Side by side", _best(found), (side_by_side(found),)),
        Section(
            "differences", "More than luck?", verdict(found),
            (drawn, difference_table(found), luck_table(found), *notes),
        ),
    ]  # fmt: skip
    keys = [
        Key(name, f"{e.accuracy.value:.3f}", f"accuracy, {interval_words(e.accuracy)}")
        for name, e in found.evaluations.items()
    ]
    names = listed(list(found.evaluations))
    several = len(found.differences) > 1
    deck = " ".join([one.sentence() for one in found.differences] if several else found.notes)
    html = page(f"{names} compared", f"mien compare · {names}", verdict(found), deck, keys, sections)
    write_text(folder / "compare.html", html)
    write_text(folder / "compare.json", json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
    drawn.save(folder / f"{drawn.name}.png")


def _best(found: Comparison) -> str:
    best = max(found.evaluations, key=lambda name: found.evaluations[name].accuracy.value)
    return f"Most often right here: {best}, {found.evaluations[best].accuracy}."


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def _forest(found: Comparison) -> Chart:
    said = "; ".join(f"{one.second} {points(one.figures['accuracy'])}" for one in found.differences)
    first = found.differences[0].first
    rows = [IntervalRow(one.second, one.figures["accuracy"], muted=not one.significant) for one in found.differences]
    return interval_chart(
        rows, f"points of accuracy more than {first}", reference=0, percent=True, name="accuracy-differences",
        caption=f"Points of accuracy more than {first}, with 95 % intervals. An interval across 0 may be luck.",
        alt=f"Differences in accuracy from {first}, in points: {said}.",
    )  # fmt: skip
