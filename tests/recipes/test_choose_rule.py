"""The rule keeps what it promises on its own data, and no other rule of the grid does better."""

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from choose_rule import GRID, OVER_NEUTRAL, Rule, choose_rule

from mien.errors import InputError
from mien.inference.bundle_config import BundleConfig
from mien.inference.calibration import probabilities
from mien.inference.decision import AnswerRule
from mien.labels import EXPRESSIONS
from mien.metrics.classification import classification_metrics

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

THREE = ("happy", "sad", "neither")


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


@pytest.mark.parametrize("limit", [0.01, 0.04, 0.2])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_rule_does_what_it_says(seed: int, limit: float) -> None:
    rows, truth = faces(600, seed)
    rule = choose_rule(rows, truth, neutral_as_sad=limit)
    said = answered(rows, rule)
    assert rule.neutral_called_sad == rate(said, truth, "neutral", "sad") <= limit
    assert rule.sad_called_sad == rate(said, truth, "sad", "sad")
    assert rule.happy_called_happy == rate(said, truth, "happy", "happy")
    assert rule.macro_f1 == pytest.approx(macro_f1(said, truth))


def test_no_other_rule_within_the_limit_is_better() -> None:
    rows, truth = faces(300, seed=2)
    rule = choose_rule(rows, truth, neutral_as_sad=0.03, sad_as_sad=0)
    better, within = 0, 0
    for happy, sad, times in product(GRID[1::6], GRID[1::6], OVER_NEUTRAL[1::8]):
        said = answered_from(rows, {"happy": happy, "sad": sad}, {"sad": {"neutral": times}})
        if rate(said, truth, "neutral", "sad") <= 0.03:
            within += 1
            better += macro_f1(said, truth) > rule.macro_f1 + 1e-12
    assert within > 20
    assert better == 0


def test_enough_sad_answers_go_before_macro_f1() -> None:
    rows, truth = faces(1000, seed=9)
    best, more = (choose_rule(rows, truth, neutral_as_sad=0.2, sad_as_sad=least) for least in (0, 0.55))
    assert more.sad_called_sad >= 0.55 > best.sad_called_sad
    assert more.macro_f1 < best.macro_f1
    out_of_reach = choose_rule(rows, truth, neutral_as_sad=0.01, sad_as_sad=0.99)
    assert out_of_reach == choose_rule(rows, truth, neutral_as_sad=0.01, sad_as_sad=0)


def test_odds_against_neutral_answer_more_sad_faces_at_the_same_limit() -> None:
    """Where sad faces are mostly also a little angry, say, their probability alone says little."""
    rows, truth = faces(3000, seed=10)
    rule = choose_rule(rows, truth, neutral_as_sad=0.03)
    alone = max(
        rate(said, truth, "sad", "sad")
        for low in GRID
        if rate(said := answered_from(rows, {"happy": 0.5, "sad": low}, {}), truth, "neutral", "sad") <= 0.03
    )
    assert rule.sad_called_sad > alone


def test_a_stricter_limit_costs_sad_answers_and_macro_f1() -> None:
    rows, truth = faces(2000, seed=3)
    loose, strict = (choose_rule(rows, truth, neutral_as_sad=limit) for limit in (1.0, 0.01))
    assert strict.sad_called_sad < loose.sad_called_sad
    assert strict.macro_f1 < loose.macro_f1


def test_the_limit_holds_about_as_well_on_other_faces() -> None:
    rule = choose_rule(*faces(3000, seed=4), neutral_as_sad=0.04)
    rows, truth = faces(3000, seed=5)
    assert rate(answered(rows, rule), truth, "neutral", "sad") < 0.08


def test_a_model_without_faults_answers_everything() -> None:
    truth = np.arange(70) % 7
    rule = choose_rule(np.eye(7)[truth], truth, neutral_as_sad=0)
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


def test_a_limit_that_cannot_be_kept_is_refused() -> None:
    rows, truth = faces(200, seed=8)
    rows[truth == EXPRESSIONS.index("neutral")] = np.eye(7)[EXPRESSIONS.index("sad")]
    with pytest.raises(InputError, match=r"within 0.048; allow more"):
        choose_rule(rows, truth)


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
