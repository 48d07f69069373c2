"""Send raw bytes to a server, and open streams."""

import socket
from contextlib import suppress
from typing import Any

from websockets.sync.client import ClientConnection, connect

HOST = b"Host: localhost\r\n"


def send_until_closed(wire: socket.socket, data: bytes, most: int) -> int:
    """Send the same bytes again and again; return how many went out before the connection broke."""
    sent = 0
    with suppress(OSError):
        while sent < most:
            wire.sendall(data)
            sent += len(data)
    return sent


def open_websocket(url: str, **options: Any) -> ClientConnection:
    """Open a WebSocket whose client is as patient as the tests: no limit of 10 or 20 seconds of its own."""
    patient = {"open_timeout": 60, "close_timeout": 60, "ping_interval": None}
    return connect(url, **(patient | options))
