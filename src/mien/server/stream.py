"""`/v1/stream`: frames of a camera in, a row for each that is read out; the newest frame wins."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.errors import ImageError
from mien.inference.preprocess import decode_whole
from mien.inference.reader import Reader
from mien.io.image import RGB
from mien.results import FrameResult
from mien.server.limits import Limits
from mien.server.metrics import ServerMetrics
from mien.server.models import Models, to_json
from mien.server.problems import Problem
from mien.server.uploads import Upload
from mien.server.workers import Workers

#: What a frame is called in its row.
SOURCE = "stream"
#: Frames beyond this many times the rate at which they are read are left to wait at the sender.
_FLOOD = 4.0
#: Seconds within which a client must take an answer.
_PATIENCE = 10.0

#: How a WebSocket is closed after a problem (RFC 6455, and 1013 of IANA's registry: try again later).
_CLOSES = {"too_large": 1009, "too_many_pixels": 1009, "busy": 1013, "timeout": 1013, "shutting_down": 1013}
_POLICY = 1008

Given = tuple[float, bytes]


class Watching:
    """Follows the faces of one stream through `Reader.watch`, a frame for each call, from worker threads."""

    def __init__(self, reader: Reader, models: Models) -> None:
        self._models, self._model = models, reader.config.name
        self._frame: tuple[float, RGB] | None = None
        self._results = reader.watch(self._frames(), source=SOURCE)

    def _frames(self) -> Iterator[tuple[float, RGB]]:
        while self._frame is not None:
            yield self._frame

    def read(self, given: Sequence[Given]) -> list[dict[str, Any]]:
        """Read one frame, (time in seconds, bytes); Problem where it has too many pixels."""
        ((at, data),) = given
        try:
            checked = self._models.checked(Upload(SOURCE, data))
            if isinstance(checked, ImageError):
                raise checked
            self._frame = (at, decode_whole(checked))
        except ImageError as error:
            return [FrameResult(SOURCE, "unreadable", error.reason, None, None, self._model, (), at).to_dict()]
        return [next(self._results).to_dict()]


class Newest:
    """The newest frame that has come; those before it that were not taken are passed over."""

    def __init__(self) -> None:
        self._frame = b""
        self._count = self._taken = 0
        self._changed = asyncio.Event()

    def put(self, frame: bytes) -> int:
        """Take a frame in; returns how many were passed over for it, 0 or 1."""
        passed = int(self._changed.is_set())
        self._frame = frame
        self._count += 1
        self._changed.set()
        return passed

    async def wait(self) -> None:
        """Wait until there is one."""
        await self._changed.wait()

    def take(self) -> tuple[int, int, bytes]:
        """Return its number, counted from 1, how many were passed over since the last one, and the frame.

        To be called once `wait` has returned.
        """
        dropped, frame = self._count - self._taken - 1, self._frame
        self._taken, self._frame = self._count, b""
        self._changed.clear()
        return self._count, dropped, frame


class Streams:
    """All streams of an application."""

    def __init__(self, models: Models, workers: Workers, limits: Limits, figures: ServerMetrics) -> None:
        self._models, self._workers, self._limits, self._figures = models, workers, limits, figures
        self._closing: set[asyncio.Event] = set()

    def close(self) -> None:
        """Let every stream answer the frame it has, and end it."""
        for closing in self._closing:
            closing.set()

    async def run(self, socket: WebSocket, reader: Reader) -> None:
        """Read the frames of an accepted WebSocket until it is closed; Problem where it must be."""
        if len(self._closing) >= self._limits.streams:
            raise Problem("busy", f"{self._limits.streams} streams are open already; try again later")
        closing, newest = asyncio.Event(), Newest()
        self._closing.add(closing)
        self._figures.streams.inc()
        tasks = [
            asyncio.create_task(self._receive(socket, newest)),
            asyncio.create_task(self._answer(socket, newest, Watching(reader, self._models), closing)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._closing.discard(closing)
            self._figures.streams.dec()

    async def _receive(self, socket: WebSocket, newest: Newest) -> None:
        """Take in what comes, until the client leaves."""
        due = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(self._limits.idle_seconds):
                    message = await socket.receive()
            except TimeoutError:
                raise Problem("timeout", f"no frame came for {self._limits.idle_seconds:g} seconds") from None
            if message["type"] == "websocket.disconnect":
                return
            frame = message.get("bytes")
            if frame is None:
                if _key_in(message.get("text") or "") is None:
                    raise Problem("bad_parameter", "send each frame as a binary message: a JPEG, PNG or WebP")
                continue  # a page that holds a key sends it whether or not one is needed
            if len(frame) > self._limits.frame_bytes:
                raise Problem("too_large", f"a frame is larger than {self._limits.frame_bytes} bytes")
            if newest.put(frame):
                self._figures.frames.labels("passed over").inc()
            now = time.monotonic()
            due = max(due, now - 1) + 1 / (_FLOOD * self._limits.frames_per_second)
            if due > now:
                await asyncio.sleep(due - now)

    async def _answer(self, socket: WebSocket, newest: Newest, watching: Watching, closing: asyncio.Event) -> None:
        begin, due = time.monotonic(), 0.0
        while await _first(newest.wait(), closing.wait()) and not closing.is_set():
            await asyncio.sleep(max(due - time.monotonic(), 0))
            now = time.monotonic()
            due = max(due + 1 / self._limits.frames_per_second, now)
            number, dropped, frame = newest.take()
            row = await self._workers.do(watching.read, (now - begin, frame), always=True)
            self._figures.frames.labels("read").inc()
            taken = round(1000 * (time.monotonic() - now), 1)
            answer = {"frame": number, "dropped": dropped, "milliseconds": taken, "row": row}
            async with asyncio.timeout(_PATIENCE):
                await socket.send_text(to_json(answer).decode())
        raise Problem("shutting_down", "the server is shutting down; open another stream later")


async def first_key(socket: WebSocket, seconds: float) -> str | None:
    """Return the key that a client sends as its first message, None where it sends something else or nothing."""
    try:
        async with asyncio.timeout(seconds):
            message = await socket.receive()
    except TimeoutError:
        return None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    return _key_in(message.get("text") or "")


async def close_with(socket: WebSocket, problem: Problem) -> None:
    """Send a problem as the last message, and close."""
    try:
        async with asyncio.timeout(_PATIENCE):
            await socket.send_text(to_json(problem.to_dict()).decode())
            await socket.close(_CLOSES.get(problem.code, _POLICY), problem.code)
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        return  # it is gone


def _key_in(text: str) -> str | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    key = found.get("key") if isinstance(found, dict) else None
    return key if isinstance(key, str) else None


async def _first(*waits: Any) -> bool:
    """Wait for the first of several; always True."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    return True
