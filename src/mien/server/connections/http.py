"""The HTTP connections of the server: uvicorn's, with limits on what a connection may cost."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mien.server.connections.deadline import WriteDeadline
from mien.server.connections.lingering import LingeringClose
from mien.server.connections.ration import SLICE_SECONDS, UNWANTED_SECONDS, ParseTime, Ration
from mien.server.metrics import ServerMetrics
from mien.server.problems import Problem
from mien.server.security import SECURITY_HEADERS

#: The system drops a connection whose client acknowledges nothing for this many milliseconds.
_TCP_USER_TIMEOUT_MS = 30_000
#: Largest request head, and its most lines. Browsers send 20, proxies add a few.
_MAX_HEAD_BYTES, _MAX_HEAD_LINES = 16 * 1024, 100
#: The parser looks at the clock after this many events.
_EVENTS_PER_LOOK = 16
#: A request that came before the answer to the one before it is rationed as if parsing it took so many seconds.
#: Browsers and proxies send none, and a single client could keep the event loop busy with them.
_PIPELINED_SECONDS = 0.001


class SlicedParser(h11.Connection):
    """h11's parser, which asks for more data once a slice is over, and refuses heads of very many lines."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, _MAX_HEAD_BYTES)
        self.begin()

    def begin(self) -> None:
        """Begin a slice."""
        self._begin, self._events = time.thread_time(), 0
        #: Whether the slice ended before the data did.
        self.stopped = False

    def spent(self) -> float:
        """Return the processor seconds of this slice."""
        return time.thread_time() - self._begin

    def next_event(self) -> Any:
        """Return the next event, or `NEED_DATA` if the slice is over."""
        if self._events and self._events % _EVENTS_PER_LOOK == 0 and self.spent() > SLICE_SECONDS:
            self.stopped = True
        if self.stopped:
            return h11.NEED_DATA
        self._events += 1
        if self.their_state is h11.IDLE:
            data, _ = self.trailing_data
            end = data.find(b"\r\n\r\n")
            if data.count(b"\n", 0, len(data) if end < 0 else end) > _MAX_HEAD_LINES:
                raise h11.RemoteProtocolError("the request head has too many lines", error_status_hint=431)
        return super().next_event()


class _CycleTransport(asyncio.Transport):
    """What uvicorn writes an answer to, and closes after it: the connection decides how.

    The head waits for the first piece of the body, so that both go to the system, and to the client, at once.
    """

    def __init__(self, connection: "Connection") -> None:
        super().__init__()
        self._connection = connection
        self._head: bytes | None = None
        self._begun = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._begun and self._connection.cycle.response_started:  # before that, "100 Continue" goes
            self._begun, self._head = True, bytes(data)
            return
        self._flush(data)

    def close(self) -> None:
        self._flush()
        self._connection.end()

    def _flush(self, data: bytes | bytearray | memoryview = b"") -> None:
        head, self._head = self._head, None
        self._connection.transport.write(data if head is None else b"".join((head, data)))

    def is_closing(self) -> bool:
        return self._connection.is_ending()


class Connection(H11Protocol):
    """uvicorn's HTTP connection, with limits on what it may cost before and after there is a request.

    It closes if a request head takes too long to come or an answer too long to go. It is refused if too many are open.
    Parsing is rationed. Invalid HTTP gets a problem document. All this happens where there is no request for an
    application yet, or none any more, so no middleware can do it, and uvicorn has no settings for it. `build_server`
    sets the limits in a subclass, because uvicorn makes the instances.

    A client that is answered while it still sends its body can read the answer: what it sends is dropped.
    """

    header_seconds = 10.0
    answer_seconds = 30.0
    max_connections = 1000
    #: Counts WebSockets that have not sent a key or are closing too, since each may hold a message in memory.
    max_websockets = 24
    metrics: ServerMetrics
    ration: Ration
    _deadline: asyncio.TimerHandle | None = None
    _pause: asyncio.TimerHandle | None = None
    _upgraded = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.conn = self._parser = SlicedParser()
        self._parsed, self._written = ParseTime(self.ration), WriteDeadline(self.answer_seconds)
        self._lingering = LingeringClose(self.ration)

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
        if self._lingering.begun:
            self._lingering.discard(data)
            return
        if self._pause is not None:  # the application resumed reading
            self.conn.receive_data(data)
            self.transport.pause_reading()
            return
        self._parse(lambda: super(Connection, self).data_received(data), len(data))
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_timer()
        elif self._deadline is None and not (self._upgraded or self.is_ending()):
            self._start_timer()

    def handle_events(self) -> None:
        """Parse, and see to it that a request that begins is ended as `end` does."""
        super().handle_events()
        if self.cycle is not None and self.cycle.transport is self.transport:
            self.cycle.transport = _CycleTransport(self)

    def on_response_complete(self) -> None:
        """Start to wait for the next request, and free a body that was refused unread."""
        self._stop_timer()
        if not self.flow.write_paused:
            self._written.stop()
        self.cycle.body = bytearray()
        self._parsed.reset()
        if self._lingering.begun:
            self.server_state.total_requests += 1
        elif self.conn.their_state is h11.DONE and self.conn.trailing_data[0] and not self.transport.is_closing():
            self._parser.begin()
            self._parser.stopped = True  # the next request stays in the buffer
            super().on_response_complete()
            self._wait(self.ration.delay(_PIPELINED_SECONDS))
        else:
            self._parse(super().on_response_complete, 0)

    def pause_writing(self) -> None:
        """Start to wait for the client, who is slow to read."""
        super().pause_writing()
        self._written.start(self.transport)

    def resume_writing(self) -> None:
        """Stop waiting if the answer is out."""
        super().resume_writing()
        if self.cycle is None or self.cycle.response_complete:
            self._written.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        self._written.stop()
        self._lingering.stop()
        if self._pause is not None:
            self._pause.cancel()
        super().connection_lost(exc)

    def is_ending(self) -> bool:
        """Return whether nothing more is read or written."""
        return self._lingering.begun or self.transport.is_closing()

    def end(self) -> None:
        """Close; if the client is in the middle of a request, let it read the answer."""
        if self.cycle is not None and not self.cycle.response_complete:  # the application need not wait for more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.is_ending():
            return
        if self.conn.their_state not in (h11.SEND_BODY, h11.ERROR):
            self.transport.close()
            return
        self._stop_timer()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._lingering.begin(self.transport)

    def shutdown(self) -> None:
        """Close for the end of the server."""
        if self._lingering.begun:
            self.transport.close()
        else:
            super().shutdown()

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

    def _parse(self, step: Callable[[], None], size: int) -> None:
        """Parse for one slice. Go on later if data is left, or if this request takes more time than others."""
        self._parser.begin()
        step()
        if self._upgraded or self.is_ending():
            return
        wait = self._parsed.charge(self._parser.spent(), size)
        if size and self.cycle is not None and self.cycle.response_complete and self.conn.their_state is h11.SEND_BODY:
            wait = max(wait, self.ration.delay(UNWANTED_SECONDS))  # the rest of a body that was refused
        if self._parsed.exhausted:
            if self.cycle is not None and self.cycle.response_started and self.conn.our_state is not h11.IDLE:
                self.transport.abort()  # it sends more after an answer
            else:
                self._answer(Problem("bad_request", "the request comes in too small pieces; send larger chunks"))
        elif self._parser.stopped or (wait and size):
            self._wait(wait)

    def _wait(self, seconds: float) -> None:
        """Read and parse nothing for some seconds."""
        self.transport.pause_reading()
        if self._pause is not None:
            self._pause.cancel()
        self._pause = self.loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        if self.is_ending():
            return
        if not self.flow.read_paused:
            self.transport.resume_reading()
        self._parse(self.handle_events, 0)

    def _answer(self, problem: Problem) -> None:
        if self.cycle is None or self.cycle.response_complete:  # otherwise the interrupted request is counted
            self.metrics.refused.labels(problem.code).inc()
        response = problem.response()
        head = f"HTTP/1.1 {problem.status} {problem.title}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in SECURITY_HEADERS.items())
        raw = b"".join(b"%s: %s\r\n" % pair for pair in response.raw_headers)
        self.transport.write(head.encode() + raw + b"connection: close\r\n\r\n" + bytes(response.body))
        self.end()

    def _start_timer(self) -> None:
        self._deadline = self.loop.call_later(self.header_seconds, self._on_timeout)

    def _stop_timer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _on_timeout(self) -> None:
        self._deadline = None
        if not self.is_ending():
            self.end()
