"""Every figure of a classifier in every resampling of its groups, all at once.

A helper of `mien.metrics.classification` and of `mien.metrics.significance`: figures whose interval or whose
difference is bootstrapped.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mien.arrays import Bool, Float64, Int64
from mien.metrics.ranking import areas


@dataclass(frozen=True, eq=False)
class Answers:
    """What K classes' figures are made of: N samples, checked.

    truth and answers int64 (N,) in [0, K), scores float64 (N, K), losses float64 (N,) each sample's part of the
    Brier score (nan where the scores are no probabilities), member int64 (N,) the group of each, from 0.
    """

    truth: Int64
    answers: Int64
    scores: Float64
    losses: Float64
    member: Int64

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.member.max()) + 1

    def groups_with(self, chosen: Bool) -> int:
        """How many groups have at least one of these samples, bool (N,)."""
        return len(np.unique(self.member[chosen]))


@dataclass(frozen=True, eq=False)
class Replicates:
    """Figures in R resamplings, nan where undefined: (R,) of all samples, (R, K) of each class."""

    accuracy: Float64
    brier: Float64
    precision: Float64
    recall: Float64
    f1: Float64
    roc_auc: Float64
    average_precision: Float64

    def overall(self) -> dict[str, Float64]:
        """Return the figures of all classes together, each (R,), as `mien.metrics.estimates.Evaluation` defines
        them."""
        two = self.recall.shape[1] == 2
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": _mean_of_known(self.recall),
            "macro_precision": _mean_with_zeros(self.precision),
            "macro_recall": _mean_with_zeros(self.recall),
            "macro_f1": _mean_with_zeros(self.f1),
            "roc_auc": self.roc_auc[:, 1] if two else _mean_of_known(self.roc_auc),
            "average_precision": _mean_with_zeros(self.average_precision),
            "brier": self.brier,
        }


def replicate(of: Answers, draws: Iterable[Int64]) -> Replicates:
    """Return every figure of each resampling; `draws` are rows (B, G) of how often each group is drawn.

    One row of ones is the samples as they are.
    """
    k = of.scores.shape[1]
    cells = _sum_by_group(of, np.eye(k * k)[of.truth * k + of.answers])
    losses = _sum_by_group(of, np.stack([of.losses, np.ones(len(of.losses))], axis=1))
    parts = [_figures(of, counts, cells, losses, k) for counts in draws]
    return Replicates(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _sum_by_group(of: Answers, values: Float64) -> Float64:
    """Sums (G, C) of the rows of values (N, C) of each group."""
    found = np.zeros((of.groups, values.shape[1]))
    np.add.at(found, of.member, values)
    return found


def _figures(of: Answers, counts: Int64, cells: Float64, losses: Float64, k: int) -> tuple[Float64, ...]:
    """The figures of some resamplings, in the order of Replicates; counts (B, G)."""
    weights = counts.astype(np.float64)
    confusion = (weights @ cells).reshape(-1, k, k)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    occurs, answered = confusion.sum(axis=2), confusion.sum(axis=1)
    lost = weights @ losses
    drawn = weights[:, of.member]
    ranked = [areas(of.truth == c, of.scores[:, c], drawn) for c in range(k)]
    return (
        hits.sum(axis=1) / confusion.sum(axis=(1, 2)),
        lost[:, 0] / lost[:, 1],
        _ratio(hits, answered),
        _ratio(hits, occurs),
        _ratio(2 * hits, occurs + answered),
        np.stack([auc for auc, _ in ranked], axis=1),
        np.stack([precision for _, precision in ranked], axis=1),
    )


def _ratio(part: Float64, whole: Float64) -> Float64:
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def _mean_with_zeros(replicates: Float64) -> Float64:
    """Means (R,) over the classes of (R, K), those that are undefined counting as 0."""
    return np.asarray(np.nan_to_num(replicates, nan=0.0).mean(axis=1))


def _mean_of_known(replicates: Float64) -> Float64:
    """Means (R,) over the classes of (R, K) where they are defined; nan where none is."""
    known = (~np.isnan(replicates)).sum(axis=1)
    return _ratio(np.nansum(replicates, axis=1), known)
