"""Labels that are probably wrong, by what a model that never saw them says: confident learning."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64, Int64

#: A class needs this many pictures before its mean says how sure the model is of it.
FEWEST = 5


@dataclass(frozen=True)
class LabelIssue:
    """Sample number `index` looks like class number `other`, whose probability exceeds its own label's by `margin`."""

    index: int
    other: int
    margin: float


def find_label_issues(shares: npt.ArrayLike, labels: npt.ArrayLike) -> list[LabelIssue]:
    """Find the samples whose label is probably wrong, worst first (Northcutt, Jiang and Chuang, JAIR 2021).

    `shares` float (N, K) are probabilities over K classes, rows summing to 1, from a model that was not
    trained on these samples; `labels` int (N,) are the given classes. A class's threshold is the mean
    probability that its own samples have for it, so that a model which is rarely sure of a class need not
    be sure to doubt it. A sample is suspect where another class reaches its threshold and is more probable
    than the label; of several such classes the most probable is named. Classes of fewer than FEWEST samples
    are never named.
    """
    rows, given = np.asarray(shares, np.float64), np.asarray(labels, np.int64)
    if not len(rows):
        return []
    own = rows[np.arange(len(rows)), given]
    reached = np.where(rows >= _thresholds(rows, own, given), rows, -1.0)
    reached[np.arange(len(rows)), given] = -1.0
    other = reached.argmax(axis=1)
    margin = reached[np.arange(len(rows)), other] - own
    worst_first = np.argsort(-margin, kind="stable")
    return [LabelIssue(int(i), int(other[i]), float(margin[i])) for i in worst_first if margin[i] > 0]


def _thresholds(rows: Float64, own: Float64, given: Int64) -> Float64:
    counts = np.bincount(given, minlength=rows.shape[1])
    totals = np.bincount(given, own, minlength=rows.shape[1])
    means: Float64 = np.where(counts >= FEWEST, totals / np.maximum(counts, 1), np.inf)
    return means
