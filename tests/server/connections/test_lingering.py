"""A connection that is closed while its client still sends."""

import asyncio
import socket
import struct
import time
from contextlib import closing

import pytest

from mien.server.connections.lingering import LingeringClose
from mien.server.connections.ration import SHARE, UNWANTED_SECONDS, Ration

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
        closing_down = LingeringClose(Ration())
        closing_down.begin(transport)
        await lost.wait()
        closing_down.stop()
        return closing_down.begun

    assert asyncio.run(close_after_reset())


def test_what_is_dropped_gets_its_share_of_the_time() -> None:
    """A client that sends thousands of small pieces makes the server read as often as the ration allows."""

    async def send_small_pieces() -> tuple[int, int, float]:
        ours, client = socket.socketpair()
        ours.setblocking(False)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        lost, reads, received = asyncio.Event(), 0, 0
        closing_down = LingeringClose(Ration())

        class Side(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                nonlocal reads, received
                reads, received = reads + 1, received + len(data)
                closing_down.discard(data)

            def connection_lost(self, exc: Exception | None) -> None:
                closing_down.stop()
                lost.set()

        transport, _ = await loop.create_connection(Side, sock=ours)
        begin = time.monotonic()
        closing_down.begin(transport)
        for _ in range(2000):
            await loop.sock_sendall(client, bytes(10))
            await asyncio.sleep(0)
        took = time.monotonic() - begin
        client.close()
        await lost.wait()
        return reads, received, took

    reads, received, took = asyncio.run(send_small_pieces())
    assert received == 20_000
    # One more while the client closes, and one before the first pause.
    assert reads <= took * SHARE / UNWANTED_SECONDS + 3
