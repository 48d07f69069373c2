"""Hand the secret of the page to the browser that is started, without naming it in the arguments of a process.

On Linux everybody on a machine sees the arguments of all processes. So the browser gets a code. It is good once, and
for connections of the user who runs the server alone: the kernel says whose they are. Unlike a file with the address,
it also reaches browsers that cannot read the user's files, such as snaps. Other systems hide arguments from others.
"""

import hmac
import os
import secrets
import sys
import threading
from contextlib import suppress
from pathlib import Path

#: Tables of the kernel with the connections of this machine.
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
#: How 127.0.0.1 ends in them, alone and mapped into IPv6.
_LOOPBACK = "0100007F"
#: What begins the fragment of an address with a code.
CODE = "open="


class Handover:
    """Gives a secret once, to whoever shows the code from a connection of this user.

    Args:
        token: the secret.
    """

    def __init__(self, token: str) -> None:
        self._token, self._code = token, secrets.token_urlsafe(16)
        self._lock, self._given = threading.Lock(), False

    @property
    def fragment(self) -> str:
        """What the address ends with that a browser is started with: a code, or the secret if arguments are private."""
        return CODE + self._code if sys.platform == "linux" else self._token

    def take(self, code: str, port: int, server_port: int) -> str | None:
        """Return the secret; None if the code is wrong or was used, or the connection is of another user.

        Args:
            code: from the page.
            port: of its end of the connection, on 127.0.0.1.
            server_port: of the other end.
        """
        with self._lock:
            if self._given or not hmac.compare_digest(code.encode(), self._code.encode()):
                return None
            if sys.platform == "win32" or user_of(port, server_port) != os.getuid():
                return None
            self._given = True
            return self._token


def user_of(port: int, server_port: int) -> int | None:
    """Return the number of the user who has a connection from one port of 127.0.0.1 to another; None if unknown."""
    wanted = [f"{_LOOPBACK}:{number:04X}" for number in (port, server_port)]
    for table in _TABLES:
        with suppress(OSError, ValueError, IndexError):
            for row in table.read_text().splitlines()[1:]:
                cells = row.split()
                if cells[1].endswith(wanted[0]) and cells[2].endswith(wanted[1]):
                    return int(cells[7])
    return None
