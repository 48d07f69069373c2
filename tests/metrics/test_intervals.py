"""The paired difference against published values and simulation; the other intervals are in test_classification."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import InputError
from mien.metrics.intervals import paired_difference_interval


@pytest.mark.parametrize(
    ("both", "only_first", "only_second", "neither", "low", "high"),
    [
        (20, 12, 2, 16, 0.0562, 0.3292),
        (36, 12, 2, 0, 0.0569, 0.3404),
        (54, 0, 0, 0, -0.0664, 0.0664),
        (30, 0, 0, 0, -0.1135, 0.1135),
    ],
)
def test_newcombes_examples(
    both: int, only_first: int, only_second: int, neither: int, low: float, high: float
) -> None:  # fmt: skip
    """Newcombe 1998, method 10; his difference is first minus second."""
    n = both + only_first + only_second + neither
    found_low, found_high = paired_difference_interval(both, only_first, only_second, n)
    assert (-found_high, -found_low) == pytest.approx((low, high), abs=5e-5)


@given(*(st.integers(0, 200) for _ in range(4)))
def test_the_interval_contains_the_difference_and_is_antisymmetric(a: int, b: int, c: int, d: int) -> None:
    n = a + b + c + d
    if n == 0:
        return
    low, high = paired_difference_interval(a, b, c, n)
    assert -1 <= low <= (c - b) / n <= high <= 1
    assert paired_difference_interval(a, c, b, n) == pytest.approx((-high, -low))


@pytest.mark.parametrize("proportions", [(0.9, 0.05, 0.02, 0.03), (0.94, 0.012, 0.008, 0.04), (0.6, 0.1, 0.1, 0.2)])
def test_nominal_95_percent_covers_the_truth_about_95_times_in_100(proportions: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    true = proportions[2] - proportions[1]
    limits = [paired_difference_interval(a, b, c, 1487) for a, b, c, _ in rng.multinomial(1487, proportions, 2000)]
    covered = np.mean([low <= true <= high for low, high in limits])
    assert 0.93 < covered < 0.99


@pytest.mark.parametrize("counts", [(-1, 0, 0, 5), (3, 2, 1, 5), (math.nan, 0, 0, 5), (0, 0, 0, 0)])
def test_impossible_counts_are_refused(counts: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="paired_difference"):
        paired_difference_interval(*counts)
