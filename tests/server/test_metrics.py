"""Every problem document is counted once, whichever part of the server sent it."""

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin
from wire import open_websocket

import mien

KEY = "correct-horse-battery-staple"
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], brightness_bundle: Path) -> Any:
    reader = mien.load(brightness_bundle, threads=1, detect=False)
    return run_server(reader, key=KEY, connections=20)


def refused(server: Any) -> dict[str, int]:
    """Return the number of problems per code."""
    text = server.get("/metrics", headers={"X-API-Key": KEY}).text
    return {code: int(float(count)) for code, count in re.findall(r'mien_refused_total\{code="(\w+)"\} (\S+)', text)}


def wait_for_no_connections(server: Any) -> None:
    """Wait until all connections are closed."""
    while server.uvicorn.server_state.connections:
        time.sleep(0.01)


def open_too_many_connections(server: Any) -> None:
    wait_for_no_connections(server)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(server.connect())
        assert server.send_raw(b"")[0] == 503
    wait_for_no_connections(server)


def stream_of_another_page(server: Any) -> None:
    with pytest.raises(InvalidStatus):
        open_websocket(f"ws://127.0.0.1:{server.port}/v1/stream", origin=Origin(EVIL))


def stream_with_a_wrong_key(server: Any) -> None:
    with open_websocket(f"ws://127.0.0.1:{server.port}/v1/stream") as stream:
        stream.send('{"key": "wrong"}')
        stream.recv(timeout=60)


INVALID_CHUNK = (
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\nZZZ\r\n" % KEY.encode()
)
WAYS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "host": ("forbidden_host", lambda server: server.post(content=b"x", headers={"Host": "evil.example"})),
    "origin": ("forbidden_origin", lambda server: server.post(content=b"x", headers={"Origin": EVIL})),
    "stream of another page": ("forbidden_origin", stream_of_another_page),
    "no key": ("unauthorized", lambda server: server.post(content=b"x")),
    "wrong key": ("unauthorized", lambda server: server.get("/v1/models", headers={"X-API-Key": KEY + "x"})),
    "stream with a wrong key": ("unauthorized", stream_with_a_wrong_key),
    "invalid HTTP": ("bad_request", lambda server: server.send_raw(b"\x16\x03\x01\r\n\r\n")),
    "invalid chunk": ("bad_request", lambda server: server.send_raw(INVALID_CHUNK)),
    "too many connections": ("busy", open_too_many_connections),
    "unknown address": ("not_found", lambda server: server.get("/nothing", headers={"X-API-Key": KEY})),
    "wrong method": ("method_not_allowed", lambda server: server.post("/v1/models", headers={"X-API-Key": KEY})),
    "no body": ("no_file", lambda server: server.post(headers={"X-API-Key": KEY})),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_problem_is_counted_once(server: Any, way: str) -> None:
    code, ask = WAYS[way]
    before = refused(server)
    ask(server)
    assert refused(server) == before | {code: before.get(code, 0) + 1}


def test_requests_refused_by_security_count_for_no_route(server: Any) -> None:
    server.post(content=b"x")
    server.post(content=b"x", headers={"Host": "evil.example"})
    text = server.get("/metrics", headers={"X-API-Key": KEY}).text
    assert 'status="401"' not in text
    assert 'status="403"' not in text
