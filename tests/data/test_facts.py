"""A table of facts gives back what was put into it, in little memory."""

import tracemalloc
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.facts import FactTable
from mien.data.inspection import FileFacts

sizes = st.integers(0, 2**40)
facts = st.builds(
    FileFacts, st.text(min_size=1), st.lists(st.sampled_from(["cmyk", "alpha", "palette"]), unique=True).map(tuple),
    st.none() | st.just("is empty"), st.just("") | st.binary().map(lambda data: sha256(data).hexdigest()),
    sizes, sizes, sizes, st.sampled_from(["", "PNG", "JPEG"]),
)  # fmt: skip


@given(st.lists(facts, unique_by=lambda one: one.name))
def test_what_was_put_in_comes_out(given: list[FileFacts]) -> None:
    ordered = sorted(given, key=lambda one: one.name)
    table = FactTable()
    for one in ordered:
        table.append(one)
    assert list(table.values()) == ordered
    assert dict(table) == {one.name: one for one in ordered}
    assert list(table.unusual()) == [one for one in ordered if one.kinds]
    assert "\U0010ffff" * 9 not in table and table.get("") is None


def test_names_that_are_out_of_order_are_refused() -> None:
    table = FactTable()
    table.append(FileFacts("b.png", ()))
    for name in ("a.png", "b.png"):
        with pytest.raises(ValueError, match=r"does not follow 'b\.png'"):
            table.append(FileFacts(name, ()))


def test_a_file_takes_less_than_a_hundred_bytes() -> None:
    names = [f"{number:06}.png" for number in range(20_000)]
    pixels = FileFacts("", (), None, "", 0, 48, 48, "PNG", np.zeros((9, 9), np.uint8))
    tracemalloc.start()
    table = FactTable()
    for name in names:
        digest = sha256(name.encode()).hexdigest()
        table.append(FileFacts(name, (), None, digest, 1234, 48, 48, "PNG", pixels.grey))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held / len(names) < 100
