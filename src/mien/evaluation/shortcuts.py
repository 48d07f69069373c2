"""Detect shortcuts: border marks, such as watermarks, that predict the class."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from mien.arrays import Float64, Int64, UInt8
from mien.metrics.estimates import Estimate
from mien.metrics.intervals import auc_interval
from mien.metrics.ranking import roc_auc

#: A crop is divided into GRID by GRID blocks; those at the border are examined.
GRID = 8
#: A block is a shortcut if the lower end of its ROC-AUC interval is at least this. Of happy and sad in FER2013 no block
#: is, though smiles lighten the chin (0.66). A white square on nearly half of a corner's block is (0.86); see the lab
#: log.
MIN_AUC = 0.7
#: A class needs this many images, and the other classes together as many.
MIN_IMAGES = 20

Target = Literal["label", "answer"]
#: What a block predicts, as a phrase.
TARGETS: dict[Target, str] = {"label": "are labelled", "answer": "the model answers"}


@dataclass(frozen=True)
class Shortcut:
    """How well one feature of one block, alone, predicts a class.

    Args:
        row: row of the block, from 0 at the top of the grid.
        column: column of the block, from 0 at the left.
        feature: what was measured of it: brightness, red, green, blue or contrast.
        target: whether it predicts the label of an image, or the answer of the model.
        label: the class.
        higher: whether images of the class have higher values than others.
        auc: area under the ROC curve, at least 0.5; its 95 % interval is simultaneous over all blocks, features and
            classes (Bonferroni).
    """

    row: int
    column: int
    feature: str
    target: Target
    label: str
    higher: bool
    auc: Estimate

    @property
    def is_strong(self) -> bool:
        """Whether the block predicts the class far better than chance."""
        return self.auc.low >= MIN_AUC

    @property
    def place(self) -> str:
        """Where the block is, in words."""
        vertical = {0: "upper", GRID - 1: "lower"}.get(self.row, "")
        horizontal = {0: "left", GRID - 1: "right"}.get(self.column, "")
        if vertical and horizontal:
            return f"{vertical} {horizontal} corner"
        return f"{vertical or horizontal} border, block {(self.column if vertical else self.row) + 1} of {GRID}"

    def warning(self) -> str:
        """Say what the block predicts, and what to do about it."""
        amount = "higher" if self.higher else "less"
        advice = (
            "A network may learn a watermark, frame or background there instead of the face. Look at such images, and "
            "evaluate on images without it."
            if self.target == "label"
            else "The model may use what is there instead of the face. See where it looks with mien explain."
        )
        return (
            f"Images that {TARGETS[self.target]} {self.label} have {amount} {self.feature} in the {self.place} than "
            f"others. That alone predicts the class with a ROC-AUC of {self.auc}; 0.5 is chance. {advice}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "row": self.row,
            "column": self.column,
            "place": self.place,
            "feature": self.feature,
            "target": self.target,
            "class": self.label,
            "higher": self.higher,
            "auc": self.auc.to_dict(),
            "strong": self.is_strong,
        }


def find_shortcuts(crops: UInt8, classes: tuple[str, ...], codes: Int64, target: Target) -> list[Shortcut]:
    """Return how well each block at the border predicts a class, strongest first.

    Args:
        crops: uint8 (N, S, S, C), [0, 255], the input of the network; S is at least GRID.
        classes: K names.
        codes: int64 (N,), the class of each crop, as an index into `classes`.
        target: whether these are labels or answers.

    Returns:
        The best feature and class of each block; nothing if no class has MIN_IMAGES images in it and out of it.
    """
    counts = np.bincount(codes, minlength=len(classes))
    known = [code for code in range(len(classes)) if MIN_IMAGES <= counts[code] <= len(codes) - MIN_IMAGES]
    if len(known) == 2 and len(classes) == 2:
        known = known[1:]  # what predicts one of two classes predicts the other
    blocks = [place for place in np.ndindex(GRID, GRID) if {0, GRID - 1} & set(place)]
    tries = len(blocks) * (crops.shape[3] + 1) * max(len(known), 1)
    z = NormalDist().inv_cdf(1 - 0.025 / tries)
    found = []
    for row, column in blocks:
        best: Shortcut | None = None
        for feature, values in _features(crops, row, column):
            for code in known:
                auc = roc_auc(codes == code, values)
                low, high = auc_interval(max(auc, 1 - auc), int(counts[code]), len(codes) - int(counts[code]), z)
                if best is None or low > best.auc.low:
                    estimate = Estimate(max(auc, 1 - auc), low, high)
                    best = Shortcut(row, column, feature, target, classes[code], auc >= 0.5, estimate)
        if best:
            found.append(best)
    return sorted(found, key=lambda shortcut: -shortcut.auc.low)


def _features(crops: UInt8, row: int, column: int) -> Iterator[tuple[str, Float64]]:
    """Yield the features of one block of every crop: (name, float64 (N,))."""
    edges = np.linspace(0, crops.shape[1], GRID + 1).round().astype(int)
    block = crops[:, edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
    names = ("brightness",) if crops.shape[3] == 1 else ("red", "green", "blue")
    for channel, name in enumerate(names):
        yield name, block[..., channel].mean(axis=(1, 2), dtype=np.float64)
    yield "contrast", np.ptp(block, axis=(1, 2)).max(axis=1).astype(np.float64)
