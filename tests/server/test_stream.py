"""Frames in, rows out: the newest wins, faces keep their person, and what is wrong ends in a problem and a code."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

import mien

KEY = "correct horse battery staple"
UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module")
def reader(brightness_bundle: Path) -> Any:
    return mien.load(brightness_bundle, threads=1)


@pytest.fixture(scope="module")
def live(serve: Callable[..., Any], reader: Any) -> Any:
    return serve(reader, threads=2, pixels=400_000, frame_bytes=200_000, streams=2, frames_per_second=1000)


def open_stream(live: Any, query: str = "") -> ClientConnection:
    return connect(f"ws://127.0.0.1:{live.port}/v1/stream{query}", close_timeout=10)


def ask(stream: ClientConnection, frame: bytes) -> Any:
    stream.send(frame)
    return json.loads(stream.recv(timeout=60))


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


def ended(stream: ClientConnection) -> tuple[str, int]:
    """The problem's code, and the code with which it is closed."""
    last = json.loads(stream.recv(timeout=60))
    with pytest.raises(ConnectionClosed):
        stream.recv(timeout=60)
    assert last["detail"] and last["title"]
    return last["code"], stream.close_code or 0


def test_two_people_are_followed_and_smoothed(live: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    """The one on the left turns from bright (happy) to dark (sad); the answer follows within a few frames."""
    bright, turned = encode(two_people(0, True, False)), encode(two_people(0, False, False))
    with open_stream(live) as stream:
        first = [ask(stream, bright) for _ in range(3)]
        then = [ask(stream, turned) for _ in range(40)]
    answers = [*first, *then]
    assert [answer["frame"] for answer in answers] == list(range(1, 44))
    assert {answer["dropped"] for answer in answers} == {0}
    assert all(answer["milliseconds"] > 0 for answer in answers)
    seen = [{face["person"]: face["answer"] for face in answer["row"]["faces"]} for answer in answers]
    assert all(set(people) == {1, 2} for people in seen)
    left = next(number for number in (1, 2) if seen[0][number] == "happy")
    assert [people[left] for people in (seen[2], seen[-1])] == ["happy", "sad"]
    assert {people[3 - left] for people in seen} == {"sad"}
    smoothed = [face["probability"] for answer in answers[3:6] for face in answer["row"]["faces"]]
    assert any(0.01 < value < 0.99 for value in smoothed)
    times = [answer["row"]["time"] for answer in answers]
    assert times == sorted(times)


def test_a_stream_reads_like_watch(live: Any, reader: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    frame = encode(two_people(0), "PNG")
    with open_stream(live, "?faces=largest") as stream:
        row = ask(stream, frame)["row"]
    expected = next(reader.variant(faces="largest").watch([two_people(0)], source="stream")).to_dict()
    assert row | {"time": 0.0} == expected
    assert len(row["faces"]) == 1


def test_the_newest_frame_wins(live: Any, hold: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    """While the server is at work nine frames come; it goes on with the last of them."""
    bright, dark = encode(two_people(0, True, None)), encode(two_people(0, False, None))
    inside = live.app.state.mien

    def passed_over() -> float:
        return inside.metrics.registry.get_sample_value("mien_frames_total", {"outcome": "dropped"}) or 0.0

    before = passed_over()
    with open_stream(live) as stream:
        with hold(live, 2):
            stream.send(bright)
            wait_until(lambda: inside.workers.waiting == 1)
            for number in range(9):
                stream.send(dark if number == 8 else bright)
            wait_until(lambda: passed_over() == before + 8)
        answers = [json.loads(stream.recv(timeout=60)) for _ in range(2)]
    assert [(answer["frame"], answer["dropped"]) for answer in answers] == [(1, 0), (10, 8)]


def test_frames_are_read_no_faster_than_the_limit(
    serve: Callable[..., Any], make_bundle: Callable[..., Path], encode: Callable[..., bytes]
) -> None:
    live = serve(mien.load(make_bundle(), threads=1, detect=False), frames_per_second=10)
    frame = encode(np.zeros((20, 20, 3), np.uint8))
    with open_stream(live) as stream:
        begin = time.monotonic()
        for _ in range(11):
            ask(stream, frame)
        assert time.monotonic() - begin >= 0.85


def test_a_frame_that_cannot_be_read_is_a_row(live: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    good = encode(two_people(0))
    with open_stream(live) as stream:
        status = [ask(stream, frame)["row"]["status"] for frame in (b"nothing", good, good[:5000], good, b"")]
        assert ask(stream, b"nothing")["row"]["reason"]
    assert status == ["unreadable", "ok", "unreadable", "ok", "unreadable"]


def test_a_frame_without_a_face_is_a_row(live: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(live) as stream:
        row = ask(stream, encode(np.full((100, 100, 3), 128, np.uint8)))["row"]
    assert (row["status"], row["faces"], row["source"]) == ("no_face", [], "stream")


def test_whole_frames_are_read_where_asked(live: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(live, "?detect=false") as stream:
        row = ask(stream, encode(np.full((100, 100, 3), 250, np.uint8)))["row"]
    assert [(face["answer"], face["person"]) for face in row["faces"]] == [("happy", 1)]


def test_what_is_too_much_ends_the_stream(live: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(live) as stream:
        stream.send(bytes(200_001))
        assert ended(stream) == ("too_large", 1009)
    with open_stream(live) as stream:
        stream.send(encode(np.zeros((700, 700, 3), np.uint8)))
        assert ended(stream) == ("too_many_pixels", 1009)
    with open_stream(live) as stream:  # so much is not even taken in
        with pytest.raises(ConnectionClosed):
            stream.send(bytes(5_000_000))
            stream.recv(timeout=60)
        assert stream.close_code in (1009, 1006)  # its end may be lost where the connection breaks first


@pytest.mark.parametrize(
    ("query", "code"),
    [("?model=nobody", "unknown_model"), ("?faces=some", "bad_parameter"), ("?what=ever", "bad_parameter")],
)
def test_wrong_parameters_end_the_stream(live: Any, query: str, code: str) -> None:
    with open_stream(live, query) as stream:
        assert ended(stream) == (code, 1008)


def test_text_is_no_frame(live: Any) -> None:
    for text in ("hello", "[]", "[" * 5000, '{"key": 5}'):
        with open_stream(live) as stream:
            stream.send(text)
            assert ended(stream) == ("bad_parameter", 1008)


def test_streams_are_bounded(live: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    frame = encode(two_people(0))
    with open_stream(live) as one, open_stream(live) as two:
        ask(one, frame), ask(two, frame)
        with open_stream(live) as three:
            assert ended(three) == ("busy", 1013)
        assert ask(one, frame)["row"]["status"] == "ok"
    with open_stream(live) as stream:
        assert ask(stream, frame)["row"]["status"] == "ok"


def test_memory_of_streams_is_bounded_before_they_are_admitted(live: Any, problem: Any) -> None:
    """Whoever is refused may still hold a message: no more than 2 * 2 + 8 are open at all."""
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(unclosed(live))
        problem(live.say(UPGRADE % b"/v1/stream"), "busy")
    wait_until(lambda: not live.server.server_state.connections)
    with open_stream(live):
        pass


@contextmanager
def unclosed(live: Any) -> Iterator[None]:
    """A WebSocket whose client never answers that it is closed."""
    with live.connect() as connection:
        connection.sendall(UPGRADE % b"/v1/stream")
        assert connection.recv(12) == b"HTTP/1.1 101"
        yield


@pytest.mark.parametrize(
    "head",
    [UPGRADE % (b"/v1/stream?" + b"a" * 9000), UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n") % b"/"],
)
def test_an_upgrade_that_cannot_be_parsed_is_answered(live: Any, head: bytes, problem: Any) -> None:
    problem(live.say(head), "bad_request")
    wait_until(lambda: not live.server.server_state.connections)


def test_a_silent_stream_is_closed(serve: Callable[..., Any], reader: Any) -> None:
    live = serve(reader, idle_seconds=0.2)
    with open_stream(live) as stream:
        assert ended(stream) == ("timeout", 1013)


def test_the_key_is_the_first_message(
    serve: Callable[..., Any], reader: Any, two_people: Any, encode: Callable[..., bytes]
) -> None:
    live = serve(reader, key=KEY, header_seconds=0.5)
    frame = encode(two_people(0))
    with open_stream(live) as stream:
        stream.send(json.dumps({"key": KEY}))
        assert ask(stream, frame)["row"]["status"] == "ok"
    for first in (json.dumps({"key": "wrong"}), json.dumps({"key": "\ud800"}), json.dumps(["key"]), "", frame):
        with open_stream(live) as stream:
            stream.send(first)
            assert ended(stream) == ("unauthorized", 1008)
    with open_stream(live) as stream:  # nothing at all
        assert ended(stream) == ("unauthorized", 1008)


def test_a_key_that_is_not_needed_does_no_harm(live: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    with open_stream(live) as stream:
        stream.send(json.dumps({"key": KEY}))
        assert ask(stream, encode(two_people(0)))["frame"] == 1


def test_a_stream_lives_longer_than_a_request_may_dawdle(
    serve: Callable[..., Any], reader: Any, two_people: Any, encode: Callable[..., bytes]
) -> None:
    live = serve(reader, header_seconds=0.2, body_seconds=0.2, seconds=5)
    with open_stream(live) as stream:
        for _ in range(3):
            ask(stream, encode(two_people(0)))
            time.sleep(0.2)


def test_a_client_that_vanishes_is_forgotten(live: Any, two_people: Any, encode: Callable[..., bytes]) -> None:
    frame = encode(two_people(0))
    for _ in range(5):
        with open_stream(live) as stream:
            stream.send(frame)
            stream.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: "mien_streams 0.0" in live.get("/metrics").text)
