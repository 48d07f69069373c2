"""Every request passes here: counted, timed, refused once the server is shutting down, and never left unanswered."""

import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien.server.metrics import ServerMetrics
from mien.server.problems import Problem
from mien.server.security import OPEN, OPEN_BELOW, refuse, route_path

log = logging.getLogger("mien.server")


class State:
    """What a server is doing: how many requests it has taken on, and whether it takes more."""

    def __init__(self) -> None:
        self.closing = False
        self.active = 0
        #: Called once when `close` is, to end what goes on by itself.
        self.on_close: list[Callable[[], None]] = []

    def close(self) -> None:
        """Take nothing more; what was taken on is finished."""
        if not self.closing:
            self.closing = True
            for call in self.on_close:
                call()


class Gate:
    """Counts the requests to an ASGI application, and answers for it where it fails."""

    def __init__(self, app: ASGIApp, state: State, figures: ServerMetrics) -> None:
        self._app, self._state, self._figures = app, state, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif self._state.closing and not _small(scope):
            problem = Problem("shutting_down", "the server is shutting down; ask another, or this one later")
            await refuse(problem, scope, receive, send, self._figures)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._stream(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            log.exception("a stream failed")
            raise  # which closes it

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._state.active += 1
        try:
            await self._app(scope, receive, noting)
        except Exception:
            log.exception("a request failed")
            if not status:
                problem = Problem("internal_error", "the server failed; its log says why")
                await refuse(problem, scope, receive, noting, self._figures)
        finally:
            self._state.active -= 1
            route = getattr(scope.get("route"), "path", "other")
            self._figures.requests.labels(route, str(status)).inc()
            self._figures.seconds.labels(route).observe(time.perf_counter() - begin)


def _small(scope: Scope) -> bool:
    """Whether a request is answered at once, also while shutting down."""
    path = route_path(scope)
    return scope["type"] == "http" and (path in OPEN or path == "/metrics" or path.startswith(OPEN_BELOW))
