"""More than the server can do at once: what it has taken on is answered, the rest is told to come back."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import mien
from mien.serve.bodies import Upload
from mien.serve.workers import Workers

RAW = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def reader(brightness_bundle: Path) -> Any:
    return mien.load(brightness_bundle, threads=1, detect=False)


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


def test_a_full_queue_is_answered_503_and_what_waits_is_answered(
    serve: Callable[..., Any], reader: Any, face: bytes, problem: Any, hold: Any
) -> None:
    live = serve(reader, threads=1, waiting=3)
    with ThreadPoolExecutor(3) as pool:
        with hold(live):
            waiting = [pool.submit(live.post, content=face, headers=RAW) for _ in range(3)]
            wait_until(lambda: live.app.state.mien.workers.waiting == 3)
            for _ in range(5):
                refused = live.post(content=face, headers=RAW)
                problem(refused, "busy")
                assert int(refused.headers["retry-after"]) >= 1
            problem(live.post("/v1/explain", content=face, headers=RAW), "busy")
            problem(live.get("/readyz"), "busy")
            assert live.get("/healthz").status_code == 200
        assert [one.result().status_code for one in waiting] == [200] * 3
    assert live.get("/readyz").status_code == 200


def test_what_takes_too_long_is_answered_504(
    serve: Callable[..., Any], reader: Any, face: bytes, problem: Any, hold: Any
) -> None:
    live = serve(reader, threads=1, seconds=0.3)
    with hold(live):
        problem(live.post(content=face, headers=RAW), "timeout")
        assert live.app.state.mien.workers.waiting == 0
    assert live.post(content=face, headers=RAW).status_code == 200


def test_the_memory_of_all_bodies_is_bounded(serve: Callable[..., Any], reader: Any, problem: Any, hold: Any) -> None:
    live = serve(reader, threads=1, held_bytes=100_000)
    body = bytes(60_000)
    with ThreadPoolExecutor(1) as pool:
        with hold(live):
            first = pool.submit(live.post, content=body, headers=RAW)
            wait_until(lambda: live.app.state.mien.workers.waiting == 1)
            problem(live.post(content=body, headers=RAW), "busy")
            problem(live.post(files={"file": ("a.png", body)}), "busy")
        assert first.result().status_code == 200
    assert live.app.state.mien.memory.used == 0
    assert live.post(content=body, headers=RAW).status_code == 200


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/explain", "/v1/explain?label=none"])
@pytest.mark.parametrize("picture", [True, False])
def test_a_body_is_freed_with_its_request(
    serve: Callable[..., Any], reader: Any, face: bytes, path: str, picture: bool
) -> None:
    """Not only when garbage is collected, which may be many large bodies later."""
    live = serve(reader, threads=1)
    gc.collect()
    gc.disable()
    try:
        live.post(path, content=face if picture else bytes(5000), headers=RAW)
        live.get("/healthz")
        wait_until(lambda: live.app.state.mien.memory.used == 0)
        time.sleep(0.1)
        assert [found for found in gc.get_objects() if isinstance(found, Upload)] == []
    finally:
        gc.enable()


def test_a_client_that_leaves_takes_its_request_with_it(
    serve: Callable[..., Any], reader: Any, face: bytes, hold: Any
) -> None:
    live = serve(reader, threads=1)
    inside = live.app.state.mien
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(face)}\r\n\r\n".encode()
    with hold(live):
        with live.connect() as impatient:
            impatient.sendall(head + face)
            wait_until(lambda: inside.workers.waiting == 1)
        wait_until(lambda: inside.workers.waiting == 0)
        wait_until(lambda: inside.memory.used == 0)


def test_connections_are_bounded(serve: Callable[..., Any], reader: Any, problem: Any) -> None:
    live = serve(reader, connections=5)
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(live.connect())
        wait_until(lambda: len(live.server.server_state.connections) == 5)
        problem(live.say(b""), "busy")
    wait_until(lambda: not live.server.server_state.connections)
    assert live.get("/healthz").status_code == 200


def test_ten_times_too_much_gives_nothing_but_200_and_503(
    serve: Callable[..., Any], reader: Any, face: bytes, hold: Any
) -> None:
    live = serve(reader, threads=1, waiting=4)
    over = threading.Event()
    codes: list[int] = []

    def client() -> None:
        with httpx.Client(timeout=60, verify=False) as session:
            while not over.is_set():
                codes.append(session.post(live.url + "/v1/predict", content=face, headers=RAW).status_code)

    with ThreadPoolExecutor(40) as pool:
        clients = [pool.submit(client) for _ in range(40)]
        with hold(live):
            wait_until(lambda: codes.count(503) > 100)
        wait_until(lambda: codes.count(200) > 100)
        over.set()
        for one in clients:
            one.result()
    assert set(codes) == {200, 503}
    assert live.post(content=face, headers=RAW).status_code == 200


def run(workers: Workers, *jobs: Any) -> list[Any]:
    async def main() -> list[Any]:
        return await asyncio.gather(*(workers.do(*job) for job in jobs), return_exceptions=True)

    return asyncio.run(main())


def test_small_jobs_are_done_together_and_large_ones_alone() -> None:
    workers = Workers(1, 100, 10)
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


def test_one_bad_job_does_not_spoil_those_beside_it() -> None:
    workers = Workers(1, 100, 10)

    def work(given: list[int]) -> list[int]:
        time.sleep(0.05)
        if 3 in given:
            raise ValueError("three")
        return given

    results = run(workers, *[(work, number, 1) for number in range(6)])
    workers.close()
    assert [type(found) for found in results] == [int, int, int, ValueError, int, int]


def test_nobody_waits_for_a_job_that_was_given_up() -> None:
    """A client that leaves takes its job with it."""
    workers = Workers(1, 100, 10)
    over, done = threading.Event(), []

    def block(given: list[int]) -> list[int]:
        over.wait()
        return given

    def work(given: list[int]) -> list[int]:
        done.extend(given)
        return given

    async def main() -> None:
        first = asyncio.create_task(workers.do(block, 0))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(workers.do(work, 1))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert workers.waiting == 0
        over.set()
        await first

    asyncio.run(main())
    workers.close()
    assert done == []


def test_all_threads_take_part() -> None:
    workers = Workers(3, 100, 10)
    meet = threading.Barrier(3)

    def work(given: list[int]) -> list[int]:
        meet.wait(timeout=10)
        return given

    assert run(workers, *[(work, number) for number in range(3)]) == [0, 1, 2]
    workers.close()


def test_a_job_is_given_up_when_the_client_has_gone() -> None:
    workers = Workers(1, 100, 60)
    over, begun = threading.Event(), threading.Event()

    def block(given: list[int]) -> list[int]:
        begun.set()
        over.wait()
        return given

    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        gone: list[asyncio.Future[None]] = [loop.create_future() for _ in range(3)]
        jobs = [asyncio.create_task(workers.do(block, number, gone=one)) for number, one in enumerate(gone)]
        await loop.run_in_executor(None, begun.wait)
        assert workers.waiting == 2
        gone[0].set_result(None)  # while it is worked on
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
    """Each gets its own answers, in its own thread."""
    workers = Workers(1, 100, 60)
    both, groups = threading.Barrier(2), []

    def work(given: list[str]) -> list[str]:
        groups.append({one[0] for one in given})
        time.sleep(0.02)
        return [one.upper() for one in given]

    async def main(name: str) -> list[str]:
        both.wait()
        return list(await asyncio.gather(*(workers.do(work, f"{name}{number}", 1) for number in range(20))))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: asyncio.run(main(name)), "ab"))
    workers.close()
    assert found == [[f"{name}{number}" for number in range(20)] for name in "AB"]
    assert all(len(group) == 1 for group in groups)
