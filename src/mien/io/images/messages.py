"""Send JSON objects, each with the bytes that belong to it, over a pipe between two processes."""

import json
from typing import Any, BinaryIO


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """Read one JSON object; None at the end of the stream."""
    head = read_exactly(stream, 4)
    body = None if head is None else read_exactly(stream, int.from_bytes(head, "big"))
    return None if body is None else json.loads(body)


def read_exactly(stream: BinaryIO, size: int) -> bytearray | None:
    """Read so many bytes; None if the stream ends before."""
    found = bytearray(size)
    return found if fill(stream, memoryview(found)) else None


def fill(stream: BinaryIO, view: memoryview) -> bool:
    """Fill a buffer from a stream; return whether the stream had as much."""
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            return False
        view = view[count:]
    return True


def write_message(stream: BinaryIO, message: dict[str, Any], content: "bytes | memoryview" = b"") -> None:
    """Write one JSON object and the bytes that belong to it."""
    body = json.dumps(message).encode("ascii")
    write_fully(stream, len(body).to_bytes(4, "big") + body)
    write_fully(stream, content)


def write_fully(stream: BinaryIO, content: "bytes | memoryview") -> None:
    """Write all bytes to an unbuffered stream."""
    view = memoryview(content)
    while view:
        view = view[stream.write(view) :]
