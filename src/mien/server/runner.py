"""Run an application under uvicorn until a signal stops it, then finish the requests in progress."""

import asyncio
import errno
import logging
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI

from mien.errors import ConfigError
from mien.server.connections.http import Connection
from mien.server.connections.websocket import MAX_KEY_BYTES, StreamConnection
from mien.server.lifecycle import ServerState
from mien.server.limits import Limits

log = logging.getLogger("mien.server")
#: Longest time for requests in progress to finish during shutdown, in seconds.
GRACE_SECONDS = 40.0
#: The signal of a terminal that closes; Windows has none.
_HANGUP: int | None = getattr(signal, "SIGHUP", None)


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
        """Shut down on SIGINT and SIGTERM, and on SIGHUP when the terminal closes; end at once on a second one."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
        if _HANGUP is not None and signal.getsignal(_HANGUP) != signal.SIG_IGN:  # `nohup` ignores it
            numbers.append(_HANGUP)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to shut down, or end at once if that has begun."""
        if sig == _HANGUP and self.stopped_by is not None:  # the shell and the system both send it
            return
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


def build_server(app: FastAPI, limits: Limits, root_path: str = "") -> GracefulServer:
    """Return a uvicorn server for an application that `create_app` made with the same limits.

    Args:
        app: from `create_app`.
        limits: the same limits as the application's.
        root_path: the path prefix, such as `/faces`, that a reverse proxy removes from requests.

    Raises:
        ConfigError: the prefix is none.
    """
    if root_path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", root_path):
        raise ConfigError(f"`root_path={root_path!r:.60}`: give a path prefix like /faces")
    shared = {"answer_seconds": limits.answer_seconds, "ration": app.state.mien.ration}
    settings = {
        **shared,
        "header_seconds": limits.header_seconds,
        "max_connections": limits.connections,
        "max_websockets": 2 * limits.streams + 8,
        "metrics": app.state.mien.metrics,
    }
    connection = type("Connection", (Connection,), settings)
    stream = type("StreamConnection", (StreamConnection,), {**shared, "key_required": app.state.mien.key.required})
    # These loggers report client mistakes, each with a traceback. `LifecycleMiddleware` logs failures of the server.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app, http=connection, ws=stream, log_config=None, log_level="critical", access_log=False,
        server_header=False, proxy_headers=False, root_path=root_path, lifespan="on", ws_per_message_deflate=False,
        ws_max_size=limits.frame_bytes + MAX_KEY_BYTES, timeout_graceful_shutdown=10, timeout_keep_alive=20,
    )  # fmt: skip
    return GracefulServer(config, app.state.mien.state)


def run(
    app: FastAPI, limits: Limits, sockets: list[socket.socket], on_start: Callable[[], None], root_path: str = ""
) -> int | None:
    """Serve until a signal stops the server.

    Args:
        app: from `create_app`.
        limits: the same limits as the application's.
        sockets: listening sockets, see `listen`.
        on_start: called once the server accepts requests.
        root_path: the path prefix that a reverse proxy removes, see `build_server`.

    Returns:
        The number of the signal, None if there was none.

    Raises:
        KeyboardInterrupt: a second Ctrl-C cut off requests in progress.
    """
    server = build_server(app, limits, root_path)

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
