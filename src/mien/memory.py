"""Memory that threads share: each waits until there is room for what it needs, and none is kept once freed."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """A number of bytes that threads share: each waits until what it needs is free, in turn.

    Nobody overtakes a thread that waits for much. Who needs more than there is gets it all.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._turn, self._changed = threading.Lock(), threading.Condition()

    @contextmanager
    def held(self, size: int) -> Iterator[None]:
        """Hold `size` bytes while the block runs. Who holds some must not ask for more."""
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


def return_freed() -> None:
    """Return freed memory to the system, where its C library is one that keeps it.

    glibc keeps for each thread what that thread has freed, hundreds of megabytes after a very large picture, and
    lets no other thread have it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
