"""Joined pairs make the connected components of a graph."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from mien.data.disjoint_sets import DisjointSets


@given(n=st.integers(1, 30), data=st.data())
def test_sets_are_the_connected_components_of_scipy(n: int, data: st.DataObject) -> None:
    member = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(member, member), max_size=40))
    sets = DisjointSets(n)
    for one, other in pairs:
        sets.join(one, other)
    rows, columns = np.array(pairs, np.intp).reshape(-1, 2).T
    _, component = connected_components(coo_array((np.ones(len(pairs)), (rows, columns)), shape=(n, n)), directed=False)
    first = [int(np.flatnonzero(component == one)[0]) for one in component]
    assert sets.roots(np.arange(n)).tolist() == first  # the root is the smallest member
