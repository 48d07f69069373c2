"""Start an adapter in its environment, pinned to cores, and ask it for answers and times."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from rivals.adapters.protocol import MARK
from rivals.environments import Environment
from rivals.readers import Reader

#: So many crops are answered in one call, where nobody measures time.
BATCH = 64
#: No library may look for a GPU or fill the log.
_QUIET = {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


class Worker:
    """A running adapter."""

    def __init__(self, reader: Reader, environment: Environment, cores: Sequence[int], log: Path) -> None:
        words, variables = environment.command(reader.adapter)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self._name, self._batches, self._log = reader.key, reader.batches, log
        self._stream = log.open("a", encoding="utf-8")
        self._process = subprocess.Popen(
            [*words, json.dumps(dict(reader.options))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._stream, text=True, encoding="utf-8", cwd=environment.folder,
            env={**inherited, **_QUIET, **variables},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509  # before the library counts its cores
        )  # fmt: skip

    def answers(self, what: str, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
        """Yield the row of each file: a `photo` or a `crop`. Crops are read in batches where the library has any."""
        batch = BATCH if what == "crop" and self._batches else 1
        self._ask(do="answer", what=what, files=[str(file) for file in files], batch=batch)
        while not (row := self._receive()).get("done"):
            yield row

    def times(self, what: str, files: Sequence[Path], seconds: float, batch: int = 1) -> list[float]:
        """Return the milliseconds of each call that began within so many seconds, of one at least."""
        self._ask(do="time", what=what, files=[str(file) for file in files], seconds=seconds, batch=batch)
        return [float(value) for value in self._receive()["milliseconds"]]

    @property
    def megabytes(self) -> float:
        """The most memory that it has held so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024 / 1e6

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):  # it has stopped before it read all
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._stream.close()

    def _ask(self, **request: Any) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._stop()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout
        line = next((line for line in self._process.stdout if line.startswith(MARK)), None)
        if line is None:
            self._stop()
        found: dict[str, Any] = json.loads(line[len(MARK) :])
        return found

    def _stop(self) -> NoReturn:
        last = self._log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        raise SystemExit(f"{self._name}: stopped ({last or 'without a word'}); its messages are in {self._log}")


@contextmanager
def running(reader: Reader, environment: Environment, cores: Sequence[int], log: Path) -> Iterator[Worker]:
    """Start an adapter, and end it afterwards."""
    worker = Worker(reader, environment, cores, log)
    try:
        yield worker
    finally:
        worker.close()


def cold_start(reader: Reader, environment: Environment, cores: Sequence[int], log: Path, photo: Path) -> float:
    """Return the seconds from the start of the process to its first answer for a photograph."""
    began = time.perf_counter()
    with running(reader, environment, cores, log) as worker:
        next(worker.answers("photo" if reader.photos else "crop", [photo]))
        return time.perf_counter() - began
