"""Streams: the latest frame wins, faces keep their person, and errors end with a problem and a close code."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from polling import wait_until
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection
from wire import open_websocket

import mien
from mien.server.models import Models
from mien.server.stream import StreamPredictor

KEY = "correct horse battery staple"
UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module")
def reader(brightness_bundle: Path) -> Any:
    return mien.load(brightness_bundle, threads=1)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stops for seconds ends no stream, and makes nobody a new person."""
    monkeypatch.setattr("mien.server.connections.lingering.DISCARD_SECONDS", 600)
    monkeypatch.setattr("mien.server.stream._SEND_SECONDS", 600)
    monkeypatch.setattr("mien.faces.tracker.MAX_GAP_SECONDS", 600)


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Any) -> Any:
    return run_server(reader, threads=2, pixels=400_000, frame_bytes=200_000, streams=2, frames_per_second=1000)


def open_stream(server: Any, query: str = "") -> ClientConnection:
    return open_websocket(f"ws://127.0.0.1:{server.port}/v1/stream{query}")


def ask(stream: ClientConnection, frame: bytes) -> Any:
    stream.send(frame)
    return json.loads(stream.recv(timeout=60))


def ended(stream: ClientConnection) -> tuple[str, int]:
    """Return the code of the problem, and the close code."""
    last = json.loads(stream.recv(timeout=60))
    with pytest.raises(ConnectionClosed):
        stream.recv(timeout=60)
    assert last["detail"] and last["title"]
    return last["code"], stream.close_code or 0


def answers_by_person(row: Any) -> dict[int, str]:
    return {face["person"]: face["answer"] for face in row["faces"]}


def test_two_people_are_tracked(server: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    """The left face turns from bright (happy) to dark (sad); the answer follows, however long a frame takes."""
    bright, turned = encode(two_people(0, True, False)), encode(two_people(0, False, False))
    with open_stream(server) as stream:
        answers = [ask(stream, bright) for _ in range(3)]
        people = answers_by_person(answers[-1]["row"])
        left = next(number for number in (1, 2) if people[number] == "happy")
        turning = answers[-1]["row"]["time"]
        while answers_by_person(answers[-1]["row"])[left] == "happy":
            answers.append(ask(stream, turned))
            assert answers[-1]["row"]["time"] < turning + 60  # of the stream, which smooths over parts of a second
    assert [answer["frame"] for answer in answers] == list(range(1, len(answers) + 1))
    assert {answer["dropped"] for answer in answers} == {0}
    assert all(answer["milliseconds"] > 0 for answer in answers)
    seen = [answers_by_person(answer["row"]) for answer in answers]
    assert all(set(people) == {1, 2} for people in seen)
    assert {people[3 - left] for people in seen} == {"sad"}
    assert seen[-1][left] == "sad"
    times = [answer["row"]["time"] for answer in answers]
    assert times == sorted(times)


def test_answers_are_smoothed_over_time(reader: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    bright, turned = encode(two_people(0, True, False)), encode(two_people(0, False, False))
    predictor = StreamPredictor(reader, Models(reader, 400_000))
    frames = [(0.04 * number, bright if number < 3 else turned) for number in range(60)]
    rows = [row for frame in frames for row in predictor.predict([frame])]
    assert [row["time"] for row in rows] == [pytest.approx(seconds, abs=1e-3) for seconds, _ in frames]
    left = next(number for number, answer in answers_by_person(rows[0]).items() if answer == "happy")
    happy = [face["probabilities"]["happy"] for row in rows for face in row["faces"] if face["person"] == left]
    assert min(happy[:3]) > 0.99
    assert happy[2:] == sorted(happy[2:], reverse=True)
    assert 0.01 < happy[4] < 0.99
    assert happy[-1] < 0.01


def test_a_stream_answers_like_watch(server: Any, reader: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    frame = encode(two_people(0), "PNG")
    with open_stream(server, "?faces=largest") as stream:
        row = ask(stream, frame)["row"]
    expected = next(reader.variant(faces="largest").watch([two_people(0)], source="stream")).to_dict()
    assert row | {"time": 0.0} == expected
    assert len(row["faces"]) == 1


def test_the_latest_frame_wins(server: Any, block_workers: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    """Nine frames arrive while the workers are busy; the last one is answered next."""
    bright, dark = encode(two_people(0, True, None)), encode(two_people(0, False, None))
    inside = server.app.state.mien

    def dropped_frames() -> float:
        return inside.metrics.registry.get_sample_value("mien_frames_total", {"outcome": "dropped"}) or 0.0

    before = dropped_frames()
    with open_stream(server) as stream:
        with block_workers(server, 2):
            stream.send(bright)
            wait_until(lambda: inside.workers.waiting == 1)
            for number in range(9):
                stream.send(dark if number == 8 else bright)
            wait_until(lambda: dropped_frames() == before + 8)
        answers = [json.loads(stream.recv(timeout=60)) for _ in range(2)]
    assert [(answer["frame"], answer["dropped"]) for answer in answers] == [(1, 0), (10, 8)]


def test_frames_are_answered_no_faster_than_the_limit(
    run_server: Callable[..., Any], make_bundle: Callable[..., Path], encode: Callable[..., bytes]
) -> None:
    server = run_server(mien.load(make_bundle(), threads=1, detect=False), frames_per_second=10)
    frame = encode(np.zeros((20, 20, 3), np.uint8))
    with open_stream(server) as stream:
        begin = time.monotonic()
        for _ in range(11):
            ask(stream, frame)
        assert time.monotonic() - begin >= 0.85


def test_an_unreadable_frame_gets_a_row(server: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    good = encode(two_people(0))
    with open_stream(server) as stream:
        status = [ask(stream, frame)["row"]["status"] for frame in (b"nothing", good, good[:5000], good, b"")]
        assert ask(stream, b"nothing")["row"]["reason"]
    assert status == ["unreadable", "ok", "unreadable", "ok", "unreadable"]


def test_a_frame_without_a_face_gets_a_row(server: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(server) as stream:
        row = ask(stream, encode(np.full((100, 100, 3), 128, np.uint8)))["row"]
    assert (row["status"], row["faces"], row["source"]) == ("no_face", [], "stream")


def test_whole_frames_are_answered_without_detection(server: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(server, "?detect=false") as stream:
        row = ask(stream, encode(np.full((100, 100, 3), 250, np.uint8)))["row"]
    assert [(face["answer"], face["person"]) for face in row["faces"]] == [("happy", 1)]


def test_a_frame_that_is_too_large_ends_the_stream(server: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(server) as stream:
        stream.send(bytes(200_001))
        assert ended(stream) == ("too_large", 1009)
    with open_stream(server) as stream:
        stream.send(encode(np.zeros((700, 700, 3), np.uint8)))
        assert ended(stream) == ("too_many_pixels", 1009)
    with open_stream(server) as stream, pytest.raises(ConnectionClosed):  # a larger message is not even received
        stream.send(bytes(5_000_000))
        stream.recv(timeout=60)
    assert stream.close_code == 1009


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?model=nobody", "unknown_model"),
        ("?faces=some", "bad_parameter"),
        ("?what=ever", "bad_parameter"),
        ("?threshold=2", "bad_parameter"),
    ],
)
def test_wrong_parameters_end_the_stream(server: Any, query: str, code: str) -> None:
    with open_stream(server, query) as stream:
        assert ended(stream) == (code, 1008)


def test_text_ends_the_stream(server: Any) -> None:
    for text in ("hello", "[]", "[" * 5000, '{"key": 5}'):
        with open_stream(server) as stream:
            stream.send(text)
            assert ended(stream) == ("bad_parameter", 1008)


def test_the_number_of_streams_is_bounded(server: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    frame = encode(two_people(0))
    with open_stream(server) as one, open_stream(server) as two:
        ask(one, frame), ask(two, frame)
        with open_stream(server) as three:
            assert ended(three) == ("busy", 1013)
        assert ask(one, frame)["row"]["status"] == "ok"
    with open_stream(server) as stream:
        assert ask(stream, frame)["row"]["status"] == "ok"


def test_memory_of_refused_streams_is_bounded(server: Any, check_problem: Any) -> None:
    """A refused stream may still hold a message, so at most 2 * 2 + 8 WebSockets are open."""
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(unclosed(server))
        check_problem(server.send_raw(UPGRADE % b"/v1/stream"), "busy")
    wait_until(lambda: not server.uvicorn.server_state.connections)
    with open_stream(server):
        pass


@contextmanager
def unclosed(server: Any) -> Iterator[None]:
    """Open a WebSocket whose client never confirms the close."""
    with server.connect() as connection:
        connection.sendall(UPGRADE % b"/v1/stream")
        assert connection.recv(12) == b"HTTP/1.1 101"
        yield


@pytest.mark.parametrize(
    "head",
    [UPGRADE % (b"/v1/stream?" + b"a" * 9000), UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n") % b"/"],
)
def test_an_invalid_upgrade_is_answered(server: Any, head: bytes, check_problem: Any) -> None:
    check_problem(server.send_raw(head), "bad_request")
    wait_until(lambda: not server.uvicorn.server_state.connections)


def test_a_silent_stream_is_closed(run_server: Callable[..., Any], reader: Any) -> None:
    server = run_server(reader, idle_seconds=0.2)
    with open_stream(server) as stream:
        assert ended(stream) == ("timeout", 1013)


def test_the_key_is_the_first_message(
    run_server: Callable[..., Any], reader: Any, two_people: Any, encode: Callable[..., bytes]
) -> None:
    server = run_server(reader, key=KEY)
    frame = encode(two_people(0))
    with open_stream(server) as stream:
        stream.send(json.dumps({"key": KEY}))
        assert ask(stream, frame)["row"]["status"] == "ok"
    for first in (json.dumps({"key": "wrong"}), json.dumps({"key": "\ud800"}), json.dumps(["key"]), "", frame):
        with open_stream(server) as stream:
            stream.send(first)
            assert ended(stream) == ("unauthorized", 1008)


def test_a_key_that_does_not_come_ends_the_stream(run_server: Callable[..., Any], reader: Any) -> None:
    server = run_server(reader, key=KEY, header_seconds=0.5)
    with open_in_time(server) as stream:
        assert ended(stream) == ("unauthorized", 1008)


def open_in_time(server: Any) -> ClientConnection:
    """Open a stream of a server that closes connections so early that this machine may be too slow."""
    found = []

    def is_open() -> bool:
        with suppress(OSError, EOFError, InvalidHandshake):
            found.append(open_stream(server))
        return bool(found)

    wait_until(is_open)
    return found[0]


def test_a_key_that_is_not_required_is_ignored(server: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(server) as stream:
        stream.send(json.dumps({"key": KEY}))
        assert ask(stream, encode(two_people(0)))["frame"] == 1


def test_the_time_limits_of_requests_do_not_end_a_stream(
    run_server: Callable[..., Any], reader: Any, two_people: Any, encode: Callable[..., bytes]
) -> None:
    server = run_server(reader, header_seconds=0.2, body_seconds=0.2)
    with open_in_time(server) as stream:
        for _ in range(3):
            ask(stream, encode(two_people(0)))
            time.sleep(0.2)


def test_a_client_that_vanishes_is_forgotten(server: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    frame = encode(two_people(0))
    for _ in range(5):
        with open_stream(server) as stream:
            stream.send(frame)
            stream.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: "mien_streams 0.0" in server.get("/metrics").text)
