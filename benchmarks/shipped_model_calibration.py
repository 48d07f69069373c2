"""Measure the expected calibration error of happy vs sad and of seven classes, against the FER+ majority."""

import sys
from pathlib import Path

import numpy as np

from mien.inference.calibration import probabilities
from mien.metrics.calibration import reliability
from mien.training.export.temperature import fit_temperature
from shipped_model_rows import Floats, Ints, Limits, Measured, Question, Row

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from cross_fitting import cross_fit_temperatures

SECTION = "Expected calibration error, 15 bins of equal mass, FER+ majority"
CROSSED = "cross-fitted"
#: By the number of classes; asked of temperatures that were fitted on other faces.
LIMITS = {2: Limits(0.01, 0.005, most=True), 7: Limits(0.02, 0.015, most=True)}


def calibration(found: Measured, decided: Question, either: Question, logits: Floats, copies: Ints) -> None:
    """Add the rows.

    Args:
        found: gets the rows.
        decided: all faces with a majority, seven classes.
        either: those of them that are happy or sad.
        logits: (N, 7), of all faces.
        copies: (N,), equal for copies of one image.
    """
    seven, truth, group = decided.scores(logits), decided.truth, copies[decided.faces]
    two, side, chosen = either.scores(logits), either.truth, either.faces[decided.faces]
    settings = {
        "before (temperature 1)": np.ones(len(seven)),
        "at the bundle's temperature": np.full(len(seven), found.reader.config.temperature),
        CROSSED: cross_fit_temperatures(seven, truth, group),
    }
    for when, temperature in settings.items():
        add(found, f"happy vs sad, {when}", two, side, temperature[chosen])
    own = cross_fit_temperatures(two, side, group[chosen])
    add(found, f"happy vs sad, {CROSSED}, its own temperature", two, side, own)
    for when, temperature in settings.items():
        add(found, f"seven, {when}", seven, truth, temperature)
    found.fitted["temperature_of_happy_vs_sad"] = round(fit_temperature(two, np.eye(2)[side]), 4)


def add(found: Measured, name: str, logits: Floats, truth: Ints, temperature: Floats) -> None:
    """Add a row, and the data of its reliability diagram."""
    rows = probabilities(logits / temperature[:, None])
    diagram = found.diagrams[name] = reliability(rows.max(axis=1), rows.argmax(axis=1) == truth)
    note = f"(perfect: {diagram.noise:.3f})"
    limits = LIMITS[logits.shape[1]] if CROSSED in name else None
    found.rows.append(Row(SECTION, name, len(truth), diagram.error, limits, note=note))
