"""Confident learning finds labels that were turned over, and leaves the others alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.data.label_issues import MIN_SAMPLES, find_label_issues
from mien.data.synthetic.faces import draw_face
from mien.evaluation.scoring import Predictions
from mien.inference.reader import load
from mien.metrics.ranking import average_precision
from mien.report.sections.gallery import choose_images


def model_of(labels: np.ndarray, classes: int, strength: float, seed: int) -> np.ndarray:
    """Probabilities of a model that is right more often the larger `strength` is."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += strength
    shares = np.exp(logits)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("classes", [2, 7])
def test_most_turned_labels_are_found_and_few_others(classes: int) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.integers(classes, size=2000)
    given_labels = truth.copy()
    turned = rng.choice(2000, 100, replace=False)
    given_labels[turned] = (truth[turned] + 1) % classes
    found = find_label_issues(model_of(truth, classes, 4.0, 0), given_labels)
    names = {issue.index for issue in found}
    assert len(names & set(turned)) >= 70
    assert len(names - set(turned)) <= 60
    assert sum(issue.suggested == truth[issue.index] for issue in found) >= 0.95 * len(names & set(turned))


@pytest.mark.parametrize(("classes", "strength"), [(2, 1.0), (2, 3.0), (3, 2.0), (7, 1.0), (7, 3.0)])
def test_issues_are_those_of_cleanlab(classes: int, strength: float) -> None:
    """All but some of weak models: cleanlab also lists samples whose label is more probable than what it suggests."""
    from cleanlab.filter import find_label_issues as by_cleanlab

    rng = np.random.default_rng(classes)
    for seed in range(5):
        truth = rng.permutation(np.arange(300) % classes)
        labels = np.where(rng.random(300) < 0.1, rng.integers(classes, size=300), truth)
        shares = model_of(truth, classes, strength, seed)
        ours = {issue.index for issue in find_label_issues(shares, labels)}
        theirs = set(np.flatnonzero(by_cleanlab(labels, shares, filter_by="confident_learning", n_jobs=1)).tolist())
        assert ours and ours <= theirs
        means = [shares[labels == label, label].mean() for label in range(classes)]
        for index in theirs - ours:
            confident = np.where(shares[index] >= means, shares[index], 0)
            assert confident.max() < shares[index, labels[index]]


def test_worst_come_first_and_an_issue_needs_the_other_class_to_reach_its_threshold() -> None:
    happy, sad = [[0.9, 0.1]] * 8, [[0.2, 0.8]] * 8
    odd = [[0.05, 0.95], [0.1, 0.9], [0.3, 0.7]]  # labelled happy; the last is no surer of sad than sad images are
    found = find_label_issues([*happy, *sad, *odd], [0] * 8 + [1] * 8 + [0] * 3)
    assert [(issue.index, issue.suggested) for issue in found] == [(16, 1), (17, 1)]
    assert [round(issue.margin, 6) for issue in found] == [0.9, 0.8]


def test_a_class_that_the_model_is_never_sure_of_is_judged_by_its_own_measure() -> None:
    unsure = [[0.45, 0.55]] * 10  # all that this model ever gives a sad image
    found = find_label_issues([*[[0.95, 0.05]] * 10, *unsure, [0.4, 0.6]], [0] * 10 + [1] * 10 + [0])
    assert [issue.index for issue in found] == [20]


def test_a_class_of_a_few_images_is_never_named() -> None:
    rows = [[0.9, 0.1]] * 9 + [[0.1, 0.9]] * MIN_SAMPLES
    assert find_label_issues(rows, [0] * 10 + [1] * (MIN_SAMPLES - 1)) == []
    assert [issue.index for issue in find_label_issues([*rows, [0.1, 0.9]], [0] * 10 + [1] * MIN_SAMPLES)] == [9]


def test_nothing_in_nothing_out() -> None:
    assert find_label_issues(np.empty((0, 2)), np.empty(0, int)) == []


@given(
    arrays(np.float64, (30, 3), elements=st.floats(0.001, 1)),
    arrays(np.int64, 30, elements=st.integers(0, 2)),
    st.permutations(range(3)),
)
def test_the_order_of_the_classes_does_not_matter(rows: np.ndarray, labels: np.ndarray, order: list[int]) -> None:
    shares = rows / rows.sum(axis=1, keepdims=True)
    found = {issue.index for issue in find_label_issues(shares, labels)}
    place = np.argsort(order)
    assert {issue.index for issue in find_label_issues(shares[:, order], place[labels])} == found
    own = shares[np.arange(30), labels]
    assert all(shares[issue.index].max() > own[issue.index] for issue in find_label_issues(shares, labels))


@pytest.fixture(scope="module")
def planted() -> tuple[Predictions, np.ndarray]:
    """What the shipped model says of 200 drawn faces, a tenth of whose labels are turned over; and which those are."""
    truth = np.arange(200) % 2
    turned = np.zeros(200, bool)
    turned[np.random.default_rng(0).permutation(200)[:20]] = True
    classes = ("happy", "sad")
    reader = load(detect=False)
    faces = reader.predict_many(draw_face(classes[code], seed, 48) for seed, code in enumerate(truth))
    shares = np.array([[result.face.two_way[name] for name in classes] for result in faces])  # type: ignore[index]
    names = tuple(f"{number}.png" for number in range(200))
    labels = np.where(turned, 1 - truth, truth)
    crops = np.zeros((200, 8, 8, 1), np.uint8)
    return Predictions(
        classes, names, labels, shares.argmax(axis=1), shares, answer_field="two_way", crops=crops
    ), turned


def test_planted_wrong_labels_come_first_among_the_label_issues(planted: tuple[Predictions, np.ndarray]) -> None:
    scored, turned = planted
    margins = np.full(len(turned), -1.0)
    for issue in find_label_issues(scored.probabilities, scored.truth):
        margins[issue.index] = issue.margin
    assert average_precision(turned, margins) >= 0.8


def test_planted_wrong_labels_come_first_among_the_most_confident_errors(
    planted: tuple[Predictions, np.ndarray],
) -> None:
    scored, turned = planted
    confidence = scored.probabilities.max(axis=1)
    assert average_precision(turned, np.where(scored.answers != scored.truth, confidence, -confidence)) >= 0.9
    assert turned[choose_images(scored)["errors"]].mean() >= 0.9
