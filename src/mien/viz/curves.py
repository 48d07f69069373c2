"""Draw curves: ROC, precision-recall, reliability, risk-coverage, cost by threshold, probability by share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np

from mien.arrays import Float64, Int64
from mien.metrics.calibration import Reliability
from mien.metrics.intervals import wilson_interval
from mien.metrics.ranking import precision_recall_curve, roc_curve
from mien.viz.charts import ACCENT, CATEGORIES, MUTED, STYLES, Axes, Chart, Words, chart, line_style, plain

#: With more curves a legend would be larger than the chart.
MOST_NAMED = 15
_DOTTED: Any = (0, (2, 3))


def roc_curves(truth: Int64, probabilities: Float64, names: Mapping[int, str], **words: Unpack[Words]) -> Chart:
    """Draw the ROC curve of each class in `names` against the rest; a class without a rest has no curve.

    Args:
        truth: int (N,), the class of each sample.
        probabilities: float (N, K), in [0, 1].
        names: maps the number of each class to its text in the legend.
        words: name, caption and alt of the chart.
    """

    def draw(axis: Axes) -> None:
        for number, (code, name) in enumerate(names.items()):
            if 0 < (positive := truth == code).sum() < len(truth):
                false_rate, true_rate, _ = roc_curve(positive, probabilities[:, code])
                axis.plot(false_rate, true_rate, label=name, **line_style(number))
        axis.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=_DOTTED, zorder=0)
        _unit_square(axis, "false positive rate", "true positive rate (recall)")
        _legend(axis, "lower right")

    return chart(draw=draw, width=4.5, height=4.3, **words)


def precision_recall_curves(
    truth: Int64, probabilities: Float64, names: Mapping[int, str], **words: Unpack[Words]
) -> Chart:
    """Draw the precision-recall curve of each class in `names`; a class that never occurs has no curve.

    The arguments are those of `roc_curves`.
    """

    def draw(axis: Axes) -> None:
        for number, (code, name) in enumerate(names.items()):
            if 0 < (positive := truth == code).sum() < len(truth):
                precision, recall, _ = precision_recall_curve(positive, probabilities[:, code])
                axis.step(recall, precision, where="post", label=name, **line_style(number))
        _unit_square(axis, "recall", "precision")
        _legend(axis, "lower left")

    return chart(draw=draw, width=4.5, height=4.3, **words)


def reliability_diagram(diagram: Reliability, **words: Unpack[Words]) -> Chart:
    """Draw accuracy against confidence by bins, each with Wilson's 95 % interval; the diagonal is perfect."""
    return chart(draw=lambda axis: _reliability(axis, diagram), width=4.5, height=4.2, **words)


def reliability_diagrams(diagrams: Mapping[str, Reliability], **words: Unpack[Words]) -> Chart:
    """Draw reliability diagrams under their titles, up to three in a row."""

    def panel(title: str, diagram: Reliability) -> Callable[[Axes], None]:
        def draw(axis: Axes) -> None:
            _reliability(axis, diagram)
            axis.set_title(f"{plain(title, 60)}\nECE {diagram.error}", fontsize=9)

        return draw

    return chart(draw=[panel(*one) for one in diagrams.items()], width=4.2, height=4.4, columns=3, **words)


def risk_coverage_curves(
    curves: Mapping[str, tuple[Float64, Float64]], title: str = "", **words: Unpack[Words]
) -> Chart:
    """Draw the error rate of the most confident answers, a curve for each name.

    Args:
        curves: maps each name to coverage and risk, as `mien.metrics.calibration.risk_coverage` returns them.
        title: stands above the chart.
        words: name, caption and alt of the chart.
    """

    def draw(axis: Axes) -> None:
        for number, (name, (coverage, risk)) in enumerate(curves.items()):
            settled = np.arange(len(risk)) >= min(20, len(risk) // 20)  # the first few answers are noise
            axis.plot(coverage[settled], risk[settled], label=plain(name, 50) or None, **line_style(number))
            axis.plot(coverage[-1:], risk[-1:], marker="o", markersize=4, color=line_style(number)["color"])
        axis.set_xlim(0, 1.02)
        axis.set_ylim(bottom=0, top=max(0.02, axis.get_ylim()[1]))
        axis.set_xlabel("coverage: share answered, the most confident first")
        axis.set_ylabel("risk: error rate of these")
        axis.grid(axis="y")
        if title:
            axis.set_title(plain(title))
        if len(curves) > 1:
            axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=2)

    width, height = (4.5, 3.2) if len(curves) == 1 else (6.4, 5.2)
    return chart(draw=draw, width=width, height=height, **words)


@dataclass(frozen=True)
class Mark:
    """A point on a curve, with its text in the legend."""

    x: float
    y: float
    text: str


def cost_curve(
    thresholds: Float64, costs: Float64, marks: tuple[Mark, Mark], xlabel: str, ylabel: str, **words: Unpack[Words]
) -> Chart:
    """Draw the cost of each threshold, and mark two of them.

    Args:
        thresholds: float (M,), in [0, 1].
        costs: float (M,), of each threshold.
        marks: the threshold in use and the cheapest.
        xlabel: what the thresholds are of.
        ylabel: what the costs are counted in.
        words: name, caption and alt of the chart.
    """

    def draw(axis: Axes) -> None:
        axis.plot(thresholds, costs, color=ACCENT)
        for mark, colour in zip(marks, (MUTED, CATEGORIES[1]), strict=True):
            axis.axvline(mark.x, color=colour, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
            axis.plot([mark.x], [mark.y], "o", color=colour, markersize=5, label=mark.text)
        axis.set_xlim(0, 1)
        axis.set_ylim(bottom=0)
        axis.set_xlabel(plain(xlabel))
        axis.set_ylabel(ylabel)
        axis.grid(axis="y")
        axis.legend(fontsize=8.5)

    return chart(draw=draw, width=6.6, height=2.7, **words)


def probability_curves(
    share: Float64, curves: Mapping[str, Sequence[float] | Float64], xlabel: str, ylabel: str, **words: Unpack[Words]
) -> Chart:
    """Draw probabilities against a share, both in [0, 1]; the last of the curves stands out.

    Args:
        share: float (M,), the places of all curves.
        curves: maps the name of each curve to its M values; baselines first.
        xlabel: what the share is of.
        ylabel: what the probability is of.
        words: name, caption and alt of the chart.
    """
    *others, last = curves.items()
    colours = (MUTED, CATEGORIES[4], CATEGORIES[1])

    def draw(axis: Axes) -> None:
        for number, (name, values) in enumerate(others):
            style = STYLES[1 + number % (len(STYLES) - 1)]
            axis.plot(share, values, style, color=colours[number % len(colours)], label=plain(name))
        axis.plot(share, last[1], color=ACCENT, linewidth=2.6, label=plain(last[0]))
        axis.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, 1), ylim=(0, 1))
        axis.grid(axis="y")
        axis.legend()

    return chart(draw=draw, **words)


def _reliability(axis: Axes, diagram: Reliability) -> None:
    hits = diagram.accuracy * diagram.counts
    limits = np.array([wilson_interval(hit, count) for hit, count in zip(hits, diagram.counts, strict=True)])
    reach = np.abs(limits.T - diagram.accuracy)
    low = float(max(0.0, min(diagram.confidence.min(), limits.min()) - 0.02))
    axis.plot([low, 1], [low, 1], color=MUTED, linewidth=0.8, linestyle=_DOTTED, zorder=0)
    look: dict[str, Any] = {"color": ACCENT, "marker": "o", "markersize": 4, "linewidth": 1.2, "elinewidth": 0.9}
    axis.errorbar(diagram.confidence, diagram.accuracy, yerr=reach, **look)
    axis.set_xlabel("confidence")
    axis.set_ylabel("accuracy")
    axis.set_aspect("equal")
    axis.grid(True)


def _unit_square(axis: Axes, x: str, y: str) -> None:
    axis.set_xlim(-0.01, 1.01)
    axis.set_ylim(-0.01, 1.01)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.set_aspect("equal")
    axis.grid(True)


def _legend(axis: Axes, place: Literal["lower left", "lower right"]) -> None:
    named = [line for line in axis.lines if not str(line.get_label()).startswith("_")]
    if 1 < len(named) <= MOST_NAMED:
        axis.legend(fontsize=8, loc=place, handlelength=2.2, labelspacing=0.3)
