"""Compare reports: the function behind `mien.compare` and `mien compare`, its tables and its page."""

from collections.abc import Sequence
from pathlib import Path

from mien.arguments import path_argument
from mien.evaluation.comparison import Comparison, compare_predictions
from mien.evaluation.predictions import SavedPredictions, read_predictions, saved_predictions
from mien.io.atomic import new_folder, write_text
from mien.io.targets import to_json, write_output
from mien.metrics.formatting import format_interval, format_p_value, format_points, format_value
from mien.report.document import Note, Section, Table
from mien.report.html import Key, page
from mien.report.report import Evaluation, require_report
from mien.text import join_words
from mien.viz.charts import Chart
from mien.viz.intervals import IntervalRow, interval_chart

#: Decimals of the p-values in the table of tests.
P_DIGITS = 4

#: How `compare.json` begins.
JSON_BEGINS = r'\{"images":\d+,"reports":\['

#: What can be compared: a folder of a report or a run, or an evaluation that is still in memory.
Report = str | Path | Evaluation


def compare(
    first: Report, second: Report, *others: Report, out: str | Path | None = None, json_target: str | None = None
) -> Comparison:
    """Compare evaluations on the same images and test whether they differ significantly from the first.

    Images are paired by their file names. If the evaluations are on different images, those in common are used.

    Args:
        first: a folder that `mien evaluate --out` has written, a run folder, or what `mien.evaluate` returned.
        second: the evaluation to compare with the first.
        *others: further evaluations to compare with the first.
        out: a new folder for `compare.html`, `compare.json` and the chart. Default: nothing is written.
        json_target: a file for the comparison as JSON, or `-` for standard output. Default: none.

    Returns:
        The comparison. A notebook shows its table.

    Raises:
        ConfigError: if an evaluation is given twice.
        DataError: if a folder is neither a report nor a run, classes or labels differ, or no image is in all.
        MissingExtraError: if `out` is given, and matplotlib or Jinja2 is not installed.
        OutputError: if `out` exists, or something cannot be written.

    Examples:
        >>> import mien
        >>> runs = [mien.evaluate("data", model=name, metrics_only=True) for name in ("mien", "mien-int8")]
        >>> list(mien.compare(*runs).models)
        ['mien', 'mien-int8']
    """
    folder = None if out is None else Path(out)
    require_report(folder, json_target, begins=JSON_BEGINS)
    found = compare_predictions(_read((first, second, *others)))
    if folder is not None:
        with new_folder(folder) as new:
            write_page(found, new)
    if json_target:
        write_output(to_json(found.to_dict()), json_target)
    return found


def _read(reports: Sequence[Report]) -> list[SavedPredictions]:
    found: list[SavedPredictions] = []
    for report in reports:
        if isinstance(report, Evaluation):
            name = str(report.about.get("model", "evaluation"))
            taken = sum(one.model == name for one in found)
            path = Path(f"{name}-{taken + 1}" if taken else name)
            found.append(saved_predictions(report.predictions, path, report.part, name))
        else:
            found.append(read_predictions(path_argument("report", report, "a folder or what mien.evaluate returned")))
    return found


def metrics_table(found: Comparison) -> Table:
    """Return every compared metric with its interval, one column for each report."""
    caption = f"All on the same {found.n:,} images; 95 % intervals in brackets."
    return Table(("metric", *found.evaluations), tuple(found.rows()), caption)


def difference_table(found: Comparison) -> Table:
    """Return the difference of each report from the first in every compared metric, in percentage points."""
    rows = tuple(
        (metric.title, *(format_points(one.metrics[metric.key]) for one in found.differences))
        for metric in found.metrics
    )
    first = found.differences[0].first
    columns = ("difference, points", *(f"{one.second} minus {first}" for one in found.differences))
    return Table(columns, rows, "If an interval contains 0, the difference is not significant.")


def test_table(found: Comparison) -> Table:
    """Return the test of each report against the first."""
    first = found.differences[0].first
    columns = ("report", "only it right", f"only {first} right", "test", "p", "p, corrected", "McNemar's p")
    rows = tuple(
        (
            one.second, f"{one.test.only_second:,}", f"{one.test.only_first:,}", one.test.method,
            *(format_p_value(p, P_DIGITS) for p in (one.test.p_value, one.p_value, one.mcnemar.p_value)),
        )
        for one in found.differences
    )  # fmt: skip
    caption = f"Images that only one of two reports gets right, and the test of equal accuracy, each against {first}."
    return Table(columns, rows, caption)


def write_page(found: Comparison, folder: Path) -> None:
    """Write `compare.html`, `compare.json` and the chart as a PNG into an existing folder.

    Raises MissingExtraError if matplotlib or Jinja2 is not installed, OutputError if the folder cannot be written.
    """
    drawn = _chart(found)
    notes = tuple(Note(text) for text in found.notes)
    sections = [
        Section("metrics", "Side by side", _best(found), (metrics_table(found),)),
        Section(
            "differences", "Differences", found.conclusion(),
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
    write_text(folder / "compare.json", to_json(found.to_dict()))
    drawn.save(folder / f"{drawn.name}.png")


def _best(found: Comparison) -> str:
    accuracies = {name: metrics.accuracy for name, metrics in found.evaluations.items()}
    highest = max(one.value for one in accuracies.values())
    best = [name for name, one in accuracies.items() if one.value == highest]
    tie = " (a tie)" if len(best) > 1 else ""
    return f"Highest accuracy{tie}: {join_words(best)}, {accuracies[best[0]]}. {found.conclusion()}"


def _chart(found: Comparison) -> Chart:
    first = found.differences[0].first
    rows = [IntervalRow(one.second, one.metrics["accuracy"], muted=not one.significant) for one in found.differences]
    said = "; ".join(f"{one.second} {format_points(one.metrics['accuracy'])}" for one in found.differences)
    return interval_chart(
        rows, f"accuracy minus that of {first}, points", reference=0, percent=True, name="accuracy-differences",
        caption=f"Difference in accuracy from {first}, in points, with 95 % intervals; grey ones are not significant.",
        alt=f"Differences in accuracy from {first}, in points: {said}.",
    )  # fmt: skip
