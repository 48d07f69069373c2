"""Runs an application by uvicorn until it is told to stop, and lets it finish what it took on."""

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
from mien.server.lifecycle import State
from mien.server.limits import Limits
from mien.server.metrics import ServerMetrics
from mien.server.problems import Problem
from mien.server.security import HEADERS

log = logging.getLogger("mien.server")
#: How long what was taken on may still take after the server was told to stop, in seconds.
FINISH = 40.0
#: After so many milliseconds without a sign of life from a client, the system gives up its connection.
_UNACKNOWLEDGED = 30_000


class Connection(H11Protocol):
    """uvicorn's connection, and three things that it leaves out.

    It is closed where a request's head does not come in time, refused where there are too many, and what is no
    HTTP is answered like any other error.
    """

    header_seconds = 10.0
    most = 1000
    #: WebSockets, also those that have not shown a key and those that are being closed: each may hold a message.
    most_sockets = 24
    figures: ServerMetrics
    _deadline: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._answer(Problem("busy", "too many connections are open; try again in a moment"))
            return
        opened: socket.socket | None = transport.get_extra_info("socket")
        if opened is not None and hasattr(socket, "TCP_USER_TIMEOUT") and opened.family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take in what comes; from the first byte of a head on, the rest must come in time."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None and not (self._upgraded or self.transport.is_closing()):
            self._wait()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request, as uvicorn does, without the body of one that was refused unread."""
        self._stop_waiting()
        self.cycle.body = bytearray()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave the connection to the WebSocket's protocol."""
        self._upgraded = True
        self._stop_waiting()
        if sum(not isinstance(other, Connection) for other in self.connections) >= self.most_sockets:
            self._answer(Problem("busy", "too many streams are open; try again in a moment"))
            return
        super().handle_websocket_upgrade(event)
        # What that protocol cannot parse (a very long head, one with a body) it would leave open, unanswered.
        if not getattr(self.transport.get_protocol(), "handshake_initiated", True):
            self._answer(Problem("bad_request", "this is not a request that opens a WebSocket"))

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with a problem document."""
        self._answer(Problem("bad_request", "this is not a request that HTTP/1.1 knows"))

    def _answer(self, problem: Problem) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else the request that was broken off is counted
            self.figures.refused.labels(problem.code).inc()
        response = problem.response()
        head = f"HTTP/1.1 {problem.status} {problem.title}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        raw = b"".join(b"%s: %s\r\n" % pair for pair in response.raw_headers)
        self.transport.write(head.encode() + raw + b"connection: close\r\n\r\n" + bytes(response.body))
        self.transport.close()

    def _wait(self) -> None:
        self._deadline = self.loop.call_later(self.header_seconds, self._too_late)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


class Runner(uvicorn.Server):
    """uvicorn's server; told to stop it refuses new requests, finishes those it has, and then ends.

    `stopped_by` is the signal that ended it, None where `stop` did.
    """

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        super().__init__(config)
        self._state = state
        self.stopped_by: int | None = None

    def stop(self) -> None:
        """Finish what was taken on, and end; may be called from any thread."""
        self._loop.call_soon_threadsafe(self._begin_to_end)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM while the server runs; a second one ends it at once."""
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
        """Begin to end, or end at once."""
        if self.stopped_by is not None:
            self.should_exit = self.force_exit = True
        self.stopped_by = sig
        if hasattr(self, "_loop"):
            self.stop()
        else:
            self.should_exit = True

    def _begin_to_end(self) -> None:
        if not self._state.closing:
            self._state.close()
            self._ending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        """Answer what was taken on; who asks meanwhile is told that the server is shutting down."""
        until = self._loop.time() + FINISH
        while self._state.active and self._loop.time() < until:
            await asyncio.sleep(0.02)
        if self._state.active:
            log.warning("%d requests took longer than %.0f s to finish and are given up", self._state.active, FINISH)
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there; ConfigError where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ConfigError(f"--host {host}: is no address of this machine") from None
    found = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(2048)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(f"--port {port}: is in use; give another one, or 0 for any that is free") from None
        if error.errno == errno.EACCES:
            raise ConfigError(f"--port {port}: is not allowed; give one from 1024 on") from None
        raise ConfigError(f"--host {host}: cannot be used ({error.strerror})") from None
    return found


def runner(app: FastAPI, limits: Limits) -> Runner:
    """Return a server of an application that `create_app` made."""
    own = {
        "header_seconds": limits.header_seconds, "most": limits.connections, "most_sockets": 2 * limits.streams + 8,
        "figures": app.state.mien.figures,
    }  # fmt: skip
    connection = type("Connection", (Connection,), own)
    # What these would log is what clients do wrong, a traceback each time; faults of the server are logged by `Gate`.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app, http=connection, ws="websockets-sansio", log_config=None, log_level="critical", access_log=False,
        server_header=False, proxy_headers=False, lifespan="on", ws_per_message_deflate=False,
        ws_max_size=2 * limits.frame_bytes, timeout_graceful_shutdown=10, timeout_keep_alive=20,
    )  # fmt: skip
    return Runner(config, app.state.mien.state)


def run(app: FastAPI, limits: Limits, sockets: list[socket.socket], on_start: Callable[[], None]) -> int | None:
    """Serve until a signal says to stop, and return its number; `on_start` is called once requests are taken.

    Raises KeyboardInterrupt where a second Ctrl-C cut short what was taken on.
    """
    server = runner(app, limits)

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
