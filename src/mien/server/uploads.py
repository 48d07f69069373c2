"""Request bodies as they come: limits before anything is decoded, with or without a Content-Length, all in memory.

Starlette's own forms would write files above 1 MiB to the disk; no picture is written here.
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

#: How long a file's name may be; what is beyond is cut off.
LONGEST_NAME = 255
#: Names of fields and files come in a part's header, of which there may be so many, each so long.
_HEADERS, _HEADER_BYTES = 8, 4096
#: Fields of a form that are no files, and not looked at.
_OTHER_FIELDS = 32


@dataclass(frozen=True)
class Upload:
    """A file that was sent: its name's last part, and its bytes."""

    name: str
    data: bytes


class Memory:
    """How much memory the bodies of all requests may take together, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def share(self) -> "Share":
        """Return a context whose part is given back at its end."""
        return Share(self)


class Share:
    """The memory of one request's body."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self._own = memory, 0

    def take(self, size: int) -> None:
        """Add to it; Problem `busy` where there is no room."""
        if self._memory.used + size > self._memory.limit:
            raise Problem("busy", "the server holds too many uploads; try again in a moment")
        self._memory.used += size
        self._own += size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._memory.used -= self._own


async def read_uploads(request: Request, limits: Limits, share: Share) -> list[Upload]:
    """Return the files of a request: its multipart fields named `file`, or its body as one named `body`.

    Raises Problem for whatever is over a limit, damaged, empty, or another kind of body.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("unsupported_media_type", "the body is compressed; send it without Content-Encoding")
    stated = request.headers.get("content-length", "")
    if stated.isdecimal() and int(stated) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            if kind == b"multipart/form-data":
                return await _form(_chunks(request, limits, share), options.get(b"boundary", b""), limits)
            if kind == b"" or kind.startswith(b"image/") or kind == b"application/octet-stream":
                data = b"".join([chunk async for chunk in _chunks(request, limits, share)])
                if not data:
                    raise Problem("no_file", "the body is empty; send a picture, or a form with a field named file")
                return [Upload("body", data)]
    except TimeoutError:
        headers = {"Connection": "close"}
        raise Problem(
            "slow_request", f"the body did not come within {limits.body_seconds:g} seconds", headers
        ) from None
    raise Problem(
        "unsupported_media_type",
        f"{kind.decode('latin-1')[:60]!r} is not read; send multipart/form-data with a field named file, or the "
        "picture itself as image/jpeg, image/png or application/octet-stream",
    )


async def _chunks(request: Request, limits: Limits, share: Share) -> AsyncIterator[bytes]:
    total = 0
    try:
        async for chunk in request.stream():
            total += len(chunk)
            if total > limits.body_bytes:
                raise _too_large(limits)
            share.take(len(chunk))
            yield chunk
    except ClientDisconnect:
        raise Problem("bad_request", "the body broke off") from None


async def _form(chunks: AsyncIterator[bytes], boundary: bytes, limits: Limits) -> list[Upload]:
    if not boundary:
        raise Problem("bad_multipart", "the Content-Type names no boundary")
    form = _Form(limits.files)
    try:
        parser = form.parser(boundary)
        async for chunk in chunks:
            parser.write(chunk)
    except FormParserError as error:
        raise Problem("bad_multipart", f"the form cannot be read ({str(error)[:120]})") from None
    if not form.ended:
        raise Problem("bad_multipart", "the form breaks off before its end")
    if not form.uploads:
        raise Problem("no_file", "the form has no file in a field named file")
    return form.uploads


@dataclass
class _Form:
    """What python-multipart's parser tells of a form, part by part."""

    files: int
    uploads: list[Upload] = field(default_factory=list)
    ended: bool = False
    _parts: int = 0
    _header: bytes = b""
    _value: bytes = b""
    _disposition: bytes = b""
    _data: list[bytes] = field(default_factory=list)

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_field,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_part_data": self._on_data,
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
            max_header_count=_HEADERS,
            max_header_size=_HEADER_BYTES,
        )

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self.files + _OTHER_FIELDS:
            raise _too_many(self.files + _OTHER_FIELDS, "parts")
        self._disposition, self._data = b"", []

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(data[start:end])

    def _part_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name, data = options.get(b"filename"), b"".join(self._data)
        # A browser sends a form whose field was left empty as a file without name and content.
        if options.get(b"name") == b"file" and (name or data):
            self.uploads.append(Upload(last_part(name or b""), data))
            if len(self.uploads) > self.files:
                raise _too_many(self.files, "files")
        self._data = []

    def _end(self) -> None:
        self.ended = True


def last_part(name: bytes) -> str:
    """Return the last part of a file's name as a client gives it, which may be a path of any system."""
    text = name.decode("utf-8", "replace").replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(letter for letter in text if letter.isprintable())[-LONGEST_NAME:] or "file"


def _too_many(count: int, of: str) -> Problem:
    return Problem("too_many_files", f"the form has more than {count} {of}; send it in several requests")


def _too_large(limits: Limits) -> Problem:
    return Problem("too_large", f"the body is larger than {limits.body_bytes} bytes; send less at a time")
