"""Turn logits into calibrated probabilities; fit the temperature. How well they are calibrated: `mien.metrics`."""

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64

#: A temperature outside these bounds means that the data was too small or too easy to fit one.
TEMPERATURE_BOUNDS = (0.25, 8.0)

#: Outside these bounds the probabilities would be all alike, or 0 and 1 but for rounding.
USABLE_TEMPERATURES = (0.01, 100.0)

#: A temperature is fitted on at least this many rows.
MIN_ROWS_TO_FIT = 100


def probabilities(logits: npt.ArrayLike, temperature: float = 1.0) -> Float64:
    """Return the softmax of `logits` (..., K) divided by `temperature`: float64 (..., K), rows sum to 1.

    Examples:
        >>> probabilities([[0.0, 0.0]]).tolist()
        [[0.5, 0.5]]
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: Float64 = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def negative_log_likelihood(logits: Float64, targets: Float64, temperature: float) -> float:
    """Return the mean cross-entropy in nats under the tempered softmax.

    Args:
        logits: float64 (N, K).
        targets: float64 (N, K), rows sum to 1.
        temperature: above 0.
    """
    scaled = logits / temperature
    log_sum = np.log(np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    log_probabilities = scaled - scaled.max(axis=1, keepdims=True) - log_sum
    return float(-(targets * log_probabilities).sum(axis=1).mean())


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
    scores, goal = np.asarray(logits, np.float64), np.asarray(targets, np.float64)
    if len(scores) < minimum:
        return 1.0
    low, high = np.log(TEMPERATURE_BOUNDS)
    ratio = (np.sqrt(5) - 1) / 2  # golden-section search: the loss is unimodal in the temperature
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if negative_log_likelihood(scores, goal, np.exp(left)) < negative_log_likelihood(scores, goal, np.exp(right)):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
