"""The figures of a run and of an evaluation, as PNG files (`pip install 'mien[report]'`)."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.annotate import answer_colours
from mien.errors import MissingExtraError
from mien.metrics import roc_auc, roc_curve, wilson
from mien.output import new_file
from mien.reliability import Reliability
from mien.timeline import Stretch

# Okabe and Ito's palette: told apart with every common kind of colour blindness.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, FAINT = "#222222", "#DDDDDD"


def require_matplotlib() -> None:
    """Raise MissingExtraError where plots cannot be drawn, before long work starts."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("drawing plots", "report") from error


def _figure(columns: int = 1, width: float = 5.2, height: float = 4.4, rows: int = 1) -> tuple[Any, list[Any]]:
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
    for axis in axes:
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        axis.tick_params(colors=INK, labelsize=9)
    return figure, axes


def _save(figure: Any, path: Path) -> None:
    with new_file(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in scripts the font does not have
        figure.savefig(part, format="png")


def _plain(text: str, longest: int = 80) -> str:
    """Shorten, and keep matplotlib from reading formulas, or a leading underscore as "not in the legend"."""
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    escaped = short.replace("$", r"\$")
    return f"\u200b{escaped}" if escaped.startswith("_") else escaped


def curves(
    path: Path,
    epochs: Sequence[int],
    loss: tuple[Sequence[float], Sequence[float]],
    accuracy: tuple[Sequence[float], Sequence[float]],
    best: int,
) -> None:
    """Draw loss and accuracy per epoch, (training, validation) each, and mark the epoch that is kept."""
    figure, axes = _figure(2)
    pairs = ((axes[0], loss, "loss"), (axes[1], accuracy, "accuracy"))
    for axis, (training, validation), name in pairs:
        marker = "o" if len(epochs) < 30 else None
        axis.plot(epochs, training, color=COLOURS[0], marker=marker, markersize=3, label="training")
        axis.plot(epochs, validation, color=COLOURS[1], marker=marker, markersize=3, label="validation")
        axis.axvline(epochs[best], color=FAINT, linewidth=6, zorder=0, label=f"kept: epoch {epochs[best]}")
        axis.set_xlabel("epoch")
        axis.set_title(name, loc="left", color=INK, fontsize=11)
        axis.grid(axis="y", color=FAINT, linewidth=0.6)
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylim(bottom=0)
    axes[1].legend(frameon=False, fontsize=9, loc="lower right")
    _save(figure, path)


def confusion(path: Path, matrix: npt.NDArray[np.int64], classes: Sequence[str], title: str) -> None:
    """Draw a confusion matrix (K, K), rows truth, columns answer: counts, and shares of each row."""
    side = max(4.4, 0.75 * len(classes) + 2.2)
    figure, (axis,) = _figure(1, side + 0.6, side)
    names = [_plain(name, 20) for name in classes]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(classes)):
        for column in range(len(classes)):
            colour = "white" if shares[row, column] > 0.55 else INK
            text = f"{matrix[row, column]}\n{shares[row, column]:.0%}"
            axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks(range(len(classes)), names, rotation=30 if len(classes) > 3 else 0)
    axis.set_yticks(range(len(classes)), names)
    axis.set_xlabel("answer")
    axis.set_ylabel("label")
    axis.set_title(_plain(title), loc="left", color=INK, fontsize=11)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    _save(figure, path)


def roc(
    path: Path, truth: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], classes: Sequence[str],
    title: str,
) -> None:  # fmt: skip
    """Draw ROC curves: of the second class for two, one against the rest for more."""
    figure, (axis,) = _figure()
    chosen = [1] if len(classes) == 2 else range(len(classes))
    for number, code in enumerate(chosen):
        positive = truth == code
        if positive.all() or not positive.any():
            continue
        false_rate, true_rate, _ = roc_curve(positive, probabilities[:, code])
        area = roc_auc(positive, probabilities[:, code])
        label = f"{_plain(classes[code], 20)} (AUC {area:.3f})"
        axis.plot(false_rate, true_rate, color=COLOURS[number % len(COLOURS)], label=label)
    axis.plot([0, 1], [0, 1], color=FAINT, zorder=0)
    axis.set_xlabel("false positive rate")
    axis.set_ylabel("true positive rate")
    axis.set_title(_plain(title), loc="left", color=INK, fontsize=11)
    axis.set_aspect("equal")
    if 0 < len(axis.lines) - 1 <= 15:  # with more, the list would be larger than the plot
        axis.legend(frameon=False, fontsize=9, loc="lower right")
    _save(figure, path)


def reliability(path: Path, diagrams: Mapping[str, Reliability]) -> None:
    """Draw reliability diagrams side by side, up to three in a row: accuracy against confidence, by bins.

    `diagrams` maps the title of each to what `mien.reliability.reliability` gives. The bar of each bin is Wilson's
    95 % interval; the curve of a perfectly calibrated model is the diagonal.
    """
    figure, axes = _figure(min(3, len(diagrams)), 4.2, 4.4, rows=-(-len(diagrams) // 3))
    for axis, (title, diagram) in zip(axes, diagrams.items(), strict=False):
        hits = diagram.accuracy * diagram.counts
        limits = np.array([wilson(hit, count) for hit, count in zip(hits, diagram.counts, strict=True)])
        reach = np.abs(limits.T - diagram.accuracy)
        low = max(0.0, min(diagram.confidence.min(), limits.min()) - 0.02)
        axis.plot([low, 1], [low, 1], color=FAINT, zorder=0)
        style = {"color": COLOURS[0], "marker": "o", "markersize": 3.5, "linewidth": 1, "elinewidth": 0.8}
        axis.errorbar(diagram.confidence, diagram.accuracy, yerr=reach, **style)
        axis.set_xlabel("confidence")
        axis.set_ylabel("accuracy")
        axis.set_aspect("equal")
        axis.set_title(f"{_plain(title, 60)}\nECE {diagram.error}", loc="left", color=INK, fontsize=9)
    for axis in axes[len(diagrams) :]:
        axis.set_visible(False)
    _save(figure, path)


def risk_coverage(
    path: Path, curves: Mapping[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]], title: str
) -> None:
    """Draw risk-coverage curves: the share of wrong answers among the most confident ones that are kept.

    `curves` maps the name of each to what `mien.reliability.risk_coverage` gives.
    """
    figure, (axis,) = _figure(1, 6.4, 5.2)
    for number, (name, (coverage, risk)) in enumerate(curves.items()):
        settled = np.arange(len(risk)) >= min(20, len(risk) - 1)  # the first few answers are noise
        axis.plot(coverage[settled], risk[settled], color=COLOURS[number % len(COLOURS)], label=_plain(name, 50))
    axis.set_xlim(0, 1)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("coverage: share of faces answered, the most confident first")
    axis.set_ylabel("risk: share of these answers that are wrong")
    axis.set_title(_plain(title), loc="left", color=INK, fontsize=11)
    axis.grid(axis="y", color=FAINT, linewidth=0.6)
    axis.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=2)
    _save(figure, path)


def timeline(path: Path, people: Mapping[str, Sequence[Stretch]], answers: Sequence[str], title: str) -> None:
    """Draw what each person answered over time, one lane each; the higher a bar, the more probable its answer.

    `people` maps the name of each to what `mien.timeline.Timeline.stretches` gives; `answers` are all that the
    model may answer.
    """
    figure, (axis,) = _figure(1, 10, 1.7 + 0.5 * max(len(people), 1))
    from matplotlib.patches import Patch

    colours = answer_colours(answers)
    for lane, (name, stretches) in enumerate(reversed(list(people.items()))):
        axis.axhline(lane, color=FAINT, linewidth=0.6, zorder=0)
        for answer in answers:
            chosen = [stretch for stretch in stretches if stretch.answer == answer]
            axis.bar(
                [stretch.start for stretch in chosen], [0.8 * stretch.probability for stretch in chosen],
                [stretch.end - stretch.start for stretch in chosen], lane, align="edge", color=colours[answer],
            )  # fmt: skip
        axis.text(-0.01, lane + 0.4, _plain(name, 20), transform=axis.get_yaxis_transform(), ha="right", va="center")
    marks = [Patch(color=colours[answer], label=_plain(answer, 20)) for answer in answers]
    axis.legend(handles=marks, frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncol=7)
    axis.set_ylim(-0.1, max(len(people), 1))
    axis.set_yticks([])
    axis.set_xlim(left=0)
    axis.set_xlabel("seconds")
    axis.spines["left"].set_visible(False)
    axis.set_title(_plain(title), loc="left", color=INK, fontsize=11)
    _save(figure, path)
