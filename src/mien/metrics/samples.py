"""The checked input of every metric: truth, answers and scores of N samples, and what is derived from them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64, Int64
from mien.errors import InputError
from mien.metrics.ranking import ranking_areas
from mien.metrics.validation import class_indices, finite_array, group_indices

#: Rows of probabilities may differ from a sum of 1 by this much.
SUM_TOLERANCE = 1e-4


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples among K classes, checked; made by `check_samples`.

    Attributes:
        truth: int64 (N,), the true class, in [0, K).
        answers: int64 (N,), the answered class, in [0, K).
        scores: float64 (N, K), higher for likelier; all nan if a classifier gave only answers.
        group: int64 (N,), the index of each sample's group, from 0 without gaps.
        has_groups: False if no groups were given, so that each sample is its own.
    """

    truth: Int64
    answers: Int64
    scores: Float64
    group: Int64
    has_groups: bool

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.truth)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.scores.shape[1])

    @property
    def has_scores(self) -> bool:
        """Whether there are scores, and not only answers."""
        return not math.isnan(self.scores[0, 0])

    @cached_property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.group.max()) + 1

    @cached_property
    def confusion(self) -> Int64:
        """Confusion matrix, int64 (K, K), rows the truth and columns the answer; read-only."""
        k = self.n_classes
        found = np.bincount(self.truth * k + self.answers, minlength=k * k).reshape(k, k).astype(np.int64)
        found.setflags(write=False)
        return found

    @cached_property
    def hits(self) -> Int64:
        """Right answers of each class, int64 (K,)."""
        return np.diag(self.confusion)

    @cached_property
    def support(self) -> Int64:
        """Samples that truly are of each class, int64 (K,)."""
        return np.asarray(self.confusion.sum(axis=1))

    @cached_property
    def answered(self) -> Int64:
        """Samples answered with each class, int64 (K,)."""
        return np.asarray(self.confusion.sum(axis=0))

    @cached_property
    def areas(self) -> tuple[Float64, Float64]:
        """ROC AUC and average precision of each class against the rest, float64 (K,) each; nan if undefined."""
        once = np.ones((1, self.n))
        found = [ranking_areas(self.truth == c, self.scores[:, c], once) for c in range(self.n_classes)]
        return np.array([auc[0] for auc, _ in found]), np.array([precision[0] for _, precision in found])

    @cached_property
    def losses(self) -> Float64:
        """Each sample's term of the Brier score, float64 (N,); all nan if the scores are not probabilities."""
        scores = self.scores
        if scores.min() < 0 or scores.max() > 1 or np.abs(scores.sum(axis=1) - 1).max() > SUM_TOLERANCE:
            return np.full(self.n, math.nan)
        errors = (scores - np.eye(self.n_classes)[self.truth]) ** 2
        return np.asarray(errors[:, 1] if self.n_classes == 2 else errors.sum(axis=1))

    @property
    def are_probabilities(self) -> bool:
        """Whether every row of scores is in [0, 1] and sums to 1."""
        return not math.isnan(self.losses[0])

    @cached_property
    def cells_by_group(self) -> Float64:
        """Confusion matrix of each group, flattened, float64 (G, K * K)."""
        k = self.n_classes
        return self._sum_by_group(np.eye(k * k)[self.truth * k + self.answers])

    @cached_property
    def losses_by_group(self) -> Float64:
        """Sum of the losses and number of samples of each group, float64 (G, 2)."""
        return self._sum_by_group(np.stack([self.losses, np.ones(self.n)], axis=1))

    def _sum_by_group(self, values: Float64) -> Float64:
        found = np.zeros((self.n_groups, values.shape[1]))
        np.add.at(found, self.group, values)
        return found

    def count_groups(self, chosen: Bool) -> int:
        """Return how many groups have at least one of the chosen samples, bool (N,)."""
        return len(np.unique(self.group[chosen]))


def check_samples(
    truth: npt.ArrayLike,
    probabilities: npt.ArrayLike | None,
    classes: Sequence[str],
    answers: npt.ArrayLike | None = None,
    groups: npt.ArrayLike | None = None,
) -> Samples:
    """Check the arguments of `classification_metrics` and return them as one value.

    Args:
        truth: (N,) integers in [0, K).
        probabilities: (N, K) finite floats, higher for likelier; None, or all nan, if there are only answers.
        classes: the K class names, K >= 2, all different.
        answers: (N,) integers in [0, K); by default the likeliest class, the first one on ties.
        groups: (N,) numbers or names; samples of one group are not independent. By default each sample is.

    Raises:
        InputError: if there are no samples, shapes differ, indices are not integers in [0, K), class names repeat
            or are too few, some probabilities are not finite numbers, or there are neither these nor answers.
    """
    k = len(classes)
    if k < 2 or len(set(classes)) < k:
        raise InputError(f"classes: are {list(classes)!r}; give at least two different names")
    if probabilities is None or _is_unknown(probabilities):
        if answers is None:
            raise InputError("probabilities: are missing, and so are answers; give one of them")
        scores = np.full((len(np.atleast_1d(answers)), k), math.nan)
    else:
        scores = finite_array(probabilities, "probabilities")
    if scores.ndim != 2 or scores.shape[1] != k:
        raise InputError(f"probabilities: shape is {scores.shape}; give (N, {k}), one column per class")
    n = len(scores)
    if n == 0:
        raise InputError("probabilities: no samples; give at least one")
    true = class_indices(truth, "truth", n, k)
    answered = scores.argmax(axis=1) if answers is None else class_indices(answers, "answers", n, k)
    return Samples(true, answered, scores, group_indices(groups, n), groups is not None)


def _is_unknown(probabilities: npt.ArrayLike) -> bool:
    """Whether this is an array of nan alone, as `Samples.scores` is without probabilities."""
    known = isinstance(probabilities, np.ndarray) and probabilities.dtype.kind == "f" and probabilities.size > 0
    return known and bool(np.isnan(probabilities).all())
