"""The worker pool merges small jobs, abandons jobs of clients that left, and serves several event loops."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mien.server.workers import WorkerPool


def run(workers: WorkerPool, *jobs: Any) -> list[Any]:
    async def main() -> list[Any]:
        return await asyncio.gather(*(workers.run(*job) for job in jobs), return_exceptions=True)

    return asyncio.run(main())


def test_small_jobs_are_merged_and_large_ones_run_alone() -> None:
    workers = WorkerPool(1, 100, 10)
    groups: list[list[int]] = []

    def work(given: list[int]) -> list[int]:
        groups.append(given)
        time.sleep(0.05)
        return [10 * one for one in given]

    results = run(workers, *[(work, number, 100) for number in range(10)], *[(work, number) for number in (10, 11)])
    workers.close()
    assert results == [10 * number for number in range(12)]
    assert [number for group in groups for number in group] == list(range(12))
    assert max(map(len, groups)) >= 8
    assert groups[-2:] == [[10], [11]]


def test_a_failing_job_does_not_fail_its_batch() -> None:
    workers = WorkerPool(1, 100, 10)

    def work(given: list[int]) -> list[int]:
        time.sleep(0.05)
        if 3 in given:
            raise ValueError("three")
        return given

    results = run(workers, *[(work, number, 1) for number in range(6)])
    workers.close()
    assert [type(found) for found in results] == [int, int, int, ValueError, int, int]


def test_a_cancelled_job_never_runs() -> None:
    """A client that disconnects cancels its job."""
    workers = WorkerPool(1, 100, 10)
    over, done = threading.Event(), []

    def block(given: list[int]) -> list[int]:
        over.wait()
        return given

    def work(given: list[int]) -> list[int]:
        done.extend(given)
        return given

    async def main() -> None:
        first = asyncio.create_task(workers.run(block, 0))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(workers.run(work, 1))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert workers.waiting == 0
        over.set()
        await first

    asyncio.run(main())
    workers.close()
    assert done == []


def test_all_threads_work() -> None:
    workers = WorkerPool(3, 100, 10)
    meet = threading.Barrier(3)

    def work(given: list[int]) -> list[int]:
        meet.wait(timeout=10)
        return given

    assert run(workers, *[(work, number) for number in range(3)]) == [0, 1, 2]
    workers.close()


def test_a_job_is_abandoned_if_the_client_disconnects() -> None:
    workers = WorkerPool(1, 100, 60)
    over, begun = threading.Event(), threading.Event()

    def block(given: list[int]) -> list[int]:
        begun.set()
        over.wait()
        return given

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        gone: list[asyncio.Future[None]] = [loop.create_future() for _ in range(3)]
        jobs = [asyncio.create_task(workers.run(block, number, disconnected=one)) for number, one in enumerate(gone)]
        await loop.run_in_executor(None, begun.wait)
        assert workers.waiting == 2
        gone[0].set_result(None)  # while it runs
        gone[1].set_result(None)  # while it waits
        left = await asyncio.gather(*jobs[:2], return_exceptions=True)
        assert workers.waiting == 1
        over.set()
        return [*left, await jobs[2]]

    *left, answered = asyncio.run(main())
    workers.close()
    assert [found.code for found in left] == ["bad_request", "bad_request"]
    assert answered == 2


def test_two_event_loops_share_the_workers() -> None:
    """Each loop gets its own answers in its own thread."""
    workers = WorkerPool(1, 100, 60)
    both, groups = threading.Barrier(2), []

    def work(given: list[str]) -> list[str]:
        groups.append({one[0] for one in given})
        time.sleep(0.02)
        return [one.upper() for one in given]

    async def main(name: str) -> list[str]:
        both.wait()
        return list(await asyncio.gather(*(workers.run(work, f"{name}{number}", 1) for number in range(20))))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: asyncio.run(main(name)), "ab"))
    workers.close()
    assert found == [[f"{name}{number}" for number in range(20)] for name in "AB"]
    assert all(len(group) == 1 for group in groups)
