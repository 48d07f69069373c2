"""Propose labels for images that have none, and say which of them to label next.

The features are the log-probabilities of a model's own labels. If the model knows the classes, its answers are where
the last layer begins; else the layer begins with nothing and proposes as soon as a few of each class are labelled.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from mien.arrays import Bool, Float64, Int64
from mien.inference.calibration import probabilities

#: Proposals for classes that the model does not know begin with so many labels of each.
MIN_LABELS = 5
#: Strength of the L2 penalty: the layer is a few numbers per class, and may rest on ten images.
_PENALTY = 1.0
_STEPS = 20
#: Images are compared with so many that were labelled last.
_MEMORY = 500
_SMALLEST = 1e-6
#: What a model knows is doubted by so much: its answers on other images than its own are too sure.
_DOUBT = 0.02


class Proposer:
    """Proposes a class for each of N images.

    Args:
        features: float (N, L), the probability of each of the model's labels, rows sum to 1.
        known: float (N, K), the probability of each class; None if the model does not know them.
        classes: K, how many there are.
    """

    def __init__(self, features: Float64, known: Float64 | None, classes: int) -> None:
        logs = np.log(np.maximum(features, _SMALLEST))
        spread = np.maximum(logs.std(axis=0), _SMALLEST) if len(logs) else 1.0
        self._features: Float64 = (logs - logs.mean(axis=0)) / spread if len(logs) else logs
        self._offset = np.zeros((len(logs), classes)) if known is None else np.log(known + _DOUBT)
        self._known = known is not None
        self._weights = np.zeros((self._features.shape[1] + 1, classes))
        self.ready = self._known

    def fit(self, labels: Mapping[int, int]) -> None:
        """Fit the layer to the labels so far: the class of each labelled image, both by index."""
        rows, given = np.array(list(labels), np.int64), np.array(list(labels.values()), np.int64)
        counts = np.bincount(given, minlength=self._weights.shape[1])
        enough = bool(counts.min() >= MIN_LABELS)
        self.ready = self._known or enough
        self._weights = np.zeros_like(self._weights)
        if enough:
            self._weights = fit_layer(self._with_one()[rows], given, self._offset[rows])

    @property
    def probabilities(self) -> Float64:
        """The probability of each class, float64 (N, K), rows sum to 1; equal for all until there are proposals."""
        return probabilities(self._offset + self._with_one() @ self._weights)

    def next(self, labelled: Sequence[int], count: int, among: Bool | None = None) -> list[int]:
        """Choose images to label next, the most informative first: unsure, and unlike all that were labelled.

        Args:
            labelled: the images that have a label.
            count: how many to choose.
            among: bool (N,), which may be chosen; None is all without a label.
        """
        free = np.ones(len(self._features), bool) if among is None else among.copy()
        free[list(labelled)] = False
        answers = self.probabilities
        unsure = -(answers * np.log(np.maximum(answers, _SMALLEST))).sum(axis=1) / np.log(max(answers.shape[1], 2))
        distance = np.full(len(self._features), np.inf)
        for index in labelled[-_MEMORY:]:
            distance = np.minimum(distance, self._distance(index))
        chosen: list[int] = []
        for _ in range(min(count, int(free.sum()))):
            far = np.where(np.isfinite(distance), 1 - np.exp(-distance / self._features.shape[1]), 1.0)
            score = np.where(free, (unsure + _SMALLEST) * (far + _SMALLEST), -1.0)
            index = int(score.argmax())
            chosen.append(index)
            free[index] = False
            distance = np.minimum(distance, self._distance(index))
        return chosen

    def _distance(self, index: int) -> Float64:
        gap: Float64 = ((self._features - self._features[index]) ** 2).sum(axis=1)
        return gap

    def _with_one(self) -> Float64:
        return np.column_stack([self._features, np.ones(len(self._features))])


def fit_layer(features: Float64, labels: Int64, offset: Float64, penalty: float = _PENALTY) -> Float64:
    """Fit multinomial logistic regression with an L2 penalty by Newton's method.

    Args:
        features: float (N, F), the last column 1.
        labels: int (N,), in [0, K).
        offset: float (N, K), logits that the layer adds to.
        penalty: strength of the penalty, in images; the last column is not penalised, except a little.

    Returns:
        Weights, float64 (F, K).
    """
    size, classes = features.shape[1], offset.shape[1]
    weights = np.zeros((size, classes))
    strength = np.full((size, 1), penalty)
    strength[-1] = penalty / 100
    targets = np.eye(classes)[labels]
    for _ in range(_STEPS):
        answers = probabilities(offset + features @ weights)
        gradient = features.T @ (answers - targets) + strength * weights
        hessian = np.einsum("nf,nk,ng->fkg", features, answers, features)
        full = -np.einsum("nf,nk,nl,ng->fkgl", features, answers, answers, features, optimize=True)
        for one in range(classes):
            full[:, one, :, one] += hessian[:, one]
        matrix = full.reshape(size * classes, size * classes) + np.diag(np.repeat(strength, classes))
        step = np.linalg.solve(matrix, gradient.ravel()).reshape(size, classes)
        before, length = _loss(weights, features, targets, offset, strength), 1.0
        # A whole step may be too long where the offset is very sure.
        while length > 1e-4 and _loss(weights - length * step, features, targets, offset, strength) > before:
            length /= 2
        weights -= length * step
        if np.abs(step).max() < 1e-6:
            break
    return weights


def _loss(weights: Float64, features: Float64, targets: Float64, offset: Float64, strength: Float64) -> float:
    answers = np.maximum(probabilities(offset + features @ weights), np.finfo(float).tiny)
    return float(-(targets * np.log(answers)).sum() + (strength * weights**2).sum() / 2)
