"""Draw what happened over time: learning curves of a run, and the trials of a search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Unpack

from mien.viz.charts import ACCENT, CATEGORIES, FAINT, INK, MUTED, Axes, Chart, Words, chart, line_style


@dataclass(frozen=True)
class LearningCurve:
    """One metric per epoch, on training and on validation images."""

    metric: str
    training: Sequence[float]
    validation: Sequence[float]


def learning_curves(epochs: Sequence[int], curves: Sequence[LearningCurve], kept: int, **words: Unpack[Words]) -> Chart:
    """Draw a panel for each metric, side by side.

    Args:
        epochs: their numbers.
        curves: one value per epoch in each.
        kept: index into `epochs` of the one whose weights were kept.
        words: name, caption and alt of the chart.
    """
    marker = "o" if len(epochs) < 30 else None

    def panel(curve: LearningCurve) -> Callable[[Axes], None]:
        def draw(axis: Axes) -> None:
            axis.axvline(epochs[kept], color=FAINT, linewidth=6, zorder=0, label=f"kept: epoch {epochs[kept]}")
            axis.plot(epochs, curve.training, marker=marker, markersize=3, label="training", **line_style(0))
            axis.plot(epochs, curve.validation, marker=marker, markersize=3, label="validation", **line_style(1))
            axis.set_xlabel("epoch")
            axis.set_ylabel(curve.metric)
            axis.grid(axis="y")
            axis.locator_params(axis="x", integer=True)
            if curve.metric == "loss":
                axis.set_ylim(bottom=0)
            axis.legend(fontsize=8.5)

        return draw

    return chart(draw=[panel(curve) for curve in curves], width=4.5, height=3.2, columns=len(curves), **words)


def trial_history(
    finished: Mapping[int, float], stopped: Sequence[int], default: float | None, ylabel: str, **words: Unpack[Words]
) -> Chart:
    """Draw the metric of every trial of a search, and the best so far.

    Args:
        finished: maps the number of each finished trial to its metric, in the order of the trials.
        stopped: numbers of the trials that were stopped early.
        default: metric of the default settings, if it is known.
        ylabel: which metric it is.
        words: name, caption and alt of the chart.
    """
    numbers, values = list(finished), list(finished.values())

    def draw(axis: Axes) -> None:
        axis.plot(numbers, values, "o", color=MUTED, label="trials")
        if stopped:
            axis.plot(stopped, [min(values)] * len(stopped), "x", color=CATEGORIES[1], label="stopped early")
        axis.step(numbers, list(accumulate(values, max)), where="post", color=ACCENT, label="best so far")
        if default is not None:
            axis.axhline(default, color=INK, linestyle=":", linewidth=1, label="defaults")
        axis.set_xlabel("trial")
        axis.set_ylabel(ylabel)
        axis.grid(axis="y", color=FAINT)
        axis.locator_params(axis="x", integer=True)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=4)

    return chart(draw=draw, **words)
