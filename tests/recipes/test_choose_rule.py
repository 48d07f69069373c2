"""The rule is what it says on its own data, and no other rule of the grid has a larger margin."""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from choose_rule import AIMS, GRID, OVER_NEUTRAL, Aim, Rule, choose_rule

from mien.errors import InputError
from mien.inference.bundle_config import BundleConfig
from mien.inference.calibration import probabilities
from mien.inference.decision import AnswerRule
from mien.labels import EXPRESSIONS
from mien.metrics.classification import classification_metrics

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

THREE = ("happy", "sad", "neither")
#: Within the reach of the faces below.
REACHABLE = {("neutral", 1): Aim(0.10, 0.08), ("sad", 1): Aim(0.40, 0.44), ("happy", 0): Aim(0.50, 0.52)}


def faces(n: int, seed: int, skill: float = 2.0) -> tuple[Floats, Ints]:
    """Calibrated probabilities of the seven, sadness and neutrality often mistaken, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, skill, (n, 7))
    logits[:, 5] = 0.7 * logits[:, 5] + 0.6 * logits[:, 4]
    rows = probabilities(logits)
    return rows, np.array([rng.choice(7, p=row) for row in rows])


def answered(rows: Floats, rule: Rule) -> list[str]:
    return answered_from(rows, rule.answer_from, rule.answer_over)


def answered_from(rows: Floats, answer_from: Any, answer_over: Any) -> list[str]:
    return [
        answer.label
        for answer in AnswerRule(EXPRESSIONS, answer_from=answer_from, answer_over=answer_over).decide(rows)
    ]


def rate(said: list[str], truth: Ints, face: str, answer: str) -> float:
    chosen = [word for word, code in zip(said, truth, strict=True) if EXPRESSIONS[code] == face]
    return sum(word == answer for word in chosen) / len(chosen)


def macro_f1(said: list[str], truth: Ints) -> float:
    three = [THREE.index(name) if (name := EXPRESSIONS[code]) in THREE else 2 for code in truth]
    return classification_metrics(
        three, np.zeros((len(said), 3)), THREE, [THREE.index(word) for word in said]
    ).macro_f1.value


def margin(said: list[str], truth: Ints, aims: Any = AIMS) -> float:
    words = ("happy", "sad")
    return min(float(aim.margin(rate(said, truth, face, words[answer]))) for (face, answer), aim in aims.items())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_rule_does_what_it_says(seed: int) -> None:
    rows, truth = faces(600, seed)
    rule = choose_rule(rows, truth)
    said = answered(rows, rule)
    assert rule.neutral_called_sad == rate(said, truth, "neutral", "sad")
    assert rule.sad_called_sad == rate(said, truth, "sad", "sad")
    assert rule.happy_called_happy == rate(said, truth, "happy", "happy")
    assert rule.macro_f1 == pytest.approx(macro_f1(said, truth))
    assert rule.margin == pytest.approx(margin(said, truth))


def test_no_other_rule_has_a_larger_margin() -> None:
    rows, truth = faces(300, seed=2)
    rule = choose_rule(rows, truth, aims=REACHABLE)
    nearly = 0
    for happy, sad, times in product(GRID[1::5], GRID[::5], OVER_NEUTRAL[1::7]):
        found = margin(answered_from(rows, {"happy": happy, "sad": sad}, {"sad": {"neutral": times}}), truth, REACHABLE)
        assert found <= rule.margin + 1e-12
        nearly += found > rule.margin - 5
    assert nearly > 5


def test_of_rules_with_equal_margins_the_best_by_macro_f1_is_chosen() -> None:
    """If sad alone decides, happy may be answered in many ways."""
    rows, truth = faces(400, seed=9)
    aims = {key: aim for key, aim in AIMS.items() if key != ("happy", 0)}
    rule = choose_rule(rows, truth, aims=aims)
    others = [
        answered_from(rows, {**rule.answer_from, "happy": happy}, rule.answer_over)
        for happy in GRID
    ]  # fmt: skip
    equals = [macro_f1(said, truth) for said in others if margin(said, truth, aims) == pytest.approx(rule.margin)]
    assert len(equals) > 1
    assert rule.macro_f1 == pytest.approx(max(equals))
    assert min(equals) < rule.macro_f1 - 0.01


def test_odds_against_neutral_give_a_larger_margin_than_probability_alone() -> None:
    """Where sad faces are mostly also a little angry, say, their probability alone says little."""
    rows, truth = faces(3000, seed=10)
    rule = choose_rule(rows, truth, aims=REACHABLE)
    happy = {"happy": rule.answer_from["happy"]}
    alone = max(margin(answered_from(rows, {**happy, "sad": low}, {}), truth, REACHABLE) for low in GRID)
    assert rule.margin > alone + 0.1


def test_a_stricter_aim_costs_sad_answers() -> None:
    rows, truth = faces(2000, seed=3)
    loose, strict = (
        choose_rule(rows, truth, aims={**REACHABLE, ("neutral", 1): Aim(limit, 0.8 * limit)}) for limit in (0.2, 0.04)
    )
    assert strict.neutral_called_sad < loose.neutral_called_sad
    assert strict.sad_called_sad < loose.sad_called_sad


def test_a_margin_is_nought_at_what_is_required_and_one_at_what_is_wanted() -> None:
    assert Aim(0.05, 0.04).margin([0.05, 0.04, 0.07]).tolist() == pytest.approx([0, 1, -2])
    assert Aim(0.70, 0.73).margin([0.70, 0.73, 0.67]).tolist() == pytest.approx([0, 1, -1])


def test_a_model_without_faults_answers_everything() -> None:
    truth = np.arange(70) % 7
    rule = choose_rule(np.eye(7)[truth], truth)
    assert (rule.macro_f1, rule.neutral_called_sad, rule.sad_called_sad, rule.happy_called_happy) == (1, 0, 1, 1)


def test_the_order_of_labels_does_not_matter() -> None:
    rows, truth = faces(400, seed=6)
    order = np.array([5, 0, 3, 6, 1, 4, 2])
    labels = [EXPRESSIONS[place] for place in order]
    assert choose_rule(rows[:, order], np.argsort(order)[truth], labels) == choose_rule(rows, truth)


def test_a_bundle_takes_the_rule() -> None:
    rule = choose_rule(*faces(400, seed=7))
    config = BundleConfig("m", EXPRESSIONS, 48, 1, "0" * 64, answer_from=rule.answer_from, answer_over=rule.answer_over)
    assert (config.answer_from, config.answer_over) == (rule.answer_from, rule.answer_over)


@pytest.mark.parametrize(
    ("rows", "truth", "labels", "says"),
    [
        (np.zeros((3, 6)), np.arange(3), EXPRESSIONS, r"\(3, 6\); give \(N, 7\)"),
        (np.zeros((3, 7)), np.arange(4), EXPRESSIONS, "give 3 integers"),
        (np.zeros((3, 7)), np.zeros(3), EXPRESSIONS, "float64"),
        (np.zeros((3, 2)), np.arange(3), ("happy", "sad"), "'neutral' is missing"),
        (np.zeros((7, 7)), np.zeros(7, int), EXPRESSIONS, "no face is happy"),
    ],
)
def test_a_wrong_input_is_named_in_one_line(rows: Any, truth: Any, labels: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        choose_rule(rows, truth, labels)
    assert "\n" not in str(error.value)
