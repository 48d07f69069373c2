"""Receive request bodies: enforce the limits while data arrives, and keep everything in memory.

Large answers share the memory of the bodies until their client has accepted them.
"""

import asyncio
import io
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mien.server.connections.ration import FORM_SECONDS_PER_BYTE, SLICE_SECONDS, ParseTime, Ration
from mien.server.limits import Limits
from mien.server.problems import Problem

#: Longest file name, in characters; the start of a longer one is cut off.
MAX_NAME_LENGTH = 255
#: Most fields of a form that are no files. Their content is ignored.
_MAX_OTHER_FIELDS = 32
#: Longest content of such a field, in bytes.
_MAX_FIELD_BYTES = 1024 * 1024
#: A form is parsed in slices of this many bytes, and of fewer, down to the second number, if they take long.
_SLICE_BYTES, _MIN_SLICE_BYTES = 4 * 1024, 256
#: Answers are sent in pieces of this many bytes.
_PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Upload:
    """An uploaded file: the base name and the content."""

    name: str
    data: bytes


class BodyMemory:
    """Memory budget that all request bodies and large answers share, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0

    def reserve(self) -> "Reservation":
        """Return a context manager for one request. It frees the request's memory at its end."""
        return Reservation(self)


class Reservation:
    """The memory of one request body or answer."""

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


class HeldResponse(Response):
    """An answer that is sent as fast as the client accepts it. Its memory is reserved until then.

    Args:
        content: the body, not empty.
        media_type: its type.
        memory: the budget; smaller answers than `_PIECE_BYTES` are not counted.

    Raises:
        Problem: `busy` if the budget is used up.
    """

    def __init__(self, content: bytes, media_type: str, memory: BodyMemory) -> None:
        super().__init__(content, media_type=media_type)
        self._reservation = memory.reserve()
        if len(content) > _PIECE_BYTES:
            self._reservation.add(len(content))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer in pieces."""
        with self._reservation:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self.body), _PIECE_BYTES):
                end = start + _PIECE_BYTES
                piece, more = self.body[start:end], end < len(self.body)
                await send({"type": "http.response.body", "body": piece, "more_body": more})


async def read_uploads(request: Request, limits: Limits, reservation: Reservation, ration: Ration) -> list[Upload]:
    """Return the files of a request: the form fields named `file`, or the body itself as one file named `body`.

    Args:
        request: a request whose body was not read yet.
        limits: `body_bytes`, `files` and `body_seconds` apply here.
        reservation: memory that grows with the body.
        ration: of the time to parse a form.

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
                chunks = _sliced(_chunks(request, limits, reservation), ParseTime(ration, FORM_SECONDS_PER_BYTE))
                return await _Form(chunks, options.get(b"boundary", b""), limits).read()
            if kind == b"" or kind.startswith(b"image/") or kind == b"application/octet-stream":
                body = io.BytesIO()  # a list of very small chunks takes much more memory
                async for chunk in _chunks(request, limits, reservation):
                    body.write(chunk)
                if not body.tell():
                    raise Problem("no_file", "the body is empty; send an image, or a form with a field named file")
                return [Upload("body", body.getvalue())]
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


async def _chunks(request: Request, limits: Limits, reservation: Reservation) -> AsyncGenerator[bytes, None]:
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


async def _sliced(chunks: AsyncGenerator[bytes, None], parsed: ParseTime) -> AsyncGenerator[bytes, None]:
    """Pass a form on to its parser in slices. If the parser takes long, other requests come in between."""
    size, since = _SLICE_BYTES, 0.0
    async for chunk in chunks:
        start = 0
        while start < len(chunk):
            piece = chunk[start : start + size]
            start += len(piece)
            begin = time.thread_time()
            yield piece  # the parser works until it asks for the next piece
            spent = time.thread_time() - begin
            if spent > SLICE_SECONDS:
                size = max(size // 2, _MIN_SLICE_BYTES)
            wait = parsed.charge(spent, len(piece))
            if parsed.exhausted:
                raise Problem("bad_multipart", "the form takes too long to parse; its parts are too small or damaged")
            since += spent
            if wait or since > SLICE_SECONDS:
                since = 0.0
                await asyncio.sleep(wait)


class _Form(MultiPartParser):
    """Starlette's form parser, which keeps files in memory here and refuses a form that ends early.

    Args:
        chunks: the body.
        boundary: what the request's Content-Type names.
        limits: `body_bytes` and `files` apply here.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], boundary: bytes, limits: Limits) -> None:
        # Without the charset of the client: some of Python's decoders are slow.
        quoted = boundary.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        headers = Headers(raw=[(b"content-type", b'multipart/form-data; boundary="%s"' % quoted)])
        super().__init__(headers, chunks, max_part_size=_MAX_FIELD_BYTES)
        self.spool_max_size = limits.body_bytes + 1  # a larger file would go to the disk
        self._limits, self._boundary = limits, boundary
        self._parts = self._files = 0
        self._ended = False

    async def read(self) -> list[Upload]:
        """Return the files in fields named `file`; raise Problem for a damaged form and for one without any."""
        if not self._boundary:
            raise Problem("bad_multipart", "the Content-Type names no boundary")
        try:
            form = await self.parse()
        except (MultiPartException, FormParserError) as error:  # Starlette passes the second on in some versions
            reason = str(error.__cause__ or error)[:120]
            raise Problem("bad_multipart", f"the form cannot be parsed ({reason})") from None
        try:
            if not self._ended:
                raise Problem("bad_multipart", "the form ended early")
            uploads = []
            for name, file in form.multi_items():
                # Browsers send an empty file field as a file without name and content.
                if name == "file" and isinstance(file, UploadFile) and _is_sent(file):
                    uploads.append(Upload(base_name(file.filename or ""), await file.read()))
                    await file.close()  # frees the copy
        finally:
            for each in self._files_to_close_on_error:  # also one whose end is missing
                each.close()
        if not uploads:
            raise Problem("no_file", "the form has no file in a field named file")
        return uploads

    def on_part_begin(self) -> None:
        """Count the parts, whatever they hold."""
        self._parts += 1
        if self._parts > self._limits.files + _MAX_OTHER_FIELDS:
            raise _too_many(self._limits.files + _MAX_OTHER_FIELDS, "parts")
        super().on_part_begin()

    def on_headers_finished(self) -> None:
        """Take a field named `file` for a file even if it names none."""
        disposition = self._current_part.content_disposition or b""
        _, options = parse_options_header(disposition)
        if options.get(b"name") == b"file" and b"filename" not in options:
            self._current_part.content_disposition = disposition + b'; filename=""'
        super().on_headers_finished()

    def on_part_end(self) -> None:
        """Refuse the first file above the limit."""
        super().on_part_end()
        part = self._current_part
        # What came last is written, and counted in the size, after this call.
        comes = bool(self._file_parts_to_write) and self._file_parts_to_write[-1][0] is part
        if part.file is not None and part.field_name == "file" and (comes or _is_sent(part.file)):
            self._files += 1
            if self._files > self._limits.files:
                raise _too_many(self._limits.files, "files")

    def on_end(self) -> None:
        """Note that the form is complete. Starlette accepts one that is not."""
        self._ended = True


def _is_sent(file: UploadFile) -> bool:
    return bool(file.filename or file.size)


def base_name(name: str) -> str:
    r"""Return the printable last part of a client's file name, which may be a path of any operating system.

    Examples:
        >>> base_name(r"C:\Users\me\face.png")
        'face.png'
    """
    text = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return "".join(letter for letter in text if letter.isprintable())[-MAX_NAME_LENGTH:] or "file"


def _too_many(count: int, what: str) -> Problem:
    return Problem("too_many_files", f"the form has more than {count} {what}; send it in several requests")


def _too_large(limits: Limits) -> Problem:
    return Problem("too_large", f"the body is larger than {limits.body_bytes} bytes; send less at a time")
