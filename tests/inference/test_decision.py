"""Probabilities become an answer by one rule: for one row, for many, and with a reason."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mien.errors import ConfigError
from mien.inference.calibration import probabilities
from mien.inference.decision import Answer, AnswerRule

Floats = npt.NDArray[np.float64]

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7)
RULE = {"happy": 0.45, "sad": 0.55}
NAMES = ("happy", "neutral", "sad")


def decide(row: Sequence[float] | Floats, labels: Sequence[str], threshold: float = 0.5, **rule: Any) -> Answer:
    (answer,) = AnswerRule(labels, threshold, **rule).decide(np.array([row]))
    return answer


def by_hand(row: Floats, rule: AnswerRule) -> str:
    """The rule again, in plain Python."""
    shares = dict(zip(rule.labels, map(float, row), strict=True))
    if rule.answer_from is None:
        if len(rule.labels) == 2:
            return rule.labels[int(shares[rule.labels[1]] >= rule.threshold)]
        return max(rule.labels, key=shares.__getitem__)
    ratios = rule.answer_over or {}
    reached = [
        label
        for label, limit in rule.answer_from.items()
        if shares[label] >= limit
        and all(shares[label] >= times * shares[other] for other, times in ratios.get(label, {}).items())
    ]
    return max(reached, key=shares.__getitem__, default="neither")


@st.composite
def cases(draw: st.DrawFn) -> tuple[Floats, AnswerRule]:
    """Rows of probabilities and a rule: a threshold, limits for some labels in any order, ratios to others."""
    rows = probabilities(draw(hnp.arrays(np.float64, SHAPES, elements=st.floats(-5, 5))))
    labels = tuple(f"c{k}" for k in range(rows.shape[1]))
    if draw(st.booleans()):
        return rows, AnswerRule(labels, draw(st.floats(0.01, 0.99)))
    named = draw(st.permutations(labels))[: draw(st.integers(1, len(labels) - 1))]
    limits = {label: draw(st.floats(0.01, 0.99)) for label in named}
    ratios: dict[str, Mapping[str, float]] = {}
    for label in named:
        others = draw(st.sets(st.sampled_from([name for name in labels if name != label]), max_size=2))
        ratios[label] = {other: draw(st.floats(0.1, 10)) for other in sorted(others)}
    return rows, AnswerRule(labels, answer_from=limits, answer_over=ratios)


@given(cases())
def test_many_rows_get_the_answers_that_each_gets_alone(case: tuple[Floats, AnswerRule]) -> None:
    rows, rule = case
    together = rule.decide(rows)
    assert together == [answer for row in rows for answer in rule.decide(row[np.newaxis])]
    assert [answer.label for answer in together] == [rule.answers[place] for place in rule.choose(rows)]
    assert [answer.label for answer in together] == [by_hand(row, rule) for row in rows]


@given(cases())
def test_a_reason_is_given_exactly_if_the_answer_is_not_the_most_probable_label(
    case: tuple[Floats, AnswerRule],
) -> None:
    rows, rule = case
    for row, answer in zip(rows, rule.decide(rows), strict=True):
        most_probable = {label for label, value in zip(rule.labels, row, strict=True) if value == row.max()}
        assert (answer.why is None) == (answer.label in most_probable)


def test_no_rows_give_no_answers() -> None:
    rule = AnswerRule(NAMES, answer_from=RULE)
    assert rule.decide(np.empty((0, 3))) == []
    assert rule.choose(np.empty((0, 3))).tolist() == []


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-20, 20)), st.floats(0.01, 0.99))
def test_without_limits_the_probability_is_that_of_the_label(logits: Floats, threshold: float) -> None:
    rows = probabilities(logits)
    labels = [f"c{k}" for k in range(rows.shape[1])]
    for row, answer in zip(rows, AnswerRule(labels, threshold).decide(rows), strict=True):
        assert answer.probability == row[labels.index(answer.label)]
        assert (answer.why is None) == (answer.probability == row.max())


@given(st.floats(0, 1), st.floats(0.001, 0.999))
def test_the_second_label_is_answered_from_the_threshold_on(p: float, threshold: float) -> None:
    answer = decide([1 - p, p], ["happy", "sad"], threshold)
    assert answer.label == ("sad" if p >= threshold else "happy")


def test_an_answer_that_is_not_the_likeliest_says_why() -> None:
    low = decide([0.6, 0.4], ["happy", "sad"], 0.3)
    assert (low.label, low.probability, low.why) == ("sad", 0.4, "threshold 0.3 for sad")
    high = decide([0.3, 0.7], ["happy", "sad"], 0.8)
    assert (high.label, high.probability, high.why) == ("happy", 0.3, "threshold 0.8 for sad")
    assert decide([0.1, 0.9], ["happy", "sad"], 0.8).why is None


def test_equals() -> None:
    assert decide([0.5, 0.5], ["happy", "sad"]).label == "sad"
    assert decide([0.4, 0.4, 0.2], ["a", "b", "c"]).label == "a"


def test_a_threshold_is_for_two_labels_only() -> None:
    assert decide([0.5, 0.3, 0.2], ["a", "b", "c"], 0.1).label == "a"
    assert AnswerRule(["a", "b", "c"], 0.1).choose([[0.5, 0.3, 0.2]]).tolist() == [0]


# A rule that may answer neither


@st.composite
def ruled(draw: st.DrawFn) -> tuple[Floats, list[str], dict[str, float]]:
    """Rows of probabilities, their labels, and a rule for some of the labels in any order."""
    rows = probabilities(draw(hnp.arrays(np.float64, SHAPES, elements=st.floats(-5, 5))))
    labels = [f"c{k}" for k in range(rows.shape[1])]
    named = draw(st.permutations(labels))[: draw(st.integers(1, len(labels) - 1))]
    return rows, labels, {label: draw(st.floats(0.01, 0.99)) for label in named}


@given(ruled())
def test_the_rule_is_kept_to_the_letter(case: tuple[Floats, list[str], dict[str, float]]) -> None:
    rows, labels, rule = case
    for row in rows:
        by_label = dict(zip(labels, map(float, row), strict=True))
        answer = decide(row, labels, answer_from=rule)
        reached = {label for label in rule if by_label[label] >= rule[label]}
        shares = answer.probabilities
        assert list(shares) == [*rule, "neither"]
        assert sum(shares.values()) == pytest.approx(1)
        assert all(0 <= value <= 1 for value in shares.values())
        if reached:
            assert answer.label in reached
            assert answer.probability == max(by_label[label] for label in reached)
            assert (answer.why is None) == (answer.probability == row.max())
        else:
            assert answer.label == "neither"
            assert answer.why is not None


@pytest.mark.parametrize(
    ("row", "label", "probability", "why"),
    [
        ([0.90, 0.08, 0.02], "happy", 0.90, None),
        ([0.45, 0.45, 0.10], "happy", 0.45, None),
        ([0.10, 0.30, 0.60], "sad", 0.60, None),
        ([0.05, 0.90, 0.05], "neither", 0.90, "most probable is neutral 0.90"),
        ([0.10, 0.36, 0.54], "neither", 0.36, "sad 0.54 is below 0.55"),
        ([0.44, 0.43, 0.13], "neither", 0.43, "happy 0.44 is below 0.45"),
        ([0.46, 0.00, 0.54], "happy", 0.46, "sad 0.54 is below 0.55"),
        ([0.46, 0.50, 0.04], "happy", 0.46, "happy reaches 0.45, though neutral is 0.50"),
    ],
)
def test_the_answer_and_the_reason(row: list[float], label: str, probability: float, why: str | None) -> None:
    answer = decide(row, NAMES, answer_from=RULE)
    assert (answer.label, answer.why) == (label, why)
    assert answer.probability == pytest.approx(probability)


@given(st.floats(0.34, 0.66), st.floats(0.34, 0.66))
def test_a_reason_never_seems_to_contradict_itself(p: float, threshold: float) -> None:
    answer = decide([(1 - p) / 2, (1 - p) / 2, p], NAMES, answer_from={"sad": threshold})
    if answer.label == "neither":
        assert answer.why is not None
        shown = float(answer.why.removeprefix("sad ").split()[0])
        assert shown < threshold
        assert shown == pytest.approx(p, abs=0.0101)


@given(ruled(), st.data())
def test_an_answer_has_the_odds_it_must_have(
    case: tuple[Floats, list[str], dict[str, float]], data: st.DataObject
) -> None:
    rows, labels, rule = case
    label = data.draw(st.sampled_from(list(rule)))
    other = data.draw(st.sampled_from([name for name in labels if name != label]))
    times = data.draw(st.floats(0.1, 10))
    for row, answer in zip(rows, AnswerRule(labels, 0.5, rule, {label: {other: times}}).decide(rows), strict=True):
        assert answer.label != label or row[labels.index(label)] >= times * row[labels.index(other)]


@pytest.mark.parametrize(
    ("row", "label", "why"),
    [
        ([0.00, 0.30, 0.70], "neither", "sad 0.70 is below 3 times neutral 0.30"),
        ([0.10, 0.20, 0.70], "sad", None),
        ([0.46, 0.20, 0.34], "happy", None),
        ([0.30, 0.20, 0.50], "neither", "sad 0.50 is below 0.55"),
    ],
)
def test_a_label_may_have_to_outweigh_another(row: list[float], label: str, why: str | None) -> None:
    answer = decide(row, NAMES, answer_from=RULE, answer_over={"sad": {"neutral": 3}})
    assert (answer.label, answer.why) == (label, why)


def test_of_several_that_reach_it_the_larger_is_answered() -> None:
    rule = {"sad": 0.2, "happy": 0.3}
    assert decide([0.5, 0.1, 0.4], NAMES, answer_from=rule).label == "happy"
    assert decide([0.3, 0.1, 0.6], NAMES, answer_from=rule).label == "sad"
    assert decide([0.4, 0.2, 0.4], NAMES, answer_from=rule).label == "sad"


def test_what_the_rule_does_not_name_is_neither() -> None:
    rule = AnswerRule(("happy", "sad", "neutral", "fear"), answer_from=RULE)
    (answer,) = rule.decide([[0.2, 0.1, 0.4, 0.3]])
    assert answer.probabilities == pytest.approx({"happy": 0.2, "sad": 0.1, "neither": 0.7})
    assert list(answer.probabilities) == ["happy", "sad", "neither"]
    assert rule.answers == ("happy", "sad", "neither")
    plain = AnswerRule(["b", "a"])
    assert plain.answers == ("b", "a")
    assert decide([0.25, 0.75], ["b", "a"]).probabilities == {"b": 0.25, "a": 0.75}


@given(cases())
def test_probabilities_of_any_labels_and_answers(case: tuple[Floats, AnswerRule]) -> None:
    rows, rule = case
    names = [*reversed(rule.labels), *rule.answers]
    found = rule.probabilities_of(rows, names)
    assert (found[:, : rows.shape[1]] == rows[:, ::-1]).all()
    answers = found[:, rows.shape[1] :]
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    assert [dict(zip(rule.answers, row, strict=True)) for row in answers.tolist()] == [
        answer.probabilities for answer in rule.decide(rows)
    ]
    with pytest.raises(KeyError):
        rule.probabilities_of(rows, ["unknown"])


SHIPPED_LIKE = AnswerRule(
    ("happy", "neutral", "sad"), answer_from={"happy": 0.6, "sad": 0.25}, answer_over={"sad": {"neutral": 4.25}}
)


def test_a_threshold_replaces_all_that_a_rule_asks_of_a_label() -> None:
    row = [[0.0, 0.3, 0.7]]  # 2.3 times as probable as neutral
    (before,) = SHIPPED_LIKE.decide(row)
    (after,) = SHIPPED_LIKE.with_threshold({"sad": 0.6}).decide(row)
    assert (before.label, after.label, after.why) == ("neither", "sad", None)
    (strict,) = SHIPPED_LIKE.with_threshold({"sad": 0.8}).decide(row)
    assert (strict.label, strict.why) == ("neither", "sad 0.70 is below 0.8")
    assert SHIPPED_LIKE.with_threshold({"happy": 0.9}).answer_over == SHIPPED_LIKE.answer_over


def test_the_rule_of_two_labels_takes_either_label() -> None:
    rule = AnswerRule(("happy", "sad"))
    assert rule.with_threshold({"sad": 0.7}) == rule.with_threshold(0.7)
    assert rule.with_threshold({"happy": 0.25}).threshold == 0.75


@pytest.mark.parametrize(
    ("rule", "threshold", "words"),
    [
        (SHIPPED_LIKE, 0.5, "name the answer, such as `threshold={'sad': 0.5}`"),
        (SHIPPED_LIKE, {"neutral": 0.5}, "this model has thresholds for happy and sad"),
        (SHIPPED_LIKE, {"sad": 1.0}, "give a number between 0 and 1"),
        (SHIPPED_LIKE, {"sad": "much"}, "give a number between 0 and 1"),
        (AnswerRule(("a", "b")), {"a": 0.5, "b": 0.5}, "give one of the two"),
        (AnswerRule(("a", "b", "c")), {"a": 0.5}, "answers the most probable label"),
    ],
)
def test_a_threshold_that_does_not_fit_is_one_line(rule: AnswerRule, threshold: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        rule.with_threshold(threshold)
    assert str(caught.value).startswith("`threshold=")
