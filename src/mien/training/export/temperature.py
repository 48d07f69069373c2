"""Fit the temperature that calibrates a network's probabilities."""

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64

#: A temperature outside these bounds means that the data was too small or too easy to fit one.
TEMPERATURE_BOUNDS = (0.25, 8.0)

#: A temperature is fitted on at least this many rows.
MIN_ROWS_TO_FIT = 100


def negative_log_likelihood(logits: Float64, targets: Float64, temperature: float) -> float:
    """Return the mean of `log_losses`.

    Args:
        logits: float64 (N, K).
        targets: float64 (N, K), rows sum to 1.
        temperature: above 0.

    Examples:
        >>> round(negative_log_likelihood(np.zeros((1, 2)), np.array([[1.0, 0.0]]), 1.0), 6)  # the logarithm of 2
        0.693147
    """
    return float(log_losses(logits, targets, temperature).mean())


def log_losses(logits: Float64, targets: Float64, temperature: float) -> Float64:
    """Return the cross-entropy of each row in nats under the tempered softmax, float64 (N,); arguments as above."""
    from scipy.special import log_softmax  # type: ignore[import-untyped]

    return np.asarray(-(targets * log_softmax(logits / temperature, axis=1)).sum(axis=1))


def fit_temperature(logits: npt.ArrayLike, targets: npt.ArrayLike, minimum: int = MIN_ROWS_TO_FIT) -> float:
    """Fit one temperature on held-out data by minimising the cross-entropy (Guo et al., 2017).

    Args:
        logits: float (N, K).
        targets: float (N, K), rows sum to 1.
        minimum: with fewer rows the fit would be noise, and 1.0 is returned.

    Returns:
        A temperature within TEMPERATURE_BOUNDS.

    Examples:
        >>> fit_temperature([[2.0, 0.0]], [[1.0, 0.0]])
        1.0
    """
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]

    scores, goal = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    if len(scores) < minimum:
        return 1.0
    found = minimize_scalar(  # the loss is unimodal in the temperature
        lambda logarithm: negative_log_likelihood(scores, goal, np.exp(logarithm)),
        bounds=np.log(TEMPERATURE_BOUNDS), method="bounded", options={"xatol": 1e-7},
    )  # fmt: skip
    return float(np.exp(found.x))
