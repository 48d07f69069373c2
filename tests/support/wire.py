"""Send raw bytes to a server."""

import socket
from contextlib import suppress

HOST = b"Host: localhost\r\n"


def send_until_closed(wire: socket.socket, data: bytes, most: int) -> int:
    """Send the same bytes again and again; return how many went out before the connection broke."""
    sent = 0
    with suppress(OSError):
        while sent < most:
            wire.sendall(data)
            sent += len(data)
    return sent
