"""Fixtures: servers on this machine, and images to send to them."""

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

import mien
from mien.inference.reader import Reader
from mien.server import Limits, create_app
from mien.server.runner import build_server, listen
from mien.server.workers import WorkerPool

#: Limits of time for a machine that may stop for half a minute. A test of one of these limits sets it.
PATIENT = dict.fromkeys(("answer_seconds", "body_seconds", "header_seconds", "idle_seconds", "seconds"), 600.0)


@dataclass
class RunningServer:
    """A server in a thread. `verify=False` saves loading certificates that nothing here needs."""

    port: int
    app: Any
    uvicorn: Any

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str = "/v1/predict", **options: Any) -> httpx.Response:
        return httpx.post(self.url + path, **({"timeout": 60, "verify": False} | options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, **({"timeout": 60, "verify": False} | options))

    def connect(self) -> socket.socket:
        found = socket.create_connection(("127.0.0.1", self.port))
        found.settimeout(60)
        return found

    def send_raw(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes on a new connection and return the answer as (status, headers, body)."""
        with self.connect() as connection:
            with suppress(ConnectionError):  # the server may answer and close before it has read all
                connection.sendall(data)
            return read_answer(connection)

    def read(self, connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
        return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (lower case) and body of an answer; status 0 if the connection closed without one."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return 0, {}, data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        chunk = connection.recv(65536)
        if not chunk:
            break
        body += chunk
    return int(lines[0].split()[1]), headers, body


@pytest.fixture(scope="module")
def run_server() -> Iterator[Callable[..., RunningServer]]:
    """Return a function that starts a server; its keywords are those of `Limits`, `create_app` and
    `build_server`."""
    running = []

    def start(readers: Any, **options: Any) -> RunningServer:
        limits = PATIENT | {name: options.pop(name) for name in list(options) if name in Limits.__dataclass_fields__}
        root_path = options.pop("root_path", "")
        app = create_app(readers, Limits(**limits), **({"threads": 2} | options))
        listening = listen("127.0.0.1", 0)
        server = build_server(app, Limits(**limits), root_path)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        running.append((server, thread))
        return RunningServer(listening.getsockname()[1], app, server)

    yield start
    for server, _ in running:
        server.stop()
    for _, thread in running:
        thread.join()


@pytest.fixture(scope="session")
def reader() -> Reader:
    """The shipped model."""
    return mien.load(threads=1)


def encoded(pixels: Any, kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels)).save(stream, kind)
    return stream.getvalue()


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Return a function that encodes pixels, uint8 (H, W, 3), as JPEG or another format."""
    return encoded


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A smiling astronaut, 512x512, JPEG."""
    return encoded(skimage.data.astronaut())  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def face() -> bytes:
    """The face of `photo`, 48x48, grey, PNG."""
    pixels = skimage.data.astronaut()[30:230, 120:320]  # type: ignore[no-untyped-call]
    return encoded(Image.fromarray(pixels).convert("L").resize((48, 48)), "PNG")


@pytest.fixture(scope="session")
def check_problem() -> Callable[[Any, str], dict[str, Any]]:
    """Return a function that checks that an answer is a problem document with a code, and returns the document."""

    def check(answer: Any, code: str) -> dict[str, Any]:
        status, headers, body = (
            answer if isinstance(answer, tuple) else (answer.status_code, answer.headers, answer.content)
        )
        found: dict[str, Any] = json.loads(body)
        assert (found["code"], found["status"]) == (code, status)
        assert headers["content-type"] == "application/problem+json"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert found["type"].endswith(code)
        assert found["title"] and found["detail"] and "\n" not in found["detail"]
        assert ("retry-after" in headers) == (status == 503)
        return found

    return check


@contextmanager
def _block_workers(server: Any, threads: int = 1) -> Iterator[None]:
    """Keep all worker threads of a server busy until the end of the block."""
    workers: WorkerPool = server.app.state.mien.workers
    over, begun = threading.Event(), threading.Barrier(threads + 1)

    def work(given: list[None]) -> list[None]:
        begun.wait()
        over.wait()
        return given

    # However short the limit of the server: these jobs wait for their threads, and no thread of theirs is abandoned.
    limit, workers._seconds = workers._seconds, 600
    jobs = [
        asyncio.run_coroutine_threadsafe(workers.run(work, None, even_if_full=True), server.uvicorn._loop)
        for _ in range(threads)
    ]
    begun.wait()
    for worker in workers._quick.workers:
        worker.begun = None
    workers._seconds = limit
    try:
        yield
    finally:
        over.set()
        for job in jobs:
            job.exception()


@pytest.fixture(scope="session")
def block_workers() -> Callable[..., AbstractContextManager[None]]:
    """Return a context manager of (server, number of its threads) that keeps all its threads for quick work busy."""
    return _block_workers
