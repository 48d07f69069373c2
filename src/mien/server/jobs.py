"""Run jobs that threads do for an event loop: several in one call, and their results back to the loop."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


class Later:
    """Result of a job that will take long: `WorkerPool.run` then runs its `later` among the slow jobs."""


LATER = Later()


@dataclass(eq=False)
class Job:
    """An item and the function that does it with others; the loop that waits for the result."""

    work: Callable[[list[Any]], Sequence[Any]]
    item: Any
    cost: int
    later: Callable[[list[Any]], Sequence[Any]] | None
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]" = field(init=False)
    abandoned: bool = False

    def __post_init__(self) -> None:
        self.future = self.loop.create_future()


def run_batch(jobs: list[Job]) -> list[Job]:
    """Run jobs in one call and deliver their results; return those that are to be run later."""
    jobs = [job for job in jobs if not job.abandoned]
    if not jobs:
        return []
    try:
        results = jobs[0].work([job.item for job in jobs])
    except Exception as error:
        if len(jobs) == 1:
            # The error refers to this frame, and the job to the error: break the circle, to free the image bytes.
            deliver(jobs, [error])
            jobs.clear()
            return []
        return [later for job in jobs for later in run_batch([job])]  # one job failed the batch: run each alone
    done = [(job, result) for job, result in zip(jobs, results, strict=True) if result is not LATER]
    if done:
        deliver([job for job, _ in done], [result for _, result in done])
    return [job for job, result in zip(jobs, results, strict=True) if result is LATER]


def deliver(jobs: list[Job], results: Sequence[Any]) -> None:
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
