"""Numbers as people read them."""

import math

import pytest

from mien.metrics.estimates import UNDEFINED, Estimate
from mien.metrics.formatting import (
    format_estimate,
    format_interval,
    format_p_value,
    format_percent,
    format_percent_interval,
    format_points,
    format_signed,
    format_value,
)

FOUND = Estimate(0.92749, 0.913, 0.9386)
CHANGE = Estimate(-0.0123, -0.03, 0.0049)


def test_values_have_a_fixed_number_of_decimals() -> None:
    assert (format_value(0.5), format_value(0.5, 1), format_value(math.nan)) == ("0.500", "0.5", "undefined")


def test_an_estimate_is_followed_by_its_interval() -> None:
    assert format_estimate(FOUND) == str(FOUND) == "0.927 [0.913, 0.939]"
    assert format_estimate(FOUND, 2) == "0.93 [0.91, 0.94]"
    assert format_estimate(UNDEFINED) == "undefined"


def test_an_interval_stands_alone() -> None:
    assert (format_interval(FOUND), format_interval(FOUND, 2)) == ("0.913 – 0.939", "0.91 – 0.94")
    assert format_interval(UNDEFINED) == "–"


def test_percentages_keep_a_space_and_100_has_no_decimals() -> None:
    assert [format_percent(x) for x in (0.9271, 1.0, 0.0, math.nan)] == ["92.7 %", "100 %", "0.0 %", "undefined"]
    assert format_percent(0.95, 0) == "95 %"
    assert format_percent_interval(FOUND) == "91.3 – 93.9 %"
    assert format_percent_interval(Estimate(1.0, 0.8389, 1.0)) == "83.9 – 100 %"
    assert format_percent_interval(UNDEFINED) == "–"


def test_points_are_signed_unless_told_otherwise() -> None:
    assert format_points(CHANGE) == "-1.2 [-3.0, +0.5]"
    assert format_points(Estimate(0.2, 0.1, 0.3), signed=False, unit="points") == "20.0 points [10.0, 30.0]"
    assert format_points(UNDEFINED) == "undefined"


@pytest.mark.parametrize(
    ("p", "short", "named"),
    [
        (0.0421, "0.042", "p = 0.042"),
        (0.001, "0.001", "p = 0.001"),
        (0.00099, "< 0.001", "p < 0.001"),
        (0.0, "< 0.001", "p < 0.001"),
        (1.0, "1.000", "p = 1.000"),
    ],
)
def test_tiny_p_values_are_bounds(p: float, short: str, named: str) -> None:
    assert (format_p_value(p), format_p_value(p, named=True)) == (short, named)
    assert format_p_value(0.00002, 4) == "< 0.0001"


def test_zero_has_no_sign() -> None:
    assert [format_signed(x, 1) for x in (0.04, -0.04, 0.0, -0.0, 0.06, -0.06)] == [
        "0.0", "0.0", "0.0", "0.0", "+0.1", "-0.1",
    ]  # fmt: skip
    tiny = Estimate(-0.0001, -0.03, 0.0001)
    assert format_points(tiny) == format_points(tiny, signed=False) == "0.0 [-3.0, 0.0]"
