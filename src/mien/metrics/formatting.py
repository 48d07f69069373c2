"""Format numbers for people: values, confidence intervals, percentages, percentage points and p-values.

Tables, sentences and chart labels use these functions, so that a number looks the same everywhere.
"""

import math
from typing import Protocol


class HasInterval(Protocol):
    """A value with its confidence interval, such as `mien.metrics.estimates.Estimate`."""

    @property
    def value(self) -> float:
        """The estimate; nan if undefined."""

    @property
    def low(self) -> float:
        """Lower end of the interval."""

    @property
    def high(self) -> float:
        """Upper end of the interval."""


def format_value(value: float, digits: int = 3) -> str:
    """Return a number with a fixed number of decimals, or `undefined` for nan.

    Examples:
        >>> format_value(0.92749)
        '0.927'
    """
    return "undefined" if math.isnan(value) else f"{value:.{digits}f}"


def format_interval(estimate: HasInterval, digits: int = 3) -> str:
    """Return a confidence interval as `0.913 – 0.939`, or a dash if the estimate is undefined."""
    return "–" if math.isnan(estimate.value) else f"{estimate.low:.{digits}f} – {estimate.high:.{digits}f}"


def format_estimate(estimate: HasInterval, digits: int = 3) -> str:
    """Return an estimate with its confidence interval, or `undefined`.

    Examples:
        >>> from mien.metrics.estimates import Estimate
        >>> format_estimate(Estimate(0.92749, 0.913, 0.9386))
        '0.927 [0.913, 0.939]'
    """
    if math.isnan(estimate.value):
        return "undefined"
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def format_percent(fraction: float, digits: int = 1) -> str:
    """Return a fraction in [0, 1] as a percentage, or `undefined` for nan.

    Examples:
        >>> format_percent(0.9271), format_percent(1.0)
        ('92.7 %', '100 %')
    """
    if math.isnan(fraction):
        return "undefined"
    return "100 %" if fraction == 1 else f"{100 * fraction:.{digits}f} %"


def format_percent_interval(estimate: HasInterval, digits: int = 1) -> str:
    """Return a confidence interval as percentages, or a dash if the estimate is undefined.

    Examples:
        >>> from mien.metrics.estimates import Estimate
        >>> format_percent_interval(Estimate(0.92749, 0.913, 0.9386))
        '91.3 – 93.9 %'
    """
    if math.isnan(estimate.value):
        return "–"
    return f"{100 * estimate.low:.{digits}f} – {format_percent(estimate.high, digits)}"


def format_points(difference: HasInterval, signed: bool = True, unit: str = "") -> str:
    """Return a difference of two fractions in percentage points with its confidence interval, or `undefined`.

    Args:
        difference: the difference, in [-1, 1].
        signed: whether positive numbers get a plus sign.
        unit: a word after the number, such as `points`; empty for none.

    Examples:
        >>> from mien.metrics.estimates import Estimate
        >>> format_points(Estimate(0.0123, -0.003, 0.027))
        '+1.2 [-0.3, +2.7]'
    """
    if math.isnan(difference.value):
        return "undefined"
    value, low, high = (
        format_signed(100 * x, 1) if signed else format_signed(100 * x, 1).removeprefix("+")
        for x in (difference.value, difference.low, difference.high)
    )
    return f"{value}{unit and f' {unit}'} [{low}, {high}]"


def format_signed(value: float, digits: int = 3) -> str:
    """Return a number with its sign; zero, also after rounding, has none.

    Examples:
        >>> format_signed(0.0251), format_signed(-0.0001)
        ('+0.025', '0.000')
    """
    text = f"{value:+.{digits}f}"
    return text if text.strip("+-0.") else text[1:]


def format_p_value(p: float, digits: int = 3, named: bool = False) -> str:
    """Return a p-value, as a bound if it would round to zero.

    Args:
        p: the p-value, in [0, 1].
        digits: decimals.
        named: whether to begin with `p =` or `p <`, as in a sentence.

    Examples:
        >>> format_p_value(0.0421), format_p_value(0.00002), format_p_value(0.0421, named=True)
        ('0.042', '< 0.001', 'p = 0.042')
    """
    smallest = 10.0**-digits
    if p < smallest:
        return f"{'p ' if named else ''}< {smallest:.{digits}f}"
    return f"{'p = ' if named else ''}{p:.{digits}f}"
