"""The temperature that calibrates probabilities is found."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mien.inference.calibration import probabilities
from mien.training.export.temperature import TEMPERATURE_BOUNDS, fit_temperature, negative_log_likelihood

Floats = npt.NDArray[np.float64]


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
