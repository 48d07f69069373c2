"""An exponential moving average (EMA) of a network's weights: less noisy than the weights of a single step."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = list[npt.NDArray[Any]]


class WeightEMA:
    """Average a network's floating-point variables with decay min(`decay`, (1 + n) / (10 + n)) at step n.

    The ramp helps short runs. Batch-norm statistics are averaged like weights, because the raw ones belong to the
    raw weights (Tarvainen and Valpola, 2017; Izmailov et al., 2018). With a decay of 0 there is no average: `values`
    are the network's own.
    """

    def __init__(self, variables: Sequence[Any], decay: float) -> None:
        self._variables = list(variables)
        self._decay = decay
        self.steps = 0
        self.values: Arrays = self._current()

    def _current(self) -> Arrays:
        # Copies: a backend may return a view of memory that the next step overwrites. np.array would ask Keras for the
        # copy, whose `__array__` does not know that argument of NumPy 2.
        return [np.asarray(variable).copy() for variable in self._variables]

    def update(self) -> None:
        """Add the weights after one more training step."""
        if not self._decay:
            return
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        for value, variable in zip(self.values, self._variables, strict=True):
            if value.dtype == np.float32:
                np.add(value, (1 - decay) * (np.asarray(variable) - value), out=value)

    def swap(self) -> None:
        """Exchange the network's weights and the average. A second call exchanges them back."""
        if not self._decay:
            self.values = self._current()
            return
        raw = self._current()
        for variable, value, own in zip(self._variables, self.values, raw, strict=True):
            if value.dtype == np.float32:
                variable.assign(value)
                value[...] = own
