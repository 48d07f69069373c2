"""The state of an unfinished run in one file: weights, optimiser, random states, averaged and best weights, history."""

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
from mien.training.loop.ema import Arrays, WeightAverage
from mien.training.loop.schedule import Epoch


def save(path: Path, model: Any, average: WeightAverage, best: Arrays, history: Sequence[Epoch]) -> None:
    """Write everything needed to go on, whole or not at all."""
    arrays: dict[str, npt.NDArray[Any]] = {"history": _pack(history)}
    for prefix, values in _groups(model).items():
        arrays |= {f"{prefix}{number}": np.asarray(value) for number, value in enumerate(values)}
    arrays |= {f"best{number}": value for number, value in enumerate(best)}
    arrays |= {f"average{number}": value for number, value in enumerate(average.values)}
    arrays["average_steps"] = np.array(average.steps)
    with new_file(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


@dataclass(frozen=True)
class Saved:
    """A saved state as it was read: its file, every array by name, and the history of the epochs before it."""

    path: Path
    arrays: dict[str, npt.NDArray[Any]]
    history: list[Epoch]

    def restore(self, model: Any, average: WeightAverage) -> Arrays:
        """Put the state into a freshly built model and its average; returns the best weights so far.

        Raises TrainingError where it belongs to another network.
        """
        for prefix, variables in _groups(model).items():
            for number, variable in enumerate(variables):
                value = self.arrays.get(f"{prefix}{number}")
                if value is None or tuple(value.shape) != tuple(variable.shape):
                    raise TrainingError(f"{self.path}: the checkpoint is of another network; train again")
                variable.assign(value)
        average.steps = int(self.arrays["average_steps"])
        average.values = self._numbered("average", len(average.values))
        return self._numbered("best", sum(name.startswith("best") for name in self.arrays))

    def _numbered(self, prefix: str, count: int) -> Arrays:
        return [self.arrays[f"{prefix}{number}"] for number in range(count)]


def load(path: Path) -> Saved:
    """Read a saved state; TrainingError where the file is damaged or too old."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path}: the checkpoint is damaged ({error}); train again") from None
    if "average_steps" not in arrays:
        raise TrainingError(f"{path}: the checkpoint is of an older mien; train again")
    return Saved(path, arrays, _unpack(arrays["history"]))


def _groups(model: Any) -> dict[str, list[Any]]:
    return {"variable": list(model.variables), "optimizer": list(model.optimizer.variables)}


def _pack(history: Sequence[Epoch]) -> UInt8:
    return np.frombuffer(json.dumps([asdict(row) for row in history]).encode(), np.uint8)


def _unpack(packed: UInt8) -> list[Epoch]:
    return [Epoch(**row) for row in json.loads(packed.tobytes())]
