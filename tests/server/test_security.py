"""Requests are checked by host, origin and key; every answer has the security headers."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin
from wire import open_websocket

from mien.errors import ConfigError
from mien.inference.reader import Reader
from mien.server import create_app
from mien.server.metrics import ServerMetrics
from mien.server.security import LOOPBACK, ApiKey, SecurityMiddleware

KEY = "correct horse battery staple"
ROUTES = [
    "/",
    "/page/app.js",
    "/v1/models",
    "/v1/config",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/nothing",
]
FRIEND = "https://friend.example"


@pytest.fixture(scope="module")
def server(run_server: Callable[..., Any], reader: Reader) -> Any:
    return run_server(reader, key=KEY, origins=[FRIEND])


@pytest.fixture(scope="module")
def open_server(run_server: Callable[..., Any], reader: Reader) -> Any:
    return run_server(reader)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "",
        "[::2]",
        "[",
        "localhost@evil",
        "evil@localhost",
        "localhost:",
        "localhost:http",
        "localhost:65536",
        "localhost.",
        "localhost/",
        "[127.0.0.1]",
        "::1",
    ],
)
@pytest.mark.parametrize("path", [*ROUTES, "/v1/predict", "/v1/explain"])
def test_no_route_accepts_another_host(open_server: Any, path: str, host: str, check_problem: Any) -> None:
    for method in ("POST", "OPTIONS") if path in ("/v1/predict", "/v1/explain") else ("GET",):
        check_problem(
            open_server.send_raw(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode()),
            "forbidden_host",
        )


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1234", "[::1]", "[::1]:8000"])
def test_the_names_of_this_machine_are_accepted(open_server: Any, host: str) -> None:
    assert open_server.get("/healthz", headers={"Host": host}).status_code == 200


def accepts_host(host: str) -> bool:
    """Return whether a loopback server accepts a request with this Host header."""
    passed = []

    async def inside(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope)

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", host.encode("latin-1"))]}
    asyncio.run(SecurityMiddleware(inside, LOOPBACK, (), ApiKey(None), ServerMetrics())(scope, None, send))  # type: ignore[arg-type]
    return bool(passed)


NAMES = ("localhost", "127.0.0.1", "[::1]")
PIECES = st.sampled_from(
    [*NAMES, "LocalHost", "::1", "[127.0.0.1]", "[localhost]", "127.1", ":", ":80", ":65535", ":65536", ":0x50", ".",
     "@", "/", "?", "#", "\\", " ", "\t", "\0", "%", ",", "[", "]", "\xa0", "\xb2", "evil.example", "user:secret@"]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text("localhost127.0:[]@ \xb2", max_size=4)), max_size=4).map("".join))
@example("localhost:")
@example("localhost\n")
@example("localhost:\xb2")
@example("localhost:-1")
@example("localhost:+80")
@example("localhost:8_0")
@example("localhost:000080")
def test_only_hosts_as_browsers_send_them_are_accepted(host: str) -> None:
    name = next((name for name in NAMES if host.lower().startswith(name)), None)
    port = host[len(name) :] if name else None
    expected = port == ""
    if port and port[0] == ":" and set(port[1:]) <= set("0123456789"):
        expected = 1 < len(port) <= 6 and int(port[1:]) <= 65535
    assert accepts_host(host) == expected


@given(st.sampled_from(NAMES), st.integers(0, 65535), st.randoms())
def test_any_port_and_any_case_are_accepted(name: str, port: int, random: Any) -> None:
    sent = "".join(random.choice((letter.upper(), letter)) for letter in name)
    assert accepts_host(sent)
    assert accepts_host(f"{sent}:{port}")


def test_a_websocket_of_another_host_is_refused(open_server: Any) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": FRIEND},
    ):
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Host": "localhost"} | headers
        text = "".join(f"{name}: {value}\r\n" for name, value in upgrade.items())
        status, answered, _ = open_server.send_raw(f"GET /v1/stream HTTP/1.1\r\n{text}\r\n".encode())
        assert status == 403
        assert "frame-ancestors 'none'" in answered["content-security-policy"]


def test_a_websocket_of_another_page_is_refused(open_server: Any, server: Any) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(f"ws://localhost:{open_server.port}/v1/stream", origin=Origin("http://evil.example"))
    assert refused.value.response.status_code == 403
    with open_websocket(
        f"ws://localhost:{open_server.port}/v1/stream", origin=Origin(f"http://localhost:{open_server.port}")
    ):
        pass
    with open_websocket(f"ws://localhost:{server.port}/v1/stream", origin=Origin(FRIEND)):
        pass


def test_a_page_of_another_origin_is_refused(open_server: Any, face: bytes, check_problem: Any) -> None:
    for origin in ("http://evil.example", "null", "http://localhost:1", "https://127.0.0.1", ""):
        check_problem(open_server.post(content=face, headers={"Origin": origin}), "forbidden_origin")
    assert open_server.post(content=face, headers={"Origin": open_server.url}).status_code == 200


def test_without_allowed_origins_no_answer_has_cors_headers(open_server: Any, check_problem: Any) -> None:
    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
    import httpx

    answer = httpx.options(f"{open_server.url}/v1/predict", headers=asked, timeout=60)
    check_problem(answer, "forbidden_origin")
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert not any(name.startswith("access-control") for name in open_server.get("/v1/models").headers)


def test_an_allowed_origin_is_accepted(server: Any, face: bytes, check_problem: Any) -> None:
    import httpx

    asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    before = httpx.options(f"{server.url}/v1/predict", headers=asked, timeout=60)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == FRIEND
    assert "X-API-Key" in before.headers["access-control-allow-headers"]
    assert "Origin" in before.headers["vary"]
    answer = server.post(content=face, headers={"Origin": FRIEND, "X-API-Key": KEY})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, FRIEND)
    # The page can read refusals too.
    refused = server.post(content=face, headers={"Origin": FRIEND})
    check_problem(refused, "unauthorized")
    assert refused.headers["access-control-allow-origin"] == FRIEND
    check_problem(server.post(content=face, headers={"Origin": FRIEND + ".evil", "X-API-Key": KEY}), "forbidden_origin")


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/explain"])
@pytest.mark.parametrize(
    "headers",
    [
        {}, {"X-API-Key": "wrong"}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer"},
        {"X-API-Key": KEY[:-1]}, {"X-API-Key": KEY + "x"}, {"Authorization": "Bearer \xe9".encode("latin-1")},
    ],
    ids=["none", "wrong", "basic", "empty", "shorter", "longer", "no ascii"],
)  # fmt: skip
def test_the_key_must_be_right(server: Any, face: bytes, path: str, headers: Any, check_problem: Any) -> None:
    answer = server.post(path, content=face, headers=headers)
    check_problem(answer, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_right_key_is_accepted(server: Any, face: bytes) -> None:
    for headers in ({"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer  {KEY}"}):
        assert server.post(content=face, headers=headers).status_code == 200
        assert server.get("/metrics", headers=headers).status_code == 200


def test_only_the_page_and_health_checks_need_no_key(server: Any) -> None:
    status = {path: server.get(path).status_code for path in ROUTES}
    assert {path for path, code in status.items() if code == 401} == {
        "/v1/models",
        "/metrics",
        "/openapi.json",
        "/nothing",
    }
    assert status["/"] == status["/healthz"] == status["/readyz"] == status["/v1/config"] == 200


def test_a_repeated_key_header_is_refused(server: Any, check_problem: Any) -> None:
    head = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nX-API-Key: wrong\r\n\r\n"
    check_problem(server.send_raw(head.encode()), "unauthorized")


def test_every_answer_has_the_security_headers(server: Any, open_server: Any, face: bytes) -> None:
    answers = [each.get(path) for each in (server, open_server) for path in ROUTES]
    answers += [
        open_server.post(content=face),
        open_server.post(content=b""),
        open_server.post("/v1/explain", content=face),
    ]
    assert {answer.status_code for answer in answers} == {200, 400, 401, 404}
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] in ("no-store", "no-cache")
        assert "server" not in answer.headers


def test_a_head_request_gets_the_headers(open_server: Any) -> None:
    import httpx

    answer = httpx.head(f"{open_server.url}/", timeout=60)
    assert (answer.status_code, answer.content) == (200, b"")
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("key", ["", "  ", " key", "schl\u00fcssel", "two\nlines"])
def test_a_key_that_no_header_can_hold_is_refused(reader: Reader, key: str) -> None:
    with pytest.raises(ConfigError, match="key"):
        create_app(reader, key=key)
