"""What a connection may cost is bounded: parsing, answers that nobody reads, and messages before the key."""

import json
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h11
import numpy as np
import pytest
from polling import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import mien
from mien.server.protocols import MAX_KEY_BYTES, SlicedParser, StreamConnection

KEY = "correct horse battery staple"
HOST = b"Host: localhost\r\n"
POST = b"POST /v1/predict HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def reader(make_bundle: Callable[..., Path]) -> Any:
    return mien.load(make_bundle(maps=True), threads=1, detect=False)


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Any) -> Any:
    return run_server(reader, answer_seconds=0.5, frame_bytes=200_000)


def send_until_closed(wire: socket.socket, data: bytes, most: int) -> int:
    """Send the same bytes again and again; return how many went out before the connection broke."""
    sent = 0
    with suppress(OSError):
        while sent < most:
            wire.sendall(data)
            sent += len(data)
    return sent


def test_the_parser_stops_within_a_slice() -> None:
    parser = SlicedParser()
    parser.receive_data(CHUNKED + b"1\r\nx\r\n" * 100_000)
    found = []
    while parser.next_event() is not h11.NEED_DATA:
        found.append(1)
    assert parser.stopped
    assert len(found) < 50_000
    parser.begin()
    assert isinstance(parser.next_event(), h11.Data)


@pytest.mark.parametrize(
    "piece", [b"1\r\nx\r\n", b"1;" + b"a" * 100 + b"\r\nx\r\n"], ids=["one byte each", "with extensions"]
)
def test_a_body_of_very_small_chunks_is_refused(server: Any, piece: bytes) -> None:
    with server.connect() as wire:
        wire.sendall(CHUNKED)
        assert send_until_closed(wire, piece * 1000, 20_000_000) < 20_000_000
    assert server.get("/healthz").status_code == 200


def test_the_answer_to_very_small_chunks_says_what_to_do(
    server: Any, check_problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.server.ration.MAX_SECONDS", 0.02)  # refused while the system still takes what is sent
    problem = check_problem(server.send_raw(CHUNKED + b"1\r\nx\r\n" * 40_000), "bad_request")
    assert "larger chunks" in problem["detail"]


def test_a_body_in_small_chunks_of_a_slow_client_is_read(server: Any, face: bytes) -> None:
    answer = server.post(content=(bytes([byte]) for byte in face[:500]), headers=PNG)
    assert answer.json()[0]["status"] == "unreadable"


@pytest.mark.parametrize(
    "piece",
    [b"\r\n--edgeX", b"\r\n--edge" + b" " * 5000, b"\r\n--edge\r\n\r\n", b"\r\n--edge\r\nA: b\r\nA: c\r\n\r\n"],
    ids=["nearly boundaries", "padding", "parts", "heads"],
)
def test_a_form_that_takes_long_to_parse_is_refused(server: Any, piece: bytes) -> None:
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    body = head + piece * (5_000_000 // len(piece))
    kind = {"Content-Type": "multipart/form-data; boundary=edge"}
    refused = server.post(content=body, headers=kind)
    assert refused.json()["code"] in ("bad_multipart", "too_many_files")
    assert server.app.state.mien.memory.used == 0


def test_a_head_of_very_many_lines_is_refused(server: Any, check_problem: Any) -> None:
    head = b"GET /healthz HTTP/1.1\r\n" + HOST
    check_problem(server.send_raw(head + b"a:\r\n" * 200 + b"\r\n"), "bad_request")
    check_problem(server.send_raw(head + b"a:\r\n" * 200), "bad_request")
    assert server.send_raw(head + b"a: b\r\n" * 90 + b"\r\n")[0] == 200
    # The lines of a body do not count.
    assert server.post(content=b"\r\n\r\n" * 1000, headers=PNG).status_code == 200


def test_a_query_of_very_many_parameters_is_refused(server: Any, check_problem: Any) -> None:
    problem = check_problem(server.post("/v1/predict?" + "a&" * 2000, content=b"x"), "bad_parameter")
    assert "more than 100" in problem["detail"]


def test_pipelined_requests_are_answered_in_turn(server: Any) -> None:
    with server.connect() as wire:
        wire.sendall((b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n") * 50)
        received = b""
        while received.count(b'{"status":"ok"}') < 50:
            received += wire.recv(65536)
    assert received.count(b"HTTP/1.1 200") == 50


@pytest.fixture(scope="module")
def noise(encode: Callable[..., bytes]) -> bytes:
    """An image whose explanation has some megabytes."""
    return encode(np.random.default_rng(0).integers(0, 256, (1200, 1200, 3), np.uint8), "PNG")


def explained(server: Any, noise: bytes) -> socket.socket:
    """Return a connection whose client never reads the explanation that it asked for."""
    wire = socket.socket()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    wire.settimeout(60)
    wire.connect(("127.0.0.1", server.port))
    wire.sendall(b"POST /v1/explain HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(noise) + noise)
    return wire


def test_an_answer_is_dropped_if_the_client_does_not_read_it(server: Any, noise: bytes) -> None:
    inside = server.app.state.mien
    with explained(server, noise) as wire:
        wait_until(lambda: not server.uvicorn.server_state.connections)
        wait_until(lambda: inside.memory.used == 0)
        received = 0
        with suppress(ConnectionError):
            while chunk := wire.recv(65536):
                received += len(chunk)
        assert received < 3_000_000


def test_large_answers_share_the_memory_of_bodies(
    run_server: Callable[..., Any], reader: Any, noise: bytes, check_problem: Any
) -> None:
    server = run_server(reader, held_bytes=len(noise) + 1_000_000, body_bytes=len(noise))
    inside = server.app.state.mien
    with explained(server, noise) as wire:
        wait_until(lambda: inside.memory.used > 2_000_000 and not inside.workers.waiting)
        wait_until(lambda: any(one.flow.write_paused for one in server.uvicorn.server_state.connections))
        for connection in server.uvicorn.server_state.connections:
            assert connection.transport.get_write_buffer_size() < 300_000
        check_problem(server.post("/v1/explain", content=noise, headers=PNG), "busy")
        status, _, body = server.read(wire)
        assert status == 200
        assert len(body) > 2_000_000
    wait_until(lambda: inside.memory.used == 0)


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
