"""Batches for Keras out of an array on disk; the order is a function of seed and epoch alone."""

import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """One part of a dataset: rows of a shared array of crops, with their targets.

    crops: uint8 (N, S, S, C), [0, 255], all pictures. rows: int64 (M,), which of them. targets: float32
    (M, K), rows summing to 1. weights: float32 (M,), how much each counts in the loss.
    """

    crops: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    targets: Floats
    weights: Floats

    @property
    def truth(self) -> npt.NDArray[np.int64]:
        """Index (M,) of each sample's class; where the label is soft, of its largest share."""
        codes: npt.NDArray[np.int64] = self.targets.argmax(axis=1)
        return codes

    def pictures(self, limit: int | None = None) -> npt.NDArray[np.uint8]:
        """Return (up to `limit` evenly spread) crops of this part in memory, uint8 (M, S, S, C)."""
        chosen = self.rows
        if limit is not None and len(chosen) > limit:
            chosen = chosen[np.linspace(0, len(chosen) - 1, limit).astype(np.int64)]
        return np.asarray(self.crops[np.sort(chosen)])


class Feed(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of (pictures float32, targets, weights); shuffled by (seed, epoch), or in order for epoch None.

    `seconds` adds up the time spent on making batches.
    """

    def __init__(self, part: Part, batch_size: int, seed: int, epoch: int | None, one_unit: bool) -> None:
        super().__init__()
        self._part, self._batch_size = part, batch_size
        self._targets = part.targets[:, 1:] if one_unit else part.targets
        count = len(part.rows)
        self._order = np.arange(count) if epoch is None else np.random.default_rng((seed, epoch)).permutation(count)
        self.seconds = 0.0

    def __len__(self) -> int:
        """Return the number of batches of one epoch; the last may be smaller."""
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        """Return batch `index`."""
        began = time.perf_counter()
        # Sorted rows read the file forwards; within a batch the order does not matter.
        chosen = np.sort(self._order[index * self._batch_size : (index + 1) * self._batch_size])
        batch = self._part.crops[self._part.rows[chosen]].astype(np.float32)
        self.seconds += time.perf_counter() - began
        return batch, self._targets[chosen], self._part.weights[chosen]
