"""Decode images in a process of its own, which its parent can end.

Requests come in on standard input, replies go out on standard output (`images.messages`). The process limits its own
address space and CPU time, prints nothing, ignores the signals of its group, and ends with its parent. The other side:
`images.isolation`.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mien.arrays import UInt8
from mien.errors import ImageError
from mien.io.images.costs.bounds import opening_bytes
from mien.io.images.decoder_process import CPU_SECONDS
from mien.io.images.examination import examine
from mien.io.images.loading import decode_with_size
from mien.io.images.messages import read_exactly, read_message, write_message
from mien.io.images.pixel_memory import open_pixel_memory
from mien.io.images.source import read_file
from mien.runtime.memory import keep_freed_memory, release_freed_memory

#: An image that takes no more than this is decoded without asking the parent, in bytes.
FREE_BYTES = 16 * 2**20
#: Address space above what an image should take, in bytes: decoders and the C library ask for more than they use.
_SLACK = 192 * 2**20
#: Freed memory that this process keeps, in bytes: Pillow takes 16 MiB at once for a photo of 12 megapixels.
_KEPT = 32 * 2**20
#: What is freed is returned to the system after an image that was allowed more than this, in bytes.
_RELEASE_ABOVE = _SLACK + 32 * 2**20


class _Limits:
    """Limits of this process, where the system has them."""

    def __init__(self) -> None:
        try:
            import resource
        except ImportError:  # Windows: the parent limits the time
            self._resource: Any = None
            return
        self._resource = resource
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        self._base = _address_space()

    def set(self, needed: int) -> None:
        """Allow `needed` bytes for one image and some more, and the time for it."""
        self.allowed = needed + _SLACK
        if self._resource is None:
            return
        usage = self._resource.getrusage(self._resource.RUSAGE_SELF)
        self._lower("RLIMIT_CPU", int(usage.ru_utime + usage.ru_stime) + 1 + CPU_SECONDS)
        if self._base is not None:
            self._lower("RLIMIT_AS", self._base + self.allowed)

    def _lower(self, name: str, value: int) -> None:
        kind = getattr(self._resource, name, None)
        if kind is None:
            return
        hard = self._resource.getrlimit(kind)[1]
        with contextlib.suppress(ValueError, OSError):
            self._resource.setrlimit(kind, (value if hard == self._resource.RLIM_INFINITY else min(value, hard), hard))


def _address_space() -> int | None:
    """Return the size of this process's address space in bytes; None if the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (OSError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


class _Server:
    def __init__(self, requests: BinaryIO, replies: BinaryIO, shared: int | None) -> None:
        self._memory = open_pixel_memory(shared)  # before the limits, which allow what is there beside an image
        self._requests, self._replies, self._limits = requests, replies, _Limits()

    def run(self) -> None:
        """Answer requests until the parent is gone."""
        write_message(self._replies, {"ready": os.getpid()})
        while (request := read_message(self._requests)) is not None:
            sent = self._requests.read(request["size"])  # one copy of what may be large
            if len(sent) < request["size"]:
                return
            try:
                self._answer(request, sent)
            except ImageError as error:
                write_message(self._replies, {"error": [error.reason, error.code]})
            except MemoryError:
                reason = f"takes more than {self._limits.allowed >> 20} MiB to decode; save it again as JPEG or PNG"
                write_message(self._replies, {"error": [reason, "too-much-memory"]})

    def _answer(self, request: dict[str, Any], sent: bytes) -> None:
        self._limits.set(FREE_BYTES)
        data = read_file(Path(request["path"])) if request["path"] is not None else sent
        self._limits.set(FREE_BYTES + opening_bytes(data))
        options = request["options"]
        if request["task"] == "examine":
            pixels, facts = examine(data, "", reserve=self._reserve, **options)
        else:
            decoded = decode_with_size(data, "", reserve=self._reserve, **options)
            pixels, facts = decoded.rgb, decoded._asdict()
            del facts["rgb"]
        shape = None if pixels is None else pixels.shape
        lent = request["lend"] and pixels is not None and self._memory is not None and self._memory.store(pixels)
        reply = {"shape": shape, "facts": facts, "lent": lent}
        write_message(self._replies, reply, _flat(None if lent else pixels))
        if self._limits.allowed > _RELEASE_ABOVE:
            del pixels, data
            release_freed_memory()

    def _reserve(self, needed: int) -> None:
        """Wait until the parent has as much memory for this image."""
        if needed <= FREE_BYTES:
            return
        write_message(self._replies, {"ask": needed})
        if read_exactly(self._requests, 1) is None:
            raise SystemExit
        self._limits.set(needed)


def _flat(pixels: UInt8 | None) -> "bytes | memoryview":
    return b"" if pixels is None else np.ascontiguousarray(pixels).reshape(-1).data


def _end_with(lifeline: int, end: Callable[[int], None] = os._exit) -> None:
    """End this process when its parent has ended, also while it decodes: the parent holds the pipe's other end."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(lifeline, 1)
        end(0)

    threading.Thread(target=wait, name="mien-lifeline", daemon=True).start()


def main(lifeline: int | None = None, shared: int | None = None) -> None:
    """Serve requests on standard input and output, and end with the parent.

    Args:
        lifeline: the descriptor of a pipe whose other end the parent holds.
        shared: that of memory for pixels.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the parent ends this process, once it needs it no longer
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 0)
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):  # what a decoder prints must not reach the parent's terminal, nor its replies
        os.dup2(silent, number)
    if lifeline is not None:
        _end_with(lifeline)
    keep_freed_memory(_KEPT)
    with contextlib.suppress(BrokenPipeError, SystemExit):
        _Server(requests, replies, shared).run()
    os._exit(0)
