"""Compare reports: the function behind `mien.compare` and `mien compare`, its tables and its page."""

import json
from pathlib import Path

from mien.evaluation.comparison import Comparison, compare_predictions
from mien.evaluation.predictions import SavedPredictions, read_predictions
from mien.io.atomic import new_folder, write_text
from mien.metrics.formatting import format_interval, format_p_value, format_points, format_value
from mien.metrics.registry import compared_metrics
from mien.report.document import Note, Section, Table
from mien.report.html import Key, page
from mien.text import join_words
from mien.viz.charts import Chart
from mien.viz.intervals import IntervalRow, interval_chart

#: Decimals of the p-values in the table of tests.
P_DIGITS = 4

Report = str | Path | SavedPredictions


def compare(first: Report, second: Report, *others: Report, out: str | Path | None = None) -> Comparison:
    """Compare evaluations on the same images and test whether they differ significantly from the first.

    Images are paired by their file names; if the reports are on different images, those in common are used.

    Args:
        first: a folder that `mien evaluate --out` has written, a run folder, or what `read_predictions` returned.
        second: the report to compare with the first.
        *others: further reports to compare with the first.
        out: a new folder for `compare.html`, `compare.json` and the chart; None writes nothing.

    Returns:
        The comparison; `to_dict()` is JSON-serialisable, and notebooks show its table.

    Raises:
        ConfigError: if a report is given twice.
        DataError: if a folder is not a report, classes or labels differ, or no image is in all reports.
        MissingExtraError: if a page is asked for and matplotlib is not installed.
        OutputError: if `out` exists or cannot be written.
    """
    given = (first, second, *others)
    reports = [one if isinstance(one, SavedPredictions) else read_predictions(Path(one)) for one in given]
    found = compare_predictions(reports)
    if out is not None:
        with new_folder(Path(out)) as folder:
            write_page(found, folder)
    return found


def metrics_table(found: Comparison) -> Table:
    """Return every compared metric with its interval, one column for each report."""
    caption = f"All on the same {found.n:,} images; 95 % intervals in brackets."
    return Table(("metric", *found.evaluations), tuple(found.rows()), caption)


def difference_table(found: Comparison) -> Table:
    """Return the difference of each report from the first in every compared metric, in percentage points."""
    rows = tuple(
        (metric.title, *(format_points(one.metrics[metric.key]) for one in found.differences))
        for metric in compared_metrics()
    )
    first = found.differences[0].first
    columns = ("difference, points", *(f"{one.second} minus {first}" for one in found.differences))
    return Table(columns, rows, "If an interval contains 0, the difference is not significant.")


def test_table(found: Comparison) -> Table:
    """Return the test of each report against the first."""
    columns = ("report", "only it right", "only the first right", "test", "p", "p, corrected", "McNemar's p")
    rows = tuple(
        (
            one.second, f"{one.test.only_second:,}", f"{one.test.only_first:,}", one.test.method,
            *(format_p_value(p, P_DIGITS) for p in (one.test.p_value, one.p_value, one.mcnemar.p_value)),
        )
        for one in found.differences
    )  # fmt: skip
    return Table(columns, rows, f"{found.differences[0].first} is the first.")


def write_page(found: Comparison, folder: Path) -> None:
    """Write `compare.html`, `compare.json` and the chart as a PNG into an existing folder.

    Raises MissingExtraError if matplotlib is not installed, OutputError if the folder cannot be written.
    """
    drawn = _chart(found)
    notes = tuple(Note(text) for text in found.notes)
    sections = [
        Section("metrics", "Side by side", _best(found), (metrics_table(found),)),
        Section(
            "differences", "Significant differences", found.conclusion(),
            (drawn, difference_table(found), test_table(found), *notes),
        ),
    ]  # fmt: skip
    keys = [
        Key(name, format_value(metrics.accuracy.value), f"accuracy, {format_interval(metrics.accuracy)}")
        for name, metrics in found.evaluations.items()
    ]
    names = join_words(list(found.evaluations))
    several = len(found.differences) > 1
    deck = " ".join([one.sentence() for one in found.differences] if several else found.notes)
    html = page(f"{names} compared", f"mien compare · {names}", found.conclusion(), deck, keys, sections)
    write_text(folder / "compare.html", html)
    write_text(folder / "compare.json", json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
    drawn.save(folder / f"{drawn.name}.png")


def _best(found: Comparison) -> str:
    best = max(found.evaluations, key=lambda name: found.evaluations[name].accuracy.value)
    return f"Highest accuracy: {best}, {found.evaluations[best].accuracy}."


def _chart(found: Comparison) -> Chart:
    first = found.differences[0].first
    rows = [IntervalRow(one.second, one.metrics["accuracy"], muted=not one.significant) for one in found.differences]
    said = "; ".join(f"{one.second} {format_points(one.metrics['accuracy'])}" for one in found.differences)
    return interval_chart(
        rows, f"accuracy minus that of {first}, points", reference=0, percent=True, name="accuracy-differences",
        caption=f"Difference in accuracy from {first}, in points, with 95 % intervals; grey ones are not significant.",
        alt=f"Differences in accuracy from {first}, in points: {said}.",
    )  # fmt: skip
