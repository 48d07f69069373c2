"""The WebSocket connections of the server: uvicorn's, with limits on what a connection may cost."""

import asyncio
import time
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from mien.server.connections.deadline import WriteDeadline
from mien.server.connections.lingering import LingeringClose
from mien.server.connections.ration import SLICE_SECONDS, ParseTime, Ration

#: A stream is parsed in pieces of this many bytes.
_PIECE_BYTES = 1024
#: Most fragments of a message. Each costs memory, however short.
_MAX_FRAGMENTS = 256
#: Longest message before the key of a stream.
MAX_KEY_BYTES = 64 * 1024
#: A stream offers the application a function under this name, which ends the limit on the first message.
UNLOCK = "mien.unlock"


class StreamConnection(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection, with limits on what it may cost.

    Parsing is rationed, and stops while a message waits for the application or while the client accepts nothing: pings
    are answered, and would fill the memory with answers that nobody reads. Before the key, only short messages are
    received. As with `Connection`, the application cannot do this: it sees whole messages only.

    A client that breaks the rules gets a close frame, and what it still sends is dropped unread until it closes.
    """

    answer_seconds = 30.0
    key_required = False
    ration: Ration
    _pause: asyncio.TimerHandle | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._parsed, self._written = ParseTime(self.ration), WriteDeadline(self.answer_seconds)
        self._unparsed, self._fragments = bytearray(), 0
        self._locked, self._key_bytes, self._key_came = self.key_required, 0, False
        self._lingering = LingeringClose(self.ration)

    def data_received(self, data: bytes) -> None:
        """Process data, or keep it until its turn."""
        if not self.handshake_initiated:  # the head, which the HTTP connection has checked
            super().data_received(data)
            return
        if self._lingering.begun:
            self._lingering.discard(data)
            return
        self._unparsed += data
        if self._pause is None:
            self._parse()
        self._set_reading()

    def handle_connect(self, event: Any) -> None:
        """Offer the application to end the limit on messages before the key."""
        super().handle_connect(event)
        if self._locked and self.response.status_code == 101:
            self.scope["extensions"][UNLOCK] = self._unlock  # type: ignore[assignment]

    def handle_cont(self, event: Frame) -> None:
        """Add a fragment to its message; end the stream if there are too many."""
        self._fragments += 1
        if self._fragments > _MAX_FRAGMENTS and not self.close_sent:
            self.conn.fail(1008, "a message has too many fragments")
            self.handle_parser_exception()
        elif not self.close_sent:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless nothing more may be written."""
        if not self._lingering.begun:
            super().handle_ping()

    def handle_parser_exception(self) -> None:
        """Send the close frame, then drop what comes until the client closes."""
        sent = self.conn.close_sent
        code, reason = (1006, "") if sent is None else (sent.code, sent.reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._unparsed.clear()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self._lingering.begin(self.transport)  # uvicorn closes at once if there is none

    def send_receive_event_to_app(self) -> None:
        """Pass a message on, unless the application has closed the stream."""
        self._fragments = 0
        if not self.close_sent:
            super().send_receive_event_to_app()

    async def receive(self) -> Any:
        """Return the next message, and go on to parse."""
        message = await super().receive()
        self._key_came |= message["type"] == "websocket.receive"
        if self._pause is None:
            self._parse()
        self._set_reading()
        return message

    async def send(self, message: Any) -> None:
        """Send a message, then parse what waited for it: for the stream to be accepted, or to be closed.

        Raises:
            ClientDisconnected: the stream has ended. Nothing is raised for `websocket.accept`, where applications
                expect no error; the next message raises it.
        """
        await self.writable.wait()
        if self.close_sent or self.transport.is_closing():
            if message["type"] == "websocket.accept":
                return
            raise ClientDisconnected
        await super().send(message)
        if message["type"] in ("websocket.accept", "websocket.close"):
            if self._pause is None:
                self._parse()
            self._set_reading()

    def pause_writing(self) -> None:
        """Read nothing until the client has accepted what was written, and end the connection if this takes long."""
        super().pause_writing()
        self.writable.clear()  # uvicorn does so since 0.53
        self._written.start(self.transport)
        self._set_reading()

    def resume_writing(self) -> None:
        """Go on to parse and to read."""
        super().resume_writing()
        self.writable.set()
        self._written.stop()
        if self._pause is None:
            self._parse()
        self._set_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting, and free what was not parsed."""
        self._written.stop()
        self._lingering.stop()
        if self._pause is not None:
            self._pause.cancel()
        self._unparsed.clear()
        super().connection_lost(exc)
        self.writable.set()

    def _unlock(self) -> None:
        self._locked = False
        if self._pause is None:
            self._parse()
        self._set_reading()

    def _parse(self) -> None:
        """Parse for one slice, and set a time to go on."""
        begin, size = time.thread_time(), 0
        while self._unparsed and self._may_parse():
            piece = bytes(self._unparsed[:_PIECE_BYTES])
            del self._unparsed[:_PIECE_BYTES]
            size += len(piece)
            self._key_bytes += len(piece) * self._locked
            if self._key_bytes > MAX_KEY_BYTES and not self.close_sent:
                self.conn.fail(1009, "the first message is too long for a key")
                self.handle_parser_exception()
                break
            super().data_received(piece)
            if time.thread_time() - begin > SLICE_SECONDS:
                break
        if not size or self.transport.is_closing():
            return
        wait = self._parsed.charge(time.thread_time() - begin, size)
        if wait or (self._unparsed and self._may_parse()):
            self._pause = self.loop.call_later(wait, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._parse()
        self._set_reading()

    def _may_parse(self) -> bool:
        if not self.handshake_complete or self._lingering.begun:
            return False
        waits = not self.close_sent and (not self.queue.empty() or (self._locked and self._key_came))
        return not waits and self.writable.is_set() and not self.transport.is_closing()

    def _set_reading(self) -> None:
        """Read if all that came is parsed. uvicorn pauses and resumes by itself, so this follows each of its steps."""
        if self.transport.is_closing() or self._lingering.begun:
            return
        idle = self._pause is None and not self._unparsed and self._may_parse()
        if idle:
            self.read_paused = False
            self.transport.resume_reading()
        else:
            self.read_paused = True
            self.transport.pause_reading()
