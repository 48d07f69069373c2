"""Share the machine: cores, threads, memory between threads, and a quiet stderr."""

import ctypes
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain, islice
from typing import IO, TypeVar

from mien.cgroups import cpu_quota
from mien.errors import ConfigError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def available_cores() -> int:
    """Return how many cores this process may use.

    A container often grants fewer than the machine has, by a set of cores or by a quota of their time; a part of a
    core counts as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


#: Most threads of a call. Decoding waits for disks and networks, so that many may help; thousands only cost.
MAX_THREADS = 256


def thread_count(threads: int | None) -> int:
    """Return how many threads to use: as many as asked for, or one per core this process may use.

    Raises ConfigError unless it is None or from 1 to `MAX_THREADS`.

    Examples:
        >>> thread_count(4)
        4
    """
    if threads is None:
        return available_cores()
    if not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
        raise ConfigError(
            f"`threads={threads!r:.20}`: give a whole number from 1 to {MAX_THREADS}, or None for one per core"
        )
    return threads


def map_in_order(
    function: Callable[[Item], Outcome], items: Iterable[Item], threads: int
) -> Generator[Outcome, None, None]:
    """Yield `function` of every item, in order, computed in threads a bounded number ahead.

    Items are taken in the caller's thread. With one thread, that is the caller's own, and nothing is computed
    ahead. When the generator is closed, or a call raises, its threads end before it does.

    Examples:
        >>> list(map_in_order(len, ["a", "bb", "ccc"], threads=2))
        [1, 2, 3]
    """
    if threads == 1:
        yield from map(function, items)
        return
    items = iter(items)
    first = list(islice(items, 2))
    if len(first) < 2:  # threads, and loading what runs them, would take longer than they save
        yield from map(function, first)
        return
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[Future[Outcome]] = deque()
    pool = ThreadPoolExecutor(threads, "mien-image")
    try:
        for item in chain(first, items):
            waiting.append(pool.submit(function, item))
            if len(waiting) > 3 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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


@contextmanager
def quiet_stderr(show_on_error: bool = False) -> Iterator[None]:
    """Silence file descriptor 2 while the block runs: C++ code logs there, past Python's `sys.stderr`.

    With `show_on_error`, what was held back is written if the block raises an error; Ctrl-C is none.
    """
    import tempfile

    with tempfile.TemporaryFile() if show_on_error else open(os.devnull, "w+b") as held:  # noqa: PTH123
        try:
            with stderr_to(held):
                yield
        except Exception:
            if show_on_error:
                held.seek(0)
                os.write(2, held.read())
            raise


@contextmanager
def stderr_to(file: IO[bytes]) -> Iterator[None]:
    """Send what the process writes to file descriptor 2 to a file while the block runs."""
    if sys.stderr is not None:
        sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
