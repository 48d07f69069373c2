"""Decode images in processes that can be ended: an image that takes too much time or memory costs its row alone.

This is the parent's side: it starts the processes, hands images over, and ends a process that takes too long. The other
side, with its limits of memory and CPU time: `images.decoder`.
"""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import defaultdict
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from mien.arrays import UInt8
from mien.errors import ImageError
from mien.io.images.messages import fill, read_message, write_fully, write_message
from mien.io.images.source import EncodedImage
from mien.runtime.cores import available_cores
from mien.runtime.memory import MemoryBudget

#: Images that this process and its decoders decode share this memory, 512 MiB; one that needs more is decoded alone.
DECODING_BUDGET = MemoryBudget(512 * 2**20)

#: More than one, so that a few images that take long do not make all others wait.
DECODERS_PER_CORE = 2
#: Longest CPU time for one image, in seconds. A decoder limits itself to it where the system can.
CPU_SECONDS = 8
#: Longest time for one image, in seconds; the CPU time ends it sooner, where that can be limited.
WALL_SECONDS = 30.0 if sys.platform != "win32" else 10.0
#: A process that has not said within this many seconds that it is ready cannot be used.
_START_SECONDS = 60.0
#: The variables that a decoder needs: one thread and one heap, so that its address space says what it uses.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONUTF8": "1"}
#: Size of the pipe that pixels come through, in bytes: the usual one makes both sides wait for each other.
_PIPE_BYTES = 2**20
_CODE = "import sys; sys.path[:] = sys.argv[2:]; from mien.io.images.decoder import main; main({})"


def niceness() -> int:
    """Return the niceness of this thread, which the processes that it starts inherit; 0 but on Linux."""
    return os.getpriority(os.PRIO_PROCESS, 0) if sys.platform == "linux" else 0


class Reply(NamedTuple):
    """What a decoder found: pixels, and facts about the file."""

    pixels: UInt8 | None
    facts: dict[str, Any]


class CannotStartError(Exception):
    """Decoder processes do not run here."""


class _DiedError(Exception):
    """A decoder ended without an answer; the argument says why."""


class _Process:
    """One decoder. A thread that uses it has it alone."""

    def __init__(self) -> None:
        if getattr(sys, "frozen", False) or not sys.executable:
            raise CannotStartError("this program has no Python interpreter of its own")
        path = [str(Path(__file__).parents[3]), *filter(None, sys.path)]
        options: dict[str, Any] = {}
        self.deadline: float | None = time.monotonic() + _START_SECONDS
        self.niceness = niceness()
        self._overdue = False
        kept, given = os.pipe() if sys.platform != "win32" else (None, None)
        if given is None:
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
        else:
            # A group of its own: Ctrl-C is for the parent, which may still need it to finish.
            options |= {"pass_fds": (kept,), "process_group": 0}
        code = _CODE.format("int(sys.argv[1])" if kept is not None else "")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", code, str(kept), *path], bufsize=0, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **_ENVIRONMENT}, **options,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            if given is not None:
                os.close(given)
            raise CannotStartError(str(error)) from None
        finally:
            if kept is not None:
                os.close(kept)
        self._lifeline = given
        self._in, self._out = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        if sys.platform == "linux":
            import fcntl

            with suppress(OSError):
                fcntl.fcntl(self._out, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._ready = False

    def wait_until_ready(self) -> None:
        """Raise CannotStartError if the process does not come up."""
        if self._ready:
            return
        with suppress(OSError, ValueError):
            self._ready = read_message(self._out) is not None
        if not self._ready:
            raise CannotStartError(f"a decoder ended at its start ({self.end()})")

    def ask(self, request: dict[str, Any], data: bytes, budget: MemoryBudget, held: ExitStack) -> dict[str, Any]:
        """Return the reply to a request; reserve the memory that the image needs until `held` ends."""
        try:
            write_message(self._in, request, data)
            reply = read_message(self._out)
            while reply is not None and "ask" in reply:
                self.deadline = None
                held.enter_context(budget.reserve(reply["ask"]))
                self.deadline = time.monotonic() + WALL_SECONDS
                write_fully(self._in, b"g")
                reply = read_message(self._out)
        except (OSError, ValueError):
            reply = None
        if reply is None:
            raise _DiedError(self.end())
        return reply

    def pixels(self, shape: list[int]) -> UInt8:
        """Read the pixels that follow a reply."""
        found = np.empty(shape, np.uint8)
        if not fill(self._out, found.reshape(-1).data):
            raise _DiedError(self.end())
        return found

    def kill(self, overdue: bool = False) -> None:
        """End the process at once; any thread may call this."""
        self._overdue = self._overdue or overdue
        self._process.kill()

    def end(self) -> str:
        """End the process, free what it holds and return why it ended: `time`, `crash` or `killed`."""
        with suppress(OSError):
            self._in.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
        try:
            code = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._out.close()
        if self._overdue or code == -getattr(signal, "SIGXCPU", 0):
            return "time"
        return "killed" if code == -getattr(signal, "SIGKILL", 9) or not code else "crash"

    def forget(self) -> None:
        """Close this process's copies of the pipes, in a process that was forked: the decoder is not its child."""
        for stream in (self._in, self._out):
            with suppress(OSError):
                stream.close()
        if self._lifeline is not None:
            os.close(self._lifeline)
        self._process.returncode = 0


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
        self._lock = threading.Lock()
        self._idle: dict[int, list[_Process]] = defaultdict(list)
        self._all: set[_Process] = set()
        self._watching = False

    def run(
        self, task: str, source: EncodedImage, name: str, options: dict[str, Any], held: ExitStack
    ) -> Reply:  # fmt: skip
        """Have a decoder do a task on the bytes or the path of an image; its memory is reserved until `held` ends.

        Raises:
            ImageError: the image cannot be decoded, or takes too much time or memory.
            CannotStartError: there are no processes here.
        """
        data = source if isinstance(source, bytes) else b""
        path = None if isinstance(source, bytes) else os.path.abspath(os.fsdecode(source))  # noqa: PTH100
        request = {"task": task, "path": path, "size": len(data), "options": options}
        ends: list[str] = []
        while True:
            with self._slots, ExitStack() as reserved:
                process = self._take()
                try:
                    process.wait_until_ready()
                    process.deadline = time.monotonic() + WALL_SECONDS
                    reply = process.ask(request, data, self._budget, reserved)
                    if "shape" in reply:
                        pixels = None if reply["shape"] is None else process.pixels(reply["shape"])
                except _DiedError as died:
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
                self._give_back(process)
                if "error" in reply:
                    raise ImageError(name, *reply["error"])
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

    def _take(self) -> _Process:
        with self._lock:
            if idle := self._idle[niceness()]:
                return idle.pop()
        process = _Process()
        with self._lock:
            self._all.add(process)
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="mien-decoders", daemon=True).start()
        return process

    def _give_back(self, process: _Process) -> None:
        process.deadline = None
        with self._lock:
            self._idle[process.niceness].append(process)

    def _drop(self, process: _Process) -> None:
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
    task: str, source: EncodedImage, name: str, options: dict[str, Any], held: ExitStack
) -> Reply | None:  # fmt: skip
    """Have a decoder of this process's pool do a task, see `Decoders.run`; None if processes do not start here."""
    decoders = _shared_decoders()
    if decoders is not None:
        try:
            return decoders.run(task, source, name, options, held)
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
