"""Show how accurate the answers are: verdict, metrics, confusion matrix, and curves over all thresholds."""

import math
from collections.abc import Mapping, Sequence

from mien.evaluation.answers import no_answer_in_words
from mien.evaluation.scoring import Predictions
from mien.metrics.calibration import Reliability
from mien.metrics.classification import ClassificationMetrics
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import (
    format_estimate,
    format_interval,
    format_percent,
    format_percent_interval,
    format_value,
)
from mien.metrics.registry import OVERALL, PER_CLASS, Metric
from mien.report.document import Block, Note, Section, Table
from mien.report.html import Key
from mien.report.sections.calibration import FEW, calibration_in_words
from mien.text import capitalise, join_words, pluralize
from mien.viz.charts import plain
from mien.viz.curves import precision_recall_curves, roc_curves
from mien.viz.grids import MOST_NUMBERED, confusion_matrix

#: Most mistakes that are listed.
MISTAKES = 8
#: Most mistakes of equal frequency that a sentence names.
MOST_TIED = 3
#: Curves of one chart; of more classes, those that are told from the rest least well.
MOST_CURVES = 12


def verdict(
    scored: Predictions, evaluation: ClassificationMetrics, trust: Reliability | None, name: str,
    against: Sequence[str] = (),
) -> tuple[str, str]:  # fmt: skip
    """Return the verdict on a model: one sentence, and a few that qualify it.

    Args:
        scored: its predictions.
        evaluation: their metrics.
        trust: their calibration; None if there are no probabilities.
        name: the model's.
        against: how it compares with baselines, as sentences. Default: with always the largest class.
    """
    right = evaluation.accuracy
    first = (
        f"{name} is right on {format_percent(right.value)} of {pluralize(evaluation.n, 'image')} "
        f"(95 % interval {format_percent_interval(right)})."
    )
    rest = [*(against or [_against_majority(evaluation)]), _weakest(evaluation)]
    rest += [] if trust is None else [calibration_in_words(scored, trust)]
    return first, " ".join(rest)


def _against_majority(evaluation: ClassificationMetrics) -> str:
    most = max(evaluation.per_class, key=lambda name: evaluation.per_class[name].support)
    frequency = evaluation.per_class[most].support / evaluation.n
    if frequency == 1:
        return f"All images are labelled {most}, so these metrics say little."
    baseline = format_percent(frequency)
    if evaluation.accuracy.low > frequency:
        return f"Always answering {most} would be right on {baseline}."
    return f"That is not significantly better than always answering {most}, which is right on {baseline}."


def _weakest(evaluation: ClassificationMetrics) -> str:
    if evaluation.accuracy.value == 1:
        return (
            f"No mistake was made; the true accuracy may still be as low as {format_percent(evaluation.accuracy.low)}."
        )
    worst = _lowest({name: row.recall for name, row in evaluation.per_class.items() if row.support})
    if worst is None:
        return "No class is shown to be recognised less often than the others."
    recall = evaluation.per_class[worst].recall
    others = [(count, other) for truth, other, count in mistakes(evaluation) if truth == worst]
    rest = "the rest" if len(others) == 1 else "most of the rest"
    found = f"{format_percent(recall.value)} ({format_percent_interval(recall)})"
    return f"It is weakest on {worst}: it finds {found} and takes {rest} for {max(others)[1]}."


def _lowest(found: Mapping[str, Estimate]) -> str | None:
    """Return the name of the lowest estimate; None if its interval reaches that of the highest."""
    known = {name: one for name, one in found.items() if not math.isnan(one.value)}
    if not known:
        return None
    worst, best = (choose(known, key=lambda name: known[name].value) for choose in (min, max))
    return worst if known[worst].high < known[best].low else None


def mistakes(evaluation: ClassificationMetrics) -> list[tuple[str, str, int]]:
    """Return the kinds of mistakes, most frequent first: (label, answer, count)."""
    names, matrix = evaluation.classes, evaluation.confusion
    places = [(row, column) for row in range(len(names)) for column in range(len(names)) if row != column]
    found = [(names[row], names[column], int(matrix[row, column])) for row, column in places]
    return sorted((one for one in found if one[2]), key=lambda one: -one[2])


def headline(evaluation: ClassificationMetrics) -> list[Key]:
    """Return the metrics for the head of a report."""
    return [
        Key(f"{metric.title[0].upper()}{metric.title[1:]}", format_value(found.value), format_interval(found))
        for metric, found in _overall(evaluation)
        if metric.in_headline
    ]


def _overall(evaluation: ClassificationMetrics) -> list[tuple[Metric, Estimate]]:
    return [(metric, evaluation.overall[key]) for key, metric in OVERALL.items() if key in evaluation.overall]


def metrics_section(scored: Predictions, evaluation: ClassificationMetrics) -> Section:
    """Return all metrics with their intervals, and those of each class."""
    rows = tuple(
        (metric.title, format_value(found.value), format_interval(found), metric.meaning)
        for metric, found in _overall(evaluation)
    )
    per_class = tuple(
        (name, f"{row.support:,}", *map(format_estimate, row.metrics.values()))
        for name, row in evaluation.per_class.items()
    )
    known = next(iter(evaluation.per_class.values())).metrics
    columns = ("class", "images", *(PER_CLASS[key].title for key in known))
    parts: list[Block] = [
        Table(("metric", "value", "95 % interval", "what it says"), rows),
        Table(columns, per_class, "Each class against the rest, with 95 % intervals."),
        Note(_intervals_in_words(evaluation)),
        *_left_out(scored),
        *_not_counted(scored),
    ]
    f1 = {name: row.f1 for name, row in evaluation.per_class.items()}
    worst = _lowest(f1)
    few = " With so few images the intervals are wide." if evaluation.n < FEW else ""
    spread = (
        "No class is shown to be harder than another, by F1."
        if worst is None
        else f"Weakest on {worst}, by F1: {format_estimate(f1[worst])}."
    )
    return Section("metrics", "Metrics", spread + few, tuple(parts))


def _intervals_in_words(evaluation: ClassificationMetrics) -> str:
    if evaluation.n_groups < evaluation.n:
        return (
            f"Intervals come from a bootstrap of {evaluation.n_groups:,} groups, because images of one group are not "
            "independent. They are never narrower than those of independent images."
        )
    return "Intervals assume independent images (Wilson's for proportions); several of one person make them too narrow."


def _left_out(scored: Predictions) -> list[Block]:
    if scored.has_probabilities:
        return []
    titles = join_words([metric.title for metric in OVERALL.values() if metric.needs_scores])
    return [Note(f"The answers have no probabilities: {titles}, calibration, abstention and thresholds are left out.")]


def _not_counted(scored: Predictions) -> list[Block]:
    notes: list[Block] = []
    if scored.no_answer:
        notes.append(Note(f"{capitalise(no_answer_in_words(scored))}.", "warning"))
    if scored.no_face:
        without = f"{len(scored.no_face):,} of {len(scored.names) + len(scored.no_face):,} images"
        notes.append(Note(f"No face was found in {without}; they do not count.", "warning"))
    if scored.skipped:
        named = "; ".join(f"{name} {reason}" for name, reason in scored.skipped[:3])
        notes.append(Note(f"{pluralize(len(scored.skipped), 'image')} could not be read: {named}.", "warning"))
    return notes


def confusion_section(evaluation: ClassificationMetrics) -> Section:
    """Return the confusion matrix and the most frequent mistakes."""
    found = mistakes(evaluation)
    total = sum(count for _, _, count in found)
    conclusion = "There is no mistake among these images."
    if found:
        conclusion = _most_frequent(found, total)
    recalls = ", ".join(f"{name} {format_value(row.recall.value)}" for name, row in evaluation.per_class.items())
    numbered = len(evaluation.classes) <= MOST_NUMBERED
    cells = "Cells count images and give" if numbered else "A cell is the darker, the larger"
    cells += " their fraction of the row." if numbered else " its fraction of the row."
    parts: list[Block] = [
        confusion_matrix(
            evaluation.confusion,
            evaluation.classes,
            name="confusion",
            caption=f"Rows are labels, columns are answers. {cells}",
            alt=f"Confusion matrix. Recall of each class: {recalls}. {conclusion}",
        )
    ]
    if found:
        rows = tuple(
            (truth, answer, f"{count:,}", format_percent(count / total)) for truth, answer, count in found[:MISTAKES]
        )
        parts.append(Table(("labelled", "answered", "images", "of all mistakes"), rows, "The most frequent mistakes."))
    return Section("confusion", "Which mistakes", conclusion, tuple(parts))


def _most_frequent(found: list[tuple[str, str, int]], total: int) -> str:
    """Name the most frequent mistake, or those that are equally frequent."""
    most = found[0][2]
    tied = [f"{truth} taken for {answer}" for truth, answer, count in found if count == most]
    of_all = f"{most:,} of {pluralize(total, 'mistake')}"
    if len(tied) == 1:
        return f"The most frequent mistake: {tied[0]}, {of_all}."
    if len(tied) <= MOST_TIED:
        return f"The most frequent mistakes: {join_words(tied)}, each {of_all}."
    return f"{len(tied)} kinds of mistakes are equally frequent, each {of_all}."


def curves_section(scored: Predictions, evaluation: ClassificationMetrics) -> Section:
    """Return ROC and precision-recall curves: of the second class for two, each against the rest for more."""
    two = len(scored.classes) == 2
    ranked = sorted(range(len(scored.classes)), key=lambda code: _area(evaluation, scored.classes[code]))
    codes = [1] if two else sorted(ranked[:MOST_CURVES])
    whose = (
        "of each class against the rest"
        if len(ranked) <= MOST_CURVES
        else (f"of the {MOST_CURVES} classes with the smallest areas, of {len(ranked)}, each against the rest")
    )
    whose = f"of {scored.classes[1]}" if two else whose

    def legend(key: str) -> dict[int, str]:
        rows = {code: evaluation.per_class[scored.classes[code]].metrics[key] for code in codes}
        return {code: f"{plain(scored.classes[code], 16)} {format_value(found.value)}" for code, found in rows.items()}

    areas, precisions = legend("roc_auc"), legend("average_precision")
    # With one curve there is no legend: its value stands in the caption.
    second = evaluation.per_class[scored.classes[-1]].metrics
    area = f"the area under it is {second['roc_auc']}" if two else "with the area under each"
    precision = f"its average is {second['average_precision']}" if two else "with the average of each"
    drawn = (
        roc_curves(
            scored.truth,
            scored.probabilities,
            areas,
            name="roc",
            caption=f"ROC curve {whose}; {area}. Closer to the upper left is better; dots are chance.",
            alt=f"ROC curves {whose}; areas: {', '.join(areas.values())}.",
        ),
        precision_recall_curves(
            scored.truth,
            scored.probabilities,
            precisions,
            name="precision-recall",
            caption=f"Precision against recall {whose}; {precision}. Closer to the upper right is better.",
            alt=f"Precision-recall curves {whose}; average precision: {', '.join(precisions.values())}.",
        ),
    )
    return Section("curves", "At every threshold", _curves_in_words(scored, evaluation.roc_auc), drawn)


def _area(evaluation: ClassificationMetrics, name: str) -> float:
    """Return the area under the ROC curve of a class; one that does not occur has none, and comes last."""
    value = evaluation.per_class[name].metrics["roc_auc"].value
    return math.inf if math.isnan(value) else value


def _curves_in_words(scored: Predictions, area: Estimate) -> str:
    if math.isnan(area.value):
        return "Only one class occurs, so there is nothing to rank."
    pair = ("An image of a class", "one of another class")
    if len(scored.classes) == 2:
        pair = (f"An image labelled {scored.classes[1]}", f"one labelled {scored.classes[0]}")
    return f"{pair[0]} gets a higher score for it than {pair[1]} {format_percent(area.value)} of the time (ROC-AUC)."
