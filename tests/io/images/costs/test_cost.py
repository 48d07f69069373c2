"""Counting scans in blocks gives what counting in one go gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.io.images.costs import cost
from mien.io.images.costs.cost import count_scans


@given(st.lists(st.sampled_from([b"\xff", b"\xda", b"\xff\xda", b"\0", b"\xff\xd9"]), max_size=60), st.integers(1, 9))
def test_scans_are_counted_across_blocks(pieces: list[bytes], block: int) -> None:
    data = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "_BLOCK", block)
        assert count_scans(data) == data.count(b"\xff\xda")
