"""Split samples into train, validation and test parts: stratified, seeded, and by group."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mien.arrays import Float64, Int64
from mien.data.disjoint_sets import DisjointSets
from mien.errors import DataError

PARTS = ("train", "validation", "test")
RATIOS = (0.7, 0.2, 0.1)


def merge_groups(names: Sequence[str], given: Mapping[str, str], copies: Iterable[Sequence[str]]) -> list[int]:
    """Number the groups of samples that must stay in one part: named groups, joined with copies.

    Args:
        names: one per sample; equal names are in one group.
        given: name to group (a person, a video), for the names that have one.
        copies: sets of names that show the same image. Names that are not in `names` are ignored.

    Returns:
        One group number per name, counted from 0 in order of first appearance.

    Examples:
        >>> merge_groups(["a", "b", "c", "d"], {"a": "Ann", "c": "Ann"}, [["c", "d"]])
        [0, 1, 0, 0]
    """
    index = {name: number for number, name in enumerate(dict.fromkeys(names))}
    sets = DisjointSets(len(index))
    together: dict[str, list[str]] = defaultdict(list)
    for name, group in given.items():
        together[group].append(name)
    for members in [*together.values(), *copies]:
        present = [index[name] for name in members if name in index]
        for other in present[1:]:
            sets.join(present[0], other)
    numbers: dict[int, int] = {}
    roots = sets.roots(np.array([index[name] for name in names], np.intp))
    return [numbers.setdefault(root, len(numbers)) for root in roots.tolist()]


def split(labels: Sequence[str], groups: Sequence[int], seed: int, ratios: Sequence[float] = RATIOS) -> Int64:
    """Assign every sample to a part; groups stay whole, and class ratios are alike in all parts.

    Groups are assigned largest first, in a seeded order, each to the part that lacks most of its classes (the greedy
    rule of scikit-learn's StratifiedGroupKFold, with unequal parts). The same arguments give the same parts.

    Args:
        labels: the class of each sample (N).
        groups: the group of each sample (N).
        seed: of the order in which groups of equal size are assigned.
        ratios: the wanted ratio of each part, summing to 1.

    Returns:
        int64 (N,), the index of each sample's part.

    Raises:
        DataError: a class has too few groups to appear in every part.

    Examples:
        >>> split(["happy", "sad"] * 4, [0, 1, 2, 3, 4, 5, 6, 7], seed=0, ratios=[0.5, 0.5]).sum().item()
        4
    """
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((members.max(initial=-1) + 1, len(classes)), np.int64)
    np.add.at(counts, (members, codes), 1)
    wanted = np.outer(ratios, counts.sum(axis=0))
    part_of_group = _assign(counts, wanted, np.random.default_rng(seed))
    parts = part_of_group[members]
    for number, ratio in enumerate(ratios):
        for code, name in enumerate(classes):
            if ratio > 0 and not np.any((parts == number) & (codes == code)):
                raise DataError(
                    f"class '{name}' has too few separate images ({int((counts[:, code] > 0).sum())}) to appear in "
                    f"{len(ratios)} parts; add images or cross-validate with `folds=`"
                )
    return parts


def _assign(counts: Int64, wanted: Float64, rng: np.random.Generator) -> Int64:
    """Return the part of each group, int64 (G,), from its samples per class (G, K) and the wanted (P, K)."""
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    have = np.zeros_like(wanted)
    scale = np.maximum(wanted, 1e-9)
    chosen = np.empty(len(counts), np.int64)
    for group in order:
        lack = ((wanted - have) / scale) @ (counts[group] / counts[group].sum())
        best = int(np.where(wanted.any(axis=1), lack, -np.inf).argmax())
        chosen[group] = best
        have[best] += counts[group]
    return chosen


def folds(labels: Sequence[str], groups: Sequence[int], seed: int, k: int) -> Int64:
    """Assign every sample to one of `k` folds of equal size, as `split` does; int64 (N,)."""
    return split(labels, groups, seed, [1 / k] * k)
