"""The training loop: one epoch at a time, a checkpoint after each, the best weights at the end."""

import csv
import io
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import keras

from mien.errors import TrainingError
from mien.io.atomic import write_text
from mien.io.layout import CHECKPOINT, HISTORY
from mien.training.augmentation.pipeline import augmented
from mien.training.config import TrainConfig
from mien.training.loop import checkpoint
from mien.training.loop.batches import Feed, TrainingArrays
from mien.training.loop.ema import WeightAverage
from mien.training.loop.muon import Muon
from mien.training.loop.schedule import MIN_IMPROVEMENT, Epoch, Listener, Quiet, is_frozen, learning_rate, why_stop
from mien.training.networks.networks import logits_of, twin
from mien.training.networks.pretrained import HEAD


def fit(
    network: Any,
    config: TrainConfig,
    train: TrainingArrays,
    validation: TrainingArrays,
    folder: Path,
    listener: Listener | None = None,
) -> list[Epoch]:
    """Train `network` in place, with `freeze_epochs` only its head at first, and leave it with its best weights.

    The best are those of the lowest validation loss.

    After every epoch `folder` holds `checkpoint.npz` and `history.csv`; where a checkpoint is there
    already, training goes on from it. Returns the history. Raises TrainingError when the loss is no
    longer a number.
    """
    faster = twin(network, config.precision)
    model = augmented(logits_of(faster), config)
    average = WeightAverage(faster.variables, config.weight_average)
    path = folder / CHECKPOINT
    saved = checkpoint.load(path) if path.exists() else None
    history = saved.history if saved else []
    compile_model(model, faster, config, is_frozen(config, history))
    best = saved.restore(model, average) if saved else []
    write_history(folder, history)
    while why_stop(config, history) is None:
        row = _one_epoch(model, average, config, train, validation, history, listener or Quiet())
        lowest = min((past.val_loss for past in history), default=math.inf)
        if row.val_loss < lowest - MIN_IMPROVEMENT or not best:
            best = [value.copy() for value in average.values]
        history.append(row)
        if len(history) == config.freeze_epochs:  # before saving, so that a state is always that of the next epoch
            compile_model(model, faster, config, frozen=False)
        checkpoint.save(path, model, average, best, history)
        write_history(folder, history)
        (listener or Quiet()).on_epoch(row)
    for variable, value in zip(network.variables, best, strict=True):
        variable.assign(value)
    return history


def compile_model(model: Any, network: Any, config: TrainConfig, frozen: bool) -> None:
    """Give a training model its loss and a new optimiser, of the head's weights alone while the trunk is frozen.

    `model` is the augmentation followed by `network` up to its logits. Batch normalisation in a frozen
    trunk uses and keeps its running statistics.
    """
    for layer in network.layers:
        layer.trainable = layer.name == HEAD or not frozen
    one_unit = model.output.shape[-1] == 1
    smoothing = config.label_smoothing
    if one_unit:
        loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    else:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    metric = keras.metrics.MeanMetricWrapper(_binary_hits if one_unit else _hits, name="accuracy")
    model.compile(optimizer(config), loss, metrics=[metric])
    model.optimizer.build(model.trainable_variables)


def optimizer(config: TrainConfig) -> Any:
    """Build the optimiser that a config names; norms and biases are not decayed."""
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(
            config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0,
            weight_decay=config.weight_decay or None,
        )  # fmt: skip
    if config.optimizer == "adam":
        return keras.optimizers.Adam(config.learning_rate)
    decay = config.weight_decay
    if config.optimizer == "muon":
        found = Muon(config.learning_rate, weight_decay=decay, adam_weight_decay=decay, exclude_layers=[HEAD])
    else:
        found = keras.optimizers.AdamW(config.learning_rate, weight_decay=decay)
    found.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return found


def _binary_hits(truth: Any, logits: Any) -> Any:
    """1 where the logit is on the side of the (possibly soft) label, else 0."""
    return keras.ops.cast(keras.ops.equal(truth >= 0.5, logits >= 0), "float32")


def _hits(truth: Any, logits: Any) -> Any:
    same = keras.ops.equal(keras.ops.argmax(truth, axis=-1), keras.ops.argmax(logits, axis=-1))
    return keras.ops.cast(same, "float32")


def _one_epoch(
    model: Any, average: WeightAverage, config: TrainConfig, train: TrainingArrays, validation: TrainingArrays,
    history: Sequence[Epoch], listener: Listener,
) -> Epoch:  # fmt: skip
    one_unit = model.output.shape[-1] == 1
    feed = Feed(train, config.batch_size, config.seed, len(history), one_unit, config.mixup)
    began = time.perf_counter()
    # Batch by batch, without keras.Model.fit: the rate, the order and resuming stay plain code in this
    # file, the same for every backend, and no input pipeline is set up and torn down every epoch.
    rate, found = 0.0, _Means()
    for number, (pictures, targets, weights) in enumerate(feed):
        seconds = time.perf_counter() - began
        rate = learning_rate(config, history, number / len(feed), seconds)
        model.optimizer.learning_rate = rate
        found.add(model.train_on_batch(pictures, targets, sample_weight=weights, return_dict=True), len(pictures))
        average.update()
        speed = (number + 1) * config.batch_size / (time.perf_counter() - began)
        listener.on_batch(len(history), number + 1, len(feed), found.loss, found.accuracy, speed)
    seconds = time.perf_counter() - began
    average.swap()
    held_out = _held_out(model, Feed(validation, config.batch_size, config.seed, None, one_unit))
    average.swap()
    if not (math.isfinite(found.loss) and math.isfinite(held_out.loss)):
        raise TrainingError(f"the loss is no longer a number in epoch {len(history) + 1}; lower --learning-rate")
    return Epoch(
        epoch=len(history) + 1,
        loss=found.loss,
        accuracy=found.accuracy,
        val_loss=held_out.loss,
        val_accuracy=held_out.accuracy,
        learning_rate=rate,
        seconds=time.perf_counter() - began,
        images_per_second=len(train.rows) / seconds,
        input_share=feed.waited / seconds,
    )


class _Means:
    """Loss and accuracy over the pictures of an epoch so far; Keras gives those of each batch."""

    def __init__(self) -> None:
        self._sums, self._count = {"loss": 0.0, "accuracy": 0.0}, 0

    def add(self, batch: Mapping[str, Any], count: int) -> None:
        self._count += count
        for name in self._sums:
            self._sums[name] += float(batch[name]) * count

    @property
    def loss(self) -> float:
        return self._sums["loss"] / self._count

    @property
    def accuracy(self) -> float:
        return self._sums["accuracy"] / self._count


def _held_out(model: Any, feed: Feed) -> _Means:
    """Loss and accuracy over a part, without augmentation or weights."""
    found = _Means()
    for pictures, targets, _ in feed:
        found.add(model.test_on_batch(pictures, targets, return_dict=True), len(pictures))
    return found


def write_history(folder: Path, history: Sequence[Epoch]) -> None:
    """Write `history.csv`, one row per epoch."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    write_text(folder / HISTORY, buffer.getvalue())


def read_history(folder: Path) -> list[Epoch]:
    """Read `history.csv` of a run; an empty list where there is none yet."""
    path = folder / HISTORY
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            Epoch(int(row["epoch"]), **{name: float(value) for name, value in row.items() if name != "epoch"})
            for row in csv.DictReader(stream)
        ]
