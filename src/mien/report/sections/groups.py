"""Figures in given groups as a section of a report."""

from mien.evaluation.groups import FEWEST, WIDEST, Gap, Grouping, GroupMetrics, GroupResult
from mien.metrics.estimates import Estimate
from mien.report.document import Block as SectionPart
from mien.report.document import Note, Section, Table
from mien.text import listed
from mien.viz.charts import Chart
from mien.viz.intervals import IntervalRow, interval_chart

COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_precision": "precision, macro",
    "macro_f1": "F1, macro",
    "roc_auc": "ROC-AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
}


def groups_section(found: GroupMetrics) -> Section:
    """Say how good the answers are in every group, and where the gaps are."""
    parts: list[SectionPart] = []
    for number, grouping in enumerate(found.groupings, 1):
        parts += _grouping_parts(grouping, number)
    parts += [Note(text) for text in found.notes]
    return Section("groups", "As good for everyone?", _conclusion(found), tuple(parts))


def _conclusion(found: GroupMetrics) -> str:
    said = [_said(one) for one in found.groupings]
    sure = [text for text, is_sure in said if is_sure]
    if sure:
        return " ".join(sure)
    judged = [one for one in found.groupings if one.gaps]
    if not judged:
        return "No two groups are large enough to say anything of a gap between them."
    widest = max(one.gaps[0].difference.high for one in judged)
    return (
        f"No gap in accuracy between groups is more than luck; the largest may still be {100 * widest:.0f} points "
        f"(by {listed([one.name for one in judged])})."
    )


def _said(grouping: Grouping) -> tuple[str, bool]:
    """What the gap in accuracy, or else the largest one, comes to in words, and whether it is more than luck."""
    gaps = [*grouping.gaps[:1], *([grouping.odds] if grouping.odds else [])]
    gap = next((one for one in gaps if one.significant), None)
    if gap is None:
        return "", False
    what = {"accuracy": "accuracy"}.get(gap.figure, f"the rate of '{gap.figure}'")
    return (
        f"By {grouping.name}, {what} is {_points(gap)} higher for {gap.best} than for {gap.worst}: more than luck.",
        True,
    )


def _points(gap: Gap) -> str:
    low, high = 100 * gap.difference.low, 100 * gap.difference.high
    return f"{100 * gap.difference.value:.1f} points [{low:.1f}, {high:.1f}]"


def _grouping_parts(grouping: Grouping, number: int) -> list[SectionPart]:
    rows = tuple((part.name, f"{part.evaluation.n:,}", *_figures(part)) for part in grouping.parts)
    columns = (grouping.name, "pictures", *COLUMNS.values(), "ECE")
    said = f"By {grouping.name}; 95 % intervals in brackets. With fewer pictures ECE, the calibration error, is higher."
    parts: list[SectionPart] = [
        _chart(grouping, number),
        Table(columns, rows, said),
        _rates(grouping),
    ]
    if grouping.gaps:
        parts.append(_gaps(grouping))
    small = [f"{part.name} ({part.too_small})" for part in grouping.parts if part.too_small]
    if small:
        parts.append(
            Note(
                f"Too small to say: {listed(small)}. Fewer than {FEWEST} pictures, or an interval wider than "
                f"{100 * WIDEST:.0f} points, tell of no gap; these groups are left out of the largest ones.",
                "warning",
            )
        )
    if grouping.without:
        parts.append(Note(f"{grouping.without:,} pictures have no {grouping.name} and are in none of its groups."))
    return parts


def _figures(part: GroupResult) -> tuple[str, ...]:
    return (*(_short(getattr(part.evaluation, name)) for name in COLUMNS), _short(part.ece))


def _rates(grouping: Grouping) -> Table:
    """Of each class how much is found, and how often it is answered wrongly, in every group."""
    labels = list(grouping.parts[0].false_positives)
    rows = tuple(
        (
            part.name,
            *(_short(part.evaluation.per_class[label].recall) for label in labels),
            *(_short(part.false_positives[label]) for label in labels),
        )
        for part in grouping.parts
    )
    columns = (*(f"{label}: found" for label in labels), *(f"{label}: false alarms" for label in labels))
    return Table((grouping.name, *columns), rows, "True and false positive rates of each class against the rest.")


def _gaps(grouping: Grouping) -> Table:
    named = [(COLUMNS.get(gap.figure, gap.figure), gap) for gap in grouping.gaps]
    if grouping.odds:
        named.append((f"equalised odds ({grouping.odds.figure})", grouping.odds))
    rows = tuple(
        (name, gap.best, gap.worst, _points(gap), "more than luck" if gap.significant else "may be luck")
        for name, gap in named
    )
    return Table(
        ("largest gap", "higher", "lower", "difference", ""), rows,
        "Intervals allow for these two groups being the furthest apart of all.",
    )  # fmt: skip


def _short(figure: Estimate) -> str:
    return "–" if figure.value != figure.value else f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def _chart(grouping: Grouping, number: int) -> Chart:
    said = ", ".join(f"{part.name} {part.evaluation.accuracy}" for part in grouping.parts)
    rows = [
        IntervalRow(f"{part.name} ({part.evaluation.n:,})", part.evaluation.accuracy, muted=part.too_small is not None)
        for part in grouping.parts
    ]
    return interval_chart(
        rows, "accuracy", width=5.6, name=f"groups-{number}",
        caption=f"Accuracy by {grouping.name}, with 95 % intervals; grey groups are too small to say.",
        alt=f"Accuracy by {grouping.name}: {said}.",
    )  # fmt: skip
