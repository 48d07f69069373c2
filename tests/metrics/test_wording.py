"""Differences are said with their interval, and nobody leads by nothing."""

from mien.metrics.estimates import Estimate
from mien.metrics.wording import accuracy_difference_in_words


def test_nobody_leads_by_nothing() -> None:
    said = accuracy_difference_in_words("old", "new", Estimate(0.0, -0.5, 0.5), False, "on 6 images")
    assert said == "The difference between old and new is not significant: 0.0 points [-50.0, +50.0] on 6 images"
