"""Check arrays that come from outside and convert them to one type; errors name the argument in one line."""

import numpy as np
import numpy.typing as npt

from mien.arrays import Bool, Float64, Int64
from mien.errors import InputError


def finite_array(values: npt.ArrayLike, name: str) -> Float64:
    """Return numbers as float64 of the same shape.

    Raises:
        InputError: if some are not finite numbers; the message names the argument `name`.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name}: not an array of numbers; give floats, rows of one length") from None
    if not np.isfinite(array).all():
        raise InputError(f"{name}: some are nan or infinity; give finite numbers")
    return array


def class_indices(values: npt.ArrayLike, name: str, n: int, k: int) -> Int64:
    """Return class indices as int64 (n,).

    Args:
        values: (n,) integers in [0, k).
        name: the argument's name, for the message.
        n: number of samples.
        k: number of classes.

    Raises:
        InputError: if the shape differs or some are not integers in [0, k).

    Examples:
        >>> class_indices([0, 2, 1], "truth", n=3, k=3)
        array([0, 2, 1])
    """
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name}: not an array; give {n} integers in [0, {k})") from None
    if array.shape != (n,):
        raise InputError(f"{name}: shape is {array.shape}, but there are {n} samples; give ({n},)")
    if array.dtype.kind not in "iub":
        raise InputError(f"{name}: labels are {array.dtype}; give integers in [0, {k})")
    if array.min() < 0 or array.max() >= k:
        raise InputError(f"{name}: labels run from {array.min()} to {array.max()}; give integers in [0, {k})")
    return array.astype(np.int64)


def binary_scores(is_positive: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Bool, Float64]:
    """Return binary truth as bool (N,) and scores as float64 (N,).

    Raises:
        InputError: if there are no samples, the shapes differ, the truth is not boolean or a score is not finite.
    """
    score = finite_array(scores, "scores")
    if score.ndim != 1 or len(score) == 0:
        raise InputError(f"scores: shape is {score.shape}; give (N,) with at least one sample")
    return class_indices(is_positive, "is_positive", len(score), 2).astype(np.bool_), score


def group_indices(groups: npt.ArrayLike | None, n: int) -> Int64:
    """Return the index of each sample's group, int64 (n,), from 0 without gaps, in order of first appearance.

    So resamples of groups depend on neither their names nor whether single samples were named as groups.

    Args:
        groups: (n,) numbers or names; None gives every sample its own group.
        n: number of samples.

    Raises:
        InputError: if there is not one group for each sample.

    Examples:
        >>> group_indices(["b", "a", "b"], 3)
        array([0, 1, 0])
    """
    if groups is None:
        return np.arange(n)
    array = np.asarray(groups)
    if array.shape != (n,):
        raise InputError(f"groups: shape is {array.shape}, but there are {n} samples; give one group for each")
    _, first, index = np.unique(array, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[index], dtype=np.int64)
