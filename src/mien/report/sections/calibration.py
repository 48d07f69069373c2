"""Show how far confidence can be trusted: calibration, and abstention."""

from typing import Any

import numpy as np

from mien.evaluation.scoring import Predictions
from mien.metrics.calibration import Reliability, risk_coverage
from mien.metrics.estimates import proportion
from mien.metrics.formatting import format_percent, format_percent_interval, format_value
from mien.metrics.significance import independent_difference
from mien.report.document import Section, Table
from mien.viz.curves import reliability_diagram, risk_coverage_curves

#: With fewer images than this a report says that they are few.
FEW = 100
#: Coverages that the abstention table shows.
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


def calibration_in_words(predictions: Predictions, reliability: Reliability) -> str:
    """Return one sentence on whether the probabilities are calibrated."""
    if len(predictions.names) < FEW:
        return "So few images say little: read the intervals, not the values."
    error, points = f"ECE {reliability.error}", f"{100 * reliability.error.value:.1f} points"
    if reliability.error.low == 0:
        return f"Its probabilities are not significantly miscalibrated ({error})."
    gap = float(predictions.confidence.mean() - predictions.is_right.mean())
    if abs(gap) < reliability.error.value / 2:
        return f"Its probabilities are off by {points} on average, in both directions ({error})."
    return f"It is {'overconfident' if gap > 0 else 'underconfident'}, by {points} on average ({error})."


def calibration_section(predictions: Predictions, reliability: Reliability) -> Section:
    """Show the reliability diagram."""
    claimed, right = float(predictions.confidence.mean()), float(predictions.is_right.mean())
    few = "Too few images to judge its probabilities. " if len(predictions.names) < FEW else ""
    conclusion = (
        f"{few}Its mean confidence is {format_percent(claimed)}, its accuracy {format_percent(right)}. The expected "
        f"calibration error is {reliability.error}; a perfectly calibrated model would show "
        f"{format_value(reliability.noise)} by chance."
    )
    counts = reliability.counts
    bins = f"{len(counts)} bins of equally many answers" if len(counts) > 1 else "All answers in one bin"
    drawn = reliability_diagram(
        reliability,
        name="reliability",
        caption=f"{bins}, with 95 % intervals. Below the dotted line the model is overconfident, above it "
        "underconfident.",
        alt=f"Reliability diagram: calibration error {reliability.error}; confidence {claimed:.3f}, accuracy "
        f"{right:.3f}.",
    )
    bins_of = zip(reliability.confidence, reliability.accuracy, counts, strict=True)
    rows = tuple((format_value(sure), format_value(accuracy), f"{count:,}") for sure, accuracy, count in bins_of)
    table = Table(("confidence", "accuracy", "answers"), rows)
    return Section("calibration", "Calibration", conclusion, (drawn, table))


def abstention_section(predictions: Predictions) -> Section:
    """Show risk against coverage: the errors left if the least confident answers are left to a person."""
    coverage, risk = risk_coverage(predictions.confidence, predictions.is_right)
    ordered = np.sort(predictions.confidence)[::-1]
    rows = []
    for kept in COVERAGES:
        last = max(1, round(kept * len(ordered))) - 1
        rows.append((format_percent(kept, 0), format_percent(float(risk[last])), format_value(float(ordered[last]))))
    wrong, left = float(risk[-1]), float(risk[max(1, round(0.8 * len(risk))) - 1])
    conclusion = _abstention_in_words(len(risk), wrong, left)
    if wrong == 0:
        conclusion = "There is no mistake here that abstention could avoid."
    drawn = risk_coverage_curves(
        {"": (coverage, risk)},
        name="risk-coverage",
        caption="Error rate if only the most confident answers are kept. The dot is all of them. The area under the "
        f"curve is {predictions.risk_area}.",
        alt=f"Risk-coverage curve: {format_percent(wrong)} wrong among all answers, {format_percent(left)} among the "
        "most confident 80 %.",
    )
    table = Table(("coverage", "error rate", "lowest confidence"), tuple(rows))
    return Section("abstention", "Abstention", conclusion, (drawn, table))


def _abstention_in_words(n: int, wrong: float, left: float) -> str:
    """Say whether leaving out the least confident fifth lowers the error rate: fewer mistakes than in that fifth.

    Args:
        n: number of answers.
        wrong: error rate of all.
        left: error rate of the most confident 80 %.
    """
    kept = max(1, round(0.8 * n))
    others = (wrong * n - left * kept) / (n - kept) if n > kept else left
    gain = independent_difference(left, others, kept, max(1, n - kept))
    if gain.low > 0:
        return (
            f"If the least confident fifth is left to a person, {format_percent(left)} "
            f"({format_percent_interval(proportion(left * kept, kept))}) of the other answers are wrong instead of "
            f"{format_percent(wrong)}."
        )
    return "Leaving out the least confident fifth is not shown to lower the error rate."


def risk_dict(predictions: Predictions, points: int = 100) -> dict[str, Any]:
    """Return the risk-coverage curve at up to `points` coverages, and the area under the whole curve, for JSON."""
    coverage, risk = risk_coverage(predictions.confidence, predictions.is_right)
    kept = np.unique(np.linspace(0, len(risk) - 1, min(points, len(risk))).round().astype(int))
    return {"coverage": coverage[kept].tolist(), "risk": risk[kept].tolist(), "area": predictions.risk_area.to_dict()}
