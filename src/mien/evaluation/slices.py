"""Slice metrics by image properties: brightness, sharpness, face size, pose. Needs no group labels.

A slice says that accuracy differs, not why: dark images may come from one source, and their people may be alike in
other ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.arrays import Bool, Float64, Int64
from mien.errors import InputError
from mien.evaluation.attributes import Attribute, crop_attributes, face_attributes
from mien.evaluation.scoring import Predictions
from mien.evaluation.shortcuts import MIN_IMAGES, Shortcut, find_shortcuts
from mien.metrics.estimates import Estimate, grouped_proportion
from mien.metrics.significance import SIGNIFICANCE_LEVEL, holm_correction

#: Permutations behind each p-value.
PERMUTATIONS = 4999


@dataclass(frozen=True, eq=False)
class Bin:
    """Images with similar values of an attribute: the range in words, their number and accuracy."""

    label: str
    n: int
    accuracy: Estimate


@dataclass(frozen=True, eq=False)
class Slice:
    """Accuracy by one attribute.

    Args:
        attribute: the attribute.
        bins: from its lowest values to its highest.
        best: the bin of highest accuracy among those of at least MIN_IMAGES images.
        worst: the bin of lowest accuracy among these.
        p_value: permutation p-value of the differences between these bins, corrected for the number of slices.
    """

    attribute: Attribute
    bins: tuple[Bin, ...]
    best: Bin
    worst: Bin
    p_value: float

    @property
    def gap(self) -> float:
        """The largest difference in accuracy between bins, in [0, 1]."""
        return self.best.accuracy.value - self.worst.accuracy.value

    @property
    def significant(self) -> bool:
        """Whether accuracy differs significantly between bins."""
        return self.p_value < SIGNIFICANCE_LEVEL

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "attribute": self.attribute.key,
            "meaning": self.attribute.meaning,
            "bins": [{"bin": one.label, "images": one.n, "accuracy": one.accuracy.to_dict()} for one in self.bins],
            "gap": self.gap,
            "best": self.best.label,
            "worst": self.worst.label,
            "p_value": self.p_value,
            "significant": self.significant,
        }


@dataclass(frozen=True, eq=False)
class Slices:
    """Accuracy by every attribute, most significant first, and shortcuts to labels and to answers, strongest first."""

    n: int
    accuracy: Estimate
    slices: tuple[Slice, ...]
    label_shortcuts: tuple[Shortcut, ...]
    answer_shortcuts: tuple[Shortcut, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        shortcuts = (*self.label_shortcuts[:3], *self.answer_shortcuts[:3])
        return {
            "images": self.n,
            "accuracy": self.accuracy.to_dict(),
            "slices": [one.to_dict() for one in self.slices],
            "shortcuts": [shortcut.to_dict() for shortcut in shortcuts],
        }


def measure_slices(predictions: Predictions) -> Slices:
    """Compare accuracy between images that differ in brightness, sharpness, face size, pose and so on.

    P-values are corrected for the number of slices (Holm 1979, Scandinavian Journal of Statistics 6:65). They assume
    independent images: many of one person or source make differences look surer than they are. Confidence intervals
    count each group of near-duplicates as one draw, if `predictions` has groups.

    Args:
        predictions: predictions of N images with their crops, and the detected faces if there are any.

    Raises:
        InputError: there is not one crop, and one detection, for each answer.
    """
    n, detections = len(predictions.truth), predictions.detections
    crops = predictions.crops if predictions.crops is not None else np.empty((0, 1, 1, 1), np.uint8)
    if len(crops) != n or (detections is not None and len(detections) != n):
        raise InputError(f"slices: {len(crops)} crops for {n} answers; give one crop, and one detection, for each")
    found = []
    for attribute, values in (*crop_attributes(crops), *face_attributes(detections or ())):
        slice_ = _slice(attribute, values, predictions, np.random.default_rng(predictions.seed))
        if slice_:
            found.append(slice_)
    return Slices(
        n,
        accuracy=grouped_proportion(predictions.is_right, predictions.groups, predictions.seed),
        slices=_corrected(found),
        label_shortcuts=tuple(find_shortcuts(crops, predictions.classes, predictions.truth, "label")),
        answer_shortcuts=tuple(find_shortcuts(crops, predictions.classes, predictions.answers, "answer")),
    )


def permutation_p_value(bins: Int64, wrong: Bool, truth: Int64, rng: np.random.Generator) -> float:
    """Return the p-value of the differences in accuracy between bins, mistakes permuted within each class.

    The statistic is the sum over bins of (mistakes less expected mistakes)² / expected mistakes. Permuting within
    classes ignores attributes that merely go with a harder class.

    Args:
        bins: int (N,), the bin of each image, from 0.
        wrong: bool (N,), whether each answer is wrong.
        truth: int (N,), the label of each image.
        rng: draws the permutations.

    Returns:
        A p-value in (0, 1].
    """
    found, expected = np.zeros(bins.max() + 1), np.zeros(bins.max() + 1)
    permuted = np.zeros((PERMUTATIONS, len(found)))
    for code in np.unique(truth):
        own = truth == code
        counts, mistakes = np.bincount(bins[own], minlength=len(found)), int(wrong[own].sum())
        found += np.bincount(bins[own & wrong], minlength=len(found))
        expected += counts * mistakes / own.sum()
        permuted += rng.multivariate_hypergeometric(counts, mistakes, PERMUTATIONS)
    used = expected > 0
    statistic = ((found - expected)[used] ** 2 / expected[used]).sum()
    by_chance = ((permuted - expected)[:, used] ** 2 / expected[used]).sum(axis=1)
    return float(1 + (by_chance >= statistic - 1e-9).sum()) / (1 + PERMUTATIONS)


def _slice(attribute: Attribute, values: Float64, predictions: Predictions, rng: np.random.Generator) -> Slice | None:
    known = np.isfinite(values)
    values, right, truth = values[known], predictions.is_right[known], predictions.truth[known]
    groups = np.arange(len(values)) if predictions.groups is None else predictions.groups[known]
    if not len(values):
        return None
    quartiles = (0.25, 0.5, 0.75)
    edges = np.unique(np.quantile(values, quartiles)) if attribute.edges is None else np.array(attribute.edges)
    place = np.searchsorted(edges, values)
    used = np.unique(place)
    bins = []
    for number in used:
        inside = place == number
        accuracy = grouped_proportion(right[inside], groups[inside], predictions.seed)
        bins.append(Bin(_range(edges, int(number), attribute.form), int(inside.sum()), accuracy))
    large = [one for one in bins if one.n >= MIN_IMAGES]
    if len(large) < 2:
        return None
    best, worst = (choose(large, key=lambda one: one.accuracy.value) for choose in (max, min))
    kept = np.isin(place, [number for number, one in zip(used, bins, strict=True) if one.n >= MIN_IMAGES])
    p = permutation_p_value(np.unique(place[kept], return_inverse=True)[1], ~right[kept], truth[kept], rng)
    return Slice(attribute, tuple(bins), best, worst, p)


def _corrected(found: Sequence[Slice]) -> tuple[Slice, ...]:
    """Return the slices with p-values corrected by Holm's method, most significant first."""
    in_order = sorted(found, key=lambda one: (one.p_value, -one.gap))
    corrected = holm_correction([one.p_value for one in in_order])
    return tuple(replace(one, p_value=p) for one, p in zip(in_order, corrected, strict=True))


def _range(edges: Float64, number: int, form: str) -> str:
    said = [form.format(edge) for edge in edges]
    if number == 0:
        return f"up to {said[0]}"
    return f"over {said[-1]}" if number == len(edges) else f"{said[number - 1]} to {said[number]}"
