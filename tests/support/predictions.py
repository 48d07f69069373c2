"""Predictions of a model that was never trained."""

import numpy as np

from mien.evaluation.scoring import Predictions


def made_up(n: int = 60, classes: tuple[str, ...] = ("happy", "sad"), seed: int = 0) -> Predictions:
    """Scores of a model that is right more often than not."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(classes), n)
    shares = rng.dirichlet(np.ones(len(classes)), n) + np.eye(len(classes))[truth] * 0.4
    shares /= shares.sum(axis=1, keepdims=True)
    names = tuple(f"{classes[code]}/{index}.png" for index, code in enumerate(truth))
    return Predictions(classes, names, truth, shares.argmax(axis=1), shares)
