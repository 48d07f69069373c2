"""The training loop: one epoch at a time, a checkpoint after each, the best weights at the end."""

import csv
import io
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from mien.errors import TrainingError
from mien.output import write_text
from mien.train import checkpoint
from mien.train.augment import augmented
from mien.train.config import TrainConfig
from mien.train.feed import Feed, Part
from mien.train.network import logits_of
from mien.train.schedule import MIN_IMPROVEMENT, Epoch, learning_rate, why_stop


class Listener(Protocol):
    """Who is told how training goes."""

    def on_batch(self, epoch: int, done: int, steps: int, loss: float, accuracy: float, rate: float) -> None:
        """Hear of a batch: `done` of `steps` in epoch `epoch` (from 0), running loss and accuracy, images/s."""

    def on_epoch(self, row: Epoch) -> None:
        """Hear of a finished epoch."""


class Quiet:
    """A listener that says nothing."""

    def on_batch(self, epoch: int, done: int, steps: int, loss: float, accuracy: float, rate: float) -> None:
        """Ignore a batch."""

    def on_epoch(self, row: Epoch) -> None:
        """Ignore an epoch."""


def fit(
    network: Any, config: TrainConfig, train: Part, validation: Part, folder: Path, listener: Listener | None = None
) -> list[Epoch]:
    """Train `network` in place and leave it with its best weights (lowest validation loss).

    After every epoch `folder` holds `checkpoint.npz` and `history.csv`; where a checkpoint is there
    already, training goes on from it. Returns the history. Raises TrainingError when the loss is no
    longer a number.
    """
    model = compiled(network, config)
    path = folder / "checkpoint.npz"
    best, history = checkpoint.restore(path, model) if path.exists() else ([], [])
    write_history(folder, history)
    while why_stop(config, history) is None:
        row = _one_epoch(model, config, train, validation, history, listener or Quiet())
        lowest = min((past.val_loss for past in history), default=math.inf)
        if row.val_loss < lowest - MIN_IMPROVEMENT or not best:
            best = [np.asarray(variable) for variable in network.variables]
        history.append(row)
        checkpoint.save(path, model, best, history)
        write_history(folder, history)
        (listener or Quiet()).on_epoch(row)
    for variable, value in zip(network.variables, best, strict=True):
        variable.assign(value)
    return history


def compiled(network: Any, config: TrainConfig) -> Any:
    """Return the training model: augmentation, the network up to its logits, optimiser and loss."""
    model = augmented(logits_of(network), config)
    one_unit = model.output.shape[-1] == 1
    smoothing = config.label_smoothing
    if one_unit:
        loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    metric = keras.metrics.MeanMetricWrapper(_binary_hits if one_unit else _hits, name="accuracy")
    model.compile(optimizer(config), loss, metrics=[metric])
    model.optimizer.build(model.trainable_variables)
    return model


def optimizer(config: TrainConfig) -> Any:
    """Build the optimiser that a config names; norms and biases are not decayed."""
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(
            config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0,
            weight_decay=config.weight_decay or None,
        )  # fmt: skip
    if config.optimizer == "adamw":
        found = keras.optimizers.AdamW(config.learning_rate, weight_decay=config.weight_decay)
        found.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return found
    return keras.optimizers.Adam(config.learning_rate)


def _binary_hits(truth: Any, logits: Any) -> Any:
    """1 where the logit is on the side of the (possibly soft) label, else 0."""
    return keras.ops.cast(keras.ops.equal(truth >= 0.5, logits >= 0), "float32")


def _hits(truth: Any, logits: Any) -> Any:
    same = keras.ops.equal(keras.ops.argmax(truth, axis=-1), keras.ops.argmax(logits, axis=-1))
    return keras.ops.cast(same, "float32")


def _one_epoch(
    model: Any, config: TrainConfig, train: Part, validation: Part, history: Sequence[Epoch], listener: Listener
) -> Epoch:
    one_unit = model.output.shape[-1] == 1
    epoch = len(history)
    feed = Feed(train, config.batch_size, config.seed, epoch, one_unit)
    follower = _Follower(config, history, len(feed), config.batch_size, listener)
    began = time.perf_counter()
    # One fit call per epoch: rate, stopping and resuming stay plain code in this file.
    found = model.fit(feed, epochs=1, verbose=0, shuffle=False, callbacks=[follower]).history
    seconds = time.perf_counter() - began
    held_out = model.evaluate(
        Feed(validation, config.batch_size, config.seed, None, one_unit), verbose=0, return_dict=True
    )
    loss, accuracy = float(found["loss"][0]), float(found["accuracy"][0])
    val_loss, val_accuracy = float(held_out["loss"]), float(held_out["accuracy"])
    if not (math.isfinite(loss) and math.isfinite(val_loss)):
        raise TrainingError(f"the loss is no longer a number in epoch {epoch + 1}; lower --learning-rate")
    return Epoch(
        epoch=epoch + 1,
        loss=loss,
        accuracy=accuracy,
        val_loss=val_loss,
        val_accuracy=val_accuracy,
        learning_rate=follower.rate,
        seconds=time.perf_counter() - began,
        images_per_second=len(train.rows) / seconds,
        input_share=feed.seconds / seconds,
    )


class _Follower(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the learning rate before each batch and passes progress on."""

    def __init__(
        self, config: TrainConfig, history: Sequence[Epoch], steps: int, batch_size: int, listener: Listener
    ) -> None:
        super().__init__()
        self._config, self._history, self._steps = config, history, steps
        self._batch_size, self._listener = batch_size, listener
        self._began = time.perf_counter()
        self.rate = 0.0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        seconds = time.perf_counter() - self._began
        self.rate = learning_rate(self._config, self._history, batch / self._steps, seconds)
        self.model.optimizer.learning_rate = self.rate

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        seconds = time.perf_counter() - self._began
        rate = (batch + 1) * self._batch_size / seconds
        found = logs or {}
        self._listener.on_batch(
            len(self._history), batch + 1, self._steps, float(found.get("loss", math.nan)),
            float(found.get("accuracy", math.nan)), rate,
        )  # fmt: skip


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write `history.csv`, one row per epoch."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_text(folder / "history.csv", buffer.getvalue())


def read_history(folder: Path) -> list[Epoch]:
    """Read `history.csv` of a run; an empty list where there is none yet."""
    path = folder / "history.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            Epoch(int(row["epoch"]), **{name: float(value) for name, value in row.items() if name != "epoch"})
            for row in csv.DictReader(stream)
        ]
