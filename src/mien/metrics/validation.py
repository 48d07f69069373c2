"""Arrays that come from outside, checked and in one type; what is wrong is said in one line."""

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64, Int64
from mien.errors import InputError


def finite(values: npt.ArrayLike, what: str) -> Float64:
    """Return numbers as float64 of the same shape; InputError, naming `what`, where some are no finite numbers."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{what}: not an array of numbers; give floats, rows of one length") from None
    if not np.isfinite(array).all():
        raise InputError(f"{what}: some are nan or infinity; give finite numbers")
    return array


def labels(values: npt.ArrayLike, what: str, n: int, k: int) -> Int64:
    """Return labels (n,) as int64; InputError, naming `what`, unless they are integers in [0, k)."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{what}: not an array; give {n} integers in [0, {k})") from None
    if array.shape != (n,):
        raise InputError(f"{what}: shape is {array.shape}, but there are {n} samples; give ({n},)")
    if array.dtype.kind not in "iub":
        raise InputError(f"{what}: labels are {array.dtype}; give integers in [0, {k})")
    if array.min() < 0 or array.max() >= k:
        raise InputError(f"{what}: labels run from {array.min()} to {array.max()}; give integers in [0, {k})")
    return array.astype(np.int64)


def binary(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Bool, Float64]:
    """Return truth (N,) as booleans and scores (N,) as float64, N >= 1; InputError where they are neither."""
    score = finite(scores, "scores")
    if score.ndim != 1 or len(score) == 0:
        raise InputError(f"scores: shape is {score.shape}; give (N,) with at least one sample")
    return labels(is_positive, "is_positive", len(score), 2).astype(np.bool_), score


def members(groups: npt.ArrayLike | None, n: int) -> Int64:
    """Return for every sample the number of its group, int64 (n,), from 0 without gaps; each its own for None.

    Raises:
        InputError: unless there is one group, a number or a name, for each of the n samples.
    """
    if groups is None:
        return np.arange(n)
    array = np.asarray(groups)
    if array.shape != (n,):
        raise InputError(f"groups: shape is {array.shape}, but there are {n} samples; give one group for each")
    return np.asarray(np.unique(array, return_inverse=True)[1], dtype=np.int64)
