"""Do a job of another language in the main thread so that Ctrl-C ends it."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, TypeVar

Found = TypeVar("Found")

#: Seconds that a job may take to its end after Ctrl-C.
_STOP = 10.0
#: Seconds after which the main thread looks for a signal that came just before it began to wait.
_LOOK = 0.5


class _Runner:
    """A thread that does one job after the other. It stays: a new one for each costs a graph a seventh of its time."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        threading.Thread(target=self._work, name="mien-graphs", daemon=True).start()

    def give(self, done: Future[Any], job: Callable[[], Any]) -> None:
        """Begin a job as soon as the thread is free."""
        self._jobs.put((done, job))

    def _work(self) -> None:
        while True:
            done, job = self._jobs.get()
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(job())
                except BaseException as error:
                    done.set_exception(error)
            del done, job  # with their arrays, until the next one


@lru_cache(maxsize=1)
def _runner() -> _Runner:
    return _Runner()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_runner.cache_clear)  # a child has none of its parent's threads


def run_interruptibly(job: Callable[[], Found], stop: Callable[[], None]) -> Found:
    """Return what a job gives, which Ctrl-C ends by a call of `stop`; call it from the main thread.

    Signals are handled by the main thread alone, and only while it runs Python: so it waits, and another thread works.

    Args:
        job: what to do, such as to run a graph. What it raises is raised here.
        stop: makes the job end soon. It is waited for, since the process must not end under it.

    Examples:
        >>> run_interruptibly(lambda: 1 + 1, lambda: None)
        2
    """
    done = Future[Found]()
    try:
        _runner().give(done, job)
        while not done.done():
            with suppress(TimeoutError):
                return done.result(_LOOK)
        return done.result()
    except KeyboardInterrupt:
        stop()
        if not done.cancel():
            wait([done], _STOP)
        if not done.done():
            _runner.cache_clear()  # another one for the next job
        raise
