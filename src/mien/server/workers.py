"""Run blocking work in threads: a bounded queue, a time limit, and small jobs merged into one call."""

import asyncio
import contextlib
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from mien.runtime.sessions import Stopper
from mien.server.jobs import Job, Later, deliver, run_batch
from mien.server.problems import Problem

Input = TypeVar("Input")
Output = TypeVar("Output")

#: A lane replaces so many times as many threads as it has that do not come back.
MAX_STUCK = 2
#: Longest time that `close` waits for threads whose jobs nobody waits for, in seconds.
CLOSE_SECONDS = 2.0
#: How often the time of running jobs is looked at, in seconds.
_WATCH_SECONDS = 0.25
#: Most jobs merged into one call, and their largest total cost.
MAX_BATCH_JOBS, MAX_BATCH_COST = 32, 64 * 1024
#: Niceness of the threads that do slow jobs, and of the decoders that they start, where threads have one of their own.
SLOW_NICENESS = 5
#: For so many seconds after a short job, slow jobs leave a thread's worth of the processor free. A short job takes less
#: of the processor than this: twice what a thread may wait for a busy core, a tick of 4 ms.
QUIET_SECONDS, SHORT_SECONDS = 0.5, 0.008


@dataclass(eq=False)
class _Lane:
    """Threads of one priority and the jobs that wait for them."""

    niceness: int  # more than that of the process
    changed: threading.Condition  # jobs have come; of the pool's lock, as all other changes
    jobs: deque[Job] = field(default_factory=deque)
    workers: list["_Worker"] = field(default_factory=list)
    stuck: int = 0


@dataclass(eq=False)
class _Worker:
    """A thread: its jobs, when they began, and what ends the graph that it runs."""

    lane: _Lane
    stopper: Stopper = field(default_factory=Stopper)
    jobs: list[Job] = field(default_factory=list)
    begun: float | None = None
    abandoned: bool = False
    thread: threading.Thread = field(init=False)


class WorkerPool:
    """Run jobs in threads, oldest first. Slow jobs have threads of their own, which leave the processor to the others.

    While short jobs come, one of several threads for slow jobs rests: a system takes milliseconds to give a busy core
    to a thread that wakes, whatever its priority, so one should be free. Jobs that take longer can wait so long.

    Waiting jobs with equal `work` functions and a low cost are merged into one call, because a batch of small images
    takes less time than its images one by one. The threads start with the first job.

    A thread that works for longer than `seconds` is abandoned: its network is told to end, nobody waits for it, and
    another thread takes its place, up to `MAX_STUCK` times as many as there were.

    Args:
        threads: number of threads for slow jobs, and for the others.
        max_waiting: most jobs of each of the two kinds that may wait.
        seconds: longest time for a job, waiting included; and for the jobs of a batch.
    """

    def __init__(self, threads: int, max_waiting: int, seconds: float) -> None:
        self._count, self._max_waiting, self._seconds = threads, max_waiting, seconds
        self._lock = threading.RLock()
        # A condition for each: a quick job must not wake the threads for slow ones, each of which takes the
        # interpreter lock to see that there is nothing to do.
        self._quick, self._slow = (_Lane(niceness, threading.Condition(self._lock)) for niceness in (0, SLOW_NICENESS))
        self._started = self._closed = False
        self._short_at = -math.inf  # when a short job was last done

    @property
    def waiting(self) -> int:
        """Number of jobs that wait now."""
        return len(self._quick.jobs) + len(self._slow.jobs)

    @property
    def stuck(self) -> int:
        """Number of threads that were abandoned and still work."""
        return self._quick.stuck + self._slow.stuck

    def refuse_if_stuck(self) -> None:
        """Raise Problem `busy` if so many threads hang that none is left for quick or for slow jobs."""
        if any(lane.stuck and not lane.workers for lane in (self._quick, self._slow)):
            raise Problem("busy", f"{self.stuck} jobs hang and none can begin; restart the server")

    def refuse_if_full(self, slow: bool = False) -> None:
        """Raise Problem `busy` if no more jobs of this kind may wait now."""
        self.refuse_if_stuck()
        if self._is_full(self._slow if slow else self._quick):
            raise self._too_many()

    async def run(
        self, work: Callable[[list[Input]], Sequence[Output | Exception | Later]], item: Input,
        cost: int | None = None, *, slow: bool = False,
        later: Callable[[list[Input]], Sequence[Output | Exception]] | None = None,
        even_if_full: bool = False, disconnected: "asyncio.Future[None] | None" = None,
    ) -> Output:  # fmt: skip
        """Return `work([item])[0]`, or raise it if it is an exception.

        Args:
            work: called in a thread with a list of items; returns one result per item.
            item: the input of this job.
            cost: what this job adds to a batch, up to `MAX_BATCH_COST` together; None runs it alone.
            slow: this is a slow job.
            later: takes the place of `work`, as a slow job, for an item whose result is `LATER`.
            even_if_full: accept the job even if the queue is full.
            disconnected: completes when the client leaves; the job is then abandoned.

        Raises:
            Problem: `busy` if too many jobs wait, `timeout` if the job takes too long, `bad_request` if the client
                has disconnected.
        """
        if not even_if_full:
            self.refuse_if_full(slow)
        job = Job(work, item, MAX_BATCH_COST if cost is None else cost, later, asyncio.get_running_loop())
        with self._lock:
            self._start()
            lane = self._slow if slow else self._quick
            lane.jobs.append(job)
            lane.changed.notify()
        try:
            await asyncio.wait(
                {job.future, disconnected or job.future}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if job.future.done():
                result: Output = job.future.result()
                return result
            if disconnected is not None and disconnected.done():
                raise Problem("bad_request", "the client has disconnected")
            raise self._too_long()
        finally:
            if job.future.cancel():
                self._abandon(job)
            # An exception raised here refers to this frame. It would keep the job and its image bytes alive.
            del job

    def close(self) -> None:
        """Finish all jobs and end the threads; those that take too long are left behind."""
        with self._lock:
            self._closed = True
            for lane in (self._quick, self._slow):
                lane.changed.notify_all()
            workers = [*self._quick.workers, *self._slow.workers]
        until = time.monotonic() + CLOSE_SECONDS
        for worker in workers:
            worker.thread.join(max(until - time.monotonic(), 0))
            if worker.thread.is_alive():
                worker.stopper.stop()

    def _is_full(self, lane: _Lane) -> bool:
        return len(lane.jobs) >= self._max_waiting

    def _too_many(self) -> Problem:
        return Problem("busy", f"{self._max_waiting} requests are waiting already; try again in a moment")

    def _too_long(self) -> Problem:
        return Problem("timeout", f"the request took more than {self._seconds:g} seconds")

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        for lane in (self._quick, self._slow):
            for _ in range(self._count):
                self._add_worker(lane)
        threading.Thread(target=self._watch, name="mien-serve-watch", daemon=True).start()

    def _add_worker(self, lane: _Lane) -> None:
        worker = _Worker(lane)
        # Daemons: a program that mounts the application must be able to end without waiting for them.
        worker.thread = threading.Thread(target=self._work, args=(worker,), name="mien-serve", daemon=True)
        lane.workers.append(worker)
        worker.thread.start()

    def _watch(self) -> None:
        """Abandon the threads that take too long, and replace them."""
        while not self._closed:
            time.sleep(_WATCH_SECONDS)
            with self._lock:
                begun_before = time.monotonic() - self._seconds
                workers = [*self._quick.workers, *self._slow.workers]
                for worker in [one for one in workers if one.begun is not None and one.begun < begun_before]:
                    lane = worker.lane
                    worker.abandoned = True
                    # Before the graph ends with an error of its own, which would say less.
                    deliver(worker.jobs, [self._too_long() for _ in worker.jobs])
                    for job in worker.jobs:
                        job.abandoned = True
                    worker.jobs = []
                    worker.stopper.stop()
                    lane.workers.remove(worker)
                    lane.stuck += 1
                    if lane.stuck <= MAX_STUCK * self._count:
                        self._add_worker(lane)

    def _abandon(self, job: Job) -> None:
        with self._lock:
            job.abandoned = True
            for lane in (self._quick, self._slow):
                if job in lane.jobs:
                    lane.jobs.remove(job)

    def _work(self, worker: _Worker) -> None:
        _set_niceness(worker.lane.niceness)
        with worker.stopper:
            while jobs := self._next_batch(worker):
                begun = time.thread_time()
                later = run_batch(jobs)
                each = (time.thread_time() - begun) / len(jobs)
                if worker.lane is self._quick and len(later) < len(jobs) and each < SHORT_SECONDS:
                    self._short_at = time.monotonic()
                self._put_off(later)
                del jobs, later  # an idle thread would keep the image bytes of its last batch
                if self._is_done(worker):
                    return

    def _put_off(self, jobs: list[Job]) -> None:
        """Let jobs wait among the slow ones."""
        with self._lock:
            for job in jobs:
                if self._is_full(self._slow):
                    deliver([job], [self._too_many()])
                elif not job.abandoned and job.later is not None:
                    job.work, job.cost = job.later, MAX_BATCH_COST
                    self._slow.jobs.append(job)
                    self._slow.changed.notify()

    def _is_done(self, worker: _Worker) -> bool:
        """Note that a thread has come back; return whether it was abandoned."""
        with self._lock:
            worker.begun, worker.jobs, lane = None, [], worker.lane
            if worker.abandoned:
                lane.stuck -= 1
                if not self._closed and len(lane.workers) < self._count:  # there were too many to replace it before
                    self._add_worker(lane)
            return worker.abandoned

    def _next_batch(self, worker: _Worker) -> list[Job]:
        """Wait for jobs and return the first ones that can be merged, at most this thread's share; [] once closed."""
        waiting = worker.lane.jobs
        with self._lock:
            while not waiting or self._holds_back(worker.lane):
                if self._closed and not waiting:
                    return []
                worker.lane.changed.wait(QUIET_SECONDS if waiting else None)
            most = min(math.ceil(len(waiting) / self._count), MAX_BATCH_JOBS)
            worker.begun = time.monotonic()
            jobs = [waiting.popleft()]
            cost = jobs[0].cost
            while waiting and len(jobs) < most:
                following = waiting[0]
                cost += following.cost
                if following.work != jobs[0].work or following.loop is not jobs[0].loop or cost > MAX_BATCH_COST:
                    break
                jobs.append(waiting.popleft())
            worker.jobs = list(jobs)
            return jobs

    def _holds_back(self, lane: _Lane) -> bool:
        """Return whether a job must wait, though a thread is idle, because short jobs come."""
        if lane is self._quick or self._closed or time.monotonic() > self._short_at + QUIET_SECONDS:
            return False
        return sum(worker.begun is not None for worker in lane.workers) >= max(self._count - 1, 1)


def _set_niceness(niceness: int) -> None:
    """Lower the priority of this thread. Only Linux has one for each thread; elsewhere it would be the process's."""
    if niceness and sys.platform == "linux":
        this = threading.get_native_id()
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, this, os.getpriority(os.PRIO_PROCESS, this) + niceness)
