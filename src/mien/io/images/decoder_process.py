"""Start one decoder process, ask it, and end it. The pool of them: `images.isolation`. Their side: `images.decoder`."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from mien.arrays import UInt8
from mien.io.images.messages import fill, read_message, write_fully, write_message
from mien.io.images.pixel_memory import create_pixel_memory, open_pixel_memory
from mien.runtime.memory import MemoryBudget

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
_CODE = "import sys; sys.path[:] = sys.argv[1:]; from mien.io.images.decoder import main; main({})"


def niceness() -> int:
    """Return the niceness of this thread, which the processes that it starts inherit; 0 but on Linux."""
    return os.getpriority(os.PRIO_PROCESS, 0) if sys.platform == "linux" else 0


class CannotStartError(Exception):
    """Decoder processes do not run here."""


class DiedError(Exception):
    """A decoder ended without an answer; the argument says why."""


class DecoderProcess:
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
        shared = create_pixel_memory()
        self._memory = open_pixel_memory(shared)
        passed = [one for one in (kept, shared) if one is not None]
        if given is None:
            options["creationflags"] = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
        else:
            # A group of its own: Ctrl-C is for the parent, which may still need it to finish.
            options |= {"pass_fds": passed, "process_group": 0}
        code = _CODE.format(", ".join(map(str, passed)))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", code, *path], bufsize=0, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **_ENVIRONMENT}, **options,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            if given is not None:
                os.close(given)
            raise CannotStartError(str(error)) from None
        finally:
            for one in passed:
                os.close(one)
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
            raise DiedError(self.end())
        return reply

    @property
    def lends(self) -> bool:
        """Whether pixels can be lent, in memory that this process shares with the decoder."""
        return self._memory is not None

    def pixels(self, shape: list[int], lent: bool) -> UInt8:
        """Read the pixels that follow a reply; those that are lent must not be used once another image is asked for."""
        if lent and self._memory is not None:
            return self._memory.view(shape)
        found = np.empty(shape, np.uint8)
        if not fill(self._out, found.reshape(-1).data):
            raise DiedError(self.end())
        return found

    def release(self) -> None:
        """Take back the pixels that were lent."""
        if self._memory is not None:
            self._memory.trim()

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
