"""Share work between threads, in order and a bounded number ahead."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from itertools import chain, islice
from typing import TypeVar

from mien.errors import ConfigError
from mien.runtime.cores import available_cores

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

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
