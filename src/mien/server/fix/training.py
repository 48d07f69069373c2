"""Train on what was decided: `mien train` in a process of its own, whose model then ranks the images anew.

The room of training is above this one: it is started as a command, and says how far it is through its run folder.
"""

import logging
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mien.evaluation.predictions import SavedPredictions, read_predictions
from mien.io.layout import RUNS
from mien.server.fix.outcome import measure_outcome
from mien.server.fix.training_time import FOLDS, fraction_done, how_long, time_left

log = logging.getLogger("mien.server")

#: How long a training that was asked to stop may take before it is killed, in seconds. Nothing is lost with it.
GRACE_SECONDS = 3.0
_EPOCH = re.compile(r"\s*\d+(\s+[\d.]+)+\s*|epoch\s.*")

Rank = Callable[[SavedPredictions], None]


class Training:
    """At most one training at a time.

    Args:
        data: what is trained on.
        flags: of `mien train`, that say how the data is read.
        fixes: the file of decisions; None if there is nothing to compare with, as without labels.
        rank: receives the predictions of the finished run.
        runs: the folder of all runs.
    """

    def __init__(
        self, data: Path, flags: Sequence[str], fixes: Path, rank: Rank, *, comparable: bool, runs: Path = Path(RUNS)
    ) -> None:
        self._data, self._flags, self._fixes, self._rank, self._runs = data, tuple(flags), fixes, rank, runs
        self._comparable = comparable
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._text, self._failed = "", False  # what runs, or how it ended
        self._ran: Path | None = None  # the run by which the images were ordered
        self._folder: Path | None = None  # of the training that runs
        self._began = 0.0
        self._took: float | None = None  # seconds of the last one
        self._ranked = 0
        self._before: Path | None = None
        self._outcome: dict[str, Any] | None = None

    def start(self, compare: bool) -> None:
        """Start, unless a training runs. `compare` then trains without the decisions, too, if that was not done yet."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            self._stopped, self._outcome = False, None
            self._text, self._failed, self._ran, self._folder = "The training starts …", False, None, None
            then = compare and self._comparable and self._before is None
            self._thread = threading.Thread(target=self._run, args=(then,), name="mien-fix-training", daemon=True)
            self._thread.start()

    def stop(self) -> bool:
        """Stop the training, if one runs, and wait until it has ended; return whether one ran."""
        with self._lock:
            self._stopped = True
            process, thread = self._process, self._thread
        ran = thread is not None and thread.is_alive()
        if process is not None and process.poll() is None:
            with suppress(OSError):
                process.terminate() if sys.platform == "win32" else process.send_signal(signal.SIGINT)
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        if thread is not None:
            thread.join()
        return ran

    def state(self) -> dict[str, Any]:
        """Return how far it is, as a JSON-serialisable dict.

        `ranked` counts how often the images were ordered anew, `run` is the run whose answers the order follows.
        """
        active, folder = self._thread is not None and self._thread.is_alive(), self._folder
        done, text = 1.0, self._text
        if active and folder is not None:
            done = fraction_done(folder)
            left = time_left(done, time.monotonic() - self._began, self._took)
            text = "The training stops …" if self._stopped else f"{text}. {left}."
        return {
            "active": active,
            "text": text,
            "failed": self._failed,
            "run": None if self._ran is None else str(self._ran),
            "done": done if active else 1.0,
            "ranked": self._ranked,
            "lasts": how_long(self._took),
            "compared": self._before is not None or not self._comparable,
            "outcome": self._outcome,
        }

    def _run(self, compare: bool) -> None:
        try:
            after = read_predictions(self._train("Training on your decisions", ["--fixes", str(self._fixes)]))
            self._text = "Ordering the pictures by the answers of your own model …"
            self._rank(after)
            self._ranked += 1
            self._ran, self._text = after.path, ""
            if compare:
                self._before = self._train("Now training without the decisions, to compare", ["--no-fixes"])
            if self._before is not None:
                self._outcome = measure_outcome(read_predictions(self._before), after)
            self._text = ""
        except _StoppedError:
            self._text = (
                "The comparison was stopped." if self._ran else "The training was stopped. The list is as it was."
            )
        except Exception as error:  # whatever it is, the page says it
            log.exception("a training failed")
            self._text = f"The {'comparison' if self._ran else 'training'} failed: {error}"
            self._failed = True

    def _train(self, what: str, flags: Sequence[str]) -> Path:
        """Run one training to its end, and return its run folder."""
        folder = _free_folder(self._runs, self._data)
        command = [
            sys.executable, "-m", "mien", "train", str(self._data), "--folds", str(FOLDS), "--out", str(folder),
            *self._flags, *flags,
        ]  # fmt: skip
        with self._lock:
            if self._stopped:
                raise _StoppedError
            self._process = process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                encoding="utf-8", errors="replace",
            )  # fmt: skip
        self._text, self._began, self._folder = what, time.monotonic(), folder
        last: deque[str] = deque(maxlen=1)
        assert process.stdout is not None  # noqa: S101 (it is a pipe)
        for line in process.stdout:
            if line.strip():
                last.append(line.strip())
                if not _EPOCH.fullmatch(line.rstrip()):
                    self._text = f"{what}: {line.strip()[:200].rstrip('.')}"
        process.stdout.close()
        code = process.wait()
        self._folder = None
        if self._stopped:
            raise _StoppedError
        if code:
            raise OSError(last[0] if last else f"mien train ended with status {code}")
        self._took = time.monotonic() - self._began
        return folder


class _StoppedError(Exception):
    """The training was stopped by the user."""


def _free_folder(runs: Path, data: Path) -> Path:
    """Return a folder of runs that does not exist yet."""
    number = 1
    while (folder := runs / f"fix-{data.stem}-{number}").exists():
        number += 1
    return folder
