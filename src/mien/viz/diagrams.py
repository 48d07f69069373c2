"""What is drawn on the axes of a chart or a plot: confusion, curves, reliability, history."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from mien.arrays import Float64, Int64
from mien.metrics.calibration import Reliability
from mien.metrics.classification import precision_recall_curve, roc_curve, wilson
from mien.viz.charts import ACCENT, CATEGORIES, FAINT, INK, MUTED, STYLES, Axes, plain

#: Shorter names stand level under their column.
SHORT_NAMES = 24
#: With more curves the list of their names would be larger than the plot.
MOST_NAMED = 15


def style(number: int) -> dict[str, Any]:
    """Return how the line of this number looks: told apart by its colour and, beyond the third, by its dashes too."""
    return {"color": CATEGORIES[number % len(CATEGORIES)], "linestyle": STYLES[number // 3 % len(STYLES)]}


def confusion(axis: Axes, matrix: Int64, classes: Sequence[str]) -> None:
    """Draw a confusion matrix (K, K), rows truth, columns answer: counts, and shares of each row."""
    names = [plain(name, 16) for name in classes]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    for row in range(len(classes)):
        for column in range(len(classes)):
            share = float(shares[row, column])
            # Never so strong that the ink on it is hard to read, in light or in dark.
            axis.bar(column, 0.96, 0.96, row - 0.48, color=ACCENT, alpha=0.03 + 0.47 * share, linewidth=0)
            weight = "bold" if row == column else "normal"
            above, below = (column, row - 0.05), (column, row + 0.08)
            axis.text(*above, f"{matrix[row, column]:,}", ha="center", va="bottom", color=INK, weight=weight)
            axis.text(*below, f"{100 * share:.0f} %", ha="center", va="top", color=INK, fontsize=8.5)
    tilted = sum(map(len, names)) > SHORT_NAMES and len(names) > 2
    turn: dict[str, Any] = {"rotation": 35, "ha": "left", "rotation_mode": "anchor"} if tilted else {}
    axis.set_xticks(range(len(classes)), names, **turn)
    axis.set_yticks(range(len(classes)), names)
    axis.set_xlim(-0.5, len(classes) - 0.5)
    axis.set_ylim(len(classes) - 0.5, -0.5)
    axis.set_xlabel("answered")
    axis.xaxis.set_label_position("top")
    axis.xaxis.tick_top()
    axis.set_ylabel("labelled")
    axis.set_aspect("equal")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def roc(axis: Axes, truth: Int64, probabilities: Float64, named: Mapping[int, str]) -> None:
    """Draw a ROC curve for each of the classes `named`, by number, against the rest; one that has no rest has none."""
    for number, (code, name) in enumerate(named.items()):
        if 0 < (positive := truth == code).sum() < len(truth):
            false_rate, true_rate, _ = roc_curve(positive, probabilities[:, code])
            axis.plot(false_rate, true_rate, label=name, **style(number))
    axis.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
    _unit_square(axis, "false positive rate", "true positive rate (recall)")
    _legend(axis, "lower right")


def precision_recall(axis: Axes, truth: Int64, probabilities: Float64, named: Mapping[int, str]) -> None:
    """Draw a precision-recall curve for each of the classes `named`, by number; one that never occurs has none."""
    for number, (code, name) in enumerate(named.items()):
        if 0 < (positive := truth == code).sum() < len(truth):
            precision, recall, _ = precision_recall_curve(positive, probabilities[:, code])
            axis.step(recall, precision, where="post", label=name, **style(number))
    _unit_square(axis, "recall", "precision")
    _legend(axis, "lower left")


def reliability(axis: Axes, diagram: Reliability, name: str = "") -> None:
    """Draw accuracy against confidence by bins, each with Wilson's 95 % interval; the diagonal is perfect."""
    hits = diagram.accuracy * diagram.counts
    limits = np.array([wilson(hit, count) for hit, count in zip(hits, diagram.counts, strict=True)])
    reach = np.abs(limits.T - diagram.accuracy)
    low = float(max(0.0, min(diagram.confidence.min(), limits.min()) - 0.02))
    axis.plot([low, 1], [low, 1], color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
    look: dict[str, Any] = {"color": ACCENT, "marker": "o", "markersize": 4, "linewidth": 1.2, "elinewidth": 0.9}
    axis.errorbar(diagram.confidence, diagram.accuracy, yerr=reach, label=name or None, **look)
    axis.set_xlabel("confidence")
    axis.set_ylabel("share that is right")
    axis.set_aspect("equal")
    axis.grid(True)


def risk_coverage(axis: Axes, curves: Mapping[str, tuple[Float64, Float64]]) -> None:
    """Draw the share of wrong answers among the most confident ones that are kept, one curve for each name."""
    for number, (name, (coverage, risk)) in enumerate(curves.items()):
        settled = np.arange(len(risk)) >= min(20, len(risk) // 20)  # the first few answers are noise
        axis.plot(coverage[settled], risk[settled], label=plain(name, 50) or None, **style(number))
        axis.plot(coverage[-1:], risk[-1:], marker="o", markersize=4, color=style(number)["color"])
    axis.set_xlim(0, 1.02)
    axis.set_ylim(bottom=0, top=max(0.02, axis.get_ylim()[1]))
    axis.set_xlabel("coverage: share answered, the most confident first")
    axis.set_ylabel("risk: share of these that is wrong")
    axis.grid(axis="y")


def history(
    axis: Axes, epochs: Sequence[int], training: Sequence[float], validation: Sequence[float], best: int
) -> None:
    """Draw one figure per epoch, of training and of validation, and mark the epoch that is kept, `epochs[best]`."""
    marker = "o" if len(epochs) < 30 else None
    axis.axvline(epochs[best], color=FAINT, linewidth=6, zorder=0, label=f"kept: epoch {epochs[best]}")
    axis.plot(epochs, training, marker=marker, markersize=3, label="training", **style(0))
    axis.plot(epochs, validation, marker=marker, markersize=3, label="validation", **style(1))
    axis.set_xlabel("epoch")
    axis.grid(axis="y")
    axis.locator_params(axis="x", integer=True)


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
