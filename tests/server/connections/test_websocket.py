"""What a stream may cost is bounded: frames, answers that nobody reads, and messages before the key."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from polling import wait_until
from websockets.exceptions import ConnectionClosed
from wire import HOST, open_websocket, send_until_closed

from mien.server.connections.websocket import MAX_KEY_BYTES, StreamConnection

KEY = "correct horse battery staple"
UPGRADE = (
    b"GET /v1/stream HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(first: int, data: bytes = b"") -> bytes:
    """Return a WebSocket frame masked with zeros."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return bytes([first]) + size + bytes(4) + data


def open_raw(server: Any) -> socket.socket:
    wire: socket.socket = server.connect()
    wire.sendall(UPGRADE)
    assert wire.recv(4096).startswith(b"HTTP/1.1 101")
    return wire


def streams(server: Any) -> list[StreamConnection]:
    return [one for one in list(server.uvicorn.server_state.connections) if isinstance(one, StreamConnection)]


def test_a_client_that_reads_no_pongs_is_cut_off(server: Any) -> None:
    with open_raw(server) as wire:
        most: list[int] = []

        def send_pings() -> bool:
            sent = send_until_closed(wire, frame(0x89, bytes(125)) * 500, 1_000_000)
            most.extend(one.transport.get_write_buffer_size() for one in streams(server))
            return sent < 1_000_000

        wait_until(send_pings)
        assert max(most, default=0) < 500_000
    wait_until(lambda: not streams(server))


def test_very_many_empty_frames_delay_nobody(server: Any, encode: Callable[..., bytes]) -> None:
    image = encode(np.zeros((20, 20, 3), np.uint8), "PNG")
    with open_raw(server) as wire:
        wire.sendall(frame(0x8A) * 50_000 + frame(0x82, image))
        assert server.get("/healthz").status_code == 200
        (stream,) = streams(server)
        assert len(stream._unparsed) < 400_000
        answer = b""
        while not answer.endswith(b"}"):
            answer += wire.recv(65536)
    assert b'"frame":1' in answer


def test_a_message_of_very_many_fragments_ends_the_stream(server: Any) -> None:
    with open_raw(server) as wire:
        wire.sendall(frame(0x02) + frame(0x00) * 1000)
        answer = wire.recv(4096)
    assert answer[0] == 0x88
    assert struct.unpack(">H", answer[2:4]) == (1008,)


def read_close(wire: socket.socket) -> int:
    """Read frames up to a close frame; return its code."""
    while True:
        kind, size = wire.recv(2, socket.MSG_WAITALL)
        if size == 126:
            (size,) = struct.unpack(">H", wire.recv(2, socket.MSG_WAITALL))
        data = wire.recv(size, socket.MSG_WAITALL)
        if kind == 0x88:
            return int(struct.unpack(">H", data[:2])[0])


def test_a_client_that_sends_on_reads_the_close_code(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that nobody reads would make the system reset the connection, and the client lose the close frame."""
    monkeypatch.setattr("mien.server.connections.lingering.DISCARD_SECONDS", 600)
    for size in (5_000_000, 40_000_000):
        with open_raw(server) as wire:
            wire.sendall(b"\x82\xff" + struct.pack(">Q", size) + bytes(4))
            assert send_until_closed(wire, bytes(100_000), size) >= size
            assert read_close(wire) == 1009
    for fault in (b"\x82\x00", b"\xf2\x80" + bytes(4), frame(0x81, b"\xff"), frame(0x02) + frame(0x00) * 1000):
        with open_raw(server) as wire:
            wire.sendall(fault)
            assert send_until_closed(wire, bytes(100_000), 5_000_000) >= 5_000_000
            assert read_close(wire) in (1002, 1007, 1008)
    wait_until(lambda: not streams(server))


def test_a_client_that_never_stops_sending_is_cut_off(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.server.connections.lingering.DISCARD_SECONDS", 0.2)
    with open_raw(server) as wire:
        wire.sendall(b"\x82\x00")
        wait_until(lambda: send_until_closed(wire, bytes(1000), 1_000_000) < 1_000_000)
    wait_until(lambda: not streams(server))


@pytest.mark.parametrize("fault", [b"\x82\x00", frame(0x02) + frame(0x00) * 1000, frame(0x88, b"\x03\xe8")])
def test_a_stream_that_its_connection_closed_ends_quietly(
    run_server: Callable[..., Any], reader: Any, block_workers: Any, encode: Callable[..., bytes],
    caplog: pytest.LogCaptureFixture, fault: bytes,
) -> None:  # fmt: skip
    """A frame is in work when the client breaks the rules, and nobody receives: its answer has nowhere to go."""
    server = run_server(reader, frames_per_second=0.01)  # the next message is received after 25 seconds
    inside = server.app.state.mien
    with open_raw(server) as wire:
        with block_workers(server, 2):
            wire.sendall(frame(0x82, encode(np.zeros((20, 20, 3), np.uint8), "PNG")))
            wait_until(lambda: inside.workers.waiting == 1)
            wire.sendall(fault)
            wait_until(lambda: all(one.close_sent or one.transport.is_closing() for one in streams(server)))
        wait_until(lambda: inside.metrics.registry.get_sample_value("mien_streams") == 0)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("behind", "code"), [(b"\x82\x00", 1002), (frame(0x88, b"\x03\xe8"), 1000), (frame(0x81, b"hello"), 1008)]
)
def test_frames_wait_until_the_stream_is_accepted(
    server: Any, monkeypatch: pytest.MonkeyPatch, behind: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    application = server.uvicorn.config.loaded_app

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while not streams(server)[0]._unparsed:
            await asyncio.sleep(0.01)
        await application(scope, receive, send)

    monkeypatch.setattr(server.uvicorn.config, "loaded_app", slow)
    with server.connect() as wire:
        wire.sendall(UPGRADE)
        wait_until(lambda: len(streams(server)) == 1)
        wire.sendall(behind)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += wire.recv(1)
        assert head.startswith(b"HTTP/1.1 101")
        assert read_close(wire) == code
    wait_until(lambda: not streams(server))
    assert caplog.records == []


@pytest.mark.parametrize("query", [b"", b"?faces=some"])
def test_a_client_that_leaves_before_the_stream_is_accepted_is_forgotten(
    server: Any, monkeypatch: pytest.MonkeyPatch, query: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    application, ended = server.uvicorn.config.loaded_app, threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        while streams(server):
            await asyncio.sleep(0.01)
        try:
            await application(scope, receive, send)
        finally:
            ended.set()

    monkeypatch.setattr(server.uvicorn.config, "loaded_app", slow)
    with server.connect() as wire:
        wire.sendall(UPGRADE.replace(b"/v1/stream", b"/v1/stream" + query))
        wait_until(lambda: len(streams(server)) == 1)
    wait_until(ended.is_set)
    assert caplog.records == []


def test_messages_wait_in_the_socket_while_the_application_is_busy(server: Any) -> None:
    with open_raw(server) as wire:
        send_until_closed(wire, frame(0x82) * 5000, 300_000)
        for stream in streams(server):
            assert stream.queue.qsize() < 400
    wait_until(lambda: not streams(server))


def test_only_a_short_message_is_received_before_the_key(run_server: Callable[..., Any], reader: Any) -> None:
    server = run_server(reader, key=KEY)
    address = f"ws://127.0.0.1:{server.port}/v1/stream"
    with open_websocket(address) as stream, pytest.raises(ConnectionClosed):
        stream.send(bytes(MAX_KEY_BYTES + 1))
        stream.recv(timeout=60)
    with open_websocket(address) as stream:
        stream.send(json.dumps({"key": KEY}))
        stream.send(bytes(2 * MAX_KEY_BYTES))
        assert json.loads(stream.recv(timeout=60))["row"]["status"] == "unreadable"
