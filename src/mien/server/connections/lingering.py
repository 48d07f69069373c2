"""Close connections whose clients still send, without losing the answer."""

import asyncio

#: A client may send this many seconds and bytes more before its connection ends.
DISCARD_SECONDS, DISCARD_BYTES = 10.0, 64 * 2**20


class LingeringClose:
    """Send the end, then drop unread what the client still sends until it closes.

    If data were left in the socket, the system would reset the connection, and the client could lose what was written.

    Attributes:
        begun: whether this has begun.
    """

    def __init__(self) -> None:
        self.begun = False
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, transport: asyncio.Transport) -> asyncio.TimerHandle:
        """Write nothing more to a transport; return the timer that aborts it after `DISCARD_SECONDS`."""
        if self._timer is None:
            self.begun, self._transport, self._left = True, transport, DISCARD_BYTES
            self._timer = asyncio.get_running_loop().call_later(DISCARD_SECONDS, transport.abort)
            if transport.can_write_eof():
                try:
                    transport.write_eof()
                except OSError:  # the client has reset the connection, which was not read yet
                    transport.abort()
        return self._timer

    def discard(self, data: bytes) -> None:
        """Drop data; abort the transport after `DISCARD_BYTES`."""
        self._left -= len(data)
        if self._left < 0:
            self._transport.abort()

    def stop(self) -> None:
        """Stop waiting, because the connection has ended."""
        if self._timer is not None:
            self._timer.cancel()
