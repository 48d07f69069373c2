"""The worker pool merges small jobs, abandons jobs of clients that left, and serves several event loops."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from polling import wait_until

from mien.runtime.sessions import open_session
from mien.server.jobs import LATER, Later
from mien.server.problems import Problem
from mien.server.workers import MAX_STUCK, SHORT_SECONDS, SLOW_NICENESS, WorkerPool


def run(workers: WorkerPool, *jobs: Any) -> list[Any]:
    """Run jobs that all wait at the same time, in a pool of one thread."""
    released = threading.Event()

    def block(items: list[None]) -> list[None]:
        released.wait()
        return items

    async def main() -> list[Any]:
        first = asyncio.create_task(workers.run(block, None))
        tasks = [asyncio.create_task(workers.run(*job)) for job in jobs]
        await until(lambda: workers.waiting == len(jobs))
        released.set()
        await first
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread fulfils."""
    await asyncio.get_running_loop().run_in_executor(None, wait_until, condition)


def test_small_jobs_are_merged_and_large_ones_run_alone() -> None:
    workers = WorkerPool(1, 100, 60)
    batches: list[list[int]] = []

    def work(items: list[int]) -> list[int]:
        batches.append(items)
        return [10 * item for item in items]

    results = run(workers, *[(work, number, 100) for number in range(10)], *[(work, number) for number in (10, 11)])
    workers.close()
    assert results == [10 * number for number in range(12)]
    assert batches == [list(range(10)), [10], [11]]


def test_a_failing_job_does_not_fail_its_batch() -> None:
    workers = WorkerPool(1, 100, 60)

    def work(items: list[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return items

    results = run(workers, *[(work, number, 1) for number in range(6)])
    workers.close()
    assert [type(result) for result in results] == [int, int, int, ValueError, int, int]


def test_a_cancelled_job_never_runs() -> None:
    """A client that disconnects cancels its job."""
    workers = WorkerPool(1, 100, 60)
    released, started = threading.Event(), threading.Event()
    done: list[int] = []

    def block(items: list[int]) -> list[int]:
        started.set()
        released.wait()
        return items

    def work(items: list[int]) -> list[int]:
        done.extend(items)
        return items

    async def main() -> None:
        first = asyncio.create_task(workers.run(block, 0))
        await until(started.is_set)
        second = asyncio.create_task(workers.run(work, 1))
        await until(lambda: workers.waiting == 1)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert workers.waiting == 0
        released.set()
        await first

    asyncio.run(main())
    workers.close()
    assert done == []


def test_all_threads_work() -> None:
    workers = WorkerPool(3, 100, 60)
    meet = threading.Barrier(3)

    def work(items: list[int]) -> list[int]:
        meet.wait(timeout=60)
        return items

    async def main() -> list[int]:
        return list(await asyncio.gather(*(workers.run(work, number) for number in range(3))))

    assert asyncio.run(main()) == [0, 1, 2]
    workers.close()


def test_slow_jobs_do_not_keep_the_others_waiting() -> None:
    """Two threads take slow jobs; what comes after five of them is answered by others."""
    workers = WorkerPool(2, 100, 60)
    released, slow = threading.Event(), []

    def block(items: list[int]) -> list[int]:
        slow.extend(items)
        released.wait()
        return items

    def work(items: list[int]) -> list[int]:
        return [10 * item for item in items]

    async def main() -> list[int]:
        waiting = [asyncio.create_task(workers.run(block, number, slow=True)) for number in range(5)]
        await until(lambda: len(slow) == 2)
        answers = [await workers.run(work, number) for number in range(3)]
        assert sorted(slow) == [0, 1]
        assert workers.waiting == 3
        released.set()
        return answers + await asyncio.gather(*waiting)

    assert asyncio.run(main()) == [0, 10, 20, 0, 1, 2, 3, 4]
    workers.close()
    assert sorted(slow) == [0, 1, 2, 3, 4]


def most_at_once(threads: int, quick: bool, wanted: int, takes: float = 0.0) -> int:
    """Return how many of some slow jobs ran at the same time at most, after a quick job or one that was put off.

    The quick job takes so many seconds of the processor.

    They wait until so many run as are wanted, and a moment for more to come.
    """
    workers = WorkerPool(threads, 100, 60)
    running, most, lock = 0, 0, threading.Lock()
    full = threading.Event()

    def slow(items: list[int]) -> list[int]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if most == wanted:
            full.set()
        full.wait(50)
        time.sleep(0.05)
        with lock:
            running -= 1
        return items

    def work(items: list[int]) -> list[int | Later]:
        until = time.thread_time() + takes
        while time.thread_time() < until:
            pass
        return [item if quick else LATER for item in items]

    async def main() -> None:
        await workers.run(work, 0, later=lambda items: items)
        await asyncio.gather(*[workers.run(slow, number, slow=True) for number in range(2 * threads)])

    asyncio.run(main())
    workers.close()
    return most


def test_slow_jobs_leave_a_core_to_quick_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.server.workers.QUIET_SECONDS", 600)
    for threads, wanted in ((1, 1), (2, 1), (3, 2)):
        assert most_at_once(threads, True, wanted) == wanted


def test_slow_jobs_take_all_threads_if_the_quick_ones_are_not_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A photograph can wait for a core as long as a system takes to give it one."""
    monkeypatch.setattr("mien.server.workers.QUIET_SECONDS", 600)
    assert most_at_once(2, True, 2, takes=SHORT_SECONDS) == 2


def test_slow_jobs_take_all_threads_if_no_quick_ones_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that begin among the quick ones and turn out slow are none."""
    monkeypatch.setattr("mien.server.workers.QUIET_SECONDS", 600)
    for threads in (1, 2, 3):
        assert most_at_once(threads, False, threads) == threads


def test_slow_jobs_that_were_held_back_begin_once_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs that wait for each other can end only side by side."""
    monkeypatch.setattr("mien.server.workers.QUIET_SECONDS", 0.05)
    workers, both = WorkerPool(2, 100, 60), threading.Barrier(2)

    def slow(items: list[int]) -> list[int]:
        both.wait(50)
        return items

    async def main() -> list[int]:
        await workers.run(lambda items: items, 0)
        return await asyncio.gather(*[workers.run(slow, number, slow=True) for number in (1, 2)])

    assert asyncio.run(main()) == [1, 2]
    workers.close()


def test_a_job_that_turns_out_slow_is_put_off_alone() -> None:
    """Its batch is answered; it runs again among the slow ones, at a lower priority."""
    workers = WorkerPool(1, 100, 60)
    niceness: dict[int, int] = {}

    def own() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) if sys.platform == "linux" else 0

    def work(items: list[int]) -> list[int | Later]:
        niceness.update(dict.fromkeys(items, own()))
        return [LATER if item == 3 else item for item in items]

    def later(items: list[int]) -> list[int]:
        niceness[-3] = own()
        return [100 * item for item in items]

    async def main() -> list[int]:
        return list(await asyncio.gather(*(workers.run(work, number, 1, later=later) for number in range(6))))

    assert asyncio.run(main()) == [0, 1, 2, 300, 4, 5]
    workers.close()
    assert niceness[3] == niceness[0]
    assert niceness[-3] == min(niceness[0] + (SLOW_NICENESS if sys.platform == "linux" else 0), 19)


def test_too_many_slow_jobs_are_refused_and_quick_ones_are_not() -> None:
    workers = WorkerPool(1, 2, 60)
    released, begun = threading.Event(), threading.Event()

    def block(items: list[int]) -> list[int]:
        begun.set()
        released.wait()
        return items

    async def main() -> list[Any]:
        jobs = [asyncio.create_task(workers.run(block, 0, slow=True))]
        await until(begun.is_set)
        jobs += [asyncio.create_task(workers.run(block, number, slow=True)) for number in (1, 2)]
        await until(lambda: workers.waiting == 2)
        with pytest.raises(Problem, match="waiting already"):
            await workers.run(block, 3, slow=True)
        with pytest.raises(Problem, match="waiting already"):  # the same for one that turns out slow
            await workers.run(lambda items: [LATER for _ in items], 4, later=block)
        assert await workers.run(lambda items: items, 5) == 5
        released.set()
        return list(await asyncio.gather(*jobs))

    assert asyncio.run(main()) == [0, 1, 2]
    workers.close()


def test_one_thread_takes_slow_jobs_too() -> None:
    workers = WorkerPool(1, 100, 60)
    assert asyncio.run(workers.run(lambda items: items, 7, slow=True)) == 7
    workers.close()


def test_a_job_is_abandoned_if_the_client_disconnects() -> None:
    workers = WorkerPool(1, 100, 60)
    released, started = threading.Event(), threading.Event()

    def block(items: list[int]) -> list[int]:
        started.set()
        released.wait()
        return items

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        disconnected: list[asyncio.Future[None]] = [loop.create_future() for _ in range(3)]
        jobs = [
            asyncio.create_task(workers.run(block, number, disconnected=one)) for number, one in enumerate(disconnected)
        ]
        await loop.run_in_executor(None, started.wait)
        assert workers.waiting == 2
        disconnected[0].set_result(None)  # while it runs
        disconnected[1].set_result(None)  # while it waits
        left = await asyncio.gather(*jobs[:2], return_exceptions=True)
        assert workers.waiting == 1
        released.set()
        return [*left, await jobs[2]]

    *left, answered = asyncio.run(main())
    workers.close()
    assert [found.code for found in left] == ["bad_request", "bad_request"]
    assert answered == 2


def test_two_event_loops_share_the_workers() -> None:
    """Each loop gets its own answers in its own thread."""
    workers = WorkerPool(1, 100, 60)
    both, groups = threading.Barrier(2), []

    def work(items: list[str]) -> list[str]:
        groups.append({item[0] for item in items})
        time.sleep(0.02)
        return [item.upper() for item in items]

    async def main(name: str) -> list[str]:
        both.wait()
        return list(await asyncio.gather(*(workers.run(work, f"{name}{number}", 1) for number in range(20))))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: asyncio.run(main(name)), "ab"))
    workers.close()
    assert found == [[f"{name}{number}" for number in range(20)] for name in "AB"]
    assert all(len(group) == 1 for group in groups)


async def hang(workers: WorkerPool, work: Callable[[list[None]], Any]) -> None:
    """Run a job that takes too long. Its time is up once it has begun: until then, and for others, there is plenty."""
    begun = threading.Event()

    def begin(items: list[None]) -> Any:
        begun.set()
        return work(items)

    job = asyncio.create_task(workers.run(begin, None))
    await until(begun.is_set)
    plenty, workers._seconds = workers._seconds, 0
    with pytest.raises(Problem, match="took more than"):
        await job
    workers._seconds = plenty


def test_a_job_that_waits_too_long_is_taken_back() -> None:
    workers = WorkerPool(1, 100, 60)
    released, begun = threading.Event(), threading.Event()

    def block(items: list[int]) -> list[int]:
        begun.set()
        released.wait()
        return items

    async def main() -> None:
        first = asyncio.create_task(workers.run(block, 7))
        await until(begun.is_set)
        workers._quick.workers[0].begun = None  # no thread of its own takes too long
        workers._seconds = 0.01
        with pytest.raises(Problem, match="took more than"):
            await workers.run(lambda items: items, 8)
        assert workers.waiting == 0
        released.set()
        assert await first == 7

    asyncio.run(main())
    workers.close()


def test_a_thread_that_hangs_is_abandoned_and_replaced() -> None:
    workers = WorkerPool(1, 100, 60)
    released = threading.Event()

    async def main() -> None:
        for count in range(1, MAX_STUCK + 1):
            await hang(workers, lambda _: [released.wait()])
            await until(lambda count=count: workers.stuck == count)  # type: ignore[misc]
            assert await workers.run(lambda items: items, count) == count
        await hang(workers, lambda _: [released.wait()])
        await until(lambda: workers.stuck == MAX_STUCK + 1)
        with pytest.raises(Problem, match="restart the server"):
            workers.refuse_if_stuck()
        with pytest.raises(Problem, match="restart the server"):
            await workers.run(lambda items: items, None)
        released.set()
        await until(lambda: workers.stuck == 0)
        assert await workers.run(lambda items: items, 7) == 7

    asyncio.run(main())
    workers.close()


def test_closing_leaves_a_thread_that_hangs_behind() -> None:
    workers = WorkerPool(1, 100, 60)
    begun, released = threading.Event(), threading.Event()

    def hang(items: list[None]) -> list[None]:
        begun.set()
        released.wait()
        return items

    async def main() -> None:
        job = asyncio.create_task(workers.run(hang, None))
        await until(begun.is_set)
        await asyncio.get_running_loop().run_in_executor(None, workers.close)
        assert not job.done()
        released.set()
        await job

    asyncio.run(main())


def endless() -> bytes:
    """A graph whose loop never ends."""
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("value", TensorProto.FLOAT, [1])
    names = ["count", "go", "value_in"]
    kinds = [(TensorProto.INT64, []), (TensorProto.BOOL, []), (TensorProto.FLOAT, [1])]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_out"]),
            helper.make_node("Add", ["value_in", "value_in"], ["value_out"]),
        ],
        "body",
        [helper.make_tensor_value_info(name, *kind) for name, kind in zip(names, kinds, strict=True)],
        [
            helper.make_tensor_value_info("go_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, [1]),
        ],
    )
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    loop = helper.make_node("Loop", ["", "true", "value"], ["result"], body=body)
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [1])
    graph = helper.make_graph([loop], "endless", [value], [result], [true])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_a_network_that_never_ends_is_ended() -> None:
    session = open_session(endless())
    workers = WorkerPool(1, 100, 60)

    async def main() -> None:
        await hang(workers, lambda _: [session.run(["result"], {"value": np.ones(1, np.float32)})])
        await until(lambda: workers.stuck == 0)
        assert await workers.run(lambda items: items, 7) == 7

    asyncio.run(main())
    workers.close()


def test_the_end_of_a_network_that_took_too_long_is_a_timeout_to_a_busy_loop_too() -> None:
    session = open_session(endless())
    workers = WorkerPool(1, 100, 0.5)
    ended = threading.Event()

    def work(items: list[None]) -> list[list[object]]:
        try:
            return [session.run(["result"], {"value": np.ones(1, np.float32)}) for _ in items]
        finally:
            ended.set()

    async def main() -> None:
        job = asyncio.create_task(workers.run(work, None))
        await asyncio.sleep(0)
        wait_until(ended.is_set)  # blocks the loop: it hears of the end before it looks at the clock
        with pytest.raises(Problem, match="took more than"):
            await job

    asyncio.run(main())
    workers.close()
