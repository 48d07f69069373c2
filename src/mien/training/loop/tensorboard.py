"""Write the history of a run for TensorBoard: `tensorboard --logdir mien-runs` shows all runs that have it."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mien.errors import MissingExtraError
from mien.training.loop.schedule import Epoch
from mien.training.reporter import BatchProgress, QuietReporter, Reporter

FOLDER = "tensorboard"
#: By split, the tag of each curve (as in Keras's TensorBoard callback) and its field in the history.
_CURVES = {
    "train": {"epoch_loss": "loss", "epoch_accuracy": "accuracy", "epoch_learning_rate": "learning_rate"},
    "validation": {"epoch_loss": "val_loss", "epoch_accuracy": "val_accuracy"},
}


def require_tensorboard() -> None:
    """Raise MissingExtraError if TensorBoard is not installed."""
    try:
        import tensorboard  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("`tensorboard=True`", "tune") from error


class EventLog(QuietReporter):
    """Write each epoch into `tensorboard/` of a run, and pass batches and epochs on to `reporter`.

    Keras's callback needs `Model.fit`, which mien does not use, so this uses TensorBoard's own writer. The epochs of
    `history` are written again, so that after an interruption none is missing or repeated.
    """

    def __init__(self, folder: Path, history: Sequence[Epoch], reporter: Reporter) -> None:
        require_tensorboard()
        self._reporter = reporter
        logs = folder / FOLDER
        shutil.rmtree(logs, ignore_errors=True)
        self._writers = {split: _writer(logs / split) for split in _CURVES}
        left = sum(row.seconds for row in history)
        for row in history:
            left -= row.seconds
            self._write(row, time.time() - left)

    def on_batch(self, batch: BatchProgress) -> None:
        """Pass a batch on."""
        self._reporter.on_batch(batch)

    def on_epoch(self, epoch: Epoch) -> None:
        """Write a finished epoch and pass it on."""
        self._write(epoch, time.time())
        self._reporter.on_epoch(epoch)

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _write(self, row: Epoch, wall_time: float) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

        for split, curves in _CURVES.items():
            values = [Summary.Value(tag=tag, simple_value=getattr(row, field)) for tag, field in curves.items()]
            event = Event(wall_time=wall_time, step=row.epoch - 1, summary=Summary(value=values))  # Keras counts from 0
            self._writers[split].add_event(event)
            self._writers[split].flush()


def _writer(folder: Path) -> Any:
    from tensorboard.summary.writer import event_file_writer  # type: ignore[import-untyped]

    folder.mkdir(parents=True, exist_ok=True)
    return event_file_writer.EventFileWriter(str(folder))
