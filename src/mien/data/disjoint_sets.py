"""Union-find: which items belong together."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.intp]


class DisjointSets:
    """Partition 0..n-1 by joining pairs; the root of a set is its smallest member.

    Examples:
        >>> sets = DisjointSets(4)
        >>> sets.join(3, 1)
        >>> sets.roots(np.arange(4)).tolist()
        [0, 1, 2, 1]
    """

    def __init__(self, n: int) -> None:
        self._parent = np.arange(n)

    def roots(self, items: Ints) -> Ints:
        """Return the root of each item's set, int (N,), for `items` int (N,)."""
        while True:
            parents = self._parent[items]
            if np.array_equal(parents, items):
                return parents
            items = parents

    def join(self, a: int, b: int) -> None:
        """Join the sets of two items."""
        low, high = sorted((self._root(a), self._root(b)))
        self._parent[high] = low

    def _root(self, item: int) -> int:
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]  # path halving (Tarjan and van Leeuwen, 1984)
            item = int(parent[item])
        return item
