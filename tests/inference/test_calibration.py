"""Logits become probabilities that mean what they say, and probabilities become an answer."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mien.inference.calibration import TEMPERATURE_BOUNDS, fit_temperature, negative_log_likelihood, probabilities
from mien.inference.decision import answer_probabilities, answers, decide, possible_answers, two_way

Floats = npt.NDArray[np.float64]

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7)
LOGITS = hnp.arrays(np.float64, SHAPES, elements=st.floats(-500, 500))
TEMPERATURES = st.floats(*TEMPERATURE_BOUNDS)


@given(LOGITS, TEMPERATURES)
def test_rows_are_probabilities(logits: Floats, temperature: float) -> None:
    found = probabilities(logits, temperature)
    assert found.dtype == np.float64
    assert found.shape == logits.shape
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=-1), 1)


@given(LOGITS, TEMPERATURES, st.floats(-100, 100))
def test_a_shift_of_all_logits_changes_nothing(logits: Floats, temperature: float, shift: float) -> None:
    np.testing.assert_allclose(
        probabilities(logits + shift, temperature), probabilities(logits, temperature), rtol=1e-9, atol=1e-12
    )


@given(LOGITS, TEMPERATURES)
def test_temperature_keeps_the_order(logits: Floats, temperature: float) -> None:
    found = probabilities(logits, temperature)
    best = logits.argmax(axis=1)
    assert (found[np.arange(len(found)), best] == found.max(axis=1)).all()


def test_known_values() -> None:
    np.testing.assert_allclose(probabilities([0.0, np.log(3.0)]), [0.25, 0.75])
    np.testing.assert_allclose(probabilities([0.0, np.log(9.0)], 2.0), [0.25, 0.75])
    np.testing.assert_array_equal(probabilities(np.array([[3e38, -3e38]], np.float32)), [[1, 0]])


def test_a_high_temperature_is_less_sure() -> None:
    sure, unsure = (probabilities([0.0, 2.0], temperature).max() for temperature in (0.5, 4.0))
    assert sure > 0.95
    assert 0.5 < unsure < 0.7


# Answers


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-20, 20)), st.floats(0.01, 0.99))
def test_one_at_a_time_and_all_at_once_agree(logits: Floats, threshold: float) -> None:
    rows = probabilities(logits)
    labels = [f"c{k}" for k in range(rows.shape[1])]
    one_by_one = [decide(row, labels, threshold) for row in rows]
    assert [answer.label for answer in one_by_one] == [labels[k] for k in answers(rows, labels, threshold)]
    for row, answer in zip(rows, one_by_one, strict=True):
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
    assert answers(np.array([[0.5, 0.3, 0.2]]), ["a", "b", "c"], 0.1).tolist() == [0]


# A rule that may answer neither

RULE = {"happy": 0.45, "sad": 0.55}
NAMES = ("happy", "neutral", "sad")


@st.composite
def ruled(draw: st.DrawFn) -> tuple[Floats, list[str], dict[str, float]]:
    """Rows of probabilities, their labels, and a rule for some of the labels in any order."""
    rows = probabilities(draw(hnp.arrays(np.float64, SHAPES, elements=st.floats(-5, 5))))
    labels = [f"c{k}" for k in range(rows.shape[1])]
    named = draw(st.permutations(labels))[: draw(st.integers(1, len(labels) - 1))]
    return rows, labels, {label: draw(st.floats(0.01, 0.99)) for label in named}


@given(ruled())
def test_with_a_rule_one_at_a_time_and_all_at_once_agree(case: tuple[Floats, list[str], dict[str, float]]) -> None:
    rows, labels, rule = case
    possible = possible_answers(labels, rule)
    assert possible == (*rule, "neither")
    one_by_one = [decide(row, labels, answer_from=rule).label for row in rows]
    assert [possible[k] for k in answers(rows, labels, answer_from=rule)] == one_by_one


@given(ruled())
def test_the_rule_is_kept_to_the_letter(case: tuple[Floats, list[str], dict[str, float]]) -> None:
    rows, labels, rule = case
    for row in rows:
        by_label = dict(zip(labels, map(float, row), strict=True))
        answer = decide(row, labels, answer_from=rule)
        reached = {label for label in rule if by_label[label] >= rule[label]}
        shares = answer_probabilities(by_label, rule)
        assert answer.probability == shares[answer.label]
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
    (index,) = answers(np.array([row]), NAMES, answer_from=RULE)
    assert possible_answers(NAMES, RULE)[index] == label


@given(st.floats(0.34, 0.66), st.floats(0.34, 0.66))
def test_a_reason_never_seems_to_contradict_itself(p: float, threshold: float) -> None:
    answer = decide([(1 - p) / 2, (1 - p) / 2, p], NAMES, answer_from={"sad": threshold})
    if answer.label == "neither":
        assert answer.why is not None
        shown = float(answer.why.removeprefix("sad ").split()[0])
        assert shown < threshold
        assert shown == pytest.approx(p, abs=0.0101)


@given(ruled(), st.data())
def test_with_odds_to_reach_one_at_a_time_and_all_at_once_agree(
    case: tuple[Floats, list[str], dict[str, float]], data: st.DataObject
) -> None:
    rows, labels, rule = case
    label = data.draw(st.sampled_from(list(rule)))
    other = data.draw(st.sampled_from([name for name in labels if name != label]))
    times = data.draw(st.floats(0.1, 10))
    possible, over = possible_answers(labels, rule), {label: {other: times}}
    one_by_one = [decide(row, labels, answer_from=rule, answer_over=over).label for row in rows]
    assert [possible[k] for k in answers(rows, labels, answer_from=rule, answer_over=over)] == one_by_one
    for row, answer in zip(rows, one_by_one, strict=True):
        assert answer != label or row[labels.index(label)] >= times * row[labels.index(other)]


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
    seven = {"happy": 0.2, "sad": 0.1, "neutral": 0.4, "fear": 0.3}
    assert answer_probabilities(seven, RULE) == pytest.approx({"happy": 0.2, "sad": 0.1, "neither": 0.7})
    assert list(answer_probabilities(seven, RULE)) == ["happy", "sad", "neither"]
    assert answer_probabilities(seven) == seven
    assert possible_answers(["b", "a"]) == ("b", "a")


def test_happy_against_sad() -> None:
    assert two_way({"happy": 0.2, "sad": 0.8}) == pytest.approx({"happy": 0.2, "sad": 0.8})
    assert two_way({"sad": 0.1, "neutral": 0.6, "happy": 0.3}) == pytest.approx({"happy": 0.75, "sad": 0.25})
    assert two_way({"happy": 0.0, "sad": 0.0, "neutral": 1.0}) == {"happy": 0.5, "sad": 0.5}
    assert two_way({"happy": 0.5, "neutral": 0.5}) is None
    assert two_way({"cat": 0.5, "dog": 0.5}) is None


@given(st.floats(0, 1), st.floats(0, 1))
def test_happy_against_sad_is_a_probability(happy: float, sad: float) -> None:
    found = two_way({"happy": happy, "sad": sad})
    assert found is not None
    assert sum(found.values()) == pytest.approx(1)
    assert all(0 <= value <= 1 for value in found.values())
    assert happy <= sad or found["happy"] >= found["sad"]


# Fitting the temperature


def sampled(n: int, k: int, temperature: float, seed: int = 0) -> tuple[Floats, Floats]:
    """Logits of a model that is too sure by `temperature`, and labels drawn from its true probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2 * temperature, (n, k))
    truth = [rng.choice(k, p=row) for row in probabilities(logits, temperature)]
    return logits, np.eye(k)[truth]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5, 5.0])
@pytest.mark.parametrize("k", [2, 7])
def test_a_known_temperature_is_recovered(temperature: float, k: int) -> None:
    assert fit_temperature(*sampled(8000, k, temperature)) == pytest.approx(temperature, rel=0.1)


def test_soft_targets_give_the_exact_temperature() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (500, 3))
    assert fit_temperature(logits, probabilities(logits, 1.8)) == pytest.approx(1.8, rel=1e-4)


def test_no_other_temperature_is_better() -> None:
    logits, targets = sampled(500, 3, 3.0)
    best = negative_log_likelihood(logits, targets, fit_temperature(logits, targets))
    grid: list[Any] = list(np.geomspace(*TEMPERATURE_BOUNDS, 200))
    assert best <= min(negative_log_likelihood(logits, targets, t) for t in grid) + 1e-9


def test_the_loss_is_the_cross_entropy() -> None:
    logits, targets = sampled(50, 3, 1.0)
    expected = -(targets * np.log(probabilities(logits, 1.5))).sum(axis=1).mean()
    assert negative_log_likelihood(logits, targets, 1.5) == pytest.approx(expected)


def test_small_data_give_no_temperature() -> None:
    logits, targets = sampled(99, 2, 4.0)
    assert fit_temperature(logits, targets) == 1.0
    assert fit_temperature(logits, targets, minimum=99) != 1.0
    assert fit_temperature(np.empty((0, 2)), np.empty((0, 2))) == 1.0


@pytest.mark.parametrize(("right", "bound"), [(True, TEMPERATURE_BOUNDS[0]), (False, TEMPERATURE_BOUNDS[1])])
def test_all_right_or_all_wrong_stays_within_bounds(right: bool, bound: float) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (200, 2))
    chosen = logits.argmax(axis=1) if right else logits.argmin(axis=1)
    found = fit_temperature(logits, np.eye(2)[chosen])
    assert TEMPERATURE_BOUNDS[0] <= found <= TEMPERATURE_BOUNDS[1]
    assert found == pytest.approx(bound, rel=1e-3)
