"""Close connections whose clients still send, without losing the answer."""

import asyncio

from mien.server.connections.ration import UNWANTED_SECONDS, Ration

#: A client may send this many seconds and bytes more before its connection ends.
DISCARD_SECONDS, DISCARD_BYTES = 10.0, 64 * 2**20


class LingeringClose:
    """Send the end, then drop unread what the client still sends until it closes.

    If data were left in the socket, the system would reset the connection, and the client could lose what was written.

    Args:
        ration: of the time to read what nobody wants.

    Attributes:
        begun: whether this has begun.
    """

    def __init__(self, ration: Ration) -> None:
        self.begun = False
        self._ration = ration
        self._timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> asyncio.TimerHandle:
        """Write nothing more to a transport; return the timer that aborts it after `DISCARD_SECONDS`."""
        if self._timer is None:
            self.begun, self._transport, self._left = True, transport, DISCARD_BYTES
            self._loop = asyncio.get_running_loop()
            self._timer = self._loop.call_later(DISCARD_SECONDS, transport.abort)
            transport.resume_reading()
            if transport.can_write_eof():
                try:
                    transport.write_eof()
                except OSError:  # the client has reset the connection, which was not read yet
                    transport.abort()
        return self._timer

    def discard(self, data: bytes) -> None:
        """Drop data and read no more for a moment; abort the transport after `DISCARD_BYTES`."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()
            return
        self._transport.pause_reading()
        if self._pause is not None:
            self._pause.cancel()
        self._pause = self._loop.call_later(self._ration.delay(UNWANTED_SECONDS), self._transport.resume_reading)

    def stop(self) -> None:
        """Stop waiting, because the connection has ended."""
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
