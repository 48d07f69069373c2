"""Proposals begin with what the model knows, or with five labels of each class, and learn from every label."""

import numpy as np
import pytest

from mien.data.fixes.proposals import MIN_LABELS, Proposer, fit_layer
from mien.inference.calibration import probabilities


def drawn(count: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of four labels, and a class that depends on two of them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 4))
    return probabilities(logits), (logits[:, 0] > logits[:, 1]).astype(np.int64)


def test_nothing_is_proposed_before_there_are_five_of_each() -> None:
    features, truth = drawn()
    proposer = Proposer(features, None, 2)
    assert not proposer.ready
    few = np.concatenate([np.flatnonzero(truth == 0)[:MIN_LABELS], np.flatnonzero(truth == 1)[: MIN_LABELS - 1]])
    proposer.fit({int(one): int(truth[one]) for one in few})
    assert not proposer.ready
    assert np.allclose(proposer.probabilities, 0.5)
    more = np.concatenate([few, np.flatnonzero(truth == 1)[MIN_LABELS - 1 : MIN_LABELS]])
    proposer.fit({int(one): int(truth[one]) for one in more})
    assert proposer.ready
    assert (proposer.probabilities.argmax(axis=1) == truth).mean() > 0.7


def test_what_the_model_knows_is_proposed_at_once_and_corrected() -> None:
    features, truth = drawn()
    wrong = np.eye(2)[1 - truth] * 0.4 + 0.3  # a model that takes one class for the other
    proposer = Proposer(features, wrong, 2)
    assert proposer.ready
    assert (proposer.probabilities.argmax(axis=1) == truth).mean() == 0
    proposer.fit({one: int(truth[one]) for one in range(60)})
    assert (proposer.probabilities[60:].argmax(axis=1) == truth[60:]).mean() > 0.8


def test_a_model_that_is_very_sure_does_no_harm() -> None:
    features, truth = drawn()
    sure = np.where(np.eye(2)[truth] > 0, 1 - 1e-9, 1e-9)
    sure[:12] = sure[:12, ::-1]  # and wrong about a tenth
    proposer = Proposer(features, sure, 2)
    proposer.fit({one: int(truth[one]) for one in range(60)})
    assert (proposer.probabilities[60:].argmax(axis=1) == truth[60:]).mean() > 0.95


def test_the_next_are_unsure_new_and_unlike_each_other() -> None:
    features, _ = drawn()
    known = np.full((120, 2), [0.99, 0.01])
    known[[3, 4, 5]] = 0.5
    features[4] = features[3]
    proposer = Proposer(features, known, 2)
    first = proposer.next([], 2)
    assert first[0] in (3, 4, 5)
    assert set(first) != {3, 4}
    assert not set(proposer.next(first, 118)) & set(first)
    assert proposer.next([], 5, np.arange(120) == 7) == [7]


def test_the_layer_is_that_of_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    features, truth = drawn()
    found = linear.LogisticRegression(C=1.0, fit_intercept=False, tol=1e-9, max_iter=1000).fit(features, truth)
    weights = fit_layer(np.column_stack([features, np.zeros(120)]), truth, np.zeros((120, 2)), penalty=2.0)
    # Of two classes scikit-learn fits one vector, which is the difference of ours; the penalty of both is the same.
    assert np.allclose(weights[:-1, 1] - weights[:-1, 0], found.coef_[0], atol=1e-4)
