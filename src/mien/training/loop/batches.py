"""Serve batches to Keras from an array on disk. Their order depends on seed and epoch alone."""

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mien.arrays import Float32, Int64, UInt8

Batch: TypeAlias = tuple[UInt8 | Float32, Float32, Float32]

_PREFETCHED = 2


@dataclass(frozen=True)
class TrainingArrays:
    """One split of a dataset: rows of a shared array of crops, with targets and weights.

    Attributes:
        crops: uint8 (N, S, S, C), [0, 255], the crops of all splits.
        rows: int64 (M,), the rows of this split.
        targets: float32 (M, K), rows sum to 1.
        weights: float32 (M,), weight of each sample in the loss.
    """

    crops: UInt8
    rows: Int64
    targets: Float32
    weights: Float32

    @property
    def truth(self) -> Int64:
        """Class index of each sample, int64 (M,); of a soft label, its most probable class."""
        codes: Int64 = self.targets.argmax(axis=1)
        return codes

    def of_epoch(self, epoch: int) -> "TrainingArrays":
        """Return what an epoch (from 0) trains on. Here it is always the same; a subclass may choose other images."""
        return self

    def images(self, limit: int | None = None) -> UInt8:
        """Return the crops of this split, or `limit` evenly spaced ones, in memory: uint8 (M, S, S, C)."""
        chosen = self.rows
        if limit is not None and len(chosen) > limit:
            chosen = chosen[np.linspace(0, len(chosen) - 1, limit).astype(np.int64)]
        return np.asarray(self.crops[np.sort(chosen)])


class BatchLoader:
    """Iterate once over a split in batches of (images, targets, weights).

    Images are uint8, a quarter of the bytes to copy, and the network makes them floating-point; after mixup they are
    float32, as targets and weights are.

    The next batches are made on another thread while the network computes. `waited` is the number of seconds spent
    waiting for them.

    Args:
        split: the samples.
        batch_size: samples per batch; the last batch may be smaller.
        seed: seed of order and mixup.
        epoch: shuffle by (seed, epoch); None: keep the order.
        one_unit: return targets (B, 1), the probability of the second of two classes, instead of (B, K).
        mixup: alpha of mixup; 0: none.

    Examples:
        >>> crops, targets = np.zeros((3, 8, 8, 1), np.uint8), np.eye(3, dtype=np.float32)
        >>> split = TrainingArrays(crops, np.arange(3), targets, np.ones(3, np.float32))
        >>> [len(images) for images, _, _ in BatchLoader(split, 2, seed=0, epoch=0, one_unit=False)]
        [2, 1]
    """

    def __init__(
        self, split: TrainingArrays, batch_size: int, seed: int, epoch: int | None, one_unit: bool, mixup: float = 0.0
    ) -> None:
        self._split, self._batch_size, self._mixup = split, batch_size, mixup
        self._key = (seed, epoch or 0)
        self._targets = split.targets[:, 1:] if one_unit else split.targets
        count = len(split.rows)
        self._order = np.arange(count) if epoch is None else np.random.default_rng((seed, epoch)).permutation(count)
        self.waited = 0.0

    def __len__(self) -> int:
        """Return the number of batches."""
        return -(-len(self._order) // self._batch_size)

    def batch(self, index: int) -> Batch:
        """Return batch `index`."""
        # Sorted rows read the file forwards; the order within a batch does not matter.
        chosen = np.sort(self._order[index * self._batch_size : (index + 1) * self._batch_size])
        images = np.asarray(self._split.crops[self._split.rows[chosen]])
        batch = images, self._targets[chosen], self._split.weights[chosen]
        return self._mixed(batch, index) if self._mixup else batch

    def _mixed(self, batch: Batch, index: int) -> Batch:
        """Blend each image, target and weight with those of another sample (Zhang et al., "mixup", 2018)."""
        rng, count = np.random.default_rng((*self._key, index)), len(batch[0])
        fraction, others = rng.beta(self._mixup, self._mixup, count).astype(np.float32), rng.permutation(count)

        def blend(values: UInt8 | Float32) -> Float32:
            own = fraction.reshape(-1, *(1,) * (values.ndim - 1))
            return own * values + (1 - own) * values[others]

        images, targets, weights = batch
        return blend(images), blend(targets), blend(weights)

    def __iter__(self) -> Iterator[Batch]:
        """Yield all batches in order."""
        with ThreadPoolExecutor(1) as pool:
            ahead = deque(pool.submit(self.batch, index) for index in range(min(_PREFETCHED, len(self))))
            for index in range(len(self)):
                began = time.perf_counter()
                found = ahead.popleft().result()
                self.waited += time.perf_counter() - began
                if index + _PREFETCHED < len(self):
                    ahead.append(pool.submit(self.batch, index + _PREFETCHED))
                yield found
