"""Show the numbers to beat: the shipped model and always the largest class, on the same images."""

from mien.evaluation.baselines import NEW, Baselines
from mien.metrics.classification import ClassificationMetrics
from mien.metrics.formatting import format_estimate, format_p_value, format_points
from mien.metrics.registry import compared_metrics
from mien.report.document import Block, Note, Section, Table
from mien.text import capitalise, join_words
from mien.viz.charts import Chart
from mien.viz.intervals import IntervalRow, interval_chart


def baselines_section(found: Baselines, metrics: ClassificationMetrics) -> Section:
    """Return the section: accuracies, their differences, and the metrics of the new and the shipped model.

    Args:
        found: the baselines.
        metrics: of the new model.
    """
    parts: list[Block] = [_chart(found, metrics), _accuracies(found, metrics)]
    if found.shipped is not None and found.shipped_by is not None:
        parts.append(_all_metrics(found, metrics))
        read = "the largest face of each image" if found.shipped_by.detects else "whole images"
        parts.append(
            Note(
                f"The shipped model, {found.shipped_by.model}, read {read}. It was trained on FER2013: if these images "
                "are among those, its numbers are optimistic. The uncertainty is that of the images; training again "
                "with another seed adds more."
            )
        )
    return Section("baselines", "The numbers to beat", " ".join(found.sentences()), tuple(parts))


def _accuracies(found: Baselines, metrics: ClassificationMetrics) -> Table:
    rows = [
        (
            capitalise(one.name), format_estimate(one.metrics.accuracy),
            format_points(one.difference.metrics["accuracy"]), format_p_value(one.difference.p_value),
        )
        for one in found.rows()
    ]  # fmt: skip
    own = (capitalise(NEW), format_estimate(metrics.accuracy), "", "")
    methods = join_words(sorted({one.difference.test.method for one in found.rows()}))
    caption = (
        f"On the same {metrics.n:,} images, with 95 % intervals. Difference: the new model minus this one. p: "
        f"{methods}; below 0.05 the difference is significant."
    )
    return Table(("", "accuracy", "difference, points", "p"), (own, *rows), caption)


def _all_metrics(found: Baselines, metrics: ClassificationMetrics) -> Table:
    shipped = found.shipped
    rows = tuple(
        (
            f"{metric.title} (lower is better)" if metric.lower_is_better else metric.title,
            format_estimate(metrics.overall[metric.key]), format_estimate(shipped.metrics.overall[metric.key]),
            format_points(shipped.difference.metrics[metric.key]),
        )
        for metric in compared_metrics()
    ) if shipped else ()  # fmt: skip
    caption = "If the interval of a difference contains 0, the difference is not significant."
    return Table(("metric", "new model", "shipped model", "difference, points"), rows, caption)


def _chart(found: Baselines, metrics: ClassificationMetrics) -> Chart:
    rows = [IntervalRow(capitalise(NEW), metrics.accuracy)]
    rows += [IntervalRow(capitalise(one.name), one.metrics.accuracy, muted=True) for one in found.rows()]
    said = "; ".join(f"{row.name} {row.estimate}" for row in rows)
    return interval_chart(
        rows, "accuracy, %", percent=True, width=4.6, name="baselines",
        caption="Accuracy on the same images, with 95 % intervals. Intervals of two models may overlap although the "
        "paired difference is significant.",
        alt=f"Accuracy: {said}.",
    )  # fmt: skip
