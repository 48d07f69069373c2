"""Write the history of a run for TensorBoard: `tensorboard --logdir mien-runs` shows all runs that have it."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

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
    """Raise MissingExtraError if tensorboardX, which writes TensorBoard's files, is not installed."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("`tensorboard=True`", "tensorboard") from error


class EventLog(QuietReporter):
    """Write each epoch into `tensorboard/` of a run, and pass batches and epochs on to `reporter`.

    Keras's callback needs `Model.fit`, which mien does not use. The epochs of `history` are written again, so that
    after an interruption none is missing or repeated.
    """

    def __init__(self, folder: Path, history: Sequence[Epoch], reporter: Reporter) -> None:
        require_tensorboard()
        from tensorboardX import SummaryWriter

        self._reporter = reporter
        logs = folder / FOLDER
        shutil.rmtree(logs, ignore_errors=True)
        self._writers = {split: SummaryWriter(str(logs / split)) for split in _CURVES}
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
        for split, curves in _CURVES.items():
            for tag, field in curves.items():
                step = row.epoch - 1  # Keras counts from 0
                self._writers[split].add_scalar(tag, getattr(row, field), step, wall_time)
            self._writers[split].flush()
