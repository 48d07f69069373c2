"""Draw grids of numbers: confusion matrices, and blocks of a crop."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np

from mien.arrays import Float64, Int64
from mien.viz.charts import ACCENT, FAINT, INK, MUTED, PAPER, Axes, Chart, Words, chart, plain

#: Class names are tilted if they have more letters together than fit level under the columns.
LEVEL_LETTERS = 24
#: With more classes, cells have no numbers, which would be unreadable; with more than the second, no names either. Time
#: and size of a drawing grow with its texts.
MOST_NUMBERED, MOST_NAMED = 20, 60


def confusion_matrix(matrix: Int64, classes: Sequence[str], title: str = "", **words: Unpack[Words]) -> Chart:
    """Draw a confusion matrix with counts and the share of each row; of many classes, with shades alone.

    Args:
        matrix: int (K, K), rows are labels, columns answers.
        classes: K names.
        title: stands above the matrix.
        words: name, caption and alt of the chart.
    """
    names = [plain(name, 16) for name in classes]
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    tilted = sum(map(len, names)) > LEVEL_LETTERS and len(names) > 2
    turn: dict[str, Any] = {"rotation": 35, "ha": "left", "rotation_mode": "anchor"} if tilted else {}
    if len(names) > MOST_NUMBERED:
        turn = {"rotation": 90}

    def draw(axis: Axes) -> None:
        if len(classes) <= MOST_NUMBERED:
            _draw_cells(axis, matrix, shares)
        else:
            _draw_shades(axis, shares)
        named = len(classes) <= MOST_NAMED
        axis.set_xticks(range(len(classes)) if named else [], names if named else [], **turn)
        axis.set_yticks(range(len(classes)) if named else [], names if named else [])
        axis.set_xlim(-0.5, len(classes) - 0.5)
        axis.set_ylim(len(classes) - 0.5, -0.5)
        axis.set_xlabel("answered")
        axis.xaxis.set_label_position("top")
        axis.xaxis.tick_top()
        axis.set_ylabel("labelled")
        axis.set_aspect("equal")
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        if title:
            axis.set_title(plain(title))

    side = min(1.3 + 0.62 * len(classes), 8.0)
    return chart(draw=draw, width=max(3.9, side + 0.4), height=max(3.4, side) + (0.4 if title else 0), **words)


def _draw_cells(axis: Axes, matrix: Int64, shares: Float64) -> None:
    """Draw each cell with its count and its share of the row."""
    for row, column in np.ndindex(*matrix.shape):
        share = float(shares[row, column])
        # Never so strong that the ink on it is hard to read, in light or in dark.
        axis.bar(column, 0.96, 0.96, row - 0.48, color=ACCENT, alpha=0.03 + 0.47 * share, linewidth=0)
        weight = "bold" if row == column else "normal"
        above, below = (column, row - 0.05), (column, row + 0.08)
        axis.text(*above, f"{matrix[row, column]:,}", ha="center", va="bottom", color=INK, weight=weight)
        axis.text(*below, f"{100 * share:.0f} %", ha="center", va="top", color=INK, fontsize=8.5)


def _draw_shades(axis: Axes, shares: Float64) -> None:
    """Draw all cells as one picture, the darker the larger their share of the row."""
    from matplotlib.colors import to_rgb

    shades = np.empty((*shares.shape, 4))
    shades[..., :3], shades[..., 3] = to_rgb(ACCENT), 0.03 + 0.97 * shares
    axis.imshow(shades, interpolation="nearest", aspect="equal")


def block_grids(
    grids: Mapping[str, Mapping[tuple[int, int], float]], size: int, middle: str = "", **words: Unpack[Words]
) -> Chart:
    """Draw grids of blocks side by side, each block shaded by how far its number is above 0.5.

    Args:
        grids: maps the title of each grid to its blocks, (row, column) to a number in [0.5, 1]; others stay empty.
        size: blocks along each side of a grid.
        middle: text in the middle of each grid.
        words: name, caption and alt of the chart.
    """

    def draw(axis: Axes) -> None:
        axis.set_axis_off()
        axis.set_xlim(-0.2, 2 * size + 1.2)
        axis.set_ylim(size + 0.2, -1.2)
        axis.set_aspect("equal")
        for number, (title, blocks) in enumerate(grids.items()):
            left = number * (size + 1)
            axis.text(left, -0.4, plain(title), color=INK, fontsize=9)
            axis.text(left + size / 2, size / 2, middle, color=MUTED, fontsize=9, ha="center", va="center")
            for (row, column), value in blocks.items():
                for colour, alpha in ((FAINT, 1.0), (ACCENT, min(2 * (value - 0.5), 1.0))):
                    axis.bar(left + column, 0.94, 0.94, row, align="edge", color=colour, alpha=alpha, linewidth=0)
                axis.text(
                    left + column + 0.5, row + 0.55, f"{value:.2f}"[1:] if value < 1 else "1",
                    color=PAPER if value > 0.8 else INK, fontsize=7, ha="center", va="center",
                )  # fmt: skip

    return chart(draw=draw, **words)
