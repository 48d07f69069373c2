"""Show metrics by group, and the largest gaps between groups."""

from mien.evaluation.groups import FEWEST, WIDEST, Gap, Grouping, GroupMetrics
from mien.metrics.formatting import format_estimate, format_points
from mien.metrics.registry import OVERALL
from mien.report.document import Block, Note, Section, Table
from mien.text import join_words
from mien.viz.charts import Chart
from mien.viz.intervals import IntervalRow, interval_chart

#: Decimals in tables, which have many columns.
DIGITS = 2


def groups_section(found: GroupMetrics) -> Section:
    """Return the section: a chart and tables for each grouping, and what the groups file lacks."""
    parts: list[Block] = []
    for number, grouping in enumerate(found.groupings, 1):
        parts += _blocks(grouping, number)
    parts += [Note(text) for text in found.notes]
    return Section("groups", "Metrics by group", _conclusion(found), tuple(parts))


def _conclusion(found: GroupMetrics) -> str:
    significant = [text for one in found.groupings if (text := _significant_gap(one))]
    if significant:
        return " ".join(significant)
    compared = [one for one in found.groupings if one.gaps]
    if not compared:
        return "No two groups are large enough to compare."
    widest = max(one.gaps[0].difference.high for one in compared)
    names = join_words([one.name for one in compared])
    return (
        f"No gap in accuracy between groups is significant; the largest may still be {100 * widest:.1f} points "
        f"(by {names})."
    )


def _significant_gap(grouping: Grouping) -> str:
    """Describe the gap in accuracy, or else in the equalised odds; empty if neither is significant."""
    gaps = [*grouping.gaps[:1], *([grouping.equalised_odds] if grouping.equalised_odds else [])]
    gap = next((one for one in gaps if one.significant), None)
    if gap is None:
        return ""
    metric = OVERALL[gap.metric].title if gap.metric in OVERALL else f"the rate '{gap.metric}'"
    return (
        f"By {grouping.name}, {metric} is significantly higher for {gap.highest} than for {gap.lowest}, "
        f"by {_points(gap)}."
    )


def _points(gap: Gap) -> str:
    return format_points(gap.difference, signed=False, unit="points")


def _blocks(grouping: Grouping, number: int) -> list[Block]:
    blocks: list[Block] = [_chart(grouping, number), _metrics(grouping), _rates(grouping)]
    if grouping.gaps:
        blocks.append(_gaps(grouping))
    small = [f"{result.name} ({result.too_small})" for result in grouping.results if result.too_small]
    if small:
        text = (
            f"Too small to compare: {join_words(small)}. Groups of fewer than {FEWEST} images, or with an accuracy "
            f"interval wider than {100 * WIDEST:.0f} points, are left out of the largest gaps."
        )
        blocks.append(Note(text, "warning"))
    if grouping.without:
        blocks.append(Note(f"{grouping.without:,} images have no {grouping.name} and are in none of its groups."))
    return blocks


def _metrics(grouping: Grouping) -> Table:
    known = grouping.results[0].metrics.overall
    shown = [metric for key, metric in OVERALL.items() if metric.in_groups and key in known]
    rows = tuple(
        (
            result.name,
            f"{result.metrics.n:,}",
            *(format_estimate(result.metrics.overall[metric.key], DIGITS) for metric in shown),
        )
        for result in grouping.results
    )
    caption = f"By {grouping.name}, with 95 % intervals in brackets."
    caption += " The ECE is biased upwards in small groups." if "ece" in known else ""
    return Table((grouping.name, "images", *(metric.title for metric in shown)), rows, caption)


def _rates(grouping: Grouping) -> Table:
    """Return recall and false positive rate of each class in every group."""
    labels = list(grouping.results[0].false_positive_rates)
    rows = tuple(
        (
            result.name,
            *(format_estimate(result.metrics.per_class[label].recall, DIGITS) for label in labels),
            *(format_estimate(result.false_positive_rates[label], DIGITS) for label in labels),
        )
        for result in grouping.results
    )
    columns = (*(f"{label}: recall" for label in labels), *(f"{label}: false positives" for label in labels))
    return Table((grouping.name, *columns), rows, "True and false positive rates of each class against the rest.")


def _gaps(grouping: Grouping) -> Table:
    named = [(OVERALL[gap.metric].title, gap) for gap in grouping.gaps]
    if grouping.equalised_odds:
        named.append((f"equalised odds ({grouping.equalised_odds.metric})", grouping.equalised_odds))
    rows = tuple(
        (name, gap.highest, gap.lowest, _points(gap), "significant" if gap.significant else "not significant")
        for name, gap in named
    )
    caption = (
        "Intervals allow for these two groups being the furthest apart of all."
        if sum(result.too_small is None for result in grouping.results) > 2
        else "Differences between the two groups, with 95 % intervals."
    )
    return Table(("largest gap", "higher", "lower", "difference", ""), rows, caption)


def _chart(grouping: Grouping, number: int) -> Chart:
    rows = [
        IntervalRow(
            f"{result.name}  (n {result.metrics.n:,})", result.metrics.accuracy, muted=result.too_small is not None
        )
        for result in grouping.results
    ]
    said = ", ".join(f"{result.name} {result.metrics.accuracy}" for result in grouping.results)
    return interval_chart(
        rows, "accuracy, %", percent=True, width=5.6, name=f"groups-{number}",
        caption=f"Accuracy by {grouping.name}, with 95 % intervals; grey groups are too small to compare.",
        alt=f"Accuracy by {grouping.name}: {said}.",
    )  # fmt: skip
