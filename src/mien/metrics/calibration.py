"""How far a classifier's probabilities can be trusted: calibration error, and risk against coverage.

A helper of `mien.metrics.classification`. All take a model's confidence in each of its answers and whether the answer
is right.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64
from mien.errors import InputError
from mien.metrics.bootstrap import resamplings, share_interval
from mien.metrics.estimates import Estimate
from mien.metrics.intervals import Z95
from mien.metrics.validation import members


@dataclass(frozen=True, eq=False)
class Reliability:
    """A reliability diagram in numbers: B bins of answers, from the least to the most confident.

    confidence, accuracy: float64 (B,), the mean confidence and the share of right answers of each bin, in [0, 1].
    counts: int64 (B,), the answers in each bin.
    error: the expected calibration error, in [0, 1].
    noise: the error that a perfectly calibrated model of these confidences shows on average on so many
        answers. An estimate near it says that no miscalibration was found, not that there is so much of it.
    """

    confidence: Float64
    accuracy: Float64
    counts: Int64
    error: Estimate
    noise: float

    def to_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return {
            "confidence": self.confidence.tolist(),
            "accuracy": self.accuracy.tolist(),
            "counts": self.counts.tolist(),
            "error": self.error.to_dict(),
            "noise": self.noise,
        }


def reliability(
    confidence: npt.ArrayLike, is_right: npt.ArrayLike, bins: int = 15, groups: npt.ArrayLike | None = None
) -> Reliability:
    """Compare confidence with accuracy in bins of equal mass, and measure the expected calibration error.

    The error is the mean over bins, weighted by their counts, of |accuracy - confidence| (Naeini, Cooper and
    Hauskrecht 2015, AAAI; Guo et al. 2017, ICML; equal mass as Nixon et al. 2019, CVPR workshops, advise).
    Counts differ by at most one. Answers of equal confidence share their hits evenly, so the order of the rows
    does not matter.

    The 95 % interval holds the error's expected value in these bins. Above: the estimate is never too small on
    average (it is a mean of absolute values), and varies at most as the accuracy does, so its plain normal
    limit holds. Below: the estimate exceeds the truth by at most the mean absolute noise of the bins, whose
    97.5 % quantile is taken off. The interval is therefore cautious, and reaches 0 unless the model is shown to
    be miscalibrated. Bootstrap intervals were tried first: near 0, where the estimate lies above the truth,
    they hold it in 0 % (percentile) to 40 % (basic) of samples. Where answers stand in groups that are not
    independent, each bin varies as its groups do, but never less than independent answers would.

    Args:
        confidence: (N,) floats in [0, 1], the probability of each answer; N >= bins.
        is_right: (N,) booleans.
        bins: how many, at least 1.
        groups: (N,) numbers or names; answers to copies of a picture, or to one person, are one group.

    Raises:
        InputError: shapes that differ, confidences that are no probabilities, fewer answers than bins.
    """
    score, hit = _checked(confidence, is_right)
    if not 1 <= bins <= len(score):
        raise InputError(f"reliability: {len(score)} answers in {bins} bins; give at least one answer for each bin")
    parts = np.array_split(np.argsort(score, kind="stable"), bins)
    counts = np.array([len(part) for part in parts], dtype=np.int64)
    mean_confidence = np.array([score[part].mean() for part in parts])
    accuracy = np.array([hit[part].mean() for part in parts])
    weights = counts / counts.sum()
    # The larger of what is seen and what is claimed: a bin without a single error still has some uncertainty.
    spread = np.maximum(accuracy * (1 - accuracy), mean_confidence * (1 - mean_confidence)) / counts
    if groups is not None:
        spread = np.maximum(spread, _between_groups(score - hit, parts, members(groups, len(score))))
    mean_noise, noise_variance = _absolute_noise(weights, spread)
    value = float((weights * np.abs(accuracy - mean_confidence)).sum())
    low = value - mean_noise - Z95 * math.sqrt(noise_variance)
    high = value + Z95 * math.sqrt(float((weights**2 * spread).sum()))
    claimed, _ = _absolute_noise(weights, mean_confidence * (1 - mean_confidence) / counts)
    error = Estimate(value, max(0.0, low), min(1.0, high))
    return Reliability(mean_confidence, accuracy, counts, error, claimed)


def risk_coverage(confidence: npt.ArrayLike, is_right: npt.ArrayLike) -> tuple[Float64, Float64]:
    """Points of the risk-coverage curve: the error rate when only the most confident answers are kept.

    From Geifman and El-Yaniv 2017 (NeurIPS). Answers of equal confidence share their hits evenly.

    Args:
        confidence: (N,) floats in [0, 1], the probability of each answer; N >= 1.
        is_right: (N,) booleans.

    Returns:
        Coverage 1/N ... 1 and risk, the share of wrong answers among those kept; each float64 (N,), in [0, 1].

    Raises:
        InputError: no answers, shapes that differ, confidences that are no probabilities.
    """
    score, hit = _checked(confidence, is_right)
    kept = np.arange(1, len(score) + 1)
    wrong = np.cumsum(1 - hit[np.argsort(-score, kind="stable")])
    return kept / len(score), np.clip(wrong / kept, 0, 1)


def area_under_risk(
    confidence: npt.ArrayLike, is_right: npt.ArrayLike, groups: npt.ArrayLike | None = None, seed: int = 0
) -> Estimate:
    """Area under the risk-coverage curve: the mean of its risks over all coverages (Geifman, Uziel and El-Yaniv 2019).

    0 is best; a confidence that says nothing has the error rate. The 95 % interval is of a bootstrap by group.

    Args:
        confidence, is_right: as for `risk_coverage`.
        groups: (N,) numbers or names; answers of one group are not independent.
        seed: of the bootstrap.

    Raises:
        InputError: as `risk_coverage`.
    """
    score, hit = _checked(confidence, is_right)
    member = members(groups, len(score))
    order = np.argsort(-score, kind="stable")
    wrong, member = 1 - hit[order], member[order]
    count = int(member.max()) + 1
    drawn = np.concatenate([_areas(rows[:, member], wrong) for rows in resamplings(count, seed=seed)])
    value = float(_areas(np.ones((1, len(score))), wrong)[0])
    low, high = share_interval(value, drawn, count)
    return Estimate(value, max(0.0, min(low, value)), min(1.0, max(high, value)))


def _areas(counts: npt.NDArray[Any], wrong: Float64) -> Float64:
    """Mean risk (B,) where the answers, from the most confident down, count so often (B, N)."""
    kept = np.cumsum(counts, axis=1, dtype=np.float64)
    risk = np.divide(np.cumsum(counts * wrong, axis=1), kept, out=np.zeros_like(kept), where=kept > 0)
    return np.asarray((counts * risk).sum(axis=1) / kept[:, -1])


def _between_groups(gaps: Float64, parts: list[npt.NDArray[Any]], member: Int64) -> Float64:
    """Variance (B,) of the mean gap of each bin, its groups taken as independent and their answers as they are."""
    found = []
    for part in parts:
        sums = np.bincount(member[part], weights=gaps[part] - gaps[part].mean())
        found.append(float((sums**2).sum()) / len(part) ** 2)
    return np.array(found)


def _absolute_noise(weights: Float64, variances: Float64) -> tuple[float, float]:
    """Mean and variance of the weighted sum of |x| for independent normal x with mean 0."""
    mean = math.sqrt(2 / math.pi) * float((weights * np.sqrt(variances)).sum())
    return mean, (1 - 2 / math.pi) * float((weights**2 * variances).sum())


def _checked(confidence: npt.ArrayLike, is_right: npt.ArrayLike) -> tuple[Float64, Float64]:
    """Confidences (N,) and hits (N,) in [0, 1], answers of equal confidence sharing theirs."""
    score, right = np.asarray(confidence), np.asarray(is_right)
    if score.ndim != 1 or len(score) == 0 or score.dtype.kind not in "fiu":
        raise InputError(f"confidence: {score.dtype} {score.shape}; give (N,) numbers in [0, 1], at least one")
    if right.shape != score.shape or right.dtype != np.bool_:
        raise InputError(f"is_right: {right.dtype} {right.shape}; give {score.shape} booleans, one for each answer")
    if not ((score >= 0) & (score <= 1)).all():
        raise InputError(f"confidence: runs from {score.min()} to {score.max()}; give probabilities in [0, 1]")
    _, place = np.unique(score, return_inverse=True)
    share = np.bincount(place, weights=right) / np.bincount(place)
    return score.astype(np.float64), share[place]
