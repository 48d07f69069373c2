"""Logits become probabilities that mean what they say."""

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mien.inference.calibration import USABLE_TEMPERATURES, probabilities

Floats = npt.NDArray[np.float64]

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7)
LOGITS = hnp.arrays(np.float64, SHAPES, elements=st.floats(-500, 500))
TEMPERATURES = st.floats(*USABLE_TEMPERATURES)


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
