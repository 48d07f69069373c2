"""The figures of a run and of an evaluation, as PNG files (`pip install 'mien[report]'`)."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mien.arrays import Float64, Int64
from mien.io.atomic import new_file
from mien.metrics.calibration import Reliability
from mien.viz import diagrams
from mien.viz.annotate import answer_colours
from mien.viz.charts import FAINT, SETTINGS, Axes, plain, require_matplotlib
from mien.viz.timeline import Stretch


@contextmanager
def _drawn(
    path: Path, columns: int = 1, width: float = 5.2, height: float = 4.4, rows: int = 1
) -> Iterator[list[Axes]]:
    """Give empty axes, each `width` x `height` inches, and write what was drawn on them as a PNG file."""
    require_matplotlib()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(SETTINGS), new_file(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in scripts the font does not have
        figure = Figure(figsize=(width * columns, height * rows), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        yield [figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
        figure.savefig(part, format="png")


def curves(
    path: Path,
    epochs: Sequence[int],
    loss: tuple[Sequence[float], Sequence[float]],
    accuracy: tuple[Sequence[float], Sequence[float]],
    best: int,
) -> None:
    """Draw loss and accuracy per epoch, (training, validation) each, and mark the epoch that is kept."""
    with _drawn(path, 2) as axes:
        for axis, figures, name in zip(axes, (loss, accuracy), ("loss", "accuracy"), strict=True):
            diagrams.history(axis, epochs, *figures, best)
            axis.set_title(name)
        axes[0].set_ylim(bottom=0)
        axes[1].legend(fontsize=9, loc="lower right")


def confusion(path: Path, matrix: Int64, classes: Sequence[str], title: str) -> None:
    """Draw a confusion matrix (K, K), rows truth, columns answer: counts, and shares of each row."""
    side = max(4.4, 0.75 * len(classes) + 2.2)
    with _drawn(path, 1, side + 0.6, side) as (axis,):
        diagrams.confusion(axis, matrix, classes)
        axis.set_title(plain(title))


def reliability(path: Path, found: Mapping[str, Reliability]) -> None:
    """Draw reliability diagrams side by side, up to three in a row; `found` maps the title of each to its figures."""
    with _drawn(path, min(3, len(found)), 4.2, 4.4, rows=-(-len(found) // 3)) as axes:
        for axis, (title, diagram) in zip(axes, found.items(), strict=False):
            diagrams.reliability(axis, diagram)
            axis.set_title(f"{plain(title, 60)}\nECE {diagram.error}", fontsize=9)
        for axis in axes[len(found) :]:
            axis.set_visible(False)


def risk_coverage(path: Path, curves: Mapping[str, tuple[Float64, Float64]], title: str) -> None:
    """Draw risk-coverage curves; `curves` maps the name of each to what `mien.metrics.calibration.risk_coverage`
    gives."""
    with _drawn(path, 1, 6.4, 5.2) as (axis,):
        diagrams.risk_coverage(axis, curves)
        axis.set_title(plain(title))
        axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncol=2)


def timeline(path: Path, people: Mapping[str, Sequence[Stretch]], answers: Sequence[str], title: str) -> None:
    """Draw what each person answered over time, one lane each; the higher a bar, the more probable its answer.

    `people` maps the name of each to what `mien.viz.timeline.Timeline.stretches` gives; `answers` are all that the
    model may answer.
    """
    from matplotlib.patches import Patch

    colours = answer_colours(answers)
    with _drawn(path, 1, 10, 1.7 + 0.5 * max(len(people), 1)) as (axis,):
        for lane, (name, stretches) in enumerate(reversed(list(people.items()))):
            axis.axhline(lane, color=FAINT, linewidth=0.6, zorder=0)
            for answer in answers:
                chosen = [stretch for stretch in stretches if stretch.answer == answer]
                axis.bar(
                    [stretch.start for stretch in chosen], [0.8 * stretch.probability for stretch in chosen],
                    [stretch.end - stretch.start for stretch in chosen], lane, align="edge", color=colours[answer],
                )  # fmt: skip
            axis.text(-0.01, lane + 0.4, plain(name, 20), transform=axis.get_yaxis_transform(), ha="right", va="center")
        marks = [Patch(color=colours[answer], label=plain(answer, 20)) for answer in answers]
        axis.legend(handles=marks, frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncol=7)
        axis.set_ylim(-0.1, max(len(people), 1))
        axis.set_yticks([])
        axis.set_xlim(left=0)
        axis.set_xlabel("seconds")
        axis.spines["left"].set_visible(False)
        axis.set_title(plain(title), loc="left")
