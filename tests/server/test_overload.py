"""More requests than the server can handle: those it accepted are answered, the others get 503."""

import gc
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from polling import wait_until

import mien
from mien.server.uploads import Upload

RAW = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def reader(brightness_bundle: Path) -> Any:
    return mien.load(brightness_bundle, threads=1, detect=False)


def test_a_full_queue_refuses_and_waiting_requests_are_answered(
    run_server: Callable[..., Any], reader: Any, face: bytes, check_problem: Any, block_workers: Any
) -> None:
    server = run_server(reader, threads=1, waiting=3)
    with ThreadPoolExecutor(3) as pool:
        with block_workers(server):
            waiting = [pool.submit(server.post, content=face, headers=RAW) for _ in range(3)]
            wait_until(lambda: server.app.state.mien.workers.waiting == 3)
            for _ in range(5):
                refused = server.post(content=face, headers=RAW)
                check_problem(refused, "busy")
                assert int(refused.headers["retry-after"]) >= 1
            assert server.post("/v1/explain", content=face, headers=RAW).status_code == 200  # it has its own threads
            check_problem(server.get("/readyz"), "busy")
            assert server.get("/healthz").status_code == 200
        assert [one.result().status_code for one in waiting] == [200] * 3
    assert server.get("/readyz").status_code == 200


def test_a_request_that_takes_too_long_is_answered_504(
    run_server: Callable[..., Any], reader: Any, face: bytes, check_problem: Any, block_workers: Any
) -> None:
    server = run_server(reader, threads=1, seconds=0.3)
    with block_workers(server):
        check_problem(server.post(content=face, headers=RAW), "timeout")
        assert server.app.state.mien.workers.waiting == 0
    server.app.state.mien.workers._seconds = 600  # the next one may take its time
    assert server.post(content=face, headers=RAW).status_code == 200


def test_the_memory_of_all_bodies_is_bounded(
    run_server: Callable[..., Any], reader: Any, check_problem: Any, block_workers: Any
) -> None:
    server = run_server(reader, threads=1, held_bytes=100_000)
    body = bytes(60_000)
    with ThreadPoolExecutor(1) as pool:
        with block_workers(server):
            first = pool.submit(server.post, content=body, headers=RAW)
            wait_until(lambda: server.app.state.mien.workers.waiting == 1)
            check_problem(server.post(content=body, headers=RAW), "busy")
            check_problem(server.post(files={"file": ("a.png", body)}), "busy")
        assert first.result().status_code == 200
    assert server.app.state.mien.memory.used == 0
    assert server.post(content=body, headers=RAW).status_code == 200


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/explain", "/v1/explain?label=none"])
@pytest.mark.parametrize("is_image", [True, False])
def test_a_body_is_freed_with_its_request(
    run_server: Callable[..., Any], reader: Any, face: bytes, path: str, is_image: bool
) -> None:
    """At once, not at the next garbage collection, which may be many large bodies later."""
    server = run_server(reader, threads=1)
    gc.collect()
    gc.disable()
    try:
        server.post(path, content=face if is_image else bytes(5000), headers=RAW)
        server.get("/healthz")
        wait_until(lambda: server.app.state.mien.memory.used == 0)
        wait_until(lambda: not any(isinstance(found, Upload) for found in gc.get_objects()))
    finally:
        gc.enable()


def test_a_client_that_leaves_takes_its_request_with_it(
    run_server: Callable[..., Any], reader: Any, face: bytes, block_workers: Any
) -> None:
    server = run_server(reader, threads=1)
    inside = server.app.state.mien
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(face)}\r\n\r\n".encode()
    with block_workers(server):
        with server.connect() as impatient:
            impatient.sendall(head + face)
            wait_until(lambda: inside.workers.waiting == 1)
        wait_until(lambda: inside.workers.waiting == 0)
        wait_until(lambda: inside.memory.used == 0)


def test_connections_are_bounded(run_server: Callable[..., Any], reader: Any, check_problem: Any) -> None:
    server = run_server(reader, connections=5)
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(server.connect())
        wait_until(lambda: len(server.uvicorn.server_state.connections) == 5)
        check_problem(server.send_raw(b""), "busy")
    wait_until(lambda: not server.uvicorn.server_state.connections)
    assert server.get("/healthz").status_code == 200


def test_ten_times_the_load_gives_only_200_and_503(
    run_server: Callable[..., Any], reader: Any, face: bytes, block_workers: Any
) -> None:
    server = run_server(reader, threads=1, waiting=4)
    over = threading.Event()
    codes: list[int] = []

    def client() -> None:
        with httpx.Client(timeout=60, verify=False) as session:
            while not over.is_set():
                codes.append(session.post(server.url + "/v1/predict", content=face, headers=RAW).status_code)

    with ThreadPoolExecutor(40) as pool:
        clients = [pool.submit(client) for _ in range(40)]
        with block_workers(server):
            wait_until(lambda: codes.count(503) > 100, 600)
        wait_until(lambda: codes.count(200) > 20, 600)
        over.set()
        for one in clients:
            one.result()
    assert set(codes) == {200, 503}
    assert server.post(content=face, headers=RAW).status_code == 200


def test_the_body_of_a_refused_request_is_not_kept_with_its_connection(
    run_server: Callable[..., Any], reader: Any, face: bytes, check_problem: Any, block_workers: Any
) -> None:
    """Otherwise hundreds of idle clients would keep as many images in memory."""
    server = run_server(reader, threads=1, waiting=1)
    body = bytes(50_000)
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with ThreadPoolExecutor(1) as pool, server.connect() as refused:
        with block_workers(server):
            waits = pool.submit(server.post, content=face, headers=RAW)
            wait_until(lambda: server.app.state.mien.workers.waiting == 1)
            refused.sendall(head + body)
            check_problem(server.read(refused), "busy")
            wait_until(lambda: not any(one.cycle.body for one in list(server.uvicorn.server_state.connections)))
        assert waits.result().status_code == 200
        refused.sendall(head + body)
        assert server.read(refused)[0] == 200


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_stays_bounded_under_ten_times_the_load(
    start_server: Callable[..., Any], brightness_bundle: Path, encode: Callable[..., bytes]
) -> None:
    """20 clients send images of 1 MiB again and again; one is answered and one may wait."""
    process, address = start_server("--model", brightness_bundle, "--threads", 1, "--max-waiting", 1)
    pixels = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    image = encode(pixels, "PNG")

    def resident() -> float:
        """Return the resident memory in MiB."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert found
        return int(found[1]) / 1024

    codes: list[int] = []
    over = threading.Event()

    def client() -> None:
        with httpx.Client(timeout=60, verify=False) as session:
            while not over.is_set():
                codes.append(session.post(f"{address}/v1/predict", content=image, headers=RAW).status_code)

    for _ in range(5):
        assert (
            httpx.post(f"{address}/v1/predict", content=image, headers=RAW, timeout=60, verify=False).status_code == 200
        )
    before, most = resident(), 0.0
    with ThreadPoolExecutor(20) as pool:
        clients = [pool.submit(client) for _ in range(20)]
        try:
            while codes.count(503) < 100 or codes.count(200) < 10:
                most = max(most, resident())
                assert not any(one.done() for one in clients)
                time.sleep(0.01)
        finally:
            over.set()
        for one in clients:
            one.result()
    assert set(codes) == {200, 503}
    # Every client may have one body in memory, and each connection a quarter of a MiB of unread data. The C library
    # may keep as much again: 51 MiB. The 100 refused bodies are 103 MiB.
    assert most - before < 2 * 20 * (len(image) / 2**20 + 0.25)
