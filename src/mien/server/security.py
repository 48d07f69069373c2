"""Who may ask: the Host header, the Origin of a page, the API key; and the headers of every answer.

A page anywhere can make a browser send requests to a server on its own machine: by naming it (refused by Origin)
or by letting its own name point there (DNS rebinding: refused by Host).
"""

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.errors import ConfigError
from mien.server.metrics import ServerMetrics
from mien.server.problems import Problem

#: What a server bound to the machine itself is called.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

#: Open to all who may ask at all: what a load balancer asks, and the page, which holds no data.
OPEN = ("/", "/healthz", "/readyz", "/v1/config", "/favicon.ico")
OPEN_BELOW = "/page/"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

#: The host of an address as browsers write it, and curl; of looser forms programs disagree about what they name.
_HOST = re.compile(r"(?P<name>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_LAST_PORT = 65535

_METHODS = "GET, HEAD, POST"
_ASKED = "Authorization, Content-Type, X-API-Key"


class Key:
    """The API key, of which only a digest is kept; None lets everyone in. ConfigError for one no header can hold."""

    def __init__(self, key: str | None) -> None:
        if key is not None and not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ConfigError("key: give ASCII letters, digits and signs, without space around them; None for no key")
        self._digest = None if key is None else _digest(key)

    @property
    def needed(self) -> bool:
        """Whether one has to be given."""
        return self._digest is not None

    def fits(self, given: str | None) -> bool:
        """Whether this is it; takes the same time whatever is given."""
        return self._digest is None or (given is not None and hmac.compare_digest(self._digest, _digest(given)))


class Guard:
    """Lets an ASGI application see only requests that may be made, and puts the headers on all answers.

    `hosts` are the names this server may be called by (without port), None is any. `origins` are those of pages
    elsewhere (`https://example.org`) that may ask; pages of this server always may. What is refused is counted in
    `figures`.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str] | None, origins: Collection[str], key: Key, figures: ServerMetrics
    ) -> None:
        self._app, self._key, self._figures = app, key, figures
        self._hosts = None if hosts is None else frozenset(_as_sent(host) for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        allowed = self._allowed_origin(headers)

        async def with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                own = message.get("headers", [])
                given = {name.lower() for name, _ in own}
                message["headers"] = [*own, *(pair for pair in _HEADERS if pair[0] not in given), *_cors(allowed)]
            await send(message)

        try:
            self._check(scope, headers, allowed)
        except Problem as problem:
            await refuse(problem, scope, receive, with_headers, self._figures)
            return
        if allowed and scope["type"] == "http" and scope["method"] == "OPTIONS":
            await _preflight(with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _check(self, scope: Scope, headers: Mapping[str, str], allowed: str | None) -> None:
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            raise Problem(
                "forbidden_host",
                f"this server is not called {(_name(host) or host)[:60]!r}; allow it with mien serve --allow-host",
            )
        origin = headers.get("origin")
        if origin is not None and allowed is None and not _same(origin, headers.get("host", "")):
            raise Problem(
                "forbidden_origin",
                f"pages of {origin[:60]!r} may not ask this server; allow them with mien serve --allow-origin",
            )
        preflight = scope["type"] == "http" and scope["method"] == "OPTIONS"
        # A WebSocket sends the key as its first message, since a page cannot give it a header.
        if scope["type"] == "http" and not preflight and not _is_open(scope) and not self._key.fits(_given(headers)):
            raise Problem(
                "unauthorized",
                "send the API key as Authorization: Bearer KEY or X-API-Key: KEY",
                {"WWW-Authenticate": 'Bearer realm="mien"'},
            )

    def _allowed_origin(self, headers: Mapping[str, str]) -> str | None:
        origin = headers.get("origin")
        return origin if origin is not None and origin.lower() in self._origins else None


async def refuse(problem: Problem, scope: Scope, receive: Receive, send: Send, figures: ServerMetrics) -> None:
    """Count a problem, and answer with its document, to a WebSocket too, where the server can."""
    figures.refused.labels(problem.code).inc()
    if scope["type"] == "http":
        await problem.response()(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        response = problem.response()
        await send(
            {"type": "websocket.http.response.start", "status": response.status_code, "headers": response.raw_headers}
        )
        await send({"type": "websocket.http.response.body", "body": response.body})
    else:
        await send({"type": "websocket.close", "code": 1008})


def route_path(scope: Scope) -> str:
    """Return the path below where the application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


def _is_open(scope: Scope) -> bool:
    path = route_path(scope)
    return path in OPEN or path.startswith(OPEN_BELOW)


def _given(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-case name; of one that stands twice both, which no check then passes."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _as_sent(host: str) -> str:
    """Return a name as it stands in a Host header without its port: in lower case, an IPv6 address in brackets."""
    return _name(host) or f"[{host.lower()}]"


def _name(host: str) -> str | None:
    """Return the name in a Host header, in lower case and without the port; None for one no browser would send."""
    found = _HOST.fullmatch(host)
    if found is None or int(found["port"] or 0) > _LAST_PORT:
        return None
    return found["name"].lower()


def _same(origin: str, host: str) -> bool:
    """Whether a page's origin is this server, as the browser calls it."""
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and rest.lower() == host.lower()


def _cors(allowed: str | None) -> list[tuple[bytes, bytes]]:
    if allowed is None:
        return [(b"vary", b"Origin")]
    return [
        (b"access-control-allow-origin", allowed.encode("latin-1")),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]


async def _preflight(send: Send) -> None:
    headers: list[Any] = [
        (b"access-control-allow-methods", _METHODS.encode()),
        (b"access-control-allow-headers", _ASKED.encode()),
        (b"access-control-max-age", b"600"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
