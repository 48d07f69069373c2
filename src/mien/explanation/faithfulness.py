"""Measure whether heatmaps are faithful to the model: deletion and insertion curves against baselines.

Pixels are removed from a crop (deletion) or added to a blurred one (insertion), most important first, while the
probability of the label is tracked (Petsiuk, Das and Saenko, "RISE", BMVC 2018). With a faithful heatmap it falls, or
rises, early: the area under a deletion curve is small, under an insertion curve large.

Three baselines ignore the image. `random`: pixels in random order. `patches`: a random map as smooth as real ones, the
fairest baseline, since removing scattered pixels destroys an image more than removing patches. `centre`: a Gaussian in
the middle, where faces are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from mien.arrays import Float32, Float64, Int64, UInt8
from mien.errors import DataError
from mien.explanation.explainer import Explainer
from mien.explanation.saliency import resize_maps
from mien.inference.reader import Reader
from mien.metrics.bootstrap import percentile_interval
from mien.metrics.formatting import format_signed
from mien.metrics.intervals import Interval

#: Points of a curve: fractions of the pixels from 0 to 1.
STEPS = 21
#: Cells per side of the noise for `patches`: as many as a network that halves 48 pixels three times.
CELLS = 6
#: Standard deviation of the blur that insertion starts from, as a fraction of the crop's side.
BLUR = 1 / 8
CURVES = ("deletion", "insertion")
BASELINES = ("random", "patches", "centre")
_RESAMPLES = 2000
_BLOCK = 8


@dataclass(frozen=True, eq=False)
class Difference:
    """The difference in area between the method and a baseline; above 0, the method is better.

    For deletion it is the baseline's area minus the method's, for insertion the reverse.

    Attributes:
        mean: over images.
        interval: its 95 % confidence interval (percentile bootstrap over images).
    """

    mean: float
    interval: Interval

    @property
    def better(self) -> bool:
        """Whether the method is significantly better (95 % interval above 0)."""
        return self.interval[0] > 0

    def __str__(self) -> str:
        """Return the difference with its interval."""
        low, high = self.interval
        return f"{format_signed(self.mean)} [{format_signed(low)}, {format_signed(high)}]"


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """Deletion and insertion curves of a method and its baselines.

    Attributes:
        method: how the heatmaps were computed.
        images: how many were measured.
        curves: by curve (`deletion`, `insertion`) and by method or baseline: mean probability, float64 (STEPS,).
        areas: likewise, the area under the curve of each image, float64 (N,).
        differences: by curve and baseline.
    """

    method: str
    images: int
    curves: Mapping[str, Mapping[str, Float64]]
    areas: Mapping[str, Mapping[str, Float64]]
    differences: Mapping[str, Mapping[str, Difference]]

    @property
    def conclusion(self) -> str:
        """The conclusion in one sentence."""
        pairs = [(curve, name, one) for curve, found in self.differences.items() for name, one in found.items()]
        lost = [f"{curve} against {name}" for curve, name, one in pairs if not one.better]
        if not lost:
            return (
                f"The heatmaps ({self.method}) are faithful to the model: significantly better than every baseline on "
                "both curves."
            )
        if len(lost) == len(pairs):
            return f"The heatmaps ({self.method}) are not shown to be better than chance: do not take them for reasons."
        return f"The heatmaps ({self.method}) are significantly better than some baselines, but not: {', '.join(lost)}."

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, without the areas of single images."""
        return {
            "method": self.method,
            "images": self.images,
            "steps": STEPS,
            **{
                curve: {
                    order: {
                        "area": round(float(self.areas[curve][order].mean()), 4),
                        "curve": [round(float(value), 4) for value in values],
                        **_difference_dict(self.differences[curve].get(order)),
                    }
                    for order, values in orders.items()
                }
                for curve, orders in self.curves.items()
            },
        }


def _difference_dict(difference: Difference | None) -> dict[str, Any]:
    if difference is None:
        return {}
    return {"method_better_by": round(difference.mean, 4), "interval": [round(end, 4) for end in difference.interval]}


def measure_faithfulness(
    reader: Reader,
    crops: UInt8,
    labels: Int64,
    explainer: Explainer,
    method: str,
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
) -> Faithfulness:
    """Measure how faithful heatmaps are to the model, compared with baselines.

    Deleted pixels take the crop's mean colour. Insertion starts from a blurred crop.

    Args:
        reader: the model.
        crops: uint8 (N, S, S, C), [0, 255], at least 2.
        labels: int64 (N,), indices of the model's labels.
        explainer: computes the heatmaps.
        method: its name in the result.
        seed: of the baselines and the bootstrap.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        DataError: there are fewer than 2 crops.
    """
    if len(crops) < 2:
        raise DataError(
            f"faithfulness: {len(crops)} images; at least 2 are needed for an interval, 100 for a useful one"
        )
    rng = np.random.default_rng(seed)
    found: dict[str, dict[str, list[Float64]]] = {curve: {} for curve in CURVES}
    for start in range(0, len(crops), _BLOCK):
        block, names = crops[start : start + _BLOCK], labels[start : start + _BLOCK]
        size = block.shape[1]
        orders = {
            method: explainer(block, names),
            "random": np.stack([random_map(rng, size, size) for _ in block]),
            "patches": np.stack([random_map(rng, size, CELLS) for _ in block]),
            "centre": np.repeat(centre_map(size)[np.newaxis], len(block), axis=0),
        }
        for order, heat in orders.items():
            for crop, label, one in zip(block, names, heat, strict=True):
                for curve in CURVES:
                    found[curve].setdefault(order, []).append(_curve(reader, curve, crop, label, one, rng))
        if on_progress:
            on_progress(min(start + _BLOCK, len(crops)) / len(crops))
    return _aggregate(
        method, {curve: {name: np.stack(rows) for name, rows in kept.items()} for curve, kept in found.items()}, rng
    )


def random_map(rng: np.random.Generator, size: int, cells: int) -> Float32:
    """Return noise, float32 (size, size), [0, 1], interpolated from a grid of `cells` x `cells`."""
    found: Float32 = resize_maps(rng.random((1, cells, cells)).astype(np.float32), size)[0]
    return found


def centre_map(size: int) -> Float32:
    """Return a centred Gaussian, float32 (size, size), [0, 1]; its standard deviation is a quarter of the side."""
    away = (np.arange(size) + 0.5) / size - 0.5
    bell = np.exp(-0.5 * (away / 0.25) ** 2)
    return np.asarray(np.outer(bell, bell), np.float32)


def perturbation_steps(crop: UInt8, other: UInt8, heat: Float32, rng: np.random.Generator) -> UInt8:
    """Turn a crop into another one step by step, most important pixels first: uint8 (STEPS, S, S, C).

    Args:
        crop: the first step, uint8 (S, S, C).
        other: the last step, uint8 (S, S, C).
        heat: the importance, float32 (S, S). Pixels of equal importance are in random order.
        rng: draws that order.
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
        mean = np.broadcast_to(crop.mean(axis=(0, 1)).round().astype(np.uint8), crop.shape)
        steps = perturbation_steps(crop, mean, heat, rng)
    else:
        steps = perturbation_steps(blur(crop), crop, heat, rng)
    return np.asarray(reader.probabilities(steps)[:, label])


def blur(crop: UInt8) -> UInt8:
    """Blur a crop, uint8 (S, S, C), until no expression is visible."""
    image = Image.fromarray(crop[..., 0] if crop.shape[2] == 1 else crop)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(crop.shape[0] * BLUR))).reshape(crop.shape)


def _aggregate(method: str, found: Mapping[str, Mapping[str, Float64]], rng: np.random.Generator) -> Faithfulness:
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
    """Return the area under each curve (N, STEPS), by the trapezoidal rule over fractions of pixels in [0, 1]."""
    return np.asarray((rows[:, 1:] + rows[:, :-1]).mean(axis=1) / 2)


def _difference(values: Float64, rng: np.random.Generator) -> Difference:
    means = values[rng.integers(0, len(values), (_RESAMPLES, len(values)))].mean(axis=1)
    return Difference(float(values.mean()), percentile_interval(means, len(values), expand=False))
