"""Logits to probabilities, and probabilities to an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: A temperature outside these bounds says that the data was too small or too easy to fit one.
TEMPERATURE_BOUNDS = (0.25, 8.0)


@dataclass(frozen=True)
class Answer:
    """An answer, its probability in [0, 1], and why it is not the most probable label (None where it is)."""

    label: str
    probability: float
    why: str | None


def probabilities(logits: npt.ArrayLike, temperature: float = 1.0) -> Floats:
    """Softmax of `logits` (..., K) divided by `temperature`; float64 (..., K), rows sum to 1."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    result: Floats = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return result


def decide(row: npt.ArrayLike, labels: Sequence[str], threshold: float = 0.5) -> Answer:
    """Choose the answer for one row of probabilities (K,).

    With two labels the second is answered when its probability is at least `threshold`; with more, the
    most probable is answered (the first of equals).
    """
    values = np.asarray(row, dtype=np.float64)
    best = int(values.argmax())
    chosen = int(values[1] >= threshold) if len(labels) == 2 else best
    why = None if values[chosen] >= values[best] else f"threshold {threshold:g} for {labels[1]}"
    return Answer(labels[chosen], float(values[chosen]), why)


def answers(rows: Floats, threshold: float = 0.5) -> npt.NDArray[np.int64]:
    """Indices (N,) of what `decide` answers for every row of probabilities (N, K)."""
    if rows.shape[1] == 2:
        return (rows[:, 1] >= threshold).astype(np.int64)
    best: npt.NDArray[np.int64] = rows.argmax(axis=1)
    return best


def two_way(by_label: Mapping[str, float]) -> dict[str, float] | None:
    """Return happy against sad, forced to sum to 1; None for a model that does not know both."""
    if not {"happy", "sad"} <= by_label.keys():
        return None
    happy, sad = by_label["happy"], by_label["sad"]
    total = happy + sad
    share = happy / total if total > 0 else 0.5
    return {"happy": share, "sad": 1.0 - share}


def negative_log_likelihood(logits: Floats, targets: Floats, temperature: float) -> float:
    """Mean cross-entropy in nats of targets (N, K), rows summing to 1, under the tempered softmax."""
    scaled = logits / temperature
    log_sum = np.log(np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    log_probabilities = scaled - scaled.max(axis=1, keepdims=True) - log_sum
    return float(-(targets * log_probabilities).sum(axis=1).mean())


def fit_temperature(logits: npt.ArrayLike, targets: npt.ArrayLike, minimum: int = 100) -> float:
    """Fit one temperature on held-out data by minimising the cross-entropy (Guo et al., 2017).

    `logits` float (N, K), `targets` (N, K) with rows summing to 1. With fewer than `minimum` rows the
    fit would be noise and 1.0 is returned. The result lies within TEMPERATURE_BOUNDS.
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
