"""Find label issues by confident learning on out-of-sample predictions."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64

#: With fewer samples of a class, its mean self-confidence is not estimated and the class is not suggested.
MIN_SAMPLES = 5


@dataclass(frozen=True)
class LabelIssue:
    """Sample `index` is labelled `given`, but class `suggested` is more probable by `margin`."""

    index: int
    given: int
    suggested: int
    margin: float


def find_label_issues(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> list[LabelIssue]:
    """Return likely label errors, largest margin first.

    A sample is an issue if another class is more probable than its label and reaches that class's mean
    self-confidence: the mean probability that the class's own samples have for it (confident learning:
    Northcutt, Jiang and Chuang, JAIR 2021). So a class that the model is rarely sure of has a low threshold. If
    several classes qualify, the most probable is suggested. Classes of fewer than MIN_SAMPLES are never suggested.

    Args:
        probabilities: float (N, K), rows sum to 1, from a model that was not trained on these samples.
        labels: int (N,), the given class of each sample, in [0, K).

    Returns:
        One `LabelIssue` per issue; its margin is in (0, 1].

    Examples:
        >>> find_label_issues([[0.75, 0.25]] * 5 + [[0.25, 0.75]] * 5 + [[0.75, 0.25]], [0] * 5 + [1] * 6)
        [LabelIssue(index=10, given=1, suggested=0, margin=0.5)]
    """
    rows, given = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    if not len(rows):
        return []
    own = rows[np.arange(len(rows)), given]
    candidates = np.where(rows >= _thresholds(rows, own, given), rows, -1.0)
    candidates[np.arange(len(rows)), given] = -1.0
    suggested = candidates.argmax(axis=1)
    margin = candidates[np.arange(len(rows)), suggested] - own
    order = np.argsort(-margin, kind="stable")
    return [LabelIssue(int(i), int(given[i]), int(suggested[i]), float(margin[i])) for i in order if margin[i] > 0]


def _thresholds(rows: Float64, own: Float64, given: Int64) -> Float64:
    """Return each class's mean self-confidence, float64 (K,); infinite for classes that are too small."""
    counts = np.bincount(given, minlength=rows.shape[1])
    totals = np.bincount(given, own, minlength=rows.shape[1])
    means: Float64 = np.where(counts >= MIN_SAMPLES, totals / np.maximum(counts, 1), np.inf)
    return means
