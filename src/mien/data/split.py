"""Train, validation and test parts: stratified, seeded, and by group, never by row."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mien.arrays import Float64, Int64
from mien.errors import DataError

PARTS = ("train", "validation", "test")
RATIOS = (0.7, 0.2, 0.1)


def merge_groups(names: Sequence[str], given: Mapping[str, str], copies: Iterable[Sequence[str]]) -> list[int]:
    """Number the groups that must stay together: named groups (a person, a video) joined with copies.

    `given` maps names to group names, where there are any; `copies` are sets of names that show the
    same picture. Returns one group number per name.
    """
    parent = {name: name for name in names}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    together: dict[str, list[str]] = defaultdict(list)
    for name, group in given.items():
        together[group].append(name)
    for members in [*together.values(), *copies]:
        present = [name for name in members if name in parent]
        for name in present[1:]:
            parent[root(name)] = root(present[0])
    numbers: dict[str, int] = {}
    return [numbers.setdefault(root(name), len(numbers)) for name in names]


def split(labels: Sequence[str], groups: Sequence[int], seed: int, ratios: Sequence[float] = RATIOS) -> Int64:
    """Assign every sample to a part, keeping groups whole and each part's class shares alike.

    `labels` and `groups` have one entry per sample (N); `ratios` are the wanted shares, summing to 1.
    Returns int64 (N,), the index of the part. The same arguments give the same parts. Raises DataError
    when a class has too few groups to stand in every part.

    Groups are dealt out largest first, in a seeded order, each to the part that lacks most of its
    classes (the greedy rule of scikit-learn's StratifiedGroupKFold, with unequal parts).
    """
    classes, codes = np.unique(np.asarray(labels), return_inverse=True)
    _, members = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((members.max(initial=-1) + 1, len(classes)), np.int64)
    np.add.at(counts, (members, codes), 1)
    wanted = np.outer(ratios, counts.sum(axis=0))
    part_of_group = _deal(counts, wanted, np.random.default_rng(seed))
    parts = part_of_group[members]
    for number, ratio in enumerate(ratios):
        for code, name in enumerate(classes):
            if ratio > 0 and not np.any((parts == number) & (codes == code)):
                raise DataError(
                    f"class '{name}' has too few separate images ({int((counts[:, code] > 0).sum())}) to stand in "
                    f"{len(ratios)} parts; add images or cross-validate with --folds"
                )
    return parts


def _deal(counts: Int64, wanted: Float64, rng: np.random.Generator) -> Int64:
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
