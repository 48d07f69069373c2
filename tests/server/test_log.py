"""Failures of the server are logged once each. Mistakes of clients are not: they could fill a disk."""

import asyncio
import logging
import signal
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx
import pytest

from mien.server.lifecycle import LifecycleMiddleware, ServerState
from mien.server.metrics import ServerMetrics

HOST = b"Host: localhost\r\n"
POST = b"POST /v1/predict HTTP/1.1\r\n" + HOST
FORM = b"Content-Type: multipart/form-data; boundary=edge\r\nContent-Length: 1000\r\n\r\n"
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

REQUESTS = {
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "an invalid method": b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "an invalid length": POST + b"Content-Length: x\r\n\r\n",
    "an invalid chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk that is too long": POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
    "a long head": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "a body that is not a form": POST + FORM + b"a" * 1000,
    "a form that ends early": POST + FORM + b"--edge\r\nContent-Disposition: form-data",
    "a form with a damaged header": POST + FORM + b"--edge\r\n\xff\xff: \x00\r\n\r\n",
    "half a body": POST + b"Content-Length: 1000\r\n\r\nabc",
    "an upgrade to HTTP/2": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "an invalid WebSocket key": UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"x") + b"\r\n",
    "a stream at an unknown path": UPGRADE.replace(b"/v1/stream", b"/nothing") + b"\r\n",
    "a stream with a body": UPGRADE.replace(b"GET", b"POST") + b"Content-Length: 3\r\n\r\nabc",
    "half a stream": UPGRADE,
}


def message(kind: int, data: bytes, length: int | None = None) -> bytes:
    """Return a WebSocket message, masked with zeros. `length` is the length that its header announces."""
    size = len(data) if length is None else length
    return bytes([0x80 | kind, 0xFF]) + struct.pack(">Q", size) + bytes(4) + data


TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
MESSAGES = {
    "nothing": b"",
    "text": message(TEXT, b"hello"),
    "text that is not UTF-8": message(TEXT, b"\xff\xfe"),
    "deeply nested JSON": message(TEXT, b"[" * 100_000),
    "a frame that is not an image": message(BINARY, b"nothing"),
    "half a frame": message(BINARY, b"half", 1000),
    "a very long message": message(BINARY, b"", 2**62),
    "an unknown opcode": message(3, b""),
    "a reserved bit": bytes([0xC2, 0x80]) + bytes(4),
    "without a mask": bytes([0x82, 3]) + b"abc",
    "an invalid close": message(CLOSE, b"\x00"),
    "a close reason that is not UTF-8": message(CLOSE, b"\x03\xe8\xff"),
    "many pings": message(PING, b"a") * 500,
}


def send(port: int, data: bytes, accepted: bool) -> None:
    """Send data on three connections: one waits for an answer, one is reset, one closes its sending half."""
    for way in ("wait", "reset", "end"):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            if accepted:
                connection.sendall(UPGRADE + b"\r\n")
                assert connection.recv(1000).startswith(b"HTTP/1.1 101")
            connection.settimeout(0.3)
            with suppress(OSError):
                connection.sendall(data)
                if way == "end":
                    connection.shutdown(socket.SHUT_WR)
                if way != "reset":
                    connection.recv(1000)
            if way == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_client_mistakes_are_not_logged(start_server: Callable[..., Any], photo: bytes) -> None:
    process, url = start_server("--threads", 1)
    port = int(url.rpartition(":")[2])
    whole = POST + b"Content-Length: %d\r\n\r\n" % len(photo) + photo
    heads = [*REQUESTS.values(), whole, whole.replace(b"predict", b"explain", 1)]
    with ThreadPoolExecutor(6) as pool:  # of at most 8 streams
        sent = [pool.submit(send, port, data, accepted=False) for data in heads]
        sent += [pool.submit(send, port, data, accepted=True) for data in (*MESSAGES.values(), message(BINARY, photo))]
    for one in sent:
        one.result()
    assert httpx.get(f"{url}/healthz", timeout=60).status_code == 200
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_failure_of_the_server_is_logged_once(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ArithmeticError("made by this test")

    sent = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def ask() -> None:
        with suppress(ArithmeticError):  # it closes a stream
            await LifecycleMiddleware(broken, ServerState(), ServerMetrics())({"type": kind, "path": "/"}, None, send)  # type: ignore[arg-type]

    with caplog.at_level(logging.DEBUG):
        asyncio.run(ask())
    (record,) = (one for one in caplog.records if one.name.startswith("mien"))
    assert record.exc_info is not None
    assert record.exc_info[0] is ArithmeticError
    assert [message["status"] for message in sent if "status" in message] == ([500] if kind == "http" else [])
