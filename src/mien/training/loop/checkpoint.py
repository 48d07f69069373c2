"""Save and load the state of an unfinished run: weights, optimizer, random states, EMA, best weights, history."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import UInt8
from mien.errors import TrainingError
from mien.io.atomic import new_file
from mien.training.loop.ema import Arrays, WeightEMA
from mien.training.loop.schedule import Epoch


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
            for number, variable in enumerate(variables):
                value = self.arrays.get(f"{prefix}{number}")
                if value is None or tuple(value.shape) != tuple(variable.shape):
                    raise TrainingError(f"{self.path}: the checkpoint is of another network; train again")
                variable.assign(value)
        ema.steps = int(self.arrays["ema_steps"])
        ema.values = self._numbered("ema", len(ema.values))
        return self._numbered("best", sum(name.startswith("best") for name in self.arrays))

    def _numbered(self, prefix: str, count: int) -> Arrays:
        return [self.arrays[f"{prefix}{number}"] for number in range(count)]


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a state; TrainingError if the file is damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return Checkpoint(path, arrays, _unpack(arrays["history"]))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path}: the checkpoint is damaged ({error}); train again") from None


def _variables(model: Any) -> dict[str, list[Any]]:
    return {"variable": list(model.variables), "optimizer": list(model.optimizer.variables)}


def _pack(history: Sequence[Epoch]) -> UInt8:
    return np.frombuffer(json.dumps([asdict(row) for row in history]).encode(), np.uint8)


def _unpack(packed: UInt8) -> list[Epoch]:
    return [Epoch(**row) for row in json.loads(packed.tobytes())]
