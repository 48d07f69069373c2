"""Read a finished study and write its results: trials, charts, importance of settings, the best settings as TOML."""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import TrainingError
from mien.io.atomic import write_text
from mien.io.cells import csv_table
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_estimate
from mien.metrics.intervals import wilson_interval
from mien.metrics.significance import independent_difference
from mien.metrics.wording import accuracy_difference_in_words, begin_sentence, excludes_zero
from mien.training.config import TrainConfig
from mien.training.search.study import DEFAULTS, REASON, SECONDS, seconds_spent
from mien.training.search.tune import Tuning
from mien.viz.bars import bar_chart
from mien.viz.charts import Chart
from mien.viz.history import trial_history

BEST, TABLE, SUMMARY, HISTORY, IMPORTANCE = "best.toml", "trials.csv", "summary.json", "history.png", "importance.png"
#: Fewest complete trials from which importance is estimated.
_MIN_TRIALS = 4


@dataclass(frozen=True)
class Trial:
    """A finished trial. `accuracy` is on the validation split, in [0, 1]; None if it was stopped, for a `reason`."""

    number: int
    accuracy: float | None
    epochs: int
    seconds: float
    settings: dict[str, Any]
    reason: str
    is_default: bool


@dataclass(frozen=True)
class TuningResult:
    """The result of a study.

    Attributes:
        trials: in the order they started.
        best: the trial with the highest accuracy.
        config: its config.
        importance: fraction of the variation explained by each setting, sums to 1 (PED-ANOVA: Watanabe, Bansal and
            Hutter, IJCAI 2023); empty if there are too few trials, or all are equal.
        validation: number of validation images.
        seconds: of all trials.
    """

    trials: tuple[Trial, ...]
    best: Trial
    config: TrainConfig
    importance: dict[str, float]
    validation: int
    seconds: float

    @property
    def default(self) -> Trial | None:
        """The trial with the default settings; None if it is not finished."""
        return next((trial for trial in self.trials if trial.is_default and trial.accuracy is not None), None)

    def conclusion(self) -> str:
        """Return the gain over the default settings in words, and how far to trust it."""
        complete = sum(trial.accuracy is not None for trial in self.trials)
        counted = f"{len(self.trials)} trials ({complete} complete, {len(self.trials) - complete} stopped early)"
        found = f"best validation accuracy {_with_interval(self.best.accuracy, self.validation)} after {counted}"
        default = self.default
        if default is None or default.accuracy is None or self.best.accuracy is None:
            return f"{found}; the default settings have not been finished."
        if default is self.best:
            return f"{found}: the default settings; nothing better was found."
        change = independent_difference(default.accuracy, self.best.accuracy, self.validation)
        said = accuracy_difference_in_words(
            f"trial {default.number} (the default settings)", f"trial {self.best.number}", change,
            excludes_zero(change), f"on {self.validation} validation images",
        )  # fmt: skip
        return (
            f"{found}. {begin_sentence(said)}. The best of many trials on the same images is biased upwards: evaluate "
            "it on the test split, which tuning never opened."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "best": self.best.number, "best_accuracy": self.best.accuracy, "best_settings": self.best.settings,
            "default_accuracy": self.default.accuracy if self.default else None, "validation": self.validation,
            "seconds": round(self.seconds, 1), "importance": self.importance, "conclusion": self.conclusion(),
            "trials": [_row(trial) for trial in self.trials],
        }  # fmt: skip


def read_result(tuning: Tuning) -> TuningResult:
    """Read the result of a study; TrainingError if no trial is complete."""
    over = [trial for trial in tuning.study.trials() if trial.state.name in ("COMPLETE", "PRUNED")]
    trials = tuple(_trial(trial) for trial in over)
    complete = [trial for trial in trials if trial.accuracy is not None]
    if not complete:
        reason = next((f" ({trial.reason})" for trial in trials if trial.reason), "")
        raise TrainingError(f"{tuning.folder}: no trial was finished{reason}; give more `trials=` or `minutes=`")
    best = max(complete, key=lambda trial: (trial.accuracy, -trial.number))
    config = tuning.space.config(best.settings)
    return TuningResult(trials, best, config, _importance(tuning.study.inner, len(complete)), tuning.validation,
                  seconds_spent(tuning.study))  # fmt: skip


def write_result(result: TuningResult, folder: Path) -> None:
    """Write `best.toml`, `trials.csv`, `summary.json`, `history.png` and, with enough trials, `importance.png`."""
    head = f"# The best of {len(result.trials)} trials of mien tune: {result.conclusion()}\n"
    write_text(folder / BEST, head + result.config.to_toml())
    write_text(folder / SUMMARY, json.dumps(result.to_dict(), indent=2) + "\n")
    write_text(folder / TABLE, _csv(result.trials))
    _history_chart(result).save(folder / HISTORY)
    if result.importance:
        _importance_chart(result).save(folder / IMPORTANCE)


def _history_chart(result: TuningResult) -> Chart:
    """Draw the validation accuracy of each trial, the best so far and that of the defaults."""
    finished = {trial.number: trial.accuracy for trial in result.trials if trial.accuracy is not None}
    stopped = [trial.number for trial in result.trials if trial.accuracy is None]
    default = result.default.accuracy if result.default else None
    caption = "validation accuracy of every trial, and the best so far"
    return trial_history(
        finished, stopped, default, "validation accuracy", name="history", caption=caption, alt=caption
    )


def _importance_chart(result: TuningResult) -> Chart:
    """Draw the importance of each setting."""
    xlabel, caption = f"share of importance (PED-ANOVA, {len(result.trials)} trials)", "importance of each setting"
    return bar_chart(result.importance, xlabel, name="importance", caption=caption, alt=caption)


def _trial(trial: Any) -> Trial:
    complete = trial.state.name == "COMPLETE"
    return Trial(
        trial.number, float(trial.value) if complete else None, len(trial.intermediate_values),
        float(trial.user_attrs.get(SECONDS, 0.0)), dict(trial.params),
        "" if complete else str(trial.user_attrs.get(REASON, "stopped early")),
        bool(trial.user_attrs.get(DEFAULTS)),
    )  # fmt: skip


def _importance(study: Any, complete: int) -> dict[str, float]:
    if complete < _MIN_TRIALS:
        return {}
    import optuna

    try:
        with warnings.catch_warnings():
            # Of equal trials Optuna knows nothing, warns, and shares 1 evenly.
            warnings.filterwarnings("error", ".*importances will be equal", UserWarning)
            found = optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError, ZeroDivisionError, UserWarning):
        return {}
    return {name: float(share) for name, share in found.items()} if len(found) > 1 else {}


def _with_interval(accuracy: float | None, n: int) -> str:
    value = accuracy or 0.0
    return format_estimate(Estimate(value, *wilson_interval(value * n, n)), digits=4)


def _row(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number, "accuracy": trial.accuracy, "epochs": trial.epochs, "seconds": trial.seconds,
        "default": trial.is_default, "stopped": trial.reason, **trial.settings,
    }  # fmt: skip


def _csv(trials: Sequence[Trial]) -> str:
    rows = [_row(trial) for trial in trials]
    return csv_table(list(dict.fromkeys(name for row in rows for name in row)), rows)
