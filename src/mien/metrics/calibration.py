"""Calibration and selective classification: reliability diagrams, calibration error, risk-coverage curves.

All functions take the confidence of each answer and whether the answer is right.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64
from mien.errors import InputError
from mien.metrics.bootstrap import bootstrap_wilson_interval, resample_groups
from mien.metrics.estimates import Estimate, bounded_estimate
from mien.metrics.intervals import Z95
from mien.metrics.validation import group_indices

#: Most bins of a reliability diagram, and the fewest answers of one.
MOST_BINS, FEWEST_IN_BIN = 15, 8


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram: B bins of answers, from the least to the most confident.

    Attributes:
        confidence: float64 (B,), the mean confidence of each bin, in [0, 1].
        accuracy: float64 (B,), the fraction of right answers of each bin, in [0, 1].
        counts: int64 (B,), the answers in each bin.
        error: the expected calibration error (ECE), in [0, 1].
        noise: the mean ECE of a perfectly calibrated model with these confidences. An ECE near it means that no
            miscalibration was found, not that there is that much of it.
    """

    confidence: Float64
    accuracy: Float64
    counts: Int64
    error: Estimate
    noise: float

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "confidence": self.confidence.tolist(),
            "accuracy": self.accuracy.tolist(),
            "counts": self.counts.tolist(),
            "error": self.error.to_dict(),
            "noise": self.noise,
        }


def choose_bins(n: int) -> int:
    """Return the number of bins for n answers: up to 15, of at least 8 answers each.

    Examples:
        >>> choose_bins(40), choose_bins(5000)
        (5, 15)
    """
    return min(MOST_BINS, max(1, n // FEWEST_IN_BIN))


def reliability(
    confidence: npt.ArrayLike, is_right: npt.ArrayLike, bins: int = 15, groups: npt.ArrayLike | None = None
) -> Reliability:
    """Compare confidence with accuracy in bins of equal mass and estimate the expected calibration error (ECE).

    ECE is the mean over bins, weighted by their counts, of |accuracy - confidence| (Naeini, Cooper and Hauskrecht 2015,
    AAAI; Guo et al. 2017, ICML; equal mass as in Nixon et al. 2019, CVPR workshops). Counts differ by at most one.
    Answers of equal confidence share their hits evenly, so that the order of the rows does not matter.

    The 95 % interval covers the expected ECE in these bins. Upper end: the estimate is never too small on average,
    because it is a mean of absolute values, and varies at most as the accuracy does, so its normal limit holds. Lower
    end: the estimate exceeds the truth by at most the mean absolute noise of the bins, and the 97.5 % quantile of that
    is subtracted. The interval is conservative and reaches 0 unless the model is shown to be miscalibrated. Bootstrap
    intervals were tried first: near 0, where the estimate lies above the truth, they cover it in 0 % (percentile) to
    40 % (basic) of samples. With groups, each bin varies as its groups do, but never less than independent answers.

    Args:
        confidence: (N,) floats in [0, 1], the probability of each answer; N >= bins.
        is_right: (N,) booleans.
        bins: number of bins, at least 1.
        groups: (N,) numbers or names; answers to copies of an image, or to one person, are one group.

    Raises:
        InputError: if shapes differ, confidences are not in [0, 1] or there are fewer answers than bins.
    """
    score, hit = _checked(confidence, is_right)
    if not 1 <= bins <= len(score):
        raise InputError(f"reliability: {len(score)} answers in {bins} bins; give at least one answer for each bin")
    parts = np.array_split(np.argsort(score, kind="stable"), bins)
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    mean_confidence = np.array([score[part].mean() for part in parts])
    accuracy = np.array([hit[part].mean() for part in parts])
    weights = counts / counts.sum()
    # The larger of the observed and the claimed variance: a bin without errors still has some uncertainty.
    spread = np.maximum(accuracy * (1 - accuracy), mean_confidence * (1 - mean_confidence)) / counts
    group = group_indices(groups, len(score))
    if group.max() + 1 < len(score):
        spread = np.maximum(spread, _between_groups(score - hit, parts, group))
    mean_noise, noise_variance = _absolute_noise(weights, spread)
    value = float((weights * np.abs(accuracy - mean_confidence)).sum())
    low = value - mean_noise - Z95 * math.sqrt(noise_variance)
    high = value + Z95 * math.sqrt(float((weights**2 * spread).sum()))
    claimed, _ = _absolute_noise(weights, mean_confidence * (1 - mean_confidence) / counts)
    error = Estimate(value, max(0.0, low), min(1.0, high))
    return Reliability(mean_confidence, accuracy, counts, error, claimed)


def risk_coverage(confidence: npt.ArrayLike, is_right: npt.ArrayLike) -> tuple[Float64, Float64]:
    """Return the risk-coverage curve: the error rate if only the most confident answers are kept.

    Geifman and El-Yaniv 2017 (NeurIPS). Answers of equal confidence share their hits evenly.

    Args:
        confidence: (N,) floats in [0, 1], the probability of each answer; N >= 1.
        is_right: (N,) booleans.

    Returns:
        Coverage 1/N ... 1 and risk, the fraction of wrong answers among those kept; each float64 (N,), in [0, 1].

    Raises:
        InputError: if there are no answers, shapes differ or confidences are not in [0, 1].

    Examples:
        >>> import numpy as np
        >>> coverage, risk = risk_coverage([0.9, 0.6], np.array([True, False]))
        >>> coverage.tolist(), risk.tolist()
        ([0.5, 1.0], [0.0, 0.5])
    """
    score, hit = _checked(confidence, is_right)
    kept = np.arange(1, len(score) + 1)
    wrong = np.cumsum(1 - hit[np.argsort(-score, kind="stable")])
    return kept / len(score), np.clip(wrong / kept, 0, 1)


def area_under_risk_coverage(
    confidence: npt.ArrayLike, is_right: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Estimate:
    """Return the area under the risk-coverage curve (AURC): its mean risk (Geifman, Uziel and El-Yaniv 2019, ICLR).

    0 is best; an uninformative confidence has the error rate. The 95 % interval is from a bootstrap by group.

    Args:
        confidence: (N,) floats in [0, 1], the probability of each answer; N >= 1.
        is_right: (N,) booleans.
        groups: (N,) numbers or names; answers of one group are not independent. By default each answer is.
        seed: seed of the bootstrap.

    Raises:
        InputError: if there are no answers, shapes differ or confidences are not in [0, 1].
    """
    score, hit = _checked(confidence, is_right)
    group = group_indices(groups, len(score))
    order = np.argsort(-score, kind="stable")
    wrong, group = 1 - hit[order], group[order]
    n_groups = int(group.max()) + 1
    drawn = np.concatenate([_areas(rows[:, group], wrong) for rows in resample_groups(n_groups, seed=seed)])
    value = float(_areas(np.ones((1, len(score))), wrong)[0])
    return bounded_estimate(value, bootstrap_wilson_interval(value, drawn, n_groups))


def _areas(counts: npt.NDArray[Any], wrong: Float64) -> Float64:
    """Return the mean risk (B,) of answers sorted by falling confidence that count (B, N) times."""
    kept = np.cumsum(counts, axis=1, dtype=np.float64)
    risk = np.divide(np.cumsum(counts * wrong, axis=1), kept, out=np.zeros_like(kept), where=kept > 0)
    return np.asarray((counts * risk).sum(axis=1) / kept[:, -1])


def _between_groups(gaps: Float64, parts: list[npt.NDArray[Any]], group: Int64) -> Float64:
    """Return the variance (B,) of the mean gap of each bin, with independent groups of dependent answers."""
    found = []
    for part in parts:
        sums = np.bincount(group[part], weights=gaps[part] - gaps[part].mean())
        found.append(float((sums**2).sum()) / len(part) ** 2)
    return np.array(found)


def _absolute_noise(weights: Float64, variances: Float64) -> tuple[float, float]:
    """Return mean and variance of the weighted sum of |x| for independent normal x with mean 0."""
    mean = math.sqrt(2 / math.pi) * float((weights * np.sqrt(variances)).sum())
    return mean, (1 - 2 / math.pi) * float((weights**2 * variances).sum())


def _checked(confidence: npt.ArrayLike, is_right: npt.ArrayLike) -> tuple[Float64, Float64]:
    """Return confidences (N,) and hits (N,) in [0, 1]; answers of equal confidence share their hits."""
    score, right = np.asarray(confidence), np.asarray(is_right)
    if score.ndim != 1 or len(score) == 0 or score.dtype.kind not in "fiu":
        raise InputError(f"confidence: {score.dtype} {score.shape}; give (N,) numbers in [0, 1], at least one")
    if right.shape != score.shape or right.dtype != np.bool_:
        raise InputError(f"is_right: {right.dtype} {right.shape}; give {score.shape} booleans, one for each answer")
    if not ((score >= 0) & (score <= 1)).all():
        raise InputError(f"confidence: runs from {score.min()} to {score.max()}; give probabilities in [0, 1]")
    _, place = np.unique(score, return_inverse=True)
    shared = np.bincount(place, weights=right) / np.bincount(place)
    return score.astype(np.float64), shared[place]
