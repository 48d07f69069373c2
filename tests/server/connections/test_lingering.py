"""A connection that is closed while its client still sends."""

import asyncio
import socket
import struct
from contextlib import closing

import pytest

from mien.server.connections.lingering import LingeringClose

#: The first byte of Linux's `struct tcp_info` is the state of the connection.
_CLOSED = 7


def is_reset(connection: socket.socket) -> bool:
    """Return whether the other side has reset the connection, without taking note of it."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells a reset before it is read")
def test_a_client_that_has_reset_the_connection_is_no_error() -> None:
    async def close_after_reset() -> bool:
        loop = asyncio.get_running_loop()
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            client = socket.create_connection(listener.getsockname())
            ours = listener.accept()[0]
        ours.setblocking(False)
        lost = asyncio.Event()

        class Side(asyncio.Protocol):
            def connection_lost(self, exc: Exception | None) -> None:
                lost.set()

        transport, _ = await loop.create_connection(Side, sock=ours)
        transport.pause_reading()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        while not is_reset(ours):
            await asyncio.sleep(0.01)
        closing_down = LingeringClose()
        closing_down.begin(transport)
        await lost.wait()
        closing_down.stop()
        return closing_down.begun

    assert asyncio.run(close_after_reset())
