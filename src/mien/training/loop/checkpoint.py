"""Save and load the state of an unfinished run: weights, optimizer, random states, EMA, best weights, history."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import UInt8
from mien.errors import TrainingError
from mien.io.atomic import new_file
from mien.io.bounded import parse_json, read_arrays
from mien.text import first_line
from mien.training.loop.ema import Arrays, WeightEMA
from mien.training.loop.schedule import Epoch

#: Of a shape that no variable has.
_NONE = np.empty((0, 0, 0))


def save_checkpoint(path: Path, model: Any, ema: WeightEMA, best: Arrays, history: Sequence[Epoch]) -> None:
    """Write the state, whole or not at all.

    Args:
        path: `.npz` file; replaced if it exists.
        model: compiled training model, with its optimizer.
        ema: moving average of the weights.
        best: weights of the best epoch so far.
        history: all epochs so far.
    """
    arrays: dict[str, npt.NDArray[Any]] = {"history": _pack(history)}
    for prefix, values in _variables(model).items():
        arrays |= {f"{prefix}{number}": np.asarray(value) for number, value in enumerate(values)}
    arrays |= {f"best{number}": value for number, value in enumerate(best)}
    arrays |= {f"ema{number}": value for number, value in enumerate(ema.values)}
    arrays["ema_steps"] = np.array(ema.steps)
    with new_file(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


@dataclass(frozen=True)
class Checkpoint:
    """A loaded state: its file, all arrays by name, and the history."""

    path: Path
    arrays: dict[str, npt.NDArray[Any]]
    history: list[Epoch]

    def restore(self, model: Any, ema: WeightEMA) -> Arrays:
        """Copy the state into a freshly built model and its average, and return the best weights so far.

        Raises TrainingError if the checkpoint is of another network.
        """
        for prefix, variables in _variables(model).items():
            for variable, value in zip(variables, self._numbered(prefix, variables), strict=True):
                variable.assign(value)
        ema.steps = int(self.arrays["ema_steps"])
        best = self._numbered("best", ema.values)
        ema.values = [value.copy() for value in self._numbered("ema", ema.values)]
        return best

    def _numbered(self, prefix: str, like: Sequence[Any]) -> Arrays:
        """Return the arrays of one kind, which have the shapes of `like`."""
        found = [self.arrays.get(f"{prefix}{number}", _NONE) for number in range(len(like))]
        if [value.shape for value in found] != [tuple(other.shape) for other in like]:
            raise TrainingError(f"{self.path}: the checkpoint is of another network; train again")
        return found


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a state; TrainingError if the file is damaged."""
    try:
        arrays = read_arrays(path)
        if not all(np.isfinite(value).all() for value in arrays.values()):
            raise ValueError("it holds numbers that are not finite")
        if arrays["ema_steps"].shape or arrays["ema_steps"].dtype.kind not in "iu":
            raise ValueError("ema_steps is no whole number")
        return Checkpoint(path, arrays, _unpack(arrays["history"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: the checkpoint is damaged ({first_line(error)}); train again") from None


def _variables(model: Any) -> dict[str, list[Any]]:
    return {"variable": list(model.variables), "optimizer": list(model.optimizer.variables)}


def _pack(history: Sequence[Epoch]) -> UInt8:
    return np.frombuffer(json.dumps([asdict(row) for row in history]).encode(), np.uint8)


def _unpack(packed: UInt8) -> list[Epoch]:
    return [_epoch(number, row) for number, row in enumerate(parse_json(packed.tobytes()))]


def _epoch(number: int, row: Any) -> Epoch:
    """Return a row of a history, in which every value is a number and epochs are counted."""
    found = Epoch(**row)
    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in row.values())
    if not numbers or found.epoch != number + 1:
        raise ValueError("its history is none")
    return found
