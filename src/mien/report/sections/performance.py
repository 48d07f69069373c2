"""What a report says first: the verdict, all figures, which mistakes are made, and the curves over all thresholds."""

import math

from mien.evaluation.scoring import Predictions
from mien.metrics.calibration import Reliability
from mien.metrics.estimates import ClassificationMetrics, ClassMetrics, Estimate, interval_words
from mien.report.document import Block, Note, Section, Table
from mien.report.html import Key
from mien.report.sections.calibration import FEW, calibration_in_words
from mien.text import counted, percent
from mien.viz.charts import plain
from mien.viz.curves import precision_recall_curves, roc_curves
from mien.viz.grids import confusion_matrix

#: The name of each figure, and what it says in words, in the order in which they stand.
MEANINGS = {
    "accuracy": ("accuracy", "share of answers that are right"),
    "balanced_accuracy": ("balanced accuracy", "the same with every class counting alike"),
    "macro_precision": ("precision, macro", "how often an answer is right, mean over the classes"),
    "macro_recall": ("recall, macro", "how much of a class is found, mean over the classes"),
    "macro_f1": ("F1, macro", "harmonic mean of the two, mean over the classes"),
    "roc_auc": ("ROC-AUC", "how often a picture of a class outscores another; 0.5 is chance"),
    "average_precision": ("average precision", "mean precision over all recalls"),
    "brier": ("Brier score", "squared error of the probabilities; 0 is best"),
    "ece": ("ECE", "how far confidence is from accuracy, on average; 0 is best"),
}
PER_CLASS = {
    "precision": "precision", "recall": "recall", "f1": "F1", "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
}  # fmt: skip
#: So many of the most frequent mistakes are listed.
MISTAKES = 8


def verdict(scored: Predictions, evaluation: ClassificationMetrics, trust: Reliability, name: str) -> tuple[str, str]:
    """Say in one sentence, and in a few that follow, what the figures come to."""
    right = evaluation.accuracy
    first = (
        f"{name} is right on {percent(right.value)} of {counted(evaluation.n, 'picture')} "
        f"(95 % interval {100 * right.low:.1f} – {percent(right.high)})."
    )
    rest = [_beside_guessing(evaluation), _weakest(evaluation), calibration_in_words(scored, trust)]
    return first, " ".join(rest)


def _beside_guessing(evaluation: ClassificationMetrics) -> str:
    most = max(evaluation.per_class, key=lambda name: evaluation.per_class[name].support)
    share = evaluation.per_class[most].support / evaluation.n
    if share == 1:
        return f"All pictures are labelled {most}, so that these figures say little."
    if evaluation.accuracy.low > share:
        return f"Always answering {most} would be right on {percent(share)}."
    return f"That is not shown to be better than always answering {most}, which is right on {percent(share)}."


def _weakest(evaluation: ClassificationMetrics) -> str:
    if evaluation.accuracy.value == 1:
        return f"No mistake was made; the true accuracy may still be as low as {percent(evaluation.accuracy.low)}."
    recalls = {name: row.recall.value for name, row in evaluation.per_class.items() if row.support}
    worst = min(recalls, key=recalls.__getitem__)
    others = [(count, other) for truth, other, count in mistakes(evaluation) if truth == worst]
    most = "the rest is" if len(others) == 1 else "most of the rest is"
    return f"It is weakest on {worst}, of which it finds {percent(recalls[worst])}; {most} taken for {max(others)[1]}."


def mistakes(evaluation: ClassificationMetrics) -> list[tuple[str, str, int]]:
    """Return what was taken for what and how often, most frequent first: (label, answer, count)."""
    names, matrix = evaluation.classes, evaluation.confusion
    places = [(row, column) for row in range(len(names)) for column in range(len(names)) if row != column]
    found = [(names[row], names[column], int(matrix[row, column])) for row, column in places]
    return sorted((one for one in found if one[2]), key=lambda one: -one[2])


def keys(evaluation: ClassificationMetrics, trust: Reliability) -> list[Key]:
    """Return the figures for the head of a report."""
    shown = {"Accuracy": evaluation.accuracy, "Balanced accuracy": evaluation.balanced_accuracy}
    shown |= {"Macro F1": evaluation.macro_f1, "ROC-AUC": evaluation.roc_auc}
    shown |= {"Brier score": evaluation.brier, "ECE (calibration)": trust.error}
    return [Key(name, _value(figure), interval_words(figure)) for name, figure in shown.items()]


def figures_section(scored: Predictions, evaluation: ClassificationMetrics, trust: Reliability) -> Section:
    """All figures with their intervals, and those of each class."""
    found = {name: trust.error if name == "ece" else getattr(evaluation, name) for name in MEANINGS}
    rows = tuple(
        (MEANINGS[name][0], _value(one), interval_words(one), MEANINGS[name][1]) for name, one in found.items()
    )
    per_class = tuple(
        (name, f"{row.support:,}", *(_short(getattr(row, field)) for field in PER_CLASS))
        for name, row in evaluation.per_class.items()
    )
    parts: list[Block] = [
        Table(("figure", "value", "95 % interval", "what it says"), rows),
        Table(
            ("class", "pictures", *PER_CLASS.values()), per_class, "Each class against the rest, with 95 % intervals."
        ),
        Note(_intervals_in_words(evaluation)),
        *_what_does_not_count(scored),
    ]
    f1 = {name: 0.0 if math.isnan(row.f1.value) else row.f1.value for name, row in evaluation.per_class.items()}
    best, worst = max(f1, key=f1.__getitem__), min(f1, key=f1.__getitem__)
    few = " So few pictures leave the intervals wide." if evaluation.n < FEW else ""
    spread = (
        f"Best at {best} and weakest at {worst}, by F1." if f1[best] > f1[worst] else "Alike in all classes, by F1."
    )
    return Section("figures", "Figures", spread + few, tuple(parts))


def _intervals_in_words(evaluation: ClassificationMetrics) -> str:
    if evaluation.n_groups < evaluation.n:
        return (
            f"Intervals: bootstrap of {evaluation.n_groups:,} groups, since pictures of one group are not independent; "
            "never narrower than those of independent pictures."
        )
    return "Intervals take pictures as independent (Wilson's for shares); several of one person make them too narrow."


def _what_does_not_count(scored: Predictions) -> list[Block]:
    notes: list[Block] = []
    if scored.no_face:
        share = f"{len(scored.no_face):,} of {len(scored.names) + len(scored.no_face):,} pictures"
        notes.append(Note(f"In {share} no face was found; they do not count.", "warning"))
    if scored.skipped:
        named = "; ".join(f"{name} {reason}" for name, reason in scored.skipped[:3])
        notes.append(Note(f"{counted(len(scored.skipped), 'picture')} could not be read: {named}.", "warning"))
    return notes


def confusion_section(evaluation: ClassificationMetrics) -> Section:
    """The confusion matrix, and which mistakes are the most frequent."""
    found = mistakes(evaluation)
    total = sum(count for _, _, count in found)
    conclusion = "There is no mistake among these pictures."
    if found:
        truth, answer, most = found[0]
        conclusion = f"The most frequent mistake: {truth} taken for {answer}, {most:,} of {counted(total, 'mistake')}."
    recalls = ", ".join(f"{name} {_value(row.recall)}" for name, row in evaluation.per_class.items())
    parts: list[Block] = [
        confusion_matrix(
            evaluation.confusion,
            evaluation.classes,
            name="confusion",
            caption="Rows are labels, columns answers: pictures, and their share of the row. The diagonal is right.",
            alt=f"Confusion matrix. Share of each class that is answered rightly: {recalls}. {conclusion}",
        )
    ]
    if found:
        rows = tuple((truth, answer, f"{count:,}", percent(count / total)) for truth, answer, count in found[:MISTAKES])
        parts.append(
            Table(("labelled", "answered", "pictures", "of all mistakes"), rows, "The most frequent mistakes.")
        )
    return Section("confusion", "Which mistakes", conclusion, tuple(parts))


def curves_section(scored: Predictions, evaluation: ClassificationMetrics) -> Section:
    """ROC and precision-recall curves: of the second class for two, one against the rest for more."""
    two = len(scored.classes) == 2
    codes = [1] if two else list(range(len(scored.classes)))
    whose = f"of {scored.classes[1]}" if two else "of each class against the rest"

    def named(figure: str) -> dict[int, str]:
        rows = {code: evaluation.per_class[scored.classes[code]] for code in codes}
        return {code: f"{plain(scored.classes[code], 16)} {_value(_of(row, figure))}" for code, row in rows.items()}

    areas, precisions = named("roc_auc"), named("average_precision")
    drawn = (
        roc_curves(
            scored.truth,
            scored.probabilities,
            areas,
            name="roc",
            caption=f"ROC curve {whose}, and the area under it. Nearer to the upper left is better; dots are chance.",
            alt=f"ROC curves {whose}; areas: {', '.join(areas.values())}.",
        ),
        precision_recall_curves(
            scored.truth,
            scored.probabilities,
            precisions,
            name="precision-recall",
            caption=f"Precision against recall {whose}, and its average. Nearer to the upper right is better.",
            alt=f"Precision-recall curves {whose}; average precision: {', '.join(precisions.values())}.",
        ),
    )
    return Section("curves", "At every threshold", _curves_in_words(scored, evaluation.roc_auc), drawn)


def _curves_in_words(scored: Predictions, area: Estimate) -> str:
    if math.isnan(area.value):
        return "Only one class occurs, so there is nothing to tell apart."
    pair = ("A picture of a class", "one of another class")
    if len(scored.classes) == 2:
        pair = (f"A picture labelled {scored.classes[1]}", f"one labelled {scored.classes[0]}")
    return f"{pair[0]} gets a higher score for it than {pair[1]} {percent(area.value)} of the time (ROC-AUC)."


def _of(row: ClassMetrics, figure: str) -> Estimate:
    found: Estimate = getattr(row, figure)
    return found


def _value(figure: Estimate) -> str:
    return "undefined" if math.isnan(figure.value) else f"{figure.value:.3f}"


def _short(figure: Estimate) -> str:
    return _value(figure) if math.isnan(figure.value) else f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
