"""Negative log-likelihood: finer than accuracy, which differs by a face or two between similar networks."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mien.inference.calibration import probabilities
from mien.metrics.estimates import Estimate
from mien.metrics.intervals import Z95
from mien.training.export.temperature import fit_temperature
from shipped_model_rows import Floats, Limits, Measured, Row

Ints = npt.NDArray[np.int64]

SECTION = "Negative log-likelihood in nats, at the temperature best for the row"


def likelihoods(
    found: Measured, asked: Mapping[str, tuple[Floats, Ints]], limits: Mapping[str, Limits]
) -> None:  # fmt: skip
    """Add a row for each name: logits (N, K), and the index of the right column (N,)."""
    for name, (logits, truth) in asked.items():
        found.rows.append(Row(SECTION, name, len(truth), mean(losses(logits, truth)), limits.get(name)))


def likelihoods_changed(found: Measured, changed: Mapping[str, Sequence[Floats]], truth: Ints) -> None:
    """Add a row for each perturbation, for happy vs sad: logits (N, 2) of each draw, averaged over draws."""
    for name, draws in changed.items():
        estimate = mean(np.mean([losses(logits, truth) for logits in draws], axis=0))
        found.rows.append(Row(SECTION, f"happy vs sad, FER2013 labels, {name}", len(truth), estimate))


def losses(logits: Floats, truth: Ints) -> Floats:
    """Return the loss of each face, (N,), above 0; smaller is better."""
    temperature = fit_temperature(logits, np.eye(logits.shape[1])[truth])
    chosen: Floats = probabilities(logits, temperature)[np.arange(len(truth)), truth]
    return -np.log(np.maximum(chosen, 1e-12))


def mean(values: Floats) -> Estimate:
    """Return the mean with its 95 % interval by the normal approximation, assuming independent faces."""
    value = float(values.mean())
    reach = Z95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(value, max(value - reach, 0.0), value + reach)
