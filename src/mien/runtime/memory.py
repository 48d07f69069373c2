"""Share memory between threads, and give it back to the system."""

import ctypes
import mmap
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

#: Pieces of freed memory that `keep_freed_memory` keeps, in bytes: two hold what decoding a photo of a megapixel takes.
KEPT_BYTES = 16 * 2**20


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


def keep_freed_memory(kept: int = KEPT_BYTES) -> None:
    """Let the C library use freed memory again: pieces of up to `kept` bytes, twice as much in each heap.

    glibc gives back what is freed at the end of a heap. For photos of a megapixel, one after the other, it would give
    back and fault in the same pages for each: a fifth of the time to find a face. But it adapts to the largest piece
    that a program has freed, up to 32 MiB. So one is taken and freed, and never touched. Who has set the thresholds of
    glibc (`MALLOC_TRIM_THRESHOLD_`) keeps them; other C libraries do as they do.
    """
    if sys.platform == "linux":
        np.empty(kept - 2 * mmap.PAGESIZE, np.uint8)  # with its header, at most `kept`


def release_freed_memory() -> None:
    """Return freed memory to the system if the C library keeps it.

    glibc keeps what a thread has freed for that thread: hundreds of megabytes after a very large image, which no
    other thread can use.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def release_pages(address: int, size: int) -> int:
    """Return whole pages of private memory to the system; whoever reads them next finds zeros.

    Args:
        address: where the memory begins. Nobody may need its content.
        size: in bytes.

    Returns:
        By how many bytes the private memory of the process shrank: less, if pages had never been used. 0 on other
        systems than Linux.
    """
    if sys.platform != "linux":
        return 0
    page = mmap.PAGESIZE
    begin, end = -(-address // page) * page, (address + size) // page * page
    before = private_memory()
    if end > begin:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)
    return max(0, before - private_memory())


def private_memory() -> int:
    """Return the bytes of memory that are this process's own, without mapped files; 0 on other systems than Linux."""
    path = Path("/proc/self/status")
    lines = path.read_text(encoding="ascii", errors="replace").splitlines() if path.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)
