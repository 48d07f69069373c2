"""Show the progress of training on stderr: one run, or a search over many."""

import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.text import Text

from mien.arguments import to_flags
from mien.cli.output.progress import progress_bar
from mien.cli.output.terminal import console
from mien.io.atomic import LOCK, is_locked
from mien.io.layout import is_finished, is_run
from mien.training.loop.schedule import Epoch
from mien.training.reporter import BatchProgress

_EPOCH_HEADER = "epoch     loss  accuracy  validation loss  accuracy  images/s  seconds"


class TrainingProgress:
    """Show a run: text as lines, the current epoch as a live line, finished epochs as a table."""

    def __init__(self) -> None:
        self._console = console(err=True)
        self._folder: Path | None = None
        self._live: Live | None = None
        self._epoch: int | None = None
        self._began = 0.0

    def __enter__(self) -> "TrainingProgress":
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop the live line. If the run was interrupted or failed, say how to resume it."""
        self._stop_live()
        if kind is None or self._folder is None or not is_run(self._folder):
            return
        if is_finished(self._folder) or is_locked(self._folder / LOCK):  # nothing to resume, or another process has it
            return
        fix = f"continue with: {shlex.join(['mien', 'train', '--resume', str(self._folder)])}"
        if kind is KeyboardInterrupt:
            raise KeyboardInterrupt(f"interrupted; {fix}")
        self._print(fix)

    def on_start(self, folder: Path) -> None:
        """Remember the run folder."""
        self._folder = folder

    def say(self, text: str) -> None:
        """Print a line."""
        self._stop_live()
        self._print(to_flags(text))

    def progress(self, what: str) -> AbstractContextManager[Callable[[float], None]]:
        """Show a progress bar."""
        self._stop_live()
        return progress_bar(what)

    def on_batch(self, batch: BatchProgress) -> None:
        """Refresh the live line."""
        if not self._console.is_terminal:
            return
        if self._live is None:
            self._began = time.perf_counter()
            self._live = Live(console=self._console, transient=True, refresh_per_second=4)
            self._live.start()
        left = (time.perf_counter() - self._began) / batch.done * (batch.steps - batch.done)
        self._live.update(
            Text(f"epoch {batch.epoch + 1:>3}  {batch.done}/{batch.steps}  loss {batch.loss:.4f}  "
                 f"accuracy {batch.accuracy:.4f}  {batch.images_per_second:.0f} images/s  "
                 f"{left:.0f} s left in this epoch")
        )  # fmt: skip

    def on_epoch(self, epoch: Epoch) -> None:
        """Print a finished epoch as a row of a table, under a header if it is the first of its run."""
        self._stop_live()
        if self._epoch is None or epoch.epoch <= self._epoch:
            self._print(_EPOCH_HEADER)
        self._epoch = epoch.epoch
        self._print(
            f"{epoch.epoch:>5}  {epoch.loss:>7.4f}  {epoch.accuracy:>8.4f}  {epoch.val_loss:>15.4f}  "
            f"{epoch.val_accuracy:>8.4f}  {epoch.images_per_second:>8.0f}  {epoch.seconds:>7.0f}"
        )

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def _stop_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class SearchProgress(TrainingProgress):
    """Show one run after another: a line when it begins, and a live line while it trains.

    Attributes:
        overall: reports messages about the search as a whole.

    Args:
        command: the command that resumes the search.
        marker: the file without which it would begin a new one.
    """

    def __init__(self, command: str, marker: Path) -> None:
        super().__init__()
        self._command, self._marker = command, marker
        self.overall = TrainingProgress()

    def __enter__(self) -> "SearchProgress":
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop the live line. If the search was interrupted and is still there, say how to resume it."""
        self._stop_live()
        if kind is KeyboardInterrupt and self._marker.exists():
            raise KeyboardInterrupt(f"interrupted; continue with: {self._command}")

    def begin(self, what: str) -> None:
        """Print which run begins."""
        self._stop_live()
        self.overall.say(what)

    def say(self, text: str) -> None:
        """Leave out the text of a single run."""

    def on_epoch(self, epoch: Any) -> None:
        """Leave out single epochs."""
        self._stop_live()
