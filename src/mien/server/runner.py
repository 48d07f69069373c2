"""Run an application under uvicorn until a signal stops it, then finish the requests in progress."""

import asyncio
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.errors import ConfigError
from mien.server.lifecycle import ServerState
from mien.server.limits import Limits
from mien.server.metrics import ServerMetrics
from mien.server.problems import Problem
from mien.server.security import SECURITY_HEADERS

log = logging.getLogger("mien.server")
#: Longest time for requests in progress to finish during shutdown, in seconds.
GRACE_SECONDS = 40.0
#: The system drops a connection whose client acknowledges nothing for this many milliseconds.
_TCP_USER_TIMEOUT_MS = 30_000


class Connection(H11Protocol):
    """uvicorn's HTTP connection with three additions.

    It closes if a request head takes too long, it is refused if too many are open, and invalid HTTP gets a problem
    document. All three happen before there is a request for an application, so no middleware can do them, and uvicorn
    has no settings for them. `build_server` sets the limits in a subclass, because uvicorn makes the instances.
    """

    header_seconds = 10.0
    max_connections = 1000
    #: Counts WebSockets that have not sent a key or are closing too, since each may hold a message in memory.
    max_websockets = 24
    metrics: ServerMetrics
    _deadline: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait for a request, or refuse the connection."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._answer(Problem("busy", "too many connections are open; try again in a moment"))
            return
        opened: socket.socket | None = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT") and opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_USER_TIMEOUT_MS)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Process data; once the first byte of a request head is in, the rest must follow in time."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._deadline is None and not (self._upgraded or self.transport.is_closing()):
            self._start_timer()

    def on_response_complete(self) -> None:
        """Start to wait for the next request, and free a body that was refused unread."""
        self._stop_timer()
        self.cycle.body = bytearray()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Hand the connection to the WebSocket protocol, or refuse it."""
        self._upgraded = True
        self._stop_timer()
        if sum(not isinstance(other, Connection) for other in self.connections) >= self.max_websockets:
            self._answer(Problem("busy", "too many streams are open; try again in a moment"))
            return
        super().handle_websocket_upgrade(event)
        # The protocol leaves requests open that it cannot parse, such as one with a very long head or with a body.
        if not getattr(self.transport.get_protocol(), "handshake_initiated", True):
            self._answer(Problem("bad_request", "this is not a valid request to open a WebSocket"))

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP with a problem document."""
        self._answer(Problem("bad_request", "this is not a valid HTTP/1.1 request"))

    def _answer(self, problem: Problem) -> None:
        if self.cycle is None or self.cycle.response_complete:  # otherwise the interrupted request is counted
            self.metrics.refused.labels(problem.code).inc()
        response = problem.response()
        head = f"HTTP/1.1 {problem.status} {problem.title}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items())
        raw = b"".join(b"%s: %s\r\n" % pair for pair in response.raw_headers)
        self.transport.write(head.encode() + raw + b"connection: close\r\n\r\n" + bytes(response.body))
        self.transport.close()

    def _start_timer(self) -> None:
        self._deadline = self.loop.call_later(self.header_seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_timeout(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


class GracefulServer(uvicorn.Server):
    """uvicorn's server. Once stopped, it refuses new requests, finishes those in progress, and ends.

    Attributes:
        stopped_by: number of the signal that stopped it; None if `stop` did.
    """

    def __init__(self, config: uvicorn.Config, state: ServerState) -> None:
        super().__init__(config)
        self._state = state
        self.stopped_by: int | None = None

    def stop(self) -> None:
        """Finish the requests in progress, then end. Any thread may call this."""
        self._loop.call_soon_threadsafe(self._begin_shutdown)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start like uvicorn, and remember the event loop."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Shut down on SIGINT and SIGTERM; end at once on a second one."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to shut down, or end at once if that has begun."""
        if self.stopped_by is not None:
            self.should_exit = self.force_exit = True
        self.stopped_by = sig
        if hasattr(self, "_loop"):
            self.stop()
        else:
            self.should_exit = True

    def _begin_shutdown(self) -> None:
        if not self._state.closing:
            self._state.close()
            self._finishing = self._loop.create_task(self._finish_requests())

    async def _finish_requests(self) -> None:
        """Wait for the requests in progress. New ones get `shutting_down` meanwhile."""
        until = self._loop.time() + GRACE_SECONDS
        while self._state.active and self._loop.time() < until:
            await asyncio.sleep(0.02)
        if self._state.active:
            log.warning("%d requests did not finish within %.0f s: stop anyway", self._state.active, GRACE_SECONDS)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a listening TCP socket; port 0 takes any free port.

    Raises:
        ConfigError: the address is not of this machine, or the port is in use or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ConfigError(f"`host={host!r}`: is not an address of this machine; use 127.0.0.1 or 0.0.0.0") from None
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"`port={port}`: is in use; choose another one, or 0 for any free port") from None
        if error.errno == errno.EACCES:
            raise ConfigError(f"`port={port}`: is not allowed; choose 1024 or higher") from None
        raise ConfigError(f"`host={host!r}`: cannot be used ({error.strerror})") from None
    return listener


def build_server(app: FastAPI, limits: Limits) -> GracefulServer:
    """Return a uvicorn server for an application that `create_app` made with the same limits."""
    settings = {
        "header_seconds": limits.header_seconds,
        "max_connections": limits.connections,
        "max_websockets": 2 * limits.streams + 8,
        "metrics": app.state.mien.metrics,
    }
    connection = type("Connection", (Connection,), settings)
    # These loggers report client mistakes, each with a traceback. `LifecycleMiddleware` logs failures of the server.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app, http=connection, ws="websockets-sansio", log_config=None, log_level="critical", access_log=False,
        server_header=False, proxy_headers=False, lifespan="on", ws_per_message_deflate=False,
        ws_max_size=2 * limits.frame_bytes, timeout_graceful_shutdown=10, timeout_keep_alive=20,
    )  # fmt: skip
    return GracefulServer(config, app.state.mien.state)


def run(app: FastAPI, limits: Limits, sockets: list[socket.socket], on_start: Callable[[], None]) -> int | None:
    """Serve until a signal stops the server.

    Args:
        app: from `create_app`.
        limits: the same limits as the application's.
        sockets: listening sockets, see `listen`.
        on_start: called once the server accepts requests.

    Returns:
        The number of the signal, None if there was none.

    Raises:
        KeyboardInterrupt: a second Ctrl-C cut off requests in progress.
    """
    server = build_server(app, limits)

    async def main() -> None:
        serving = asyncio.create_task(server.serve(sockets))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            on_start()
        await serving

    asyncio.run(main())
    if server.force_exit and server.stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    return server.stopped_by
