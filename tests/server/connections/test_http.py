"""What an HTTP connection may cost is bounded: parsing, and answers that nobody reads."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import h11
import numpy as np
import pytest
from polling import wait_until
from starlette.responses import StreamingResponse
from wire import HOST, send_until_closed

from mien.server.connections.http import _PIPELINED_SECONDS, SlicedParser
from mien.server.connections.ration import UNWANTED_SECONDS

POST = b"POST /v1/predict HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PNG = {"Content-Type": "image/png"}


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


#: Requests that are answered before their bodies have come, what is sent on, and the code of the answer.
EARLY = {
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n" * 1000, "bad_request"),
    "with extensions": (CHUNKED, (b"1;" + b"a" * 20 + b"\r\nx\r\n") * 1000, "bad_request"),
    "no chunks": (CHUNKED + b"none\r\n", bytes(100_000), "bad_request"),
    "no HTTP": (b"none\r\n\r\n", bytes(100_000), "bad_request"),
    "too large": (POST + b"Connection: close\r\nContent-Length: 40000000\r\n\r\n", bytes(100_000), "too_large"),
    "of another kind": (
        POST + b"Connection: close\r\nContent-Type: a/b\r\nContent-Length: 30000000\r\n\r\n", bytes(100_000),
        "unsupported_media_type",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("head", "piece", "code"), EARLY.values(), ids=EARLY)
def test_a_client_that_sends_on_reads_the_answer(
    server: Any, check_problem: Any, monkeypatch: pytest.MonkeyPatch, head: bytes, piece: bytes, code: str
) -> None:
    """Data that nobody reads would make the system reset the connection, and the client lose the answer."""
    monkeypatch.setattr("mien.server.connections.lingering.DISCARD_SECONDS", 600)
    with server.connect() as wire:
        wire.sendall(head)
        assert send_until_closed(wire, piece, 20_000_000) >= 20_000_000
        problem = check_problem(server.read(wire), code)
        assert wire.recv(1) == b"", "the server has ended it"
        inside = server.app.state.mien
        wait_until(lambda: inside.memory.used == 0 and not inside.state.active)
    if "chunked" in head.decode() and piece[:1] == b"1":
        assert "larger chunks" in problem["detail"]
    assert server.get("/healthz").status_code == 200
    wait_until(lambda: not server.uvicorn.server_state.connections)


@pytest.mark.parametrize(("limit", "value"), [("SECONDS", 0.2), ("BYTES", 100_000)])
def test_a_client_that_never_stops_sending_is_cut_off(
    server: Any, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr("mien.server.connections.lingering.DISCARD_SECONDS", 600)
    monkeypatch.setattr(f"mien.server.connections.lingering.DISCARD_{limit}", value)
    with server.connect() as wire:
        wire.sendall(EARLY["too large"][0])
        wait_until(lambda: send_until_closed(wire, bytes(1000), 1_000_000) < 1_000_000)
    wait_until(lambda: not server.uvicorn.server_state.connections)


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


def test_an_answer_comes_at_once(server: Any) -> None:
    with server.connect() as wire:
        for method, body in ((b"GET", b'{"status":"ok"}'), (b"HEAD", b"")):
            wire.sendall(method + b" /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            answer = wire.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b"\r\n\r\n" + body)


def test_a_client_may_wait_until_its_body_is_wanted(server: Any, face: bytes) -> None:
    head = POST + b"Content-Type: image/png\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(face)
    with server.connect() as wire:
        for _ in range(2):
            wire.sendall(head)
            assert wire.recv(65536).startswith(b"HTTP/1.1 100")
            wire.sendall(face[:100])
            wire.sendall(face[100:])
            assert server.read(wire)[0] == 200


def test_an_answer_that_fails_half_way_ends_the_connection(server: Any) -> None:
    async def broken() -> AsyncIterator[bytes]:
        for piece in server.pieces:
            yield piece
        raise OSError("the disk is gone")

    async def show(_: Any) -> StreamingResponse:
        return StreamingResponse(broken())

    server.app.add_route("/broken", show)
    for server.pieces in ([], [b"half"]):
        with server.connect() as wire:
            wire.sendall(b"GET /broken HTTP/1.1\r\n" + HOST + b"\r\n")
            received = b"".join(iter(lambda: wire.recv(65536), b""))
        assert received.startswith(b"HTTP/1.1 200")
        assert received.endswith(b"half\r\n" if server.pieces else b"\r\n\r\n")
    assert server.get("/healthz").status_code == 200


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


def note_charges(server: Any, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[float]:
    """Return a list that gets an entry each time just so many seconds are charged, and end all waiting."""
    charged: list[float] = []

    def delay(spent: float) -> float:
        if spent == seconds:  # not the time of a parser that a collection of garbage held up
            charged.append(spent)
        return 0.0

    monkeypatch.setattr(server.app.state.mien.ration, "delay", delay)
    return charged


def test_what_a_refused_client_sends_on_is_rationed(server: Any, face: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    charged = note_charges(server, monkeypatch, UNWANTED_SECONDS)
    assert server.post(content=face, headers=PNG).status_code == 200
    assert server.post(content=bytes(3_000_000), headers=PNG).status_code == 200, "a row with an error"
    assert charged == []
    head = POST + b"Content-Type: a/b\r\nContent-Length: 3000000\r\n\r\n"
    with server.connect() as wire:
        for _ in range(2):
            charged.clear()
            wire.sendall(head)
            assert server.read(wire)[0] == 415
            wire.sendall(bytes(3_000_000))
            wire.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            assert server.read(wire)[0] == 200, "the connection goes on"
            assert charged
    charged.clear()
    with server.connect() as wire:
        wire.sendall(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert send_until_closed(wire, bytes(100_000), 3_000_000) >= 3_000_000
        assert server.read(wire)[0] == 415
        wait_until(lambda: len(charged) > 0)  # the answer is written before what follows is read


def test_only_requests_that_do_not_wait_for_answers_are_rationed(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One client that pipelines could keep the event loop busy: its requests get a share of the time."""
    charged = note_charges(server, monkeypatch, _PIPELINED_SECONDS)
    one = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    with server.connect() as wire:
        for _ in range(20):
            wire.sendall(one)
            assert server.read(wire)[0] == 200
        assert charged == []
        wire.sendall(20 * one)
        received = b""
        while received.count(b'{"status":"ok"}') < 20:
            received += wire.recv(65536)
    assert len(charged) == 19


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
        wait_until(lambda: any(one.flow.write_paused for one in list(server.uvicorn.server_state.connections)))
        for connection in list(server.uvicorn.server_state.connections):
            assert connection.transport.get_write_buffer_size() < 300_000
        check_problem(server.post("/v1/explain", content=noise, headers=PNG), "busy")
        status, _, body = server.read(wire)
        assert status == 200
        assert len(body) > 2_000_000
    wait_until(lambda: inside.memory.used == 0)
