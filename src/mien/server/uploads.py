"""Receive request bodies: enforce the limits while data arrives and keep everything in memory. Decoding is elsewhere.

Starlette's own form parser writes files above 1 MiB to the disk. mien stores no image.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from mien.server.limits import Limits
from mien.server.problems import Problem

#: Longest file name, in characters; the start of a longer one is cut off.
MAX_NAME_LENGTH = 255
#: Most headers of a part of a form, and the largest size of each in bytes. They hold the names of fields and files.
_MAX_HEADERS, _MAX_HEADER_BYTES = 8, 4096
#: Most fields of a form that are no files. Their content is ignored.
_MAX_OTHER_FIELDS = 32


@dataclass(frozen=True)
class Upload:
    """An uploaded file: the base name and the content."""

    name: str
    data: bytes


class BodyMemory:
    """Memory budget that all request bodies share, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def reserve(self) -> "Reservation":
        """Return a context manager for one request. It frees the request's memory at its end."""
        return Reservation(self)


class Reservation:
    """The memory of one request body."""

    def __init__(self, memory: BodyMemory) -> None:
        self._memory, self._size = memory, 0

    def add(self, size: int) -> None:
        """Reserve `size` more bytes; raise Problem `busy` if the budget is used up."""
        if self._memory.used + size > self._memory.limit:
            raise Problem("busy", "the server holds too many uploads; try again in a moment")
        self._memory.used += size
        self._size += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._memory.used -= self._size


async def read_uploads(request: Request, limits: Limits, reservation: Reservation) -> list[Upload]:
    """Return the files of a request: the form fields named `file`, or the body itself as one file named `body`.

    Args:
        request: a request whose body was not read yet.
        limits: `body_bytes`, `files` and `body_seconds` apply here.
        reservation: memory that grows with the body.

    Returns:
        At least one upload. Its data may be anything.

    Raises:
        Problem: the body is too large, too slow, damaged, empty, or of an unsupported kind.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported_media_type", "the body is compressed; send it without Content-Encoding")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            if kind == b"multipart/form-data":
                chunks = _chunks(request, limits, reservation)
                return await _read_form(chunks, options.get(b"boundary", b""), limits)
            if kind == b"" or kind.startswith(b"image/") or kind == b"application/octet-stream":
                data = b"".join([chunk async for chunk in _chunks(request, limits, reservation)])
                if not data:
                    raise Problem("no_file", "the body is empty; send an image, or a form with a field named file")
                return [Upload("body", data)]
    except TimeoutError:
        headers = {"Connection": "close"}
        raise Problem(
            "slow_request", f"the body did not arrive within {limits.body_seconds:g} seconds", headers
        ) from None
    raise Problem(
        "unsupported_media_type",
        f"{kind.decode('latin-1')[:60]!r} is not supported; send multipart/form-data with a field named file, or the "
        "image itself as image/jpeg, image/png or application/octet-stream",
    )


async def _chunks(request: Request, limits: Limits, reservation: Reservation) -> AsyncIterator[bytes]:
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > limits.body_bytes:
                raise _too_large(limits)
            reservation.add(len(chunk))
            yield chunk
    except ClientDisconnect:
        raise Problem("bad_request", "the body ended early") from None


async def _read_form(chunks: AsyncIterator[bytes], boundary: bytes, limits: Limits) -> list[Upload]:
    if not boundary:
        raise Problem("bad_multipart", "the Content-Type names no boundary")
    form = _Form(limits.files)
    try:
        parser = form.parser(boundary)
        async for chunk in chunks:
            parser.write(chunk)
    except FormParserError as error:
        raise Problem("bad_multipart", f"the form cannot be parsed ({str(error)[:120]})") from None
    if not form.ended:
        raise Problem("bad_multipart", "the form ended early")
    if not form.uploads:
        raise Problem("no_file", "the form has no file in a field named file")
    return form.uploads


@dataclass
class _Form:
    """Collects the files of a form from the callbacks of python-multipart's parser."""

    max_files: int
    uploads: list[Upload] = field(default_factory=list)
    ended: bool = False
    _parts: int = 0
    _header_name: bytes = b""
    _header_value: bytes = b""
    _disposition: bytes = b""
    _data: list[bytes] = field(default_factory=list)

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_BYTES,
        )

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > self.max_files + _MAX_OTHER_FIELDS:
            raise _too_many(self.max_files + _MAX_OTHER_FIELDS, "parts")
        self._disposition, self._data = b"", []

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _on_part_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name, data = options.get(b"filename"), b"".join(self._data)
        # Browsers send an empty file field as a file without name and content.
        if options.get(b"name") == b"file" and (name or data):
            self.uploads.append(Upload(base_name(name or b""), data))
            if len(self.uploads) > self.max_files:
                raise _too_many(self.max_files, "files")
        self._data = []

    def _on_end(self) -> None:
        self.ended = True


def base_name(name: bytes) -> str:
    r"""Return the printable last part of a client's file name, which may be a path of any operating system.

    Examples:
        >>> base_name(rb"C:\Users\me\face.png")
        'face.png'
    """
    text = name.decode("utf-8", "replace").replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(letter for letter in text if letter.isprintable())[-MAX_NAME_LENGTH:] or "file"


def _too_many(count: int, what: str) -> Problem:
    return Problem("too_many_files", f"the form has more than {count} {what}; send it in several requests")


def _too_large(limits: Limits) -> Problem:
    return Problem("too_large", f"the body is larger than {limits.body_bytes} bytes; send less at a time")
