"""Batches for Keras out of an array on disk; their order is a function of seed and epoch alone."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mien.arrays import Float32, Int64, UInt8

Batch: TypeAlias = tuple[Float32, Float32, Float32]

_AHEAD = 2  # batches made in advance


@dataclass(frozen=True)
class TrainingArrays:
    """One part of a dataset: rows of a shared array of crops, with their targets.

    crops: uint8 (N, S, S, C), [0, 255], all pictures. rows: int64 (M,), which of them. targets: float32
    (M, K), rows summing to 1. weights: float32 (M,), how much each counts in the loss.
    """

    crops: UInt8
    rows: Int64
    targets: Float32
    weights: Float32

    @property
    def truth(self) -> Int64:
        """Index (M,) of each sample's class; where the label is soft, of its largest share."""
        codes: Int64 = self.targets.argmax(axis=1)
        return codes

    def pictures(self, limit: int | None = None) -> UInt8:
        """Return (up to `limit` evenly spread) crops of this part in memory, uint8 (M, S, S, C)."""
        chosen = self.rows
        if limit is not None and len(chosen) > limit:
            chosen = chosen[np.linspace(0, len(chosen) - 1, limit).astype(np.int64)]
        return np.asarray(self.crops[np.sort(chosen)])


class Feed:
    """One pass over a part in batches of (pictures float32, targets, weights).

    Shuffled by (seed, epoch), or in order for epoch None. With `mixup` above 0 each picture is blended with another
    of its batch. The next batches are made on another thread while the network works on the last; `waited` adds up
    the seconds for which it had to wait for one.
    """

    def __init__(
        self, part: TrainingArrays, batch_size: int, seed: int, epoch: int | None, one_unit: bool, mixup: float = 0.0
    ) -> None:
        self._part, self._batch_size, self._mixup = part, batch_size, mixup
        self._key = (seed, epoch or 0)
        self._targets = part.targets[:, 1:] if one_unit else part.targets
        count = len(part.rows)
        self._order = np.arange(count) if epoch is None else np.random.default_rng((seed, epoch)).permutation(count)
        self.waited = 0.0

    def __len__(self) -> int:
        """Return the number of batches; the last may be smaller."""
        return -(-len(self._order) // self._batch_size)

    def batch(self, index: int) -> Batch:
        """Return batch `index`."""
        # Sorted rows read the file forwards; within a batch the order does not matter.
        chosen = np.sort(self._order[index * self._batch_size : (index + 1) * self._batch_size])
        pictures = self._part.crops[self._part.rows[chosen]].astype(np.float32)
        batch = pictures, self._targets[chosen], self._part.weights[chosen]
        return self._mixed(batch, index) if self._mixup else batch

    def _mixed(self, batch: Batch, index: int) -> Batch:
        """Blend every picture with another one, and so its target (Zhang et al., "mixup", 2018)."""
        rng, count = np.random.default_rng((*self._key, index)), len(batch[0])
        share, others = rng.beta(self._mixup, self._mixup, count).astype(np.float32), rng.permutation(count)

        def blend(values: Float32) -> Float32:
            own = share.reshape(-1, *(1,) * (values.ndim - 1))
            return own * values + (1 - own) * values[others]

        pictures, targets, weights = batch
        return blend(pictures), blend(targets), blend(weights)

    def __iter__(self) -> Iterator[Batch]:
        """Yield every batch in turn."""
        with ThreadPoolExecutor(1) as pool:
            ahead = deque(pool.submit(self.batch, index) for index in range(min(_AHEAD, len(self))))
            for index in range(len(self)):
                began = time.perf_counter()
                found = ahead.popleft().result()
                self.waited += time.perf_counter() - began
                if index + _AHEAD < len(self):
                    ahead.append(pool.submit(self.batch, index + _AHEAD))
                yield found
