"""Epochs and who hears of them; learning rate and stopping as pure functions of the settings and the history.

So resuming needs no state of theirs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mien.training.config import TrainConfig

#: A validation loss must fall by more than this to count as better.
MIN_IMPROVEMENT = 1e-4


@dataclass(frozen=True)
class Epoch:
    """One row of `history.csv`; accuracies in [0, 1], `input_share` is time spent waiting for input."""

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float
    input_share: float


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


def learning_rate(config: TrainConfig, history: Sequence[Epoch], within: float, seconds: float) -> float:
    """Return the rate at the point `within` [0, 1) the epoch after `history`, `seconds` into that epoch.

    While the trunk is frozen it is constant; the schedule begins when it thaws.
    """
    if is_frozen(config, history):
        return config.head_learning_rate
    epochs_done = len(history) - config.freeze_epochs + within
    rate = config.learning_rate
    if config.warmup_epochs and epochs_done < config.warmup_epochs:
        return rate * max(epochs_done, 1e-3) / config.warmup_epochs
    if config.schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress(config, history, within, seconds))))
    if config.schedule == "plateau":
        return rate * config.plateau_factor ** plateaus(config, history)
    return rate


def is_frozen(config: TrainConfig, history: Sequence[Epoch]) -> bool:
    """Whether only the head is trained in the epoch after `history`."""
    return len(history) < config.freeze_epochs


def progress(config: TrainConfig, history: Sequence[Epoch], within: float, seconds: float) -> float:
    """Return how much of the budget of epochs or minutes since the thaw is used, whichever is more, from 0."""
    frozen, thawed = history[: config.freeze_epochs], history[config.freeze_epochs :]
    used = (len(thawed) + within) / (config.epochs - config.freeze_epochs)
    if config.minutes:
        left = max(1.0, 60 * config.minutes - sum(row.seconds for row in frozen))
        used = max(used, (sum(row.seconds for row in thawed) + seconds) / left)
    return used


def plateaus(config: TrainConfig, history: Sequence[Epoch]) -> int:
    """Count how often since the thaw the validation loss has stood still for `plateau_patience` epochs."""
    count, waited, best = 0, 0, math.inf
    for row in history[config.freeze_epochs :]:
        if row.val_loss < best - MIN_IMPROVEMENT:
            best, waited = row.val_loss, 0
            continue
        waited += 1
        if waited == config.plateau_patience:
            count, waited = count + 1, 0
    return count


def best_epoch(history: Sequence[Epoch]) -> int:
    """Return the index of the row with the lowest validation loss (the first of equals)."""
    return min(range(len(history)), key=lambda index: history[index].val_loss)


def why_stop(config: TrainConfig, history: Sequence[Epoch]) -> str | None:
    """Say why training is over, or None while it is not. Patience begins when the trunk thaws."""
    if len(history) >= config.epochs:
        return f"{config.epochs} epochs done"
    if not history:
        return None
    waited = len(history) - max(best_epoch(history) + 1, config.freeze_epochs)
    if config.patience is not None and waited >= config.patience:
        return f"no better validation loss for {config.patience} epochs"
    seconds = sum(row.seconds for row in history) + history[-1].seconds / 2  # half of the next epoch counts too
    if config.minutes is not None and seconds >= 60 * config.minutes:
        return f"{config.minutes:g} minutes used"
    return None
