"""Summarise where a model looks, over a dataset: the mean heatmap of each class, and the evidence by facial region.

A network that has learned a shortcut, such as a mark in the corner of its images, has good metrics and useless
answers. Here it shows, since the evidence lies off the face. Use data that has the mark: the training images.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from mien.arrays import Float32, Int64, UInt8
from mien.errors import DataError
from mien.explanation.explainer import Explainer, Method, default_method, make_explainer
from mien.explanation.regions import ELLIPSES, REGIONS, align, border_cells, landmarks_in_crop, region_masks
from mien.explanation.sampling import label_indices
from mien.faces.crop import face_region
from mien.inference.reader import Reader
from mien.metrics.formatting import format_percent
from mien.metrics.intervals import Z95
from mien.results import Detection
from mien.text import join_words

#: A border cell may contain a mark if its evidence per area (1 if evenly spread) reaches this, and this many times the
#: median of all border cells.
MARK_DENSITY = 2.0
#: With fewer images of a class, nothing is said of a shortcut: chance marks a cell of a few images easily.
MIN_IMAGES = 10
#: From this share of the evidence on the background, the network does not look at faces.
BACKGROUND_SHARE = 0.4
_BATCH = 32


@dataclass(frozen=True)
class RegionShare:
    """The evidence on one region.

    Attributes:
        value: its share of all evidence, in [0, 1], mean over images.
        interval: the 95 % confidence interval of `value`.
        area: the region's share of the area, in [0, 1].
    """

    value: float
    interval: tuple[float, float]
    area: float

    @property
    def density(self) -> float:
        """Evidence per area; 1 if evenly spread."""
        return self.value / self.area if self.area else 0.0


@dataclass(frozen=True, eq=False)
class ClassAttention:
    """Where the evidence for one class lies.

    Attributes:
        label: the class.
        images: the number of images with any evidence for it.
        without_evidence: the number of other images of the class.
        heat: the mean heatmap of aligned faces, float32 (S, S), [0, 1].
        face: the mean aligned face, grey, uint8 (S, S).
        shares: the evidence on each region of REGIONS.
        border: the mean evidence per area in the cells of the border (`border_cells`), by name. Not aligned.
        border_intervals: 95 % intervals of these means, simultaneous over the cells (Bonferroni).
    """

    label: str
    images: int
    without_evidence: int
    heat: Float32
    face: UInt8
    shares: Mapping[str, RegionShare]
    border: Mapping[str, float]
    border_intervals: Mapping[str, tuple[float, float]]

    @property
    def border_peak(self) -> tuple[str, float]:
        """The border cell with most evidence, and its evidence per area."""
        name = max(self.border, key=self.border.__getitem__)
        return name, self.border[name]

    @property
    def border_peak_in_words(self) -> str:
        """That cell, its evidence per area and the interval of that."""
        name, density = self.border_peak
        low, high = self.border_intervals[name]
        return f"{name} {density:.1f}× [{low:.1f}, {high:.1f}]"

    @property
    def marked(self) -> bool:
        """Whether one border cell stands out as a mark does, significantly."""
        usual = max(float(np.median(list(self.border.values()))), 1.0)
        name, density = self.border_peak
        return self.images >= MIN_IMAGES and density >= MARK_DENSITY * usual and self.border_intervals[name][0] > usual

    @property
    def shortcut(self) -> bool:
        """Whether the evidence points to a shortcut: a mark at the border, or the background."""
        return self.marked or self.beside

    @property
    def beside(self) -> bool:
        """Whether significantly more than BACKGROUND_SHARE of the evidence lies beside the face."""
        return self.images >= MIN_IMAGES and self.shares["background"].interval[0] >= BACKGROUND_SHARE

    def to_dict(self) -> dict[str, Any]:
        """Return the shares as a JSON-serialisable dict, without the maps."""
        return {
            "images": self.images,
            "without_evidence": self.without_evidence,
            "shares": {
                name: {
                    "share": round(share.value, 4),
                    "interval": [round(end, 4) for end in share.interval],
                    "area": round(share.area, 4),
                    "per_area": round(share.density, 3),
                }
                for name, share in self.shares.items()
            },
            "border_per_area": {name: round(value, 3) for name, value in self.border.items()},
            "shortcut": self.shortcut,
        }


@dataclass(frozen=True, eq=False)
class AttentionSummary:
    """Where a model looks.

    Attributes:
        model: its name.
        method: how the heatmaps were computed.
        aligned: the number of faces that were aligned by their landmarks.
        classes: the classes that have images.
    """

    model: str
    method: str
    aligned: int
    classes: tuple[ClassAttention, ...]

    @property
    def shortcut(self) -> bool:
        """Whether the evidence for any class points to a shortcut."""
        return any(one.shortcut for one in self.classes)

    @property
    def conclusion(self) -> str:
        """The conclusion in one sentence."""
        for one in sorted(self.classes, key=lambda one: one.border_peak[1], reverse=True):
            place, density = one.border_peak
            if one.marked:
                low, high = one.border_intervals[place]
                return (
                    f"Possible shortcut: evidence for {one.label} concentrates in the {place} of the image "
                    f"({density:.1f} [{low:.1f}, {high:.1f}] times an even spread); look there for a mark that only "
                    f"{one.label} images have."
                )
        for one in self.classes:
            background = one.shares["background"]
            if one.beside:
                interval = f"{format_percent(background.interval[0])} – {format_percent(background.interval[1])}"
                return (
                    f"Possible shortcut: {format_percent(background.value)} ({interval}) of the evidence for "
                    f"{one.label} lies beside the face ({format_percent(background.area)} of the area); look for what "
                    "these images have in common there."
                )
        parts = [f"for {one.label} {_leading_region(one)}" for one in self.classes if one.images]
        if not parts:
            return "No evidence for any class was found in these images."
        if any(one.images < MIN_IMAGES for one in self.classes):
            return (
                f"The evidence is densest {join_words(parts)}. A shortcut was not looked for: that takes {MIN_IMAGES} "
                "images of each class."
            )
        return f"The model looks at faces: the evidence is densest {join_words(parts)}; no corner or edge stands out."

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, without the maps."""
        return {
            "model": self.model,
            "method": self.method,
            "aligned_by_landmarks": self.aligned,
            "shortcut": self.shortcut,
            "conclusion": self.conclusion,
            "classes": {one.label: one.to_dict() for one in self.classes},
        }


def summarise_attention(
    reader: Reader,
    crops: UInt8,
    truth: Int64,
    classes: Sequence[str],
    detections: Sequence[Detection | None] | None = None,
    method: Method | None = None,
    explainer: Explainer | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> AttentionSummary:
    """Summarise where a model looks in labelled crops; each crop is explained for its own class.

    Args:
        reader: the model.
        crops: uint8 (N, S, S, C), [0, 255].
        truth: int64 (N,), indices of `classes`.
        classes: the class names. For a class that is not a label of the model (neither), a crop is explained for the
            most probable of the labels that it is made of.
        detections: the face of each crop, whose landmarks align it. A crop without one is taken to be framed like
            FER2013 (`mien.explanation.regions`).
        method: as in `mien.explanation.explainer.explain_image`, like `explainer`.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        DataError: there are no crops.
    """
    if not len(crops):
        raise DataError("attention: there are no crops to explain")
    chosen = method or default_method(reader)
    run = explainer or make_explainer(reader, chosen)
    size = crops.shape[1]
    known = detections or [None] * len(crops)
    sums = [_ClassSums(size) for _ in classes]
    for start in range(0, len(crops), _BATCH):
        block = crops[start : start + _BATCH]
        names = [classes[index] for index in truth[start : start + _BATCH]]
        maps = run(block, label_indices(reader, block, names))
        for offset, (crop, heat) in enumerate(zip(block, maps, strict=True)):
            sums[int(truth[start + offset])].add(crop, heat, known[start + offset])
        if on_progress:
            on_progress(min(start + _BATCH, len(crops)) / len(crops))
    found = tuple(one.finish(label) for one, label in zip(sums, classes, strict=True) if one.faces)
    return AttentionSummary(reader.config.name, chosen, sum(one is not None for one in known), found)


class _ClassSums:
    """The running sums of one class."""

    def __init__(self, size: int) -> None:
        self._masks = region_masks(size)
        self._cells = border_cells(size)
        self._heat = np.zeros((size, size))
        self._face = np.zeros((size, size))
        self._shares: list[list[float]] = []
        self._border: list[list[float]] = []
        self.faces = 0

    def add(self, crop: UInt8, heat: Float32, found: Detection | None) -> None:
        """Add one crop and its heatmap; images count equally, however strong their evidence is."""
        grey = crop.mean(axis=2).astype(np.float32)
        total = float(heat.sum())
        points = None if found is None else landmarks_in_crop(found.landmarks, face_region(found).corners)
        self._face += grey if points is None else align(grey, points, float(grey.mean()))
        self.faces += 1
        if total <= 0:
            return
        share = heat / total
        self._border.append([float(share[cell].sum()) for cell in self._cells.values()])
        moved = share if points is None else align(share, points)
        moved = moved / max(float(moved.sum()), 1e-9)
        self._heat += moved
        self._shares.append([float(moved[mask].sum()) for mask in self._masks.values()])

    def finish(self, label: str) -> ClassAttention:
        """Return the means."""
        images, face = len(self._shares), (self._face / self.faces).round().astype(np.uint8)
        rows = np.array(self._shares) if images else np.zeros((1, len(REGIONS)))
        half = Z95 * rows.std(axis=0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.ones(len(REGIONS))
        shares = {
            name: RegionShare(
                float(mean), (max(float(mean - one), 0.0), min(float(mean + one), 1.0)), float(mask.mean())
            )
            for (name, mask), mean, one in zip(self._masks.items(), rows.mean(axis=0), half, strict=True)
        }
        areas = np.array([mask.mean() for mask in self._cells.values()])
        density = (np.array(self._border) if images else np.zeros((1, len(areas)))) / areas
        means, reach = density.mean(axis=0), NormalDist().inv_cdf(1 - 0.025 / len(areas))
        spread = reach * density.std(axis=0, ddof=1) / np.sqrt(images) if images > 1 else np.full(len(areas), np.inf)
        ends = np.maximum(means - spread, 0.0).tolist(), (means + spread).tolist()
        border = dict(zip(self._cells, means.tolist(), strict=True))
        intervals = dict(zip(self._cells, zip(*ends, strict=True), strict=True))
        heat = (self._heat / max(float(self._heat.max()), 1e-12)).astype(np.float32)
        return ClassAttention(label, images, self.faces - images, heat, face, shares, border, intervals)


def _leading_region(one: ClassAttention) -> str:
    """Name the facial region with most evidence per area."""
    name = max((name for name in REGIONS if name in ELLIPSES), key=lambda name: one.shares[name].density)
    share = one.shares[name]
    return f"at the {name} ({format_percent(share.value)} of the evidence on {format_percent(share.area)} of the area)"
