"""`mien serve` as a process: it finishes its requests when it is stopped."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from polling import wait_until
from websockets.exceptions import ConnectionClosed
from wire import open_websocket


def ask(url: str, **options: Any) -> httpx.Response:
    return httpx.request(options.pop("method", "GET"), url, **({"timeout": 60, "verify": False} | options))


@contextmanager
def uploads(url: str, count: int, body: bytes, begin: int) -> Iterator[list[socket.socket]]:
    """Open connections to a server that has received the first bytes of a body from each of them."""
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with ExitStack() as stack:
        port = int(url.rpartition(":")[2])
        found = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(count)]
        for one in found:
            one.settimeout(60)
            one.sendall(head + body[:begin])
        wait_until(lambda: f"mien_held_bytes {float(count * begin)}" in ask(f"{url}/metrics").text)
        yield found


def test_every_accepted_request_is_answered(start_server: Any, photo: bytes) -> None:
    """Sixteen clients are in the middle of an upload when it is told to stop."""
    process, url = start_server("--threads", 1)
    with uploads(url, 16, photo, 1000) as clients:
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(f"{url}/readyz").status_code == 503)
        for one in clients:
            one.sendall(photo[1000:])
        assert [one.recv(65536)[:12] for one in clients] == [b"HTTP/1.1 200"] * 16
    assert process.wait(timeout=60) == 0
    assert process.communicate() == ("", "")


def test_during_shutdown_it_is_not_ready_and_refuses_new_requests(start_server: Any, photo: bytes) -> None:
    """It waits for a client in the middle of an upload. New requests get a problem document."""
    process, url = start_server("--threads", 1)
    address = url.replace("http", "ws", 1) + "/v1/stream"
    with open_websocket(address) as stream, uploads(url, 1, photo, 1000) as (slow,):
        stream.send(photo)
        stream.recv(timeout=60)
        process.send_signal(signal.SIGTERM)
        assert '"code":"shutting_down"' in str(stream.recv(timeout=60))
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=60)
        assert stream.close_code == 1013
        for answer in (
            ask(f"{url}/readyz"),
            ask(f"{url}/v1/predict", method="POST", content=photo),
            ask(f"{url}/v1/models"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
            assert answer.headers["retry-after"]
        assert ask(f"{url}/healthz").status_code == 200
        slow.sendall(photo[1000:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
    assert process.wait(timeout=60) == 0


def test_ctrl_c_stops_it_with_status_0(start_server: Any) -> None:
    process, url = start_server()
    assert ask(f"{url}/healthz").status_code == 200
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
    with uploads(url, 1, photo, 1000) as (slow,):
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: ask(f"{url}/readyz").status_code == 503)
        process.send_signal(signal.SIGHUP)
        slow.sendall(photo[1000:])
        assert slow.recv(65536).startswith(b"HTTP/1.1 200")
    assert process.wait(timeout=60) == 0
    assert process.communicate()[1] == ""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a terminal of POSIX")
def test_under_nohup_it_goes_on(start_server: Any) -> None:
    with hangup(signal.SIG_IGN):  # as nohup leaves it to what it starts
        process, url = start_server()
    process.send_signal(signal.SIGHUP)
    assert ask(f"{url}/healthz").status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


def test_a_second_ctrl_c_stops_it_at_once(start_server: Any, photo: bytes) -> None:
    process, url = start_server()
    with uploads(url, 1, photo, 10):
        process.send_signal(signal.SIGINT)
        wait_until(lambda: ask(f"{url}/readyz").status_code == 503)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert process.communicate()[1] == "mien: interrupted\n"


def test_several_models_are_served_by_name(start_server: Any, make_bundle: Callable[..., Path], face: bytes) -> None:
    _, url = start_server("--model", f"mine={make_bundle()}", "--model", "mien", "--threads", 1)
    assert [model["name"] for model in ask(f"{url}/v1/models").json()["models"]] == ["mine", "mien"]
    paths = ("/v1/predict?detect=false", "/v1/predict?detect=false&model=mien")
    rows = [ask(f"{url}{path}", method="POST", content=face).json()[0] for path in paths]
    assert [row["model"] for row in rows] == ["linear", "mien"]
