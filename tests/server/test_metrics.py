"""The figures: every answer that is a problem is counted, by whatever part of the server it was given."""

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

import mien

KEY = "correct-horse-battery-staple"
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def live(serve: Callable[..., Any], brightness_bundle: Path) -> Any:
    reader = mien.load(brightness_bundle, threads=1, detect=False)
    return serve(reader, key=KEY, connections=20)


def refused(live: Any) -> dict[str, int]:
    """How many problems of each code there were."""
    text = live.get("/metrics", headers={"X-API-Key": KEY}).text
    return {code: int(float(count)) for code, count in re.findall(r'mien_refused_total\{code="(\w+)"\} (\S+)', text)}


def alone(live: Any) -> None:
    """Wait until nobody is connected any more."""
    while live.server.server_state.connections:
        time.sleep(0.01)


def crowd(live: Any) -> None:
    alone(live)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(live.connect())
        assert live.say(b"")[0] == 503
    alone(live)


def other_page(live: Any) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{live.port}/v1/stream", origin=Origin(EVIL))


def wrong_key(live: Any) -> None:
    with connect(f"ws://127.0.0.1:{live.port}/v1/stream") as stream:
        stream.send('{"key": "wrong"}')
        stream.recv(timeout=60)


BROKEN = (
    b"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\nZZZ\r\n" % KEY.encode()
)
WAYS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "host": ("forbidden_host", lambda live: live.post(content=b"x", headers={"Host": "evil.example"})),
    "origin": ("forbidden_origin", lambda live: live.post(content=b"x", headers={"Origin": EVIL})),
    "page of another origin opens a stream": ("forbidden_origin", other_page),
    "no key": ("unauthorized", lambda live: live.post(content=b"x")),
    "wrong key": ("unauthorized", lambda live: live.get("/v1/models", headers={"X-API-Key": KEY + "x"})),
    "wrong key for a stream": ("unauthorized", wrong_key),
    "no HTTP": ("bad_request", lambda live: live.say(b"\x16\x03\x01\r\n\r\n")),
    "broken in its body": ("bad_request", lambda live: live.say(BROKEN)),
    "crowd": ("busy", crowd),
    "no such address": ("not_found", lambda live: live.get("/nothing", headers={"X-API-Key": KEY})),
    "no such method": ("method_not_allowed", lambda live: live.post("/v1/models", headers={"X-API-Key": KEY})),
    "no body": ("no_file", lambda live: live.post(headers={"X-API-Key": KEY})),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_problem_is_counted_once(live: Any, way: str) -> None:
    code, ask = WAYS[way]
    before = refused(live)
    ask(live)
    assert refused(live) == before | {code: before.get(code, 0) + 1}


def test_what_is_refused_at_the_door_is_no_request_of_a_route(live: Any) -> None:
    live.post(content=b"x")
    live.post(content=b"x", headers={"Host": "evil.example"})
    text = live.get("/metrics", headers={"X-API-Key": KEY}).text
    assert 'status="401"' not in text
    assert 'status="403"' not in text
