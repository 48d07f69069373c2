"""What is expected of a rule comes true on other faces, where the rates on its own faces do not."""

from collections.abc import Mapping

import choose_rule
import cross_fitting
import numpy as np
import numpy.typing as npt
import pytest
from choose_rule import AIMS, HAPPY, SAD, fit_answers
from cross_fitting import assign_folds, cross_fit_answers, cross_fit_temperatures, expected_rates, parts

from mien.labels import EXPRESSIONS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEUTRAL, SADNESS = EXPRESSIONS.index("neutral"), EXPRESSIONS.index("sad")


def faces(n: int, seed: int) -> tuple[Floats, Ints]:
    """Logits of faces whose sadness is often mistaken for neutrality, and what people see in them."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(7, n, p=[0.08, 0.01, 0.02, 0.31, 0.37, 0.11, 0.10])
    logits = rng.normal(0, 1.5, (n, 7)) + 4 * np.eye(7)[truth]
    either = np.isin(truth, (NEUTRAL, SADNESS))
    logits[either, NEUTRAL] += 1.0
    logits[either, SADNESS] += 1.0
    return logits, truth


def rate_of(answers: Ints, truth: Ints, face: str, answer: int) -> float:
    return float((answers[truth == EXPRESSIONS.index(face)] == answer).mean())


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer candidates and resamples, for speed; there is still much to choose from."""
    monkeypatch.setattr(choose_rule, "GRID", (0.15, 0.3, 0.45, 0.6, 0.75))
    monkeypatch.setattr(choose_rule, "OVER_NEUTRAL", (0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0))
    monkeypatch.setattr(cross_fitting, "RESAMPLES", 12)


def smallest_margin(rates: Mapping[tuple[str, int], float]) -> float:
    return min(float(aim.margin(rates[key])) for key, aim in AIMS.items())


def test_what_is_expected_comes_true_and_the_choice_flatters_itself(coarse: None) -> None:
    """The truth is known: what the rule does on very many faces."""
    population, seen = faces(20_000, seed=0)
    flattery, error, covered = [], [], []
    for seed in range(1, 21):
        logits, truth = faces(300, seed)
        fitted = fit_answers(logits, truth)
        said = fitted.answers(population)
        real = {(face, answer): rate_of(said, seen, face, answer) for face, answer in AIMS}
        expected = expected_rates(logits, truth, np.arange(len(truth)))
        flattery.append(fitted.rule.margin - smallest_margin(real))
        error.append(smallest_margin({key: found.value for key, found in expected.items()}) - smallest_margin(real))
        covered += [found.low <= real[key] <= found.high for key, found in expected.items()]
    doubt = np.std(flattery) / np.sqrt(len(flattery))
    assert np.mean(flattery) > 3 * doubt  # on its own faces a rule looks better than it is
    assert abs(np.mean(error)) < np.mean(flattery) / 2
    assert np.mean(covered) >= 0.93


def test_copies_are_never_on_both_sides() -> None:
    copies = np.array([7, 3, 7, 9, 3, 1, 0, 12, 12, 5] * 5)
    met = np.zeros(len(copies), int)
    for known, others in parts(copies, seed=3):
        assert not set(copies[known]) & set(copies[others])
        assert sorted([*known, *others]) == list(range(len(copies)))
        met[others] += 1
    assert (met == 1).all()
    assert (assign_folds(copies, 1) != assign_folds(copies, 2)).any()


def test_a_face_is_answered_by_rules_that_never_saw_it(coarse: None) -> None:
    """Labels drawn at random cannot be learned: on other faces nothing is right but by chance."""
    rng = np.random.default_rng(5)
    logits, truth = rng.normal(0, 3, (300, 7)), rng.integers(0, 7, 300)
    doubled = np.repeat(np.arange(300), 2)
    crossed = cross_fit_answers(logits[doubled], truth[doubled], doubled)
    alone = cross_fit_answers(logits, truth, np.arange(300))
    sad = truth == SADNESS
    assert crossed.rate(sad[doubled], SAD).value == pytest.approx(alone.rate(sad, SAD).value, abs=0.1)
    assert alone.rate(sad, SAD).value == pytest.approx(alone.rate(~sad, SAD).value, abs=0.12)


def test_a_rate_of_none_or_all_has_an_interval(coarse: None) -> None:
    logits = 30 * np.eye(7)[np.arange(210) % 7]
    crossed = cross_fit_answers(logits, np.arange(210) % 7, np.arange(210))
    happy = np.arange(210) % 7 == EXPRESSIONS.index("happy")
    every, none = crossed.rate(happy, HAPPY), crossed.rate(happy, SAD)
    assert every.value == 1 > every.low > 0.8
    assert none.value == 0 < none.high < 0.2


def test_temperatures_are_those_of_other_faces() -> None:
    logits, truth = faces(1000, seed=2)
    found = cross_fit_temperatures(logits, truth, np.arange(1000))
    assert len(set(found)) == cross_fitting.FOLDS
    spoilt = truth.copy()
    fold = assign_folds(np.arange(1000), 0)
    spoilt[fold == 4] = (spoilt[fold == 4] + 1) % 7
    changed = cross_fit_temperatures(logits, spoilt, np.arange(1000))
    assert (changed[fold == 4] == found[fold == 4]).all()
    assert (changed[fold != 4] > found[fold != 4]).all()
