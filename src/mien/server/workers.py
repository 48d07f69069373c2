"""Threads that do the work of requests: a bounded number waits, and small things are done together."""

import asyncio
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mien.server.problems import Problem

Input = TypeVar("Input")
Output = TypeVar("Output")

#: At most so many requests, of so much cost in all, are done together.
TOGETHER, COST = 32, 64 * 1024


@dataclass(eq=False)
class _Job:
    work: Callable[[list[Any]], Sequence[Any]]
    given: Any
    cost: int
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]" = field(init=False)
    given_up: bool = False

    def __post_init__(self) -> None:
        self.future = self.loop.create_future()


class Workers:
    """Does jobs in `threads` threads, oldest first; `limit` of them may wait, and each may take `seconds`.

    Jobs that wait for the same work (equal functions) are done in one call where they cost little: what is done
    to many small pictures together takes less time. The threads start with the first job.
    """

    def __init__(self, threads: int, limit: int, seconds: float) -> None:
        self._count, self._limit, self._seconds = threads, limit, seconds
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many jobs wait now."""
        return len(self._jobs)

    @property
    def full(self) -> bool:
        """Whether a job would be refused now."""
        return len(self._jobs) >= self._limit

    def refuse_if_full(self) -> None:
        """Raise Problem `busy` where a job would be refused now."""
        if self.full:
            raise Problem("busy", f"{self._limit} requests are waiting already; try again in a moment")

    async def do(
        self, work: Callable[[list[Input]], Sequence[Output | Exception]], given: Input, cost: int | None = None,
        *, always: bool = False, gone: "asyncio.Future[None] | None" = None,
    ) -> Output:  # fmt: skip
        """Return `work([given])[0]`, or raise it where it is an exception.

        `work` may be given several such inputs at once, `cost` (None: alone) says how much this one adds. `gone` is
        done once nobody waits for the answer any more. Raises Problem `busy` when too many jobs wait (not with
        `always`), `timeout` when it takes too long, and `bad_request` when the client has `gone`.
        """
        if not always:
            self.refuse_if_full()
        job = _Job(work, given, COST if cost is None else cost, asyncio.get_running_loop())
        with self._changed:
            self._start()
            self._jobs.append(job)
            self._changed.notify()
        try:
            await asyncio.wait(
                {job.future, gone or job.future}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if job.future.done():
                found: Output = job.future.result()
                return found
            if gone is not None and gone.done():
                raise Problem("bad_request", "the client has left")
            raise Problem("timeout", f"reading took more than {self._seconds:g} seconds")
        finally:
            if job.future.cancel():
                self._give_up(job)
            # An exception that goes out here knows this frame, and would keep itself and the bodies it was raised for.
            del job

    def close(self) -> None:
        """End the threads once they have done what waits."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        if not self._threads:
            # A program that mounts the application and ends must not wait for them.
            self._threads = [
                threading.Thread(target=self._run, name=f"mien-serve-{number}", daemon=True)
                for number in range(self._count)
            ]
            for thread in self._threads:
                thread.start()

    def _give_up(self, job: _Job) -> None:
        with self._changed:
            job.given_up = True
            if job in self._jobs:
                self._jobs.remove(job)

    def _run(self) -> None:
        while jobs := self._take():
            _do(jobs)
            del jobs  # or a thread without work would keep the bodies of the last one

    def _take(self) -> list[_Job]:
        """Wait for jobs; those at the head of the queue that can be done together, but no more than a fair share."""
        with self._changed:
            while not self._jobs:
                if self._ended:
                    return []
                self._changed.wait()
            share = min(math.ceil(len(self._jobs) / self._count), TOGETHER)
            jobs = [self._jobs.popleft()]
            cost = jobs[0].cost
            while self._jobs and len(jobs) < share:
                following = self._jobs[0]
                cost += following.cost
                if following.work != jobs[0].work or following.loop is not jobs[0].loop or cost > COST:
                    break
                jobs.append(self._jobs.popleft())
            return jobs


def _do(jobs: list[_Job]) -> None:
    jobs = [job for job in jobs if not job.given_up]
    if not jobs:
        return
    try:
        results = jobs[0].work([job.given for job in jobs])
    except Exception as error:
        if len(jobs) == 1:
            _finish(jobs, [error])  # the error knows this frame: it must not know the job, which holds the error
            jobs.clear()
            return
        for job in jobs:  # one of them spoils it for all: each for itself
            _do([job])
        return
    _finish(jobs, results)


def _finish(jobs: list[_Job], results: Sequence[Any]) -> None:
    """Hand over what was found for jobs of one event loop, which is woken once for all of them."""
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        jobs[0].loop.call_soon_threadsafe(_settle, [job.future for job in jobs], results)


def _settle(futures: "list[asyncio.Future[Any]]", results: Sequence[Any]) -> None:
    for future, found in zip(futures, results, strict=True):
        if future.done():  # nobody waits for it any more
            continue
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)
