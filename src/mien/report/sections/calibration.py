"""The sections of a report on what a model's confidence is worth: calibration, and abstention."""

from typing import Any

import numpy as np

from mien.evaluation.scoring import Predictions
from mien.metrics.calibration import Reliability, risk_coverage
from mien.metrics.formatting import format_percent, format_value
from mien.report.document import Section, Table
from mien.viz.curves import reliability_diagram, risk_coverage_curves

#: With fewer pictures than this a report says that they are few.
FEW = 100
#: Shares of pictures answered for which the abstention table has a row.
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


def calibration_in_words(scored: Predictions, trust: Reliability) -> str:
    """Say in one sentence whether the probabilities can be taken at their word."""
    if len(scored.names) < FEW:
        return "So few pictures say little: read the intervals, not the figures."
    error, points = f"ECE {format_value(trust.error.value)}", f"{100 * trust.error.value:.1f} points"
    if trust.error.low == 0:
        return f"Its probabilities are not shown to be wrong ({error})."
    gap = float(scored.confidence.mean() - scored.is_right.mean())
    if abs(gap) < trust.error.value / 2:
        return f"Its probabilities are off by {points} on average, in both directions ({error})."
    return f"It is too {'sure' if gap > 0 else 'unsure'} of itself, by {points} on average ({error})."


def trust_section(scored: Predictions, trust: Reliability) -> Section:
    """The reliability diagram: can the probabilities be taken at their word?"""
    claimed, right = float(scored.confidence.mean()), float(scored.is_right.mean())
    few = "Too few pictures to judge its probabilities by. " if len(scored.names) < FEW else ""
    conclusion = (
        f"{few}It says {format_percent(claimed)} on average and is right {format_percent(right)} of the time. The "
        f"expected calibration error is {trust.error}; a perfectly calibrated model would show "
        f"{format_value(trust.noise)} by chance."
    )
    bins = f"{len(trust.counts)} bins of equally many answers" if len(trust.counts) > 1 else "All answers in one bin"
    drawn = reliability_diagram(
        trust,
        name="reliability",
        caption=f"{bins}, with 95 % intervals. Below the dotted line the model is too sure of itself, above it not.",
        alt=f"Reliability diagram: calibration error {trust.error}; confidence {claimed:.3f}, accuracy {right:.3f}.",
    )
    bins_of = zip(trust.confidence, trust.accuracy, trust.counts, strict=True)
    rows = tuple((format_value(sure), format_value(share), f"{count:,}") for sure, share, count in bins_of)
    table = Table(("confidence of the bin", "right", "answers"), rows)
    return Section("trust", "Can its probabilities be trusted?", conclusion, (drawn, table))


def abstention_section(scored: Predictions) -> Section:
    """Risk against coverage: what is gained when the least certain answers are left to a person."""
    coverage, risk = risk_coverage(scored.confidence, scored.is_right)
    ordered = np.sort(scored.confidence)[::-1]
    rows = []
    for share in COVERAGES:
        last = max(1, round(share * len(ordered))) - 1
        rows.append((format_percent(share, 0), format_percent(float(risk[last])), format_value(float(ordered[last]))))
    wrong, left = float(risk[-1]), float(risk[max(1, round(0.8 * len(risk))) - 1])
    conclusion = (
        f"Leaving the least certain fifth to a person takes the mistakes among the rest from {format_percent(wrong)} "
        f"to {format_percent(left)}."
        if left < wrong
        else "Leaving out the least certain answers does not lower the share of mistakes."
    )
    if wrong == 0:
        conclusion = "There is no mistake here that silence could avoid."
    drawn = risk_coverage_curves(
        {"": (coverage, risk)},
        name="risk-coverage",
        caption="The share of wrong answers when only the most confident ones are kept. The dot is all of them. The "
        f"area under the curve is {scored.risk_area}.",
        alt=f"Risk-coverage curve: {format_percent(wrong)} wrong among all answers, "
        f"{format_percent(left)} among the surest 80 %.",
    )
    table = Table(("share answered", "wrong", "confidence from"), tuple(rows))
    return Section("abstention", "When it may stay silent", conclusion, (drawn, table))


def risk_dict(scored: Predictions, points: int = 100) -> dict[str, Any]:
    """Return the risk-coverage curve at up to so many coverages, JSON-ready, and the area under the whole curve."""
    coverage, risk = risk_coverage(scored.confidence, scored.is_right)
    kept = np.unique(np.linspace(0, len(risk) - 1, min(points, len(risk))).round().astype(int))
    return {"coverage": coverage[kept].tolist(), "risk": risk[kept].tolist(), "area": scored.risk_area.to_dict()}
