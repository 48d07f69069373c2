"""What a stream may cost is bounded: frames, answers that nobody reads, and messages before the key."""

import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from polling import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from wire import HOST, send_until_closed

from mien.server.connections.websocket import MAX_KEY_BYTES, StreamConnection

KEY = "correct horse battery staple"


def frame(first: int, data: bytes = b"") -> bytes:
    """Return a WebSocket frame masked with zeros."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return bytes([first]) + size + bytes(4) + data


def open_raw(server: Any) -> socket.socket:
    wire: socket.socket = server.connect()
    wire.sendall(
        b"GET /v1/stream HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert wire.recv(4096).startswith(b"HTTP/1.1 101")
    return wire


def streams(server: Any) -> list[StreamConnection]:
    return [one for one in server.uvicorn.server_state.connections if isinstance(one, StreamConnection)]


def test_a_client_that_reads_no_pongs_is_cut_off(server: Any) -> None:
    with open_raw(server) as wire:
        most: list[int] = []

        def send_pings() -> bool:
            sent = send_until_closed(wire, frame(0x89, bytes(125)) * 500, 1_000_000)
            most.extend(one.transport.get_write_buffer_size() for one in streams(server))
            return sent < 1_000_000

        wait_until(send_pings)
        assert max(most) < 500_000
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


def test_messages_wait_in_the_socket_while_the_application_is_busy(server: Any) -> None:
    with open_raw(server) as wire:
        send_until_closed(wire, frame(0x82) * 5000, 300_000)
        for stream in streams(server):
            assert stream.queue.qsize() < 400
    wait_until(lambda: not streams(server))


def test_only_a_short_message_is_received_before_the_key(run_server: Callable[..., Any], reader: Any) -> None:
    server = run_server(reader, key=KEY)
    address = f"ws://127.0.0.1:{server.port}/v1/stream"
    with connect(address, close_timeout=10) as stream, pytest.raises(ConnectionClosed):
        stream.send(bytes(MAX_KEY_BYTES + 1))
        stream.recv(timeout=60)
    with connect(address) as stream:
        stream.send(json.dumps({"key": KEY}))
        stream.send(bytes(2 * MAX_KEY_BYTES))
        assert json.loads(stream.recv(timeout=60))["row"]["status"] == "unreadable"
