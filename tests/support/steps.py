"""Count what a function does, so that a bound can be tested without a clock."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls(work: Callable[[], Any]) -> int:
    """Return how many functions are called, of Python and of C, and how often generators go on."""
    count = 0

    def counted(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def grows_linearly(work: Callable[[int], Callable[[], Any]], size: int) -> bool:
    """Whether twice as much takes at most three times the calls; `work` prepares what is counted for a size."""
    return calls(work(2 * size)) <= 3 * calls(work(size))
