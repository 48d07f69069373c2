"""`mien serve` as a process: it finishes its requests when it is stopped."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect


def test_every_accepted_request_is_answered(start_server: Any, photo: bytes) -> None:
    process, url = start_server("--threads", 1)
    answers: list[tuple[float, float, int | None]] = []
    over = threading.Event()

    def client() -> None:
        with httpx.Client(timeout=60, verify=False) as session:
            while not over.is_set():
                begin = time.monotonic()
                try:
                    status = session.post(
                        f"{url}/v1/predict", content=photo, headers={"Content-Type": "image/jpeg"}
                    ).status_code
                except httpx.TransportError:
                    status = None
                answers.append((begin, time.monotonic(), status))
                if status is None:
                    return

    threads = [threading.Thread(target=client) for _ in range(16)]
    for thread in threads:
        thread.start()
    while sum(status == 200 for *_, status in list(answers)) < 10:
        time.sleep(0.01)
    told = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    over.set()
    for thread in threads:
        thread.join()
    asked_before = [status for begin, _, status in answers if begin < told]
    assert set(asked_before) <= {200, 503}
    finished_after = [status for begin, end, status in answers if begin < told < end]
    assert finished_after.count(200) >= 8  # of sixteen in progress
    assert {status for begin, _, status in answers if begin >= told} <= {503, None}
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_during_shutdown_it_is_not_ready_and_refuses_new_requests(start_server: Any, photo: bytes) -> None:
    """It waits for a client in the middle of an upload. New requests get a problem document."""
    process, url = start_server("--threads", 1)
    port = int(url.rpartition(":")[2])
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port)) as slow, connect(f"ws://127.0.0.1:{port}/v1/stream") as stream:
        stream.send(photo)
        stream.recv(timeout=60)
        slow.sendall(head + photo[:1000])
        while "mien_held_bytes 1000.0" not in httpx.get(f"{url}/metrics", verify=False).text:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert '"code":"shutting_down"' in str(stream.recv(timeout=60))
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=60)
        assert stream.close_code == 1013
        for answer in (
            httpx.get(f"{url}/readyz", verify=False),
            httpx.post(f"{url}/v1/predict", content=photo, verify=False),
            httpx.get(f"{url}/v1/models", verify=False),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
            assert answer.headers["retry-after"]
        assert httpx.get(f"{url}/healthz", verify=False).status_code == 200
        slow.sendall(photo[1000:])
        slow.settimeout(60)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
    assert process.wait(timeout=60) == 0


def test_ctrl_c_stops_it_with_status_0(start_server: Any) -> None:
    process, url = start_server()
    assert httpx.get(f"{url}/healthz", verify=False).status_code == 200
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert process.communicate()[1] == "mien: stopped\n"


@contextmanager
def hangup(handling: signal.Handlers) -> Iterator[None]:
    """Let what is started inside inherit a handling of SIGHUP, whatever the tests themselves run under."""
    before = signal.signal(signal.SIGHUP, handling)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a terminal of POSIX")
def test_a_closed_terminal_stops_it_gracefully(start_server: Any, photo: bytes) -> None:
    """The shell and the system both send SIGHUP; an upload in progress is still answered."""
    with hangup(signal.SIG_DFL):
        process, url = start_server()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as slow:
        slow.sendall(head + photo[:1000])
        while "mien_held_bytes 1000.0" not in httpx.get(f"{url}/metrics", verify=False).text:
            time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        while httpx.get(f"{url}/readyz", verify=False).status_code == 200:
            time.sleep(0.05)
        process.send_signal(signal.SIGHUP)
        slow.sendall(photo[1000:])
        slow.settimeout(60)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
    assert process.wait(timeout=60) == 0
    assert process.communicate()[1] == ""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a terminal of POSIX")
def test_under_nohup_it_goes_on(start_server: Any) -> None:
    with hangup(signal.SIG_IGN):  # as nohup leaves it to what it starts
        process, url = start_server()
    process.send_signal(signal.SIGHUP)
    assert httpx.get(f"{url}/healthz", verify=False).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_a_second_ctrl_c_stops_it_at_once(start_server: Any, photo: bytes) -> None:
    process, url = start_server()
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as slow:
        slow.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n" + photo[:10])
        while "mien_held_bytes 10.0" not in httpx.get(f"{url}/metrics", verify=False).text:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        while httpx.get(f"{url}/readyz", verify=False).status_code == 200:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert process.communicate()[1] == "mien: interrupted\n"


def test_several_models_are_served_by_name(start_server: Any, make_bundle: Callable[..., Path], face: bytes) -> None:
    _, url = start_server("--model", f"mine={make_bundle()}", "--model", "mien", "--threads", 1)
    assert [model["name"] for model in httpx.get(f"{url}/v1/models", verify=False).json()["models"]] == ["mine", "mien"]
    paths = ("/v1/predict?detect=false", "/v1/predict?detect=false&model=mien")
    rows = [httpx.post(f"{url}{path}", content=face, verify=False).json()[0] for path in paths]
    assert [row["model"] for row in rows] == ["linear", "mien"]
