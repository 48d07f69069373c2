"""Handle `/v1/stream`: webcam frames in, a row out for each frame that is answered. The latest frame wins."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from mien.arrays import RGB
from mien.errors import ImageError
from mien.inference.reader import Reader
from mien.io.images.decoding import load_image
from mien.results import FrameResult
from mien.server.jobs import LATER, Later
from mien.server.limits import Limits
from mien.server.metrics import ServerMetrics
from mien.server.models import Checked, Models, is_quick, may_be_quick, to_json
from mien.server.problems import Problem
from mien.server.uploads import Upload
from mien.server.workers import WorkerPool

#: `source` of the rows of a stream.
SOURCE = "stream"
#: A client may send frames this many times faster than they are answered. Faster ones are left in its send buffer.
_MAX_OVERSEND = 4.0
#: Seconds within which a client must accept an answer.
_SEND_SECONDS = 10.0

#: Close codes after a problem (RFC 6455; 1013 "try again later" is in IANA's registry).
_CLOSE_CODES = {"too_large": 1009, "too_many_pixels": 1009, "busy": 1013, "timeout": 1013, "shutting_down": 1013}
_POLICY_VIOLATION = 1008

#: Seconds since the first frame, and the encoded frame.
TimedFrame = tuple[float, bytes]


class StreamPredictor:
    """Predict the frames of one stream and track its faces with `Reader.watch`. Each call may use another thread."""

    def __init__(self, reader: Reader, models: Models) -> None:
        self._models, self._model, self._detect = models, reader.config.name, reader.detect
        self._frame: tuple[float, RGB] | None = None
        self._results = reader.watch(self._frames(), source=SOURCE, cuts=False)

    def _frames(self) -> Iterator[tuple[float, RGB]]:
        while self._frame is not None:
            yield self._frame

    def predict_quick(self, frames: Sequence[TimedFrame]) -> list[dict[str, Any] | Later]:
        """Return the row of a single frame, or `LATER` if that may take long; raise Problem as `predict` does."""
        ((seconds, data),) = frames
        upload = Upload(SOURCE, data)
        if not may_be_quick([upload]):
            return [LATER]
        checked = self._models.check(upload)
        return [self._row(seconds, checked) if is_quick([checked]) else LATER]

    def predict(self, frames: Sequence[TimedFrame]) -> list[dict[str, Any]]:
        """Return the row of a single frame; raise Problem if it has too many pixels."""
        ((seconds, data),) = frames
        return [self._row(seconds, self._models.check(Upload(SOURCE, data)))]

    def _row(self, seconds: float, checked: Checked) -> dict[str, Any]:
        try:
            if isinstance(checked.image, ImageError):
                raise checked.image
            self._frame = (seconds, load_image(checked.image, isolated="all"))
        except ImageError as error:
            unreadable = FrameResult(
                SOURCE, "unreadable", error.reason, width=None, height=None, model=self._model, time=seconds,
                detect=self._detect,
            )  # fmt: skip
            return unreadable.to_dict()
        return next(self._results).to_dict()


class LatestFrame:
    """A buffer for one frame. A new frame replaces one that was not taken."""

    def __init__(self) -> None:
        self._frame = b""
        self._count = self._taken = 0
        self._changed = asyncio.Event()

    def put(self, frame: bytes) -> bool:
        """Store a frame; return whether it replaced another one."""
        dropped = self._changed.is_set()
        self._frame = frame
        self._count += 1
        self._changed.set()
        return dropped

    async def wait(self) -> None:
        """Wait for a frame."""
        await self._changed.wait()

    def take(self) -> tuple[int, int, bytes]:
        """Return the frame's number from 1, the number of frames dropped before it, and the frame; `wait` first."""
        dropped, frame = self._count - self._taken - 1, self._frame
        self._taken, self._frame = self._count, b""
        self._changed.clear()
        return self._count, dropped, frame


class Streams:
    """All open streams of an application.

    Args:
        models: checks the frames.
        workers: predicts the frames.
        limits: `streams`, `frame_bytes`, `frames_per_second` and `idle_seconds` apply here.
        metrics: counts streams and frames.
    """

    def __init__(self, models: Models, workers: WorkerPool, limits: Limits, metrics: ServerMetrics) -> None:
        self._models, self._workers, self._limits, self._metrics = models, workers, limits, metrics
        self._closing: set[asyncio.Event] = set()

    def close(self) -> None:
        """Let every stream answer its current frame, then end it."""
        for closing in self._closing:
            closing.set()

    async def run(self, socket: WebSocket, reader: Reader) -> None:
        """Answer the frames of an accepted WebSocket until the client leaves; raise Problem to end it."""
        if len(self._closing) >= self._limits.streams:
            raise Problem("busy", f"{self._limits.streams} streams are open already; try again later")
        closing, latest = asyncio.Event(), LatestFrame()
        self._closing.add(closing)
        self._metrics.streams.inc()
        tasks = [
            asyncio.create_task(self._receive(socket, latest)),
            asyncio.create_task(self._answer(socket, latest, StreamPredictor(reader, self._models), closing)),
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
            self._metrics.streams.dec()

    async def _receive(self, socket: WebSocket, latest: LatestFrame) -> None:
        """Receive frames until the client leaves."""
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
                if _parse_key(message.get("text") or "") is None:
                    raise Problem("bad_parameter", "send each frame as a binary message: an image file, such as a JPEG")
                continue  # a page that has a key sends it even if none is required
            if len(frame) > self._limits.frame_bytes:
                raise Problem("too_large", f"a frame is larger than {self._limits.frame_bytes} bytes")
            if latest.put(frame):
                self._metrics.frames.labels("dropped").inc()
            now = time.monotonic()
            due = max(due, now - 1) + 1 / (_MAX_OVERSEND * self._limits.frames_per_second)
            if due > now:
                await asyncio.sleep(due - now)

    async def _answer(
        self, socket: WebSocket, latest: LatestFrame, predictor: StreamPredictor, closing: asyncio.Event
    ) -> None:
        """Answer the latest frame, again and again, until the server shuts down."""
        begin, due = time.monotonic(), 0.0
        while await _wait_for_any(latest.wait(), closing.wait()) and not closing.is_set():
            await asyncio.sleep(max(due - time.monotonic(), 0))
            now = time.monotonic()
            due = max(due + 1 / self._limits.frames_per_second, now)
            number, dropped, frame = latest.take()
            row = await self._workers.run(
                predictor.predict_quick, (now - begin, frame), later=predictor.predict, even_if_full=True
            )
            self._metrics.frames.labels("answered").inc()
            milliseconds = round(1000 * (time.monotonic() - now), 1)
            answer = {"frame": number, "dropped": dropped, "milliseconds": milliseconds, "row": row}
            async with asyncio.timeout(_SEND_SECONDS):
                await socket.send_text(to_json(answer).decode())
        raise Problem("shutting_down", "the server is shutting down; open another stream later")


async def receive_key(socket: WebSocket, seconds: float) -> str | None:
    """Return the key in a client's first message; None if the message is something else or does not come in time."""
    try:
        async with asyncio.timeout(seconds):
            message = await socket.receive()
    except TimeoutError:
        return None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    return _parse_key(message.get("text") or "")


async def close_with_problem(socket: WebSocket, problem: Problem) -> None:
    """Send a problem document as the last message, then close the WebSocket."""
    try:
        async with asyncio.timeout(_SEND_SECONDS):
            await socket.send_text(to_json(problem.to_dict()).decode())
            await socket.close(_CLOSE_CODES.get(problem.code, _POLICY_VIOLATION), problem.code)
    except (TimeoutError, RuntimeError, WebSocketDisconnect):
        return  # the client has left


def _parse_key(text: str) -> str | None:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    key = message.get("key") if isinstance(message, dict) else None
    return key if isinstance(key, str) else None


async def _wait_for_any(*waits: Any) -> bool:
    """Wait until one of several awaitables is done; return True."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    return True
