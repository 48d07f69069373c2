"""Decode images in processes that can be ended: an image that takes too much time or memory costs its row alone.

This is the parent's side: a pool of processes (`images.decoder_process`) that share a budget of memory. It ends one
that takes too long. The other side, with its limits of memory and CPU time: `images.decoder`.
"""

import atexit
import os
import threading
import time
import warnings
from collections import defaultdict
from contextlib import ExitStack
from typing import Any, NamedTuple

from mien.arrays import UInt8
from mien.errors import ImageError
from mien.io.images.decoder_process import (
    CPU_SECONDS,
    WALL_SECONDS,
    CannotStartError,
    DecoderProcess,
    DiedError,
    niceness,
)
from mien.io.images.source import EncodedImage
from mien.runtime.cores import available_cores
from mien.runtime.memory import MemoryBudget

#: Images that this process and its decoders decode share this memory, 512 MiB; one that needs more is decoded alone.
DECODING_BUDGET = MemoryBudget(512 * 2**20)

#: More than one, so that a few images that take long do not make all others wait.
DECODERS_PER_CORE = 2


class Reply(NamedTuple):
    """What a decoder found: pixels, and facts about the file. Lent pixels are those of another image later."""

    pixels: UInt8 | None
    facts: dict[str, Any]


class Decoders:
    """A pool of decoder processes. They start when they are needed, and again after one has ended.

    A decoder has the priority of the thread that starts it (on Linux), and serves threads of this priority.

    Args:
        count: most processes.
        budget: the memory that large images share, in this process and in the decoders.
    """

    def __init__(self, count: int, budget: MemoryBudget) -> None:
        self._budget = budget
        self._slots = threading.Semaphore(count)
        # The others always serve: threads of low priority may keep the pixels that they were lent for long.
        self._loans = threading.Semaphore(max(count // 2, 1))
        self._lock = threading.Lock()
        self._idle: dict[int, list[DecoderProcess]] = defaultdict(list)
        self._all: set[DecoderProcess] = set()
        self._watching = False

    def run(
        self, task: str, source: EncodedImage, name: str, options: dict[str, Any], held: ExitStack, lend: bool = False
    ) -> Reply:  # fmt: skip
        """Have a decoder do a task on the bytes or the path of an image; its memory is reserved until `held` ends.

        `lend`: the pixels are used no longer than that. Then large ones need no copy: they may lie in memory that the
        decoder shares, which serves nobody else until `held` ends. At most half of the decoders lend at a time.

        Raises:
            ImageError: the image cannot be decoded, or takes too much time or memory.
            CannotStartError: there are no processes here.
        """
        data = source if isinstance(source, bytes) else b""
        path = None if isinstance(source, bytes) else os.path.abspath(os.fsdecode(source))  # noqa: PTH100
        request = {"task": task, "path": path, "size": len(data), "options": options}
        ends: list[str] = []
        while True:
            with ExitStack() as reserved, ExitStack() as used:
                used.enter_context(self._slots)
                process = self._take()
                try:
                    process.wait_until_ready()
                    process.deadline = time.monotonic() + WALL_SECONDS
                    request["lend"] = lend and process.lends and self._loans.acquire(blocking=False)
                    if request["lend"]:
                        used.callback(self._loans.release)
                    reply = process.ask(request, data, self._budget, reserved)
                    if "shape" in reply:
                        pixels = None if reply["shape"] is None else process.pixels(reply["shape"], reply["lent"])
                    process.deadline = None
                except DiedError as died:
                    self._drop(process)
                    ends.append(str(died))
                    # Something else may have ended it, such as a system that lacks memory.
                    if ends == ["killed"]:
                        continue
                    raise _error(name, ends[-1]) from None
                except BaseException:  # it may be in the middle of an answer
                    process.kill()
                    process.end()
                    self._drop(process)
                    raise
                used.callback(self._give_back, process)
                if "error" in reply:
                    raise ImageError(name, *reply["error"])
                if reply["lent"]:
                    reserved.push(used.pop_all())
                held.push(reserved.pop_all())
                return Reply(pixels, reply["facts"])

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            processes, self._all = list(self._all), set()
            self._idle.clear()
        for process in processes:
            process.kill()
            process.end()

    def forget(self) -> None:
        """Let go of all processes, in a process that was forked."""
        for process in self._all:
            process.forget()

    def _take(self) -> DecoderProcess:
        with self._lock:
            if idle := self._idle[niceness()]:
                return idle.pop()
        process = DecoderProcess()
        with self._lock:
            self._all.add(process)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="mien-decoders", daemon=True).start()
        return process

    def _give_back(self, process: DecoderProcess) -> None:
        process.release()
        with self._lock:
            self._idle[process.niceness].append(process)

    def _drop(self, process: DecoderProcess) -> None:
        with self._lock:
            self._all.discard(process)

    def _watch(self) -> None:
        """End the processes that take too long."""
        while True:
            time.sleep(0.25)
            now = time.monotonic()
            with self._lock:
                if not self._all:
                    self._watching = False
                    return
                overdue = [one for one in self._all if one.deadline is not None and one.deadline < now]
            for process in overdue:
                process.kill(overdue=True)


def _error(name: str, end: str) -> ImageError:
    if end == "time":
        return ImageError(name, f"takes more than {CPU_SECONDS} s to decode; save it again as JPEG or PNG", "too-slow")
    return ImageError(name, "crashes its decoder; save it again as JPEG or PNG", "damaged")


class _Shared:
    """The pool of this process."""

    pool: Decoders | None = None
    works = True
    lock = threading.Lock()


def _forget() -> None:
    if _Shared.pool is not None:
        _Shared.pool.forget()
    _Shared.pool, _Shared.lock = None, threading.Lock()


def _close() -> None:
    if _Shared.pool is not None:
        _Shared.pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def run_isolated(
    task: str, source: EncodedImage, name: str, options: dict[str, Any], held: ExitStack, lend: bool = False
) -> Reply | None:  # fmt: skip
    """Have a decoder of this process's pool do a task, see `Decoders.run`; None if processes do not start here."""
    decoders = _shared_decoders()
    if decoders is not None:
        try:
            return decoders.run(task, source, name, options, held, lend)
        except CannotStartError as error:
            _give_up(error)
    return None


def _shared_decoders() -> Decoders | None:
    with _Shared.lock:
        if _Shared.pool is None and _Shared.works:
            _Shared.pool = Decoders(DECODERS_PER_CORE * max(available_cores(), 2), DECODING_BUDGET)
            atexit.register(_close)
        return _Shared.pool if _Shared.works else None


def _give_up(error: Exception) -> None:
    """Decode in this process henceforth, and say so once."""
    with _Shared.lock:
        said, _Shared.works = not _Shared.works, False
    if not said:
        warnings.warn(
            f"decoder processes cannot be started ({error}); images are decoded in this process", RuntimeWarning, 4
        )
