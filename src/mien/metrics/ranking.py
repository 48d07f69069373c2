"""Figures of a ranking of positives above negatives: the ROC and precision-recall curves and the areas under them.

A helper of `mien.metrics.classification`. Each area is computed for many resamplings at once: `counts` says how often
each sample
is drawn, and one row of ones is the samples as they are.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64
from mien.metrics.validation import binary

Counts = npt.NDArray[Any]
"""(B, N) integers or floats of at least 0: how often each of N samples counts in each of B resamplings."""


def roc_curve(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Float64, Float64, Float64]:
    """Points of the ROC curve, from "none is positive" to "all are", as scikit-learn's `roc_curve`.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        False positive rates, true positive rates and thresholds, each (M,) with M <= N + 1. A sample is
        called positive when its score is at least the threshold; the first one is infinite. Points inside a
        straight stretch are left out. The rates of a side without samples are nan throughout.

    Raises:
        InputError: no samples, shapes that differ, truth that is not boolean, scores that are not finite.
    """
    positive, score = binary(is_positive, scores)
    tp, fp, threshold = _steps(positive, score)
    if len(tp) > 2:
        corner = np.concatenate(([True], (np.diff(tp, 2) != 0) | (np.diff(fp, 2) != 0), [True]))
        tp, fp, threshold = tp[corner], fp[corner], threshold[corner]
    return _rate(fp), _rate(tp), np.append(np.inf, threshold)


def precision_recall_curve(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Float64, Float64, Float64]:
    """Points of the precision-recall curve, as scikit-learn's `precision_recall_curve`.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        Precision (M + 1,), recall (M + 1,) and thresholds (M,), from the lowest threshold up; a sample is called
        positive when its score is at least the threshold. The last point, precision 1 at recall 0, has none.
        Recall is 1 throughout where there are no positives.

    Raises:
        InputError: no samples, shapes that differ, truth that is not boolean, scores that are not finite.
    """
    positive, score = binary(is_positive, scores)
    tp, fp, threshold = _steps(positive, score)
    recall = tp / tp[-1] if tp[-1] else np.ones(len(tp))
    return np.append((tp / (tp + fp))[::-1], 1.0), np.append(recall[::-1], 0.0), threshold[::-1]


def roc_auc(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve: how often a positive outscores a negative, ties counting half.

    The rank sum of Mann and Whitney 1947; Hanley and McNeil 1982.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        The area in [0, 1]; nan when there are no positives or no negatives.

    Raises:
        InputError: no samples, shapes that differ, truth that is not boolean, scores that are not finite.
    """
    positive, score = binary(is_positive, scores)
    return float(areas(positive, score, np.ones((1, len(score))))[0][0])


def average_precision(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Average precision, the sum over thresholds of the gain in recall times the precision, as scikit-learn's.

    No interpolation, which would flatter (Davis and Goadrich 2006). A ranking by chance has the share of positives.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        The average precision in [0, 1]; nan when there are no positives, where scikit-learn warns and gives 0.

    Raises:
        InputError: no samples, shapes that differ, truth that is not boolean, scores that are not finite.
    """
    positive, score = binary(is_positive, scores)
    return float(areas(positive, score, np.ones((1, len(score))))[1][0])


def areas(positive: Bool, score: Float64, counts: Counts) -> tuple[Float64, Float64]:
    """Return the area under the ROC curve and the average precision, each (B,), of each resampling.

    The area is nan where one side is not drawn, the average precision where no positive is.
    """
    tp, fp = _cumulated(positive, score, counts)
    gained = np.diff(tp, prepend=0)
    total, rest = tp[:, -1], fp[:, -1]
    # A positive outscores the negatives that come later, and half of those at its own score.
    level = fp - np.diff(fp, prepend=0) / 2
    won = rest * total - np.einsum("bm,bm->b", gained, level)
    auc = np.divide(won, total * rest, out=np.full(len(tp), math.nan), where=total * rest > 0)
    precision = np.divide(tp, tp + fp, out=np.zeros_like(tp), where=tp + fp > 0)
    found = np.einsum("bm,bm->b", gained, precision)
    return auc, np.divide(found, total, out=np.full(len(tp), math.nan), where=total > 0)


def _steps(positive: Bool, score: Float64) -> tuple[Float64, Float64, Float64]:
    """Cumulative true and false positives and their thresholds, each (M,), one for each different score from above."""
    tp, fp = _cumulated(positive, score, np.ones((1, len(score))))
    return tp[0], fp[0], np.unique(score)[::-1]


def _cumulated(positive: Bool, score: Float64, counts: Counts) -> tuple[Float64, Float64]:
    """Cumulative true and false positives (B, M), one column for each of M different scores, from the highest down."""
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    drawn, hit = counts[:, order].astype(np.float64), positive[order]
    both = np.cumsum(drawn, axis=1)[:, last_of_tie]
    tp = np.cumsum(drawn * hit, axis=1)[:, last_of_tie]
    return tp, both - tp


def _rate(cumulated: Float64) -> Float64:
    """Cumulative counts as fractions of the last, after a leading 0; nan throughout when there are none."""
    total = cumulated[-1]
    return np.append(0, cumulated) / total if total else np.full(len(cumulated) + 1, np.nan)
