"""Where a network looks, over a dataset: the mean heatmap of each class, and how much of it lies on what.

A network that has learned a mark in the corner of its pictures gives good figures and useless answers; here it
shows, since the evidence lies off the face. Look at data that has the mark in it: the training pictures, say.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Bool, Float32, Int64, UInt8
from mien.data.dataset import Manifest
from mien.errors import DataError, ImageError
from mien.explanation.explainer import Explainer, Method, default_method, explainer_of
from mien.explanation.regions import ELLIPSES, REGIONS, aligned, in_crop, region_masks
from mien.faces.crop import face_region
from mien.inference.reader import Reader
from mien.results import Detection
from mien.text import listed

#: The frame of a crop, by which a mark at its rim is found: cells along each side.
RIM = 6
#: Attention per area, 1 where it is even, from which on a cell of the rim is suspected to hold a mark, if it has
#: besides so many times what the cells of the rim have in the middle (their median).
SUSPECT = 2.0
#: Share of the attention on the background from which on the network is said not to look at faces.
AWAY = 0.4
_BATCH = 32
_Z95 = 1.959964


@dataclass(frozen=True)
class RegionShare:
    """A share of the attention in [0, 1], mean over pictures, its 95 % interval, and the `area` share it lies on."""

    value: float
    interval: tuple[float, float]
    area: float

    @property
    def density(self) -> float:
        """Attention per area: 1 is what an even spread gives."""
        return self.value / self.area if self.area else 0.0


@dataclass(frozen=True, eq=False)
class ClassAttention:
    """Where the evidence for one class lies, over its pictures.

    `heat` float32 (S, S) in [0, 1] is the mean map and `face` uint8 (S, S) the mean picture, grey, both on aligned
    faces. `shares` are by region (REGIONS), `rim` attention per area in the cells of the frame of the unaligned crop
    by name (`rim_cells`), in mean. `pictures` are those with any evidence, `empty`
    those without.
    """

    label: str
    pictures: int
    empty: int
    heat: Float32
    face: UInt8
    shares: Mapping[str, RegionShare]
    rim: Mapping[str, float]

    @property
    def hottest(self) -> tuple[str, float]:
        """The place of the frame with most attention, and how much per area."""
        name = max(self.rim, key=self.rim.__getitem__)
        return name, self.rim[name]

    @property
    def marked(self) -> bool:
        """Whether one place of the frame stands out as a mark does."""
        usual = float(np.median(list(self.rim.values())))
        return self.hottest[1] >= SUSPECT * max(usual, 1.0)

    @property
    def suspect(self) -> bool:
        """Whether the evidence lies where a mark would, or beside the face."""
        return self.marked or self.shares["background"].value >= AWAY

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, without the maps."""
        return {
            "pictures": self.pictures,
            "without_evidence": self.empty,
            "shares": {
                name: {
                    "share": round(share.value, 4),
                    "interval": [round(end, 4) for end in share.interval],
                    "area": round(share.area, 4),
                    "per_area": round(share.density, 3),
                }
                for name, share in self.shares.items()
            },
            "rim_per_area": {name: round(value, 3) for name, value in self.rim.items()},
            "suspect": self.suspect,
        }


@dataclass(frozen=True, eq=False)
class AttentionSummary:
    """Where a model looks: each class's attention, and how many of the faces were aligned by their landmarks."""

    model: str
    method: str
    aligned: int
    classes: tuple[ClassAttention, ...]

    @property
    def suspect(self) -> bool:
        """Whether any class's evidence lies where a mark would, or beside the face."""
        return any(one.suspect for one in self.classes)

    @property
    def conclusion(self) -> str:
        """One sentence that says what to conclude."""
        for one in sorted(self.classes, key=lambda one: one.hottest[1], reverse=True):
            place, density = one.hottest
            if one.marked:
                return (
                    f"Not by faces alone: evidence for {one.label} gathers in the {place} of the picture "
                    f"({density:.1f} times an even spread); look there for a mark that only {one.label} pictures have."
                )
        for one in self.classes:
            background = one.shares["background"]
            if background.value >= AWAY:
                return (
                    f"Not by faces alone: {background.value:.0%} of the evidence for {one.label} lies beside the face "
                    f"({background.area:.0%} of the area); look at what these pictures have in common there."
                )
        parts = [f"for {one.label} {_leading(one)}" for one in self.classes if one.pictures]
        if not parts:
            return "No evidence for any class was found in these pictures."
        return f"The network looks at faces: it looks most {listed(parts)}; no corner or edge stands out."

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain JSON-ready values, without the maps."""
        return {
            "model": self.model,
            "method": self.method,
            "aligned_by_landmarks": self.aligned,
            "suspect": self.suspect,
            "conclusion": self.conclusion,
            "classes": {one.label: one.to_dict() for one in self.classes},
        }


def summarise_attention(
    reader: Reader, crops: UInt8, truth: Int64, classes: Sequence[str],
    detections: Sequence[Detection | None] | None = None, method: Method | None = None,
    explainer: Explainer | None = None, on_progress: Callable[[float], None] | None = None,
) -> AttentionSummary:  # fmt: skip
    """Summarise where a model looks in labelled crops.

    `crops` are uint8 (N, S, S, C), [0, 255]; `truth` int64 (N,) are indices into `classes`. Each crop is explained
    for its own class, one that is no label of the model (neither) for the most probable of the labels it is made of.
    `detections` are the faces that the crops were cut from, by whose landmarks these are aligned; a crop without one
    is taken to be framed as FER2013 is (`mien.explanation.regions`). `method` and `explainer` as in `explain`. Raises
    DataError
    where there are no crops.
    """
    if not len(crops):
        raise DataError("attention: there are no crops to look at")
    chosen = method or default_method(reader)
    run = explainer or explainer_of(reader, chosen)
    size = crops.shape[1]
    known = detections or [None] * len(crops)
    gathered = [_Gathered(size) for _ in classes]
    for start in range(0, len(crops), _BATCH):
        block = crops[start : start + _BATCH]
        names = [classes[index] for index in truth[start : start + _BATCH]]
        maps = run(block, label_indices(reader, block, names))
        for offset, (crop, heat) in enumerate(zip(block, maps, strict=True)):
            gathered[int(truth[start + offset])].add(crop, heat, known[start + offset])
        if on_progress:
            on_progress(min(start + _BATCH, len(crops)) / len(crops))
    found = tuple(one.close(label) for one, label in zip(gathered, classes, strict=True) if one.faces)
    return AttentionSummary(reader.config.name, chosen, sum(one is not None for one in known), found)


def label_indices(reader: Reader, crops: UInt8, names: Sequence[str]) -> Int64:
    """Return the label index for which each crop of a named class is explained, int64 (N,)."""
    labels = reader.config.labels
    if set(names) <= set(labels):
        return np.array([labels.index(name) for name in names], np.int64)
    answered = [labels.index(name) for name in reader.config.answer_from or ()]
    others = reader.probabilities(crops)
    others[:, answered] = -1
    return np.array(
        [labels.index(name) if name in labels else int(row.argmax()) for name, row in zip(names, others, strict=True)],
        np.int64,
    )


def sample_crops(
    reader: Reader, manifest: Manifest, limit: int, seed: int = 0, on_progress: Callable[[float], None] | None = None
) -> tuple[UInt8, Int64, tuple[Detection | None, ...]]:
    """Read up to `limit` pictures of a manifest, as many of each class as there are, drawn by `seed`.

    Returns the largest face of each picture: crops uint8 (N, S, S, C), classes int64 (N,) and detections (N).
    Pictures that cannot be read or show no face are passed over. Raises DataError where none is left.
    """
    rng = np.random.default_rng(seed)
    each = max(limit // len(manifest.classes), 1)
    samples = []
    for name in manifest.classes:
        of_class = [sample for sample in manifest.samples if sample.label == name]
        samples += [of_class[index] for index in rng.permutation(len(of_class))[:each]]
    found = reader.predict_prepared((sample.name, _picture(manifest, sample.name)) for sample in samples)
    crops, truth, detections = [], [], []
    for number, (sample, (prepared, _)) in enumerate(zip(samples, found, strict=True)):
        if prepared.crops:
            crops.append(prepared.crops[0])
            truth.append(manifest.classes.index(sample.label))
            detections.append(prepared.detections[0])
        if on_progress:
            on_progress((number + 1) / len(samples))
    if not crops:
        raise DataError(
            f"{manifest.path}: no face was found in any of {len(samples)} pictures; read cropped faces with --no-detect"
        )
    return np.stack(crops), np.array(truth, np.int64), tuple(detections)


def _picture(manifest: Manifest, name: str) -> bytes | ImageError:
    try:
        return manifest.read(name)
    except ImageError as error:
        return error


class _Gathered:
    """What is summed up of one class."""

    def __init__(self, size: int) -> None:
        self._masks = region_masks(size)
        self._cells = rim_cells(size)
        self._heat = np.zeros((size, size))
        self._face = np.zeros((size, size))
        self._shares: list[list[float]] = []
        self._rim: list[list[float]] = []
        self.faces = 0

    def add(self, crop: UInt8, heat: Float32, found: Detection | None) -> None:
        """Add one crop and its heatmap; each picture counts the same, however strong its evidence is."""
        grey = crop.mean(axis=2).astype(np.float32)
        total = float(heat.sum())
        place = None if found is None else in_crop(found.landmarks, face_region(found).corners)
        self._face += grey if place is None else aligned(grey, place, float(grey.mean()))
        self.faces += 1
        if total <= 0:
            return
        share = heat / total
        self._rim.append([float(share[cell].sum()) for cell in self._cells.values()])
        moved = share if place is None else aligned(share, place)
        moved = moved / max(float(moved.sum()), 1e-9)
        self._heat += moved
        self._shares.append([float(moved[mask].sum()) for mask in self._masks.values()])

    def close(self, label: str) -> ClassAttention:
        """Return the means."""
        pictures, face = len(self._shares), (self._face / self.faces).round().astype(np.uint8)
        rows = np.array(self._shares) if pictures else np.zeros((1, len(REGIONS)))
        half = _Z95 * rows.std(axis=0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.ones(len(REGIONS))
        shares = {
            name: RegionShare(
                float(mean), (max(float(mean - one), 0.0), min(float(mean + one), 1.0)), float(mask.mean())
            )
            for (name, mask), mean, one in zip(self._masks.items(), rows.mean(axis=0), half, strict=True)
        }
        cells = np.array(self._rim).mean(axis=0) if pictures else np.zeros(len(self._cells))
        areas = [float(mask.mean()) for mask in self._cells.values()]
        rim = {name: float(value) / area for name, value, area in zip(self._cells, cells, areas, strict=True)}
        heat = (self._heat / max(float(self._heat.max()), 1e-12)).astype(np.float32)
        return ClassAttention(label, pictures, self.faces - pictures, heat, face, shares, rim)


def rim_cells(size: int) -> dict[str, Bool]:
    """Return the cells along the frame of a crop, RIM to a side, as masks bool (size, size) by name.

    Of each only the part beside the face, and no cell of which that is less than a third: at the lower edge lies the
    chin.
    """
    cell, beside = (np.arange(size) * RIM) // size, region_masks(size)["background"]
    found = {}
    for row in range(RIM):
        for column in range(RIM):
            mask = (cell[:, np.newaxis] == row) & (cell[np.newaxis] == column)
            if {row, column} & {0, RIM - 1} and (mask & beside).sum() >= mask.sum() / 3:
                found[_cell_name(row, column)] = mask & beside
    return found


def _cell_name(row: int, column: int) -> str:
    ends = {0: ("upper", "left"), RIM - 1: ("lower", "right")}
    if row in ends and column in ends:
        return f"{ends[row][0]} {ends[column][1]} corner"
    if row in ends:
        return f"{ends[row][0]} edge, {column} of {RIM - 2}"
    return f"{ends[column][1]} edge, {row} of {RIM - 2}"


def _leading(one: ClassAttention) -> str:
    """Say which named region has most attention per area."""
    name = max((name for name in REGIONS if name in ELLIPSES), key=lambda name: one.shares[name].density)
    share = one.shares[name]
    return f"at the {name} ({share.value:.0%} of the evidence on {share.area:.0%} of the area)"
