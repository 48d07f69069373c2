"""Learning rate and early stopping as pure functions of settings and history, so that resuming needs no state."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mien.text import pluralize
from mien.training.config import TrainConfig

#: A validation loss must fall by more than this to count as an improvement.
MIN_IMPROVEMENT = 1e-4


@dataclass(frozen=True)
class Epoch:
    """One row of `history.csv`.

    Accuracies are in [0, 1]; `input_share` is the fraction of the time spent waiting for input.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float
    input_share: float


def learning_rate(config: TrainConfig, history: Sequence[Epoch], within: float, seconds: float) -> float:
    """Return the learning rate in the epoch after `history`.

    The rate is constant while the trunk is frozen. The schedule begins when it is unfrozen.

    Args:
        config: schedule and rates.
        history: the finished epochs.
        within: fraction of the current epoch that is done, in [0, 1).
        seconds: time spent in the current epoch.

    Examples:
        >>> learning_rate(TrainConfig(schedule="cosine", epochs=2, learning_rate=0.1), [], 0.0, 0.0)
        0.1
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
    """Return whether only the head is trained in the epoch after `history`."""
    return len(history) < config.freeze_epochs


def progress(config: TrainConfig, history: Sequence[Epoch], within: float, seconds: float) -> float:
    """Return the fraction of the budget (epochs or minutes, whichever is more) used since the trunk was unfrozen.

    The arguments are those of `learning_rate`.
    """
    frozen, trained = history[: config.freeze_epochs], history[config.freeze_epochs :]
    used = (len(trained) + within) / (config.epochs - config.freeze_epochs)
    if config.minutes:
        left = max(1.0, 60 * config.minutes - sum(row.seconds for row in frozen))
        used = max(used, (sum(row.seconds for row in trained) + seconds) / left)
    return used


def plateaus(config: TrainConfig, history: Sequence[Epoch]) -> int:
    """Count the plateaus since the trunk was unfrozen: `plateau_patience` epochs without a better validation loss."""
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
    """Return the index of the epoch with the lowest validation loss (the first of equals)."""
    return min(range(len(history)), key=lambda index: history[index].val_loss)


def why_stop(config: TrainConfig, history: Sequence[Epoch]) -> str | None:
    """Return why training stops now, or None if it does not. Patience begins when the trunk is unfrozen.

    Examples:
        >>> why_stop(TrainConfig(epochs=3), [Epoch(n, 1, 0.5, 1, 0.5, 1e-3, 9, 100, 0) for n in (1, 2, 3)])
        '3 epochs done'
    """
    if len(history) >= config.epochs:
        return f"{pluralize(config.epochs, 'epoch')} done"
    if not history:
        return None
    waited = len(history) - max(best_epoch(history) + 1, config.freeze_epochs)
    if config.patience is not None and waited >= config.patience:
        return f"no better validation loss for {config.patience} epochs"
    seconds = sum(row.seconds for row in history) + history[-1].seconds / 2  # half of the next epoch counts, too
    if config.minutes is not None and seconds >= 60 * config.minutes:
        return f"{config.minutes:g} minutes used"
    return None
