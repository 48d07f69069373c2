"""Show the progress of training on stderr: one run, or a search over many."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.text import Text

from mien.cli.progress import progress_bar
from mien.cli.terminal import console
from mien.idioms import to_flags
from mien.io.layout import is_run
from mien.training.loop.schedule import Epoch
from mien.training.reporter import BatchProgress


class TrainingProgress:
    """Show a run: text as lines, the current epoch as a live line, finished epochs as a table."""

    def __init__(self) -> None:
        self._console = console(err=True)
        self._folder: Path | None = None
        self._live: Live | None = None
        self._began = 0.0

    def __enter__(self) -> "TrainingProgress":
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop the live line. If the run was interrupted, print how to resume it."""
        self._stop_live()
        if kind is not None and self._folder is not None and is_run(self._folder):
            self._print(f"continue with: mien train --resume {self._folder}")

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
        """Print a finished epoch."""
        self._stop_live()
        self._console.print(
            f"epoch {epoch.epoch:>3}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  "
            f"validation loss {epoch.val_loss:.4f}  accuracy {epoch.val_accuracy:.4f}  "
            f"{epoch.images_per_second:.0f} images/s  {epoch.seconds:.0f} s"
        )

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)

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
    """

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command
        self.overall = TrainingProgress()

    def __enter__(self) -> "SearchProgress":
        """Start."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stop the live line. If the search was interrupted, print how to resume it."""
        self._stop_live()
        if kind is KeyboardInterrupt:
            self._print(f"continue with: {self._command}")

    def begin(self, what: str) -> None:
        """Print which run begins."""
        self._stop_live()
        self.overall.say(what)

    def say(self, text: str) -> None:
        """Leave out the text of a single run."""

    def on_epoch(self, epoch: Any) -> None:
        """Leave out single epochs."""
        self._stop_live()
