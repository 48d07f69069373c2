"""The training loop: one epoch at a time, a checkpoint after each, the best weights at the end."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from mien.errors import OutputError, TrainingError
from mien.io.layout import CHECKPOINT, is_begun
from mien.text import pluralize
from mien.training.augmentation.pipeline import augmented
from mien.training.config import TrainConfig
from mien.training.loop.batches import BatchLoader, TrainingArrays
from mien.training.loop.checkpoint import load_checkpoint, save_checkpoint
from mien.training.loop.ema import WeightEMA
from mien.training.loop.history import write_history
from mien.training.loop.optimizers import compile_model
from mien.training.loop.schedule import MIN_IMPROVEMENT, Epoch, is_frozen, learning_rate, why_stop
from mien.training.networks.networks import logits_of, training_copy
from mien.training.reporter import BatchProgress, QuietReporter, Reporter


def fit(
    network: Any,
    config: TrainConfig,
    train: TrainingArrays,
    validation: TrainingArrays,
    folder: Path,
    reporter: Reporter | None = None,
) -> list[Epoch]:
    """Train a network in place and leave it with the weights of the lowest validation loss.

    After every epoch `folder` holds `checkpoint.npz` and `history.csv`. If it holds a checkpoint already, training
    resumes from it and gives the same history as an uninterrupted run.

    Args:
        network: built by `mien.training.networks.networks.build`.
        config: all settings; only the head is trained in the first `freeze_epochs`.
        train: training split.
        validation: validation split.
        folder: an existing folder.
        reporter: receives batches and epochs.

    Returns:
        The history.

    Raises:
        TrainingError: the loss is NaN or infinite, or the checkpoint cannot be used.
    """
    reporter = reporter or QuietReporter()
    # Layers without a seed of their own, like Dropout, draw one when they are copied. Whatever this process did before
    # must not decide it: a resumed run does less.
    keras.utils.set_random_seed(config.seed)
    copy = training_copy(network, config.precision)
    model = augmented(logits_of(copy), config)
    ema = WeightEMA(copy.variables, config.weight_average)
    checkpoint = load_checkpoint(folder / CHECKPOINT) if is_begun(folder) else None
    history = checkpoint.history if checkpoint else []
    compile_model(model, copy, config, is_frozen(config, history))
    best = checkpoint.restore(model, ema) if checkpoint else []
    write_history(folder, history)
    loop = _Loop(model, ema, config, train, validation, reporter)
    if history:
        reporter.say(_where_resumed(config, history))
    elif config.freeze_epochs:
        reporter.say(f"epoch 1: training only the new head, for {pluralize(config.freeze_epochs, 'epoch')}")
    while why_stop(config, history) is None:
        if history and len(history) == config.freeze_epochs:
            reporter.say(f"epoch {len(history) + 1}: training all layers from here")
        row = loop.epoch(history)
        lowest = min((past.val_loss for past in history), default=math.inf)
        if row.val_loss < lowest - MIN_IMPROVEMENT or not best:
            best = [value.copy() for value in ema.values]
        history.append(row)
        if len(history) == config.freeze_epochs:  # before saving, so that a checkpoint holds the next epoch's optimizer
            compile_model(model, copy, config, frozen=False)
        if not folder.is_dir():  # writing would make it again, without the files that it began with
            raise OutputError(f"{folder}: has been removed, and with it all that was trained")
        save_checkpoint(folder / CHECKPOINT, model, ema, best, history)
        write_history(folder, history)
        reporter.on_epoch(row)
    for variable, value in zip(network.variables, best, strict=True):
        variable.assign(value)
    return history


def _where_resumed(config: TrainConfig, history: Sequence[Epoch]) -> str:
    if why_stop(config, history) is not None:
        return f"resuming after epoch {len(history)}, the last one"
    return f"resuming at epoch {len(history) + 1} of {config.epochs}"


@dataclass(frozen=True)
class _Loop:
    model: Any
    ema: WeightEMA
    config: TrainConfig
    train: TrainingArrays
    validation: TrainingArrays
    reporter: Reporter

    def epoch(self, history: Sequence[Epoch]) -> Epoch:
        """Train for the epoch after `history`, then validate with the averaged weights."""
        config, number = self.config, len(history)
        one_unit = self.model.output.shape[-1] == 1
        split = self.train.of_epoch(number)
        loader = BatchLoader(split, config.batch_size, config.seed, number, one_unit, config.mixup)
        began = time.perf_counter()
        # Batch by batch, without keras.Model.fit: learning rate, order and resuming stay plain code in this file, the
        # same for every backend, and no input pipeline is set up and torn down every epoch.
        rate, trained = 0.0, _RunningMeans()
        for step, (images, targets, weights) in enumerate(loader):
            seconds = time.perf_counter() - began
            rate = learning_rate(config, history, step / len(loader), seconds)
            self.model.optimizer.learning_rate = rate
            self.model.reset_metrics()  # Keras before 3.15 adds those of all batches since `compile`
            trained.add(
                self.model.train_on_batch(images, targets, sample_weight=weights, return_dict=True), len(images)
            )
            self.ema.update()
            speed = (step + 1) * config.batch_size / (time.perf_counter() - began)
            self.reporter.on_batch(
                BatchProgress(number, step + 1, len(loader), trained.loss, trained.accuracy, speed)
            )  # fmt: skip
        seconds = time.perf_counter() - began
        self.ema.swap()
        validated = self._validate(one_unit)
        self.ema.swap()
        if not (math.isfinite(trained.loss) and math.isfinite(validated.loss)):
            raise TrainingError(f"the loss is no longer a number in epoch {number + 1}; lower `learning_rate=`")
        return Epoch(
            epoch=number + 1,
            loss=trained.loss,
            accuracy=trained.accuracy,
            val_loss=validated.loss,
            val_accuracy=validated.accuracy,
            learning_rate=rate,
            seconds=time.perf_counter() - began,
            images_per_second=len(self.train.rows) / seconds,
            input_share=loader.waited / seconds,
        )

    def _validate(self, one_unit: bool) -> "_RunningMeans":
        """Return loss and accuracy on the validation split, without augmentation or sample weights."""
        found = _RunningMeans()
        for images, targets, _ in BatchLoader(
            self.validation, self.config.batch_size, self.config.seed, None, one_unit
        ):
            self.model.reset_metrics()
            found.add(self.model.test_on_batch(images, targets, return_dict=True), len(images))
        return found


class _RunningMeans:
    """Mean loss and accuracy over the images so far; Keras returns those of each batch."""

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
