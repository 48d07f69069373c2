"""The state of an unfinished run in one file: weights, optimiser, random states, best weights, history."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import TrainingError
from mien.output import new_file
from mien.train.schedule import Epoch

Arrays = list[npt.NDArray[Any]]


def save(path: Path, model: Any, best: Arrays, history: Sequence[Epoch]) -> None:
    """Write everything needed to go on, whole or not at all."""
    arrays: dict[str, npt.NDArray[Any]] = {"history": _pack(history)}
    for prefix, values in _groups(model).items():
        arrays |= {f"{prefix}{number}": np.asarray(value) for number, value in enumerate(values)}
    arrays |= {f"best{number}": value for number, value in enumerate(best)}
    with new_file(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def restore(path: Path, model: Any) -> tuple[Arrays, list[Epoch]]:
    """Put a saved state into a freshly built model; returns the best weights and the history.

    Raises TrainingError where the file is damaged or belongs to another network.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path}: the checkpoint is damaged ({error}); train again") from None
    for prefix, variables in _groups(model).items():
        for number, variable in enumerate(variables):
            value = arrays.get(f"{prefix}{number}")
            if value is None or tuple(value.shape) != tuple(variable.shape):
                raise TrainingError(f"{path}: the checkpoint is of another network; train again")
            variable.assign(value)
    count = sum(name.startswith("best") for name in arrays)
    return [arrays[f"best{number}"] for number in range(count)], _unpack(arrays["history"])


def _groups(model: Any) -> dict[str, list[Any]]:
    return {"variable": list(model.variables), "optimizer": list(model.optimizer.variables)}


def _pack(history: Sequence[Epoch]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps([asdict(row) for row in history]).encode(), np.uint8)


def _unpack(packed: npt.NDArray[np.uint8]) -> list[Epoch]:
    return [Epoch(**row) for row in json.loads(packed.tobytes())]
