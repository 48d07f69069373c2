"""Share memory between threads, and give it back to the system."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """A number of bytes that threads share; a thread waits until the bytes it needs are free.

    Threads are served in turn, so a large request is not overtaken by small ones. A request above the budget
    gets the whole budget.

    Examples:
        >>> budget = MemoryBudget(100)
        >>> with budget.reserve(1_000):
        ...     print("alone")
        alone
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._turn, self._changed = threading.Lock(), threading.Condition()

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Reserve `size` bytes while the block runs. A thread that holds a reservation must not ask for another."""
        size = min(size, self._size)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


def release_freed_memory() -> None:
    """Return freed memory to the system if the C library keeps it.

    glibc keeps what a thread has freed for that thread: hundreds of megabytes after a very large image, which no
    other thread can use.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
