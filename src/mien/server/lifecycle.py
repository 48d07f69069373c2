"""Track the requests in progress, count and time them, and refuse new ones during shutdown.

Signals and sockets are in `runner`.
"""

import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.server.metrics import ServerMetrics
from mien.server.problems import Problem
from mien.server.security import PUBLIC_PATHS, PUBLIC_PREFIX, route_path, send_problem

log = logging.getLogger("mien.server")


class ServerState:
    """How many requests are in progress, and whether the server is shutting down."""

    def __init__(self) -> None:
        self.closing = False
        self.active = 0
        #: Called once by `close`, to end open streams.
        self.on_close: list[Callable[[], None]] = []

    def close(self) -> None:
        """Accept no new requests. Those in progress go on."""
        if not self.closing:
            self.closing = True
            for callback in self.on_close:
                callback()


class LifecycleMiddleware:
    """Count and time requests, refuse them during shutdown, and answer `internal_error` if the application fails."""

    def __init__(self, app: ASGIApp, state: ServerState, metrics: ServerMetrics) -> None:
        self._app, self._state, self._metrics = app, state, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif self._state.closing and not _is_served_while_closing(scope):
            problem = Problem("shutting_down", "the server is shutting down; send this to another one, or later")
            await send_problem(problem, scope, receive, send, self._metrics)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._websocket(scope, receive, send)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            log.exception("a stream failed")
            raise  # uvicorn then closes it

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin, status = time.perf_counter(), 0

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._state.active += 1
        try:
            await self._app(scope, receive, send_and_note_status)
        except Exception:
            log.exception("a request failed")
            if not status:
                problem = Problem("internal_error", "the server failed; see its log")
                await send_problem(problem, scope, receive, send_and_note_status, self._metrics)
        finally:
            self._state.active -= 1
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - begin)


def _is_served_while_closing(scope: Scope) -> bool:
    """Return whether a request is so small that it is answered during shutdown too."""
    path = route_path(scope)
    return scope["type"] == "http" and (path in PUBLIC_PATHS or path == "/metrics" or path.startswith(PUBLIC_PREFIX))
