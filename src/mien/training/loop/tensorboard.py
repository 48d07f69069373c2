"""A run's history as TensorBoard reads it: `tensorboard --logdir mien-runs` shows all runs that have it."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.errors import MissingExtraError
from mien.training.loop.schedule import Epoch
from mien.training.source import Reporter

FOLDER = "tensorboard"
#: The curves of each part, named as Keras's own TensorBoard callback names them, and their fields in the history.
_CURVES = {
    "train": {"epoch_loss": "loss", "epoch_accuracy": "accuracy", "epoch_learning_rate": "learning_rate"},
    "validation": {"epoch_loss": "val_loss", "epoch_accuracy": "val_accuracy"},
}


def require_tensorboard() -> None:
    """Raise MissingExtraError where TensorBoard is not installed, before long work starts."""
    try:
        import tensorboard  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("--tensorboard", "tune") from error


class EventLog:
    """Writes each epoch into `tensorboard/` of a run, and passes everything on to `reporter`.

    Keras's callback hangs on `Model.fit`, which mien does without, so TensorBoard's own writer is used. What an
    interrupted call wrote is replaced by the same epochs from `history`, so that none is missing or there twice.
    """

    def __init__(self, folder: Path, history: Sequence[Epoch], reporter: Reporter) -> None:
        require_tensorboard()
        self._reporter = reporter
        place = folder / FOLDER
        shutil.rmtree(place, ignore_errors=True)
        self._writers = {part: _writer(place / part) for part in _CURVES}
        left = sum(row.seconds for row in history)
        for row in history:
            left -= row.seconds
            self._write(row, time.time() - left)

    def on_batch(self, epoch: int, done: int, steps: int, loss: float, accuracy: float, rate: float) -> None:
        """Pass a batch on."""
        self._reporter.on_batch(epoch, done, steps, loss, accuracy, rate)

    def on_epoch(self, row: Epoch) -> None:
        """Write a finished epoch, and pass it on."""
        self._write(row, time.time())
        self._reporter.on_epoch(row)

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _write(self, row: Epoch, wall_time: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

        for part, curves in _CURVES.items():
            values = [Summary.Value(tag=tag, simple_value=getattr(row, field)) for tag, field in curves.items()]
            event = Event(wall_time=wall_time, step=row.epoch - 1, summary=Summary(value=values))  # Keras counts from 0
            self._writers[part].add_event(event)
            self._writers[part].flush()


def _writer(folder: Path) -> Any:
    from tensorboard.summary.writer import event_file_writer  # type: ignore[import-untyped]

    folder.mkdir(parents=True, exist_ok=True)
    return event_file_writer.EventFileWriter(str(folder))
