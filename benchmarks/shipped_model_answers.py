"""Evaluate happy, sad or neither: by arg-max, by the bundle's own rule and by rules chosen on validation."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.inference.bundle_config import BundleConfig
from mien.inference.calibration import probabilities
from mien.inference.decision import AnswerRule
from mien.labels import EXPRESSIONS, NEITHER
from mien.metrics.calibration import risk_coverage
from mien.metrics.classification import classification_metrics
from mien.metrics.estimates import proportion
from shipped_model_data import HAPPY, SAD, UNDECIDED, Fold
from shipped_model_rows import Floats, Limits, Measured, Row

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from choose_rule import Rule, fit_answers
from cross_fitting import CrossFitted, cross_fit_answers

Ints = npt.NDArray[np.int64]

THREE = ("happy", "sad", NEITHER)
COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

EXPECTED = "Answers to expect on other faces, by a rule chosen like the bundle's (cross-fitted)"

#: Which answers to which faces are counted, and the limits of what to expect.
RATES = {
    ("neutral", "sad"): Limits(0.04, 0.035, most=True),
    ("sad", "sad"): Limits(0.73, 0.78),
    ("happy", "happy"): Limits(0.95, 0.96),
    ("angry", "sad"): None,
    ("disgust", "sad"): None,
    ("fear", "sad"): None,
    ("surprise", "sad"): None,
    ("happy", "sad"): None,
    ("sad", "happy"): None,
}


def three_ways(found: Measured, fold: Fold, logits: Floats) -> None:
    """Add the three-way answers to the faces with a FER+ majority; logits (N, 7) in the order of EXPRESSIONS."""
    known = fold.majority != UNDECIDED
    majority, scores = fold.majority[known], logits[known]
    config = found.reader.config
    rows = probabilities(scores, config.temperature)
    answer_rows(found, "Answers by arg-max of seven", majority, in_three(rows.argmax(axis=1)), rows)

    fitted = fit_answers(scores, majority)
    temperature, rule = fitted.temperature, rule_of(fitted.rule)
    found.fitted = {"temperature": round(temperature, 4), **rule}
    section = "Answers by a rule chosen here, on these same faces"
    if config.answer_from is not None:
        section, temperature, rule = "Answers by the bundle's rule", config.temperature, rule_of(config)
    rows = probabilities(scores, temperature)
    answered = by_rule(rows, rule)
    answer_rows(found, section, majority, answered, rows)
    confidence = three_probabilities(rows)[np.arange(len(rows)), answered]
    found.curves["happy, sad or neither, FER+ majority"] = risk_coverage(confidence, answered == in_three(majority))
    expected(found, majority, cross_fit_answers(scores, majority, fold.copies[known]))


def expected(found: Measured, majority: Ints, crossed: CrossFitted) -> None:
    """Add the rates to be expected on other faces, which alone are held against the limits."""
    for (face, answer), limits in RATES.items():
        faces = majority == EXPRESSIONS.index(face)
        rate = crossed.rate(faces, THREE.index(answer))
        found.rows.append(Row(EXPECTED, f"{face} called {answer}", int(faces.sum()), rate, limits))


def rule_of(found: BundleConfig | Rule) -> dict[str, Any]:
    """Return the rule as an `AnswerRule` (`mien.inference.decision`)."""
    return {"answer_from": found.answer_from, "answer_over": found.answer_over}


def by_rule(rows: Floats, rule: Mapping[str, Any]) -> Ints:
    """Return answers (N,) as indices into THREE, whatever the order of labels in the rule."""
    order = np.array([THREE.index(name) for name in (*rule["answer_from"], NEITHER)])
    return order[AnswerRule(EXPRESSIONS, **rule).choose(rows)]


def in_three(expressions: Ints) -> Ints:
    """Convert indices into EXPRESSIONS to indices into THREE."""
    return np.array([THREE.index(name if name in THREE else NEITHER) for name in EXPRESSIONS])[expressions]


def three_probabilities(rows: Floats) -> Floats:
    """Return probabilities (N, 3) in the order of THREE from those of the seven."""
    named = rows[:, [HAPPY, SAD]]
    return np.column_stack([named, np.clip(1 - named.sum(axis=1), 0, 1)])


def answer_rows(found: Measured, section: str, majority: Ints, answered: Ints, rows: Floats) -> None:
    for face, answer in RATES:
        said = answered[majority == EXPRESSIONS.index(face)]
        estimate = proportion(int((said == THREE.index(answer)).sum()), len(said))
        found.rows.append(Row(section, f"{face} called {answer}", len(said), estimate))
    result = classification_metrics(in_three(majority), three_probabilities(rows), THREE, answered)
    found.rows.append(Row(section, "macro-F1 of happy, sad and neither", result.n, result.macro_f1))
    found.rows.append(Row(section, "accuracy of happy, sad and neither", result.n, result.accuracy))


def risks(found: Measured) -> None:
    """Add the error rate of the most confident answers at several coverages of every curve."""
    for what, (coverage, risk) in found.curves.items():
        for wanted in COVERAGES:
            kept = int(np.searchsorted(coverage, wanted - 1e-9)) + 1
            estimate = proportion(risk[kept - 1] * kept, kept)
            found.rows.append(Row(f"Risk (fraction of errors): {what}", f"at coverage {wanted:.1f}", kept, estimate))
