"""Turn logits into calibrated probabilities.

How well they are calibrated: `mien.metrics.calibration`. The temperature is fitted by
`mien.training.export.temperature`.
"""

import numpy as np
import numpy.typing as npt

from mien.arrays import Float64

#: Outside these bounds the probabilities would be all alike, or 0 and 1 but for rounding.
USABLE_TEMPERATURES = (0.01, 100.0)


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
