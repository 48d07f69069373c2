"""Marks at the border of pictures, such as watermarks, that go with a class: what each block alone tells of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from mien.arrays import Float64, Int64, UInt8
from mien.metrics.classification import Estimate, roc_auc
from mien.metrics.intervals import auc_interval
from mien.report.document import Table
from mien.viz.charts import ACCENT, FAINT, INK, MUTED, PAPER, Chart, chart

#: The crop is seen in a grid of so many by so many blocks, of which those at the border are looked at.
GRID = 8
#: A block tells a class where the area under its ROC curve is at least this, even at the lower end of its interval.
#: Of happy and sad in FER2013 no block does, though smiles lighten the chin (0.66); a white square on nearly half of a
#: corner's block does (0.86) (lab log).
TELLS = 0.7
#: A class needs this many pictures, and the others together as many.
FEWEST = 20

Of = Literal["label", "answer"]
_WHOSE: dict[Of, str] = {"label": "are labelled", "answer": "the model answers"}


@dataclass(frozen=True)
class Shortcut:
    """How well one number of one block, alone, tells one class from the others.

    `row` and `column` are the block's, from 0 at the upper left of a GRID x GRID grid; `number` is what was measured
    of it; `of` says whether it tells the class that pictures are labelled, or the one that the model answers. `area`
    is that under the ROC curve, at least 0.5: `more` says whether the class has more of the number. Its interval
    is as wide as all blocks, numbers and classes together need to hold at 95 %.
    """

    row: int
    column: int
    number: str
    of: Of
    label: str
    more: bool
    area: Estimate

    @property
    def tells(self) -> bool:
        """Whether the block tells the class far better than chance."""
        return self.area.low >= TELLS

    @property
    def place(self) -> str:
        """Where the block is, in words."""
        vertical = {0: "upper", GRID - 1: "lower"}.get(self.row, "")
        horizontal = {0: "left", GRID - 1: "right"}.get(self.column, "")
        if vertical and horizontal:
            return f"{vertical} {horizontal} corner"
        return f"{vertical or horizontal} border, block {(self.column if vertical else self.row) + 1} of {GRID}"

    def warning(self) -> str:
        """Say what the block tells, and what to do about it."""
        amount, whose = "more" if self.more else "less", _WHOSE[self.of]
        advice = (
            "A network may learn a watermark, frame or background there in place of the face: look at such pictures, "
            "and measure on pictures without it."
            if self.of == "label"
            else "The model may answer by what is there in place of the face: see where it looks (mien explain)."
        )
        return (
            f"Pictures that {whose} {self.label} have {amount} {self.number} in the {self.place} than others: that "
            f"alone tells them, with an area under the ROC curve of {self.area}, 0.5 being chance. {advice}"
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {
            "row": self.row,
            "column": self.column,
            "place": self.place,
            "number": self.number,
            "of": self.of,
            "class": self.label,
            "more": self.more,
            "area": self.area.to_dict(),
            "tells": self.tells,
        }


def find_shortcuts(crops: UInt8, classes: tuple[str, ...], codes: Int64, of: Of) -> list[Shortcut]:
    """Say how well each block at the border tells a class: the best number and class of each block, best block first.

    Args:
        crops: uint8 (N, S, S, C), [0, 255], what the network saw; S is at least GRID, the least input of a bundle.
        classes: K names.
        codes: int64 (N,), the class of each crop, as an index into `classes`.
        of: whether these are labels or answers.

    Returns:
        One hint for each block at the border, or nothing where no class has FEWEST pictures in it and out of it.
    """
    counts = np.bincount(codes, minlength=len(classes))
    known = [code for code in range(len(classes)) if FEWEST <= counts[code] <= len(codes) - FEWEST]
    if len(known) == 2 and len(classes) == 2:
        known = known[1:]  # what tells one of two tells the other
    blocks = [place for place in np.ndindex(GRID, GRID) if {0, GRID - 1} & set(place)]
    tries = len(blocks) * (crops.shape[3] + 1) * max(len(known), 1)
    z = NormalDist().inv_cdf(1 - 0.025 / tries)
    found = []
    for row, column in blocks:
        best: tuple[float, Shortcut] | None = None
        for number, values in _numbers(crops, row, column):
            for code in known:
                area = roc_auc(codes == code, values)
                low, high = auc_interval(max(area, 1 - area), int(counts[code]), len(codes) - int(counts[code]), z)
                figure = Estimate(max(area, 1 - area), low, high)
                if best is None or low > best[0]:
                    best = low, Shortcut(row, column, number, of, classes[code], area >= 0.5, figure)
        if best:
            found.append(best)
    return [hint for _, hint in sorted(found, key=lambda pair: -pair[0])]


def _numbers(crops: UInt8, row: int, column: int) -> Iterator[tuple[str, Float64]]:
    """What is measured of one block of every crop: (name, float64 (N,))."""
    edges = np.linspace(0, crops.shape[1], GRID + 1).round().astype(int)
    block = crops[:, edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
    names = ("brightness",) if crops.shape[3] == 1 else ("red", "green", "blue")
    for channel, name in enumerate(names):
        yield name, block[..., channel].mean(axis=(1, 2), dtype=np.float64)
    yield "contrast", np.ptp(block, axis=(1, 2)).max(axis=1).astype(np.float64)


def hints_table(found: Sequence[Shortcut]) -> Table:
    """Return hints as a table of the report."""
    rows = [
        (
            f"pictures that {_WHOSE[hint.of]} {hint.label}",
            hint.place,
            f"{'more' if hint.more else 'less'} {hint.number}",
            str(hint.area),
            "yes" if hint.tells else "no",
        )
        for hint in found
    ]
    return Table(
        ("Told from the others", "Block", "By", "Area under the ROC curve", "Far better than chance"),
        tuple(rows),
        f"How well a single block at the border, of {GRID} by {GRID}, tells a class; 0.5 is chance. A corner that "
        "tells one is most likely a watermark.",
    )


def hints_chart(found: Sequence[Shortcut]) -> Chart:
    """Draw how well each block tells the labels and the answers: the grid of each, with the areas under the curve."""
    kinds = sorted({hint.of for hint in found}, reverse=True)
    best = max(found, key=lambda hint: hint.area.low)

    def draw(axes: Any) -> None:
        axes.set_axis_off()
        axes.set_xlim(-0.2, 2 * GRID + 1.2)
        axes.set_ylim(GRID + 0.2, -1.2)
        axes.set_aspect("equal")
        for number, kind in enumerate(kinds):
            left = number * (GRID + 1)
            axes.text(left, -0.4, f"pictures that {_WHOSE[kind]} a class", color=INK, fontsize=9)
            axes.text(left + GRID / 2, GRID / 2, "face", color=MUTED, fontsize=9, ha="center", va="center")
            for hint in (hint for hint in found if hint.of == kind):
                place = (left + hint.column, hint.row)
                for colour, alpha in ((FAINT, 1.0), (ACCENT, min(2 * (hint.area.value - 0.5), 1.0))):
                    axes.bar(place[0], 0.94, 0.94, place[1], align="edge", color=colour, alpha=alpha, linewidth=0)
                dark = hint.area.value > 0.8
                axes.text(place[0] + 0.5, place[1] + 0.55, f"{hint.area.value:.2f}"[1:] if hint.area.value < 1 else "1",
                          color=PAPER if dark else INK, fontsize=7, ha="center", va="center")  # fmt: skip

    return chart(
        "border",
        draw,
        caption=f"How well each block at the border, alone, tells a class: area under the ROC curve, .50 is chance. "
        f"The strongest is the {best.place}, for {best.label}.",
        alt=f"A grid of {GRID} by {GRID} blocks; the {best.place} has the largest area, {best.area}.",
        height=3.6,
    )
