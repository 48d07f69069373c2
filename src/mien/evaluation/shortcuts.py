"""Marks at the border of pictures, such as watermarks, that go with a class: what each block alone tells of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from mien.arrays import Float64, Int64, UInt8
from mien.metrics.estimates import Estimate
from mien.metrics.intervals import auc_interval
from mien.metrics.ranking import roc_auc

#: The crop is seen in a grid of so many by so many blocks, of which those at the border are looked at.
GRID = 8
#: A block tells a class where the area under its ROC curve is at least this, even at the lower end of its interval.
#: Of happy and sad in FER2013 no block does, though smiles lighten the chin (0.66); a white square on nearly half of a
#: corner's block does (0.86) (lab log).
TELLS = 0.7
#: A class needs this many pictures, and the others together as many.
FEWEST = 20

Of = Literal["label", "answer"]
WHOSE: dict[Of, str] = {"label": "are labelled", "answer": "the model answers"}


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
        amount, whose = "more" if self.more else "less", WHOSE[self.of]
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
