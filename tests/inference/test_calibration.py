"""Logits become probabilities that mean what they say."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mien.inference.calibration import TEMPERATURE_BOUNDS, fit_temperature, negative_log_likelihood, probabilities

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
