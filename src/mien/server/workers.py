"""Run blocking work in threads: a bounded queue, a time limit, and small jobs merged into one call."""

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mien.devices import Stopper
from mien.server.problems import Problem

Input = TypeVar("Input")
Output = TypeVar("Output")

#: A pool replaces so many times as many threads as it has that do not come back.
MAX_STUCK = 2
#: Longest time that `close` waits for threads whose jobs nobody waits for, in seconds.
CLOSE_SECONDS = 2.0
#: How often the time of running jobs is looked at, in seconds.
_WATCH_SECONDS = 0.25
#: Most jobs merged into one call, and their largest total cost.
MAX_BATCH_JOBS, MAX_BATCH_COST = 32, 64 * 1024


@dataclass(eq=False)
class _Job:
    work: Callable[[list[Any]], Sequence[Any]]
    item: Any
    cost: int
    slow: bool
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]" = field(init=False)
    abandoned: bool = False

    def __post_init__(self) -> None:
        self.future = self.loop.create_future()


@dataclass(eq=False)
class _Worker:
    """A thread: when its jobs began, and what ends the graph that it runs."""

    stopper: Stopper = field(default_factory=Stopper)
    begun: float | None = None
    slow: bool = False
    abandoned: bool = False
    thread: threading.Thread = field(init=False)


class WorkerPool:
    """Run jobs in threads, oldest first.

    Waiting jobs with equal `work` functions and a low cost are merged into one call, because a batch of small images
    takes less time than its images one by one. Slow jobs leave one thread to the others. The threads start with the
    first job.

    A thread that works for longer than `seconds` is abandoned: its network is told to end, nobody waits for it, and
    another thread takes its place, up to `MAX_STUCK` times as many as the pool has.

    Args:
        threads: number of threads.
        max_waiting: most jobs that may wait.
        seconds: longest time for a job, waiting included; and for the jobs of a batch.
    """

    def __init__(self, threads: int, max_waiting: int, seconds: float) -> None:
        self._count, self._max_waiting, self._seconds = threads, max_waiting, seconds
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._workers: list[_Worker] = []
        self._started = self._closed = False
        self._stuck = 0

    @property
    def waiting(self) -> int:
        """Number of jobs that wait now."""
        return len(self._jobs)

    @property
    def stuck(self) -> int:
        """Number of threads that were abandoned and still work."""
        return self._stuck

    def refuse_if_stuck(self) -> None:
        """Raise Problem `busy` if so many threads hang that none is left."""
        if self._started and not self._workers:
            raise Problem("busy", f"{self._stuck} jobs hang and none can begin; restart the server")

    def refuse_if_full(self) -> None:
        """Raise Problem `busy` if no more jobs may wait now."""
        self.refuse_if_stuck()
        if len(self._jobs) >= self._max_waiting:
            raise Problem("busy", f"{self._max_waiting} requests are waiting already; try again in a moment")

    async def run(
        self, work: Callable[[list[Input]], Sequence[Output | Exception]], item: Input, cost: int | None = None,
        *, slow: bool = False, even_if_full: bool = False, disconnected: "asyncio.Future[None] | None" = None,
    ) -> Output:  # fmt: skip
        """Return `work([item])[0]`, or raise it if it is an exception.

        Args:
            work: called in a thread with a list of items; returns one result per item.
            item: the input of this job.
            cost: what this job adds to a batch, up to `MAX_BATCH_COST` together; None runs it alone.
            slow: wait while all threads but one have slow jobs.
            even_if_full: accept the job even if the queue is full.
            disconnected: completes when the client leaves; the job is then abandoned.

        Raises:
            Problem: `busy` if too many jobs wait, `timeout` if the job takes too long, `bad_request` if the client
                has disconnected.
        """
        if not even_if_full:
            self.refuse_if_full()
        job = _Job(work, item, MAX_BATCH_COST if cost is None else cost, slow, asyncio.get_running_loop())
        with self._changed:
            self._start()
            self._jobs.append(job)
            self._changed.notify()
        try:
            await asyncio.wait(
                {job.future, disconnected or job.future}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if job.future.done():
                result: Output = job.future.result()
                return result
            if disconnected is not None and disconnected.done():
                raise Problem("bad_request", "the client has disconnected")
            raise Problem("timeout", f"the request took more than {self._seconds:g} seconds")
        finally:
            if job.future.cancel():
                self._abandon(job)
            # An exception raised here refers to this frame. It would keep the job and its image bytes alive.
            del job

    def close(self) -> None:
        """Finish all jobs and end the threads; those that take too long are left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            workers = list(self._workers)
        until = time.monotonic() + CLOSE_SECONDS
        for worker in workers:
            worker.thread.join(max(until - time.monotonic(), 0))
            if worker.thread.is_alive():
                worker.stopper.stop()

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        for _ in range(self._count):
            self._add_worker()
        threading.Thread(target=self._watch, name="mien-serve-watch", daemon=True).start()

    def _add_worker(self) -> None:
        worker = _Worker()
        # Daemons: a program that mounts the application must be able to end without waiting for them.
        worker.thread = threading.Thread(target=self._work, args=(worker,), name="mien-serve", daemon=True)
        self._workers.append(worker)
        worker.thread.start()

    def _watch(self) -> None:
        """Abandon the threads that take too long, and replace them."""
        while not self._closed:
            time.sleep(_WATCH_SECONDS)
            with self._changed:
                begun_before = time.monotonic() - self._seconds
                for worker in [one for one in self._workers if one.begun is not None and one.begun < begun_before]:
                    worker.abandoned = True
                    worker.stopper.stop()
                    self._workers.remove(worker)
                    self._stuck += 1
                    if self._stuck <= MAX_STUCK * self._count:
                        self._add_worker()

    def _abandon(self, job: _Job) -> None:
        with self._changed:
            job.abandoned = True
            if job in self._jobs:
                self._jobs.remove(job)

    def _work(self, worker: _Worker) -> None:
        with worker.stopper:
            while jobs := self._next_batch(worker):
                _run_batch(jobs)
                del jobs  # an idle thread would keep the image bytes of its last batch
                if self._is_done(worker):
                    return

    def _is_done(self, worker: _Worker) -> bool:
        """Note that a thread has come back; return whether it was abandoned."""
        with self._changed:
            worker.begun, worker.slow = None, False
            self._changed.notify_all()  # a slow job may begin
            if worker.abandoned:
                self._stuck -= 1
                if not self._closed and len(self._workers) < self._count:  # there were too many to replace it before
                    self._add_worker()
            return worker.abandoned

    def _next_batch(self, worker: _Worker) -> list[_Job]:
        """Wait for jobs and return the first ones that can be merged, at most this thread's share; [] once closed."""
        with self._changed:
            while (first := self._first_job()) is None:
                if self._closed and not self._jobs:
                    return []
                self._changed.wait()
            most = min(math.ceil(len(self._jobs) / self._count), MAX_BATCH_JOBS)
            worker.begun, worker.slow = time.monotonic(), first.slow
            self._jobs.remove(first)
            jobs, cost = [first], first.cost
            while self._jobs and len(jobs) < most:
                following = self._jobs[0]
                cost += following.cost
                if following.work != jobs[0].work or following.loop is not jobs[0].loop or cost > MAX_BATCH_COST:
                    break
                jobs.append(self._jobs.popleft())
            return jobs

    def _first_job(self) -> _Job | None:
        """Return the oldest job that may begin now."""
        full = sum(worker.slow for worker in self._workers) >= max(self._count - 1, 1)
        return next((job for job in self._jobs if not (job.slow and full)), None)


def _run_batch(jobs: list[_Job]) -> None:
    jobs = [job for job in jobs if not job.abandoned]
    if not jobs:
        return
    try:
        results = jobs[0].work([job.item for job in jobs])
    except Exception as error:
        if len(jobs) == 1:
            # The error refers to this frame, and the job to the error: break the circle, to free the image bytes.
            _deliver(jobs, [error])
            jobs.clear()
            return
        for job in jobs:  # one job failed the batch: run each alone
            _run_batch([job])
        return
    _deliver(jobs, results)


def _deliver(jobs: list[_Job], results: Sequence[Any]) -> None:
    """Hand results to the event loop of the jobs, which wakes once for all of them."""
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
        jobs[0].loop.call_soon_threadsafe(_settle, [job.future for job in jobs], results)


def _settle(futures: "list[asyncio.Future[Any]]", results: Sequence[Any]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():  # abandoned
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
