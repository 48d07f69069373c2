"""How a run reports its progress. Needs no Keras."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mien.text import one_line
from mien.training.loop.schedule import Epoch


@dataclass(frozen=True)
class BatchProgress:
    """State of an epoch after a batch: loss and accuracy are means over the epoch so far.

    `epoch` counts from 0; `done` of `steps` batches are finished.
    """

    epoch: int
    done: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float


class Reporter(Protocol):
    """Receives the progress of a run."""

    def on_start(self, folder: Path) -> None:
        """Receive the folder of the run, before it is made."""

    def say(self, text: str) -> None:
        """Receive one line of text."""

    def progress(self, what: str) -> AbstractContextManager[Callable[[float], None]]:
        """Return a context whose value is called with the fraction done, in [0, 1], of a long step."""

    def on_batch(self, batch: BatchProgress) -> None:
        """Receive a finished batch."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Receive a finished epoch."""


class QuietReporter:
    """A reporter that ignores everything. Subclass it to use some of the methods."""

    def on_start(self, folder: Path) -> None:
        """Ignore the folder."""

    def say(self, text: str) -> None:
        """Ignore a line of text."""

    def progress(self, what: str) -> AbstractContextManager[Callable[[float], None]]:
        """Ignore the progress of a step."""
        return nullcontext(lambda fraction: None)

    def on_batch(self, batch: BatchProgress) -> None:
        """Ignore a batch."""

    def on_epoch(self, epoch: Epoch) -> None:
        """Ignore an epoch."""


class PrintReporter(QuietReporter):
    """A reporter that prints a line for each step and each epoch, as `mien.train` does by default."""

    def on_start(self, folder: Path) -> None:
        """Print where the run is, so that it can be resumed."""
        _print(f"run {folder}; if it is interrupted, `mien.train(resume={str(folder)!r})` continues it")

    def say(self, text: str) -> None:
        """Print a line of text."""
        _print(text)

    def progress(self, what: str) -> AbstractContextManager[Callable[[float], None]]:
        """Print what begins."""
        _print(f"{what} …")
        return super().progress(what)

    def on_epoch(self, epoch: Epoch) -> None:
        """Print a finished epoch."""
        _print(
            f"epoch {epoch.epoch:>3}  loss {epoch.loss:.4f}  accuracy {epoch.accuracy:.4f}  validation loss "
            f"{epoch.val_loss:.4f}  accuracy {epoch.val_accuracy:.4f}  {epoch.seconds:.0f} s"
        )


def _print(line: str) -> None:
    """Print a line, in which a stranger may have named a file or a class."""
    print(one_line(line), flush=True)
