"""Rank-based metrics of a binary score: ranks, ROC and precision-recall curves, and the areas under them."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64
from mien.metrics.validation import binary_scores

Counts = npt.NDArray[Any]
"""(B, N) integers or floats of at least 0: how often each of N samples counts in each of B resamplings."""


def average_ranks(scores: npt.ArrayLike) -> Float64:
    """Return ranks (N,) from 1; equal scores share the mean of their ranks.

    Examples:
        >>> average_ranks([0.2, 0.9, 0.2])
        array([1.5, 3. , 1.5])
    """
    _, place, count = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], dtype=np.float64)


def roc_curve(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Float64, Float64, Float64]:
    """Return the ROC curve, from "none is positive" to "all are"; the same as scikit-learn's `roc_curve`.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        False positive rates, true positive rates and thresholds, each (M,) with M <= N + 1. A sample counts as
        positive if its score is at least the threshold; the first one is infinite. Points inside a straight stretch
        are left out. If one side has no samples, its rates are nan.

    Raises:
        InputError: if there are no samples, shapes differ, the truth is not boolean or a score is not finite.

    Examples:
        >>> fpr, tpr, thresholds = roc_curve([False, True, True], [0.1, 0.6, 0.9])
        >>> fpr.tolist(), tpr.tolist(), thresholds.tolist()
        ([0.0, 0.0, 0.0, 1.0], [0.0, 0.5, 1.0, 1.0], [inf, 0.9, 0.6, 0.1])
    """
    positive, score = binary_scores(is_positive, scores)
    tp, fp, threshold = _steps(positive, score)
    if len(tp) > 2:
        corner = np.concatenate(([True], (np.diff(tp, 2) != 0) | (np.diff(fp, 2) != 0), [True]))
        tp, fp, threshold = tp[corner], fp[corner], threshold[corner]
    return _rate(fp), _rate(tp), np.append(np.inf, threshold)


def precision_recall_curve(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Float64, Float64, Float64]:
    """Return the precision-recall curve; the same as scikit-learn's `precision_recall_curve`.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        Precision (M + 1,), recall (M + 1,) and thresholds (M,), from the lowest threshold up. A sample counts as
        positive if its score is at least the threshold. The last point, precision 1 at recall 0, has no threshold.
        Without positives, recall is 1 throughout.

    Raises:
        InputError: if there are no samples, shapes differ, the truth is not boolean or a score is not finite.
    """
    positive, score = binary_scores(is_positive, scores)
    tp, fp, threshold = _steps(positive, score)
    recall = tp / tp[-1] if tp[-1] else np.ones(len(tp))
    return np.append((tp / (tp + fp))[::-1], 1.0), np.append(recall[::-1], 0.0), threshold[::-1]


def roc_auc(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the area under the ROC curve: how often a positive outscores a negative; ties count half.

    It is the rank sum of Mann and Whitney 1947 (Hanley and McNeil 1982, Radiology 143:29).

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        The area in [0, 1]; nan if there are no positives or no negatives.

    Raises:
        InputError: if there are no samples, shapes differ, the truth is not boolean or a score is not finite.

    Examples:
        >>> roc_auc([False, True, True], [0.1, 0.6, 0.9])
        1.0
    """
    positive, score = binary_scores(is_positive, scores)
    return float(ranking_areas(positive, score, np.ones((1, len(score))))[0][0])


def average_precision(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the average precision: the sum over thresholds of the gain in recall times the precision.

    The same as scikit-learn's, without interpolation, which is too optimistic (Davis and Goadrich 2006, ICML). A random
    ranking has the fraction of positives.

    Args:
        is_positive: (N,) booleans.
        scores: (N,) finite floats, higher for likelier positive.

    Returns:
        The average precision in [0, 1]; nan if there are no positives (scikit-learn warns and returns 0).

    Raises:
        InputError: if there are no samples, shapes differ, the truth is not boolean or a score is not finite.

    Examples:
        >>> average_precision([False, True, True], [0.7, 0.6, 0.9])
        0.8333333333333333
    """
    positive, score = binary_scores(is_positive, scores)
    return float(ranking_areas(positive, score, np.ones((1, len(score))))[1][0])


def ranking_areas(positive: Bool, score: Float64, counts: Counts) -> tuple[Float64, Float64]:
    """Return the ROC AUC and the average precision of each resampling, float64 (B,) each.

    Args:
        positive: bool (N,), the truth.
        score: float64 (N,), higher for likelier positive.
        counts: (B, N), how often each sample counts. One row of ones is the samples themselves.

    Returns:
        The areas. ROC AUC is nan if one side is not drawn, average precision if no positive is.
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
    """Return cumulative true and false positives and thresholds, each (M,), for M distinct scores, highest first."""
    tp, fp = _cumulated(positive, score, np.ones((1, len(score))))
    return tp[0], fp[0], np.unique(score)[::-1]


def _cumulated(positive: Bool, score: Float64, counts: Counts) -> tuple[Float64, Float64]:
    """Return cumulative true and false positives, each (B, M), for M distinct scores, highest first."""
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    drawn, hit = counts[:, order].astype(np.float64), positive[order]
    both = np.cumsum(drawn, axis=1)[:, last_of_tie]
    tp = np.cumsum(drawn * hit, axis=1)[:, last_of_tie]
    return tp, both - tp


def _rate(cumulated: Float64) -> Float64:
    """Return cumulative counts as fractions of the last, after a leading 0; nan if the last is 0."""
    total = cumulated[-1]
    return np.append(0, cumulated) / total if total else np.full(len(cumulated) + 1, np.nan)
