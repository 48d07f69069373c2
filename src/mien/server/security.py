"""Check who may send a request (Host header, Origin header, API key) and add security headers to every answer.

Any web page can make a browser send requests to a server on the same machine: by its address (refused by Origin), or
by a domain name that resolves to it (DNS rebinding: refused by Host). TLS is left to a proxy.
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

#: Host names of a server that only its own machine can reach.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

#: Paths that need no API key: health checks, and the pages, which hold no data.
PUBLIC_PATHS = ("/", "/docs", "/healthz", "/readyz", "/v1/config", "/favicon.ico")
PUBLIC_PREFIX = "/page/"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

#: Headers of every answer, unless the answer sets its own.
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

#: A Host header as browsers and curl write it. Programs disagree about what looser forms name.
_HOST = re.compile(r"(?P<name>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{1,5}))?")
_MAX_PORT = 65535
#: Most parameters of a query. Each that is unknown takes a line of the answer.
_MAX_PARAMETERS = 100

_CORS_METHODS = "GET, HEAD, POST"
_CORS_HEADERS = "Authorization, Content-Type, X-API-Key"


class ApiKey:
    """The API key of a server, kept as a digest. None lets every client in.

    Raises:
        ConfigError: no header can hold the key.

    Examples:
        >>> ApiKey("correct-horse").matches("wrong")
        False
    """

    def __init__(self, key: str | None) -> None:
        if key is not None and not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ConfigError("key: give ASCII letters, digits and signs, without space around them; None for no key")
        self._digest = None if key is None else _digest(key)

    @property
    def required(self) -> bool:
        """Whether clients must send a key."""
        return self._digest is not None

    def matches(self, sent: str | None) -> bool:
        """Return whether a sent key is right, in constant time; always True if no key is required."""
        return self._digest is None or (sent is not None and hmac.compare_digest(self._digest, _digest(sent)))


class SecurityMiddleware:
    """Refuse requests by host, origin and key, and add `SECURITY_HEADERS` to every answer.

    Args:
        app: the ASGI application that gets the allowed requests.
        hosts: names by which clients may call this server, without port; None allows any.
        origins: origins of other pages that may send requests, such as `https://example.org`. Pages of this server
            always may.
        key: the API key.
        metrics: counts the refused requests.
        extendable: whether `mien serve` runs it, whose options allow more hosts and origins.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str] | None, origins: Collection[str], key: ApiKey,
        metrics: ServerMetrics, extendable: bool = True,
    ) -> None:  # fmt: skip
        self._app, self._key, self._metrics, self._extendable = app, key, metrics, extendable
        self._hosts = None if hosts is None else frozenset(_header_form(host) for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        allowed = self._allowed_origin(headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                own = message.get("headers", [])
                present = {name.lower() for name, _ in own}
                defaults = (pair for pair in _RAW_HEADERS if pair[0] not in present)
                message["headers"] = [*own, *defaults, *_cors_headers(allowed)]
            await send(message)

        try:
            self._check(scope, headers, allowed)
        except Problem as problem:
            await send_problem(problem, scope, receive, send_with_headers, self._metrics)
            return
        if allowed and scope["type"] == "http" and scope["method"] == "OPTIONS":
            await _answer_preflight(send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope, headers: Mapping[str, str], allowed: str | None) -> None:
        host = headers.get("host", "")
        if self._hosts is not None and _host_name(host) not in self._hosts:
            raise Problem(
                "forbidden_host",
                f"this server is not called {(_host_name(host) or host)[:60]!r}"
                + ("; allow it with mien serve --allow-host" if self._extendable else ""),
            )
        origin = headers.get("origin")
        if origin is not None and allowed is None and not _is_same_origin(origin, host):
            raise Problem(
                "forbidden_origin",
                f"pages of {origin[:60]!r} may not use this server"
                + ("; allow them with mien serve --allow-origin" if self._extendable else ""),
            )
        if scope.get("query_string", b"").count(b"&") >= _MAX_PARAMETERS:
            raise Problem("bad_parameter", f"the query has more than {_MAX_PARAMETERS} parameters")
        # A page cannot set headers of a WebSocket or a preflight: streams send the key as their first message.
        if scope["type"] != "http" or scope["method"] == "OPTIONS" or _is_public(scope):
            return
        if not self._key.matches(_sent_key(headers)):
            raise Problem(
                "unauthorized",
                "send the API key as Authorization: Bearer KEY or X-API-Key: KEY",
                {"WWW-Authenticate": 'Bearer realm="mien"'},
            )

    def _allowed_origin(self, headers: Mapping[str, str]) -> str | None:
        origin = headers.get("origin")
        return origin if origin is not None and origin.lower() in self._origins else None


async def send_problem(problem: Problem, scope: Scope, receive: Receive, send: Send, metrics: ServerMetrics) -> None:
    """Count a problem and send its document, also to a WebSocket if the server supports that."""
    metrics.refused.labels(problem.code).inc()
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
    """Return the request path relative to where the application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


def _is_public(scope: Scope) -> bool:
    path = route_path(scope)
    return path in PUBLIC_PATHS or path.startswith(PUBLIC_PREFIX)


def _sent_key(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key")


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by lower-case name. Values of a repeated header are joined, so that no check accepts them."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _header_form(host: str) -> str:
    """Return a host name as a Host header holds it, without port: lower case, IPv6 addresses in brackets."""
    return _host_name(host) or f"[{host.lower()}]"


def _host_name(header: str) -> str | None:
    """Return the lower-case name in a Host header, without the port; None if no browser would send the header."""
    match = _HOST.fullmatch(header)
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        return None
    return match["name"].lower()


def _is_same_origin(origin: str, host: str) -> bool:
    """Return whether a page's origin is this server, by the name that the browser uses for it."""
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and rest.lower() == host.lower()


def _cors_headers(allowed: str | None) -> list[tuple[bytes, bytes]]:
    if allowed is None:
        return [(b"vary", b"Origin")]
    return [
        (b"access-control-allow-origin", allowed.encode("latin-1")),
        (b"access-control-expose-headers", b"Retry-After"),
        (b"vary", b"Origin"),
    ]


async def _answer_preflight(send: Send) -> None:
    headers: list[Any] = [
        (b"access-control-allow-methods", _CORS_METHODS.encode()),
        (b"access-control-allow-headers", _CORS_HEADERS.encode()),
        (b"access-control-max-age", b"600"),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
