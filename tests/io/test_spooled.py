"""Rows that do not fit memory lie in a file; the same rows come back, also if that file cannot be written."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest

from mien.io.spooled import SpooledRows

Rows = npt.NDArray[np.float32]


def filled(count: int, each: int = 1000) -> tuple[SpooledRows, Rows]:
    """Return rows of 400 bytes that were appended so many at a time, and what they should be."""
    rows = np.random.default_rng(0).normal(size=(count, 4, 25)).astype(np.float32)
    found = SpooledRows((4, 25), np.dtype(np.float32))
    for start in range(0, count, each):
        found.append(rows[start : start + each])
    return found, rows


@pytest.mark.parametrize("count", [0, 1, 1000, 9_999])
def test_rows_come_back_as_they_were(count: int) -> None:
    found, rows = filled(count)
    read = found.array()
    np.testing.assert_array_equal(read, rows)
    with pytest.raises(ValueError, match="read-only"):
        read[:] = 0


def test_rows_of_another_kind_are_refused() -> None:
    found = SpooledRows((2,), np.dtype(np.uint8))
    for wrong in (np.zeros((1, 3), np.uint8), np.zeros((1, 2), np.float32)):
        with pytest.raises(ValueError, match=r"rows of uint8 \(2,\) are kept here"):
            found.append(wrong)


@contextmanager
def smallest_files(most: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as a full disk does not."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of file sizes")
@pytest.mark.parametrize("most", [0, 700_000, 1_500_000, 3_900_000])
def test_a_full_disk_loses_no_row(most: int) -> None:
    with smallest_files(most):
        found, rows = filled(9_999)
        read = found.array()
    np.testing.assert_array_equal(read, rows)
