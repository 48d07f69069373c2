"""Calibration error and risk-coverage: by hand, against plain definitions, and in simulations with a known truth."""

import json
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import InputError
from mien.metrics.calibration import area_under_risk_coverage, reliability, risk_coverage
from mien.metrics.intervals import Z95

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ANSWERS = st.lists(st.tuples(st.one_of(st.floats(0, 1), st.sampled_from([0.5, 0.9, 1.0])), st.booleans()), min_size=1)


def drawn(n: int, seed: int, gap: float = 0.0) -> tuple[Floats, Bools]:
    """Confidences from 0.5 to 1, and answers that are right as often as claimed less `gap`."""
    rng = np.random.default_rng(seed)
    confidence = 0.5 + gap + (0.5 - gap) * rng.random(n)
    return confidence, rng.random(n) < confidence - gap


# Expected calibration error


def test_by_hand() -> None:
    """Five answers in two bins: three of confidence 0.5 to 0.7, of which one is right, and two right ones of 0.9."""
    found = reliability([0.9, 0.5, 0.7, 0.6, 0.9], np.array([True, False, True, False, True]), bins=2)
    assert found.counts.tolist() == [3, 2]
    np.testing.assert_allclose(found.confidence, [0.6, 0.9])
    np.testing.assert_allclose(found.accuracy, [1 / 3, 1])
    assert found.error.value == pytest.approx(3 / 5 * (0.6 - 1 / 3) + 2 / 5 * 0.1)


def test_the_interval_by_hand() -> None:
    """One bin of 100 answers at 0.5, 70 right: a normal variable of standard deviation 0.05 around the gap of 0.2."""
    found = reliability(np.full(100, 0.5), np.arange(100) < 70, bins=1)
    mean, deviation = 0.05 * math.sqrt(2 / math.pi), 0.05 * math.sqrt(1 - 2 / math.pi)
    assert found.noise == pytest.approx(mean)
    assert found.error.value == pytest.approx(0.2)
    assert found.error.high == pytest.approx(0.2 + Z95 * 0.05)
    assert found.error.low == pytest.approx(0.2 - mean - Z95 * deviation)


@given(ANSWERS, st.integers(1, 15), st.randoms(use_true_random=False))
def test_bins_and_error_are_consistent(answers: list[tuple[float, bool]], bins: int, random: Any) -> None:
    bins = min(bins, len(answers))
    confidence, right = (np.array(column) for column in zip(*answers, strict=True))
    found = reliability(confidence, right, bins)
    assert found.counts.sum() == len(answers)
    assert found.counts.max() - found.counts.min() <= 1
    assert (np.diff(found.confidence) >= -1e-12).all()
    assert 0 <= found.error.low <= found.error.value <= found.error.high <= 1
    gap = abs(float(right.mean() - confidence.mean()))
    assert found.error.value >= gap - 1e-12  # a single bin of all hides the most
    assert reliability(confidence, right, 1).error.value == pytest.approx(gap)

    random.shuffle(answers)
    confidence, right = (np.array(column) for column in zip(*answers, strict=True))
    assert reliability(confidence, right, bins).error.value == pytest.approx(found.error.value)


def test_perfect_calibration_is_near_its_noise_and_not_called_an_error() -> None:
    few, many = (reliability(*drawn(n, seed=1)) for n in (1000, 100_000))
    for found in (few, many):
        assert found.error.value < 1.5 * found.noise
        assert found.error.low == 0
    assert many.error.value < 0.005
    assert many.noise == pytest.approx(few.noise / 10, rel=0.05)


def test_the_noise_is_what_perfect_calibration_shows_on_average() -> None:
    found = [reliability(*drawn(1000, seed)) for seed in range(200)]
    assert np.mean([one.noise for one in found]) == pytest.approx(np.mean([one.error.value for one in found]), rel=0.05)


def test_a_known_gap_is_found() -> None:
    found = reliability(*drawn(100_000, seed=2, gap=0.08))
    assert found.error.value == pytest.approx(0.08, abs=0.003)
    assert found.error.low > 0.06


@pytest.mark.parametrize("gap", [0.0, 0.01, 0.03, 0.1])
@pytest.mark.parametrize("n", [300, 2600])
def test_the_interval_covers_the_true_error(n: int, gap: float) -> None:
    """The gap is the same everywhere, so it is the expected error of any bins."""
    found = [reliability(*drawn(n, seed, gap)).error for seed in range(400)]
    covered = np.mean([one.low <= gap <= one.high for one in found])
    assert covered >= 0.95 - 2 * math.sqrt(0.05 * 0.95 / 400)


def test_to_dict_is_json() -> None:
    plain = json.loads(json.dumps(reliability(*drawn(90, 0)).to_dict(), allow_nan=False))
    assert plain["counts"] == [6] * 15
    assert set(plain["error"]) == {"value", "low", "high"}


def test_copies_of_an_answer_add_no_evidence_of_miscalibration() -> None:
    confidence, right = drawn(300, 4, gap=0.05)
    once, times = reliability(confidence, right), 6
    often = confidence.repeat(times), right.repeat(times)
    grouped = reliability(*often, groups=np.arange(300).repeat(times)).error
    assert grouped.value == pytest.approx(once.error.value)
    assert grouped.high - grouped.low == pytest.approx(once.error.high - once.error.low, rel=0.15)
    ungrouped = reliability(*often).error
    assert grouped.high - grouped.value > 2 * (ungrouped.high - ungrouped.value)
    assert grouped.low < ungrouped.low
    alone = reliability(confidence, right, groups=np.arange(300)).error
    assert (alone.low, alone.high) == pytest.approx((once.error.low, once.error.high), abs=0.01)


# Risk against coverage


def test_risk_by_hand() -> None:
    """Most confident first: right, wrong, then two of 0.6 of which one is right, each half wrong."""
    coverage, risk = risk_coverage([0.6, 0.9, 0.8, 0.6], np.array([True, True, False, False]))
    np.testing.assert_allclose(coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 1.5 / 3, 2 / 4])


@given(ANSWERS)
def test_all_answers_have_the_error_rate(answers: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(column) for column in zip(*answers, strict=True))
    coverage, risk = risk_coverage(confidence, right)
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(1 - right.mean())
    assert ((risk >= 0) & (risk <= 1)).all()
    for threshold in confidence:
        kept = confidence >= threshold
        assert risk[kept.sum() - 1] == pytest.approx(1 - right[kept].mean())


@given(ANSWERS)
def test_the_area_under_the_curve_is_its_mean_risk(answers: list[tuple[float, bool]]) -> None:
    confidence, right = (np.array(column) for column in zip(*answers, strict=True))
    found = area_under_risk_coverage(confidence, right)
    assert found.value == pytest.approx(risk_coverage(confidence, right)[1].mean())
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.5 / len(answers) ** 0.5 / 4


def test_the_interval_of_the_area_covers_the_truth_and_allows_for_groups() -> None:
    true = risk_coverage(*drawn(100_000, 1))[1].mean()
    found = [area_under_risk_coverage(*drawn(200, seed)) for seed in range(100)]
    assert np.mean([one.low <= true <= one.high for one in found]) >= 0.9
    confidence, right = drawn(200, 0)
    grouped = area_under_risk_coverage(confidence.repeat(4), right.repeat(4), np.arange(200).repeat(4))
    assert grouped.high - grouped.low == pytest.approx(found[0].high - found[0].low, rel=0.15)


# Errors


@pytest.mark.parametrize(
    ("confidence", "is_right", "message"),
    [
        ([], np.array([], bool), "at least one"),
        ([[0.5]], np.array([[True]]), r"\(1, 1\)"),
        ([0.5, 1.5], np.array([True, True]), "1.5"),
        ([0.5, math.nan], np.array([True, True]), "nan"),
        (["a", "b"], np.array([True, True]), "numbers"),
        ([0.5, 0.6], np.array([True]), r"is_right: bool \(1,\)"),
        ([0.5, 0.6], np.array([1, 0]), "int64"),
    ],
)
def test_a_wrong_input_is_named_in_one_line(confidence: Any, is_right: Any, message: str) -> None:
    for function in (reliability, risk_coverage):
        with pytest.raises(InputError, match=message) as error:
            function(confidence, is_right)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("bins", [0, 3])
def test_every_bin_needs_an_answer(bins: int) -> None:
    with pytest.raises(InputError, match=f"2 answers in {bins} bins"):
        reliability([0.5, 0.6], np.array([True, False]), bins)


def test_answers_that_are_each_their_own_group_are_independent() -> None:
    rng = np.random.default_rng(0)
    confidence, right = rng.uniform(0.5, 1, 200), rng.random(200) < 0.7
    alone = reliability(confidence, right, 5)
    assert reliability(confidence, right, 5, np.arange(200)).error == alone.error
