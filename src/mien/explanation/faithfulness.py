"""Whether heatmaps point at what the model answers by: deletion and insertion curves against baselines.

Pixels are taken away from a picture (deletion) or given to a blurred one (insertion), those first that the heatmap
holds most important, and the probability of the label is watched (Petsiuk, Das and Saenko, "RISE", BMVC 2018). A
faithful map makes it fall, or rise, early: the area under a deletion curve is small, under an insertion curve large.

What a number means shows beside baselines that know nothing of the picture: `random`, pixels in random order;
`patches`, a random map as smooth as real ones (single pixels taken away all over destroy a picture more than patches
of the same size do: the fair rival of a smooth map); and `centre`, a Gaussian in the middle, where faces are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from mien.arrays import Float32, Float64, Int64, UInt8
from mien.errors import DataError
from mien.explanation.explainer import Explainer
from mien.explanation.saliency import enlarged
from mien.inference.reader import Reader

Interval = tuple[float, float]

#: Points of a curve: shares of the pixels from none to all.
STEPS = 21
#: Cells along a side of the noise that `patches` are drawn from: as many as a network with three halvings has at 48.
CELLS = 6
#: The blur that insertion begins from, as a share of the crop's side (RISE: 11 pixels wide of 224, applied in full).
BLUR = 1 / 8
CURVES = ("deletion", "insertion")
BASELINES = ("random", "patches", "centre")
_RESAMPLES = 2000
_BLOCK = 8


@dataclass(frozen=True, eq=False)
class Difference:
    """By how much the method is better than a baseline: mean over pictures and its 95 % interval, in area.

    For deletion the baseline's area minus the method's, for insertion the other way round, so that above 0 is better.
    """

    mean: float
    interval: Interval

    @property
    def beats(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.interval[0] > 0

    def __str__(self) -> str:
        """Return the difference with its interval."""
        return f"{self.mean:+.3f} [{self.interval[0]:+.3f}, {self.interval[1]:+.3f}]"


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Curves and areas by curve (`deletion`, `insertion`) and order (the method's name, and each of BASELINES).

    `curves` are means over pictures, float64 (STEPS,), probabilities in [0, 1]; `areas` of each picture, float64
    (N,). `differences` are by curve and baseline.
    """

    method: str
    pictures: int
    curves: Mapping[str, Mapping[str, Float64]]
    areas: Mapping[str, Mapping[str, Float64]]
    differences: Mapping[str, Mapping[str, Difference]]

    @property
    def conclusion(self) -> str:
        """One sentence that says what to conclude."""
        pairs = [(curve, name, one) for curve, found in self.differences.items() for name, one in found.items()]
        lost = [f"{curve} against {name}" for curve, name, one in pairs if not one.beats]
        if not lost:
            return f"The heatmaps ({self.method}) point at what the model answers by: they beat every baseline."
        if len(lost) == len(pairs):
            return f"The heatmaps ({self.method}) are no better than chance: do not read them as reasons."
        return f"The heatmaps ({self.method}) beat the baselines in part; not beyond doubt: {', '.join(lost)}."

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the single pictures' areas as plain JSON-ready values."""
        return {
            "method": self.method,
            "pictures": self.pictures,
            "steps": STEPS,
            **{
                curve: {
                    order: {
                        "area": round(float(self.areas[curve][order].mean()), 4),
                        "curve": [round(float(value), 4) for value in values],
                        **_worse(self.differences[curve].get(order)),
                    }
                    for order, values in orders.items()
                }
                for curve, orders in self.curves.items()
            },
        }


def _worse(difference: Difference | None) -> dict[str, Any]:
    if difference is None:
        return {}
    return {"method_better_by": round(difference.mean, 4), "interval": [round(end, 4) for end in difference.interval]}


def measure_faithfulness(
    reader: Reader, crops: UInt8, labels: Int64, explainer: Explainer, method: str, seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
) -> Faithfulness:  # fmt: skip
    """Measure how faithful the heatmaps of `explainer` are to the model, and how they compare with baselines.

    `crops` are uint8 (N, S, S, C), [0, 255] and `labels` int64 (N,), indices into the model's labels. Deleted
    pixels take the crop's mean colour; insertion begins from a blurred crop. Intervals are of the mean paired
    difference, by percentile bootstrap over pictures with `seed`. Raises DataError for fewer than 2 crops.
    """
    if len(crops) < 2:
        raise DataError(
            f"faithfulness: {len(crops)} pictures; at least 2 are needed for an interval, 100 for a useful one"
        )
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, list[Float64]]] = {curve: {} for curve in CURVES}
    for start in range(0, len(crops), _BLOCK):
        block, names = crops[start : start + _BLOCK], labels[start : start + _BLOCK]
        size = block.shape[1]
        orders = {
            method: explainer(block, names),
            "random": np.stack([random_heat(rng, size, size) for _ in block]),
            "patches": np.stack([random_heat(rng, size, CELLS) for _ in block]),
            "centre": np.repeat(centre_heat(size)[np.newaxis], len(block), axis=0),
        }
        for order, heat in orders.items():
            for crop, label, one in zip(block, names, heat, strict=True):
                for curve in CURVES:
                    found[curve].setdefault(order, []).append(_curve(reader, curve, crop, label, one, rng))
        if on_progress:
            on_progress(min(start + _BLOCK, len(crops)) / len(crops))
    return _summed(
        method, {curve: {name: np.stack(rows) for name, rows in kept.items()} for curve, kept in found.items()}, rng
    )


def random_heat(rng: np.random.Generator, size: int, cells: int) -> Float32:
    """Return noise float32 (size, size) in [0, 1], drawn on a grid of `cells` a side and smooth between."""
    found: Float32 = enlarged(rng.random((1, cells, cells)).astype(np.float32), size)[0]
    return found


def centre_heat(size: int) -> Float32:
    """Return a Gaussian in the middle, float32 (size, size) in [0, 1], its standard deviation a quarter of the side."""
    away = (np.arange(size) + 0.5) / size - 0.5
    bell = np.exp(-0.5 * (away / 0.25) ** 2)
    return np.asarray(np.outer(bell, bell), np.float32)


def stages(crop: UInt8, other: UInt8, heat: Float32, rng: np.random.Generator) -> UInt8:
    """Turn a crop into another of its size (S, S, C), the pixels with most heat first: uint8 (STEPS, S, S, C).

    The first is the crop itself, the last the other one. Pixels of equal heat go in random order.
    """
    size = heat.shape[0]
    order = np.lexsort((rng.random(size * size), -heat.ravel()))
    rank = np.empty(size * size, np.int64)
    rank[order] = np.arange(size * size)
    counts = np.linspace(0, size * size, STEPS).round()
    changed = rank.reshape(1, size, size, 1) < counts.reshape(-1, 1, 1, 1)
    return np.where(changed, other, crop).astype(np.uint8)


def _curve(reader: Reader, curve: str, crop: UInt8, label: int, heat: Float32, rng: np.random.Generator) -> Float64:
    if curve == "deletion":
        steps = stages(crop, np.broadcast_to(crop.mean(axis=(0, 1)).round().astype(np.uint8), crop.shape), heat, rng)
    else:
        steps = stages(blurred(crop), crop, heat, rng)
    return np.asarray(reader.probabilities(steps)[:, label])


def blurred(crop: UInt8) -> UInt8:
    """Return a crop uint8 (S, S, C) so blurred that no expression is left to see."""
    image = Image.fromarray(crop[..., 0] if crop.shape[2] == 1 else crop)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(crop.shape[0] * BLUR))).reshape(crop.shape)


def _summed(method: str, found: Mapping[str, Mapping[str, Float64]], rng: np.random.Generator) -> Faithfulness:
    areas = {curve: {order: _area(rows) for order, rows in orders.items()} for curve, orders in found.items()}
    differences = {
        "deletion": {name: _difference(areas["deletion"][name] - areas["deletion"][method], rng) for name in BASELINES},
        "insertion": {
            name: _difference(areas["insertion"][method] - areas["insertion"][name], rng) for name in BASELINES
        },
    }
    curves = {curve: {order: rows.mean(axis=0) for order, rows in orders.items()} for curve, orders in found.items()}
    return Faithfulness(method, len(areas["deletion"][method]), curves, areas, differences)


def _area(rows: Float64) -> Float64:
    """Area under each curve (N, STEPS), by the trapezoidal rule over shares of pixels in [0, 1]."""
    return np.asarray((rows[:, 1:] + rows[:, :-1]).mean(axis=1) / 2)


def _difference(values: Float64, rng: np.random.Generator) -> Difference:
    means = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Difference(float(values.mean()), (float(low), float(high)))
