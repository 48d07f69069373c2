"""Say how two values differ. The interval is always said, and "more accurate" only if the difference is significant."""

from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_points
from mien.text import capitalise

#: A name that begins so is a phrase.
_PHRASES = ("the ", "always ", "trial ")


def accuracy_difference_in_words(
    first: str, second: str, change: Estimate, significant: bool, evidence: str = "", remark: str = ""
) -> str:
    """Return one sentence on the difference of two accuracies, without the full stop.

    Args:
        first: the name of one model.
        second: the name of the other.
        change: accuracy of the second minus that of the first, in [-1, 1], with its 95 % interval.
        significant: whether the difference is significant.
        evidence: what the interval comes from, such as `on 30 images (McNemar, exact, p = 0.031)`; may be empty.
        remark: what else to say; may be empty.

    Examples:
        >>> accuracy_difference_in_words("old", "new", Estimate(0.1, -0.05, 0.24), False, "on 30 images")
        'The difference between old and new is not significant: new leads by +10.0 points [-5.0, +24.0] on 30 images'
    """
    ahead, behind = (second, first) if change.value >= 0 else (first, second)
    lead = format_points(change if change.value >= 0 else negated(change), unit="points")
    said = "".join((lead, f" {evidence}" if evidence else "", f"; {remark}" if remark else ""))
    if significant:
        return f"{begin_sentence(ahead)} is significantly more accurate than {behind}: {said}"
    leads = f"{ahead} leads by " if change.value else ""
    return f"The difference between {first} and {second} is not significant: {leads}{said}"


def begin_sentence(name: str) -> str:
    """Return a model's name as a sentence begins: a phrase with a capital letter, a name of a file as it is."""
    return capitalise(name) if name.startswith(_PHRASES) else name


def negated(change: Estimate) -> Estimate:
    """Return the difference the other way round."""
    return Estimate(-change.value, -change.high, -change.low)


def excludes_zero(change: Estimate) -> bool:
    """Return whether an interval excludes 0; False if it is undefined."""
    return change.low > 0 or change.high < 0
