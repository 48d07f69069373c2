"""What a study came to: a table of trials, plots of its history and of what mattered, and the best settings as TOML."""

import csv
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import TrainingError
from mien.io.atomic import new_file, write_text
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_estimate
from mien.metrics.intervals import wilson_interval
from mien.training.config import TrainConfig
from mien.training.search.study import spent
from mien.training.search.tune import Tuning
from mien.viz.charts import ACCENT, CATEGORIES, FAINT, INK, MUTED, Axes, chart, plain

BEST, TABLE, SUMMARY, HISTORY, IMPORTANCE = "best.toml", "trials.csv", "summary.json", "history.png", "importance.png"
#: With fewer complete trials, how much a setting mattered cannot be estimated at all.
_ENOUGH = 4


@dataclass(frozen=True)
class Trial:
    """One trial that is over: its validation accuracy in [0, 1] (None where it was stopped early), and its settings."""

    number: int
    accuracy: float | None
    epochs: int
    seconds: float
    settings: dict[str, Any]
    why: str
    is_default: bool


@dataclass(frozen=True)
class Result:
    """The trials of a study in the order they began, the best of them, and how much each setting mattered.

    `importance` has shares that sum to 1 (PED-ANOVA: Watanabe, Bansal and Hutter, IJCAI 2023); it is empty where
    there are too few trials. `config` is the best trial's.
    """

    trials: tuple[Trial, ...]
    best: Trial
    config: TrainConfig
    importance: dict[str, float]
    validation: int
    seconds: float

    @property
    def default(self) -> Trial | None:
        """The trial with the default settings, None while it is not finished."""
        return next((trial for trial in self.trials if trial.is_default and trial.accuracy is not None), None)

    def sentence(self) -> str:
        """Say what tuning brought against the defaults, and how far to trust it."""
        complete = sum(trial.accuracy is not None for trial in self.trials)
        counted = f"{len(self.trials)} trials ({complete} complete, {len(self.trials) - complete} stopped early)"
        said = f"best validation accuracy {_with_interval(self.best.accuracy, self.validation)} after {counted}"
        default = self.default
        if default is None or default.accuracy is None or self.best.accuracy is None:
            return f"{said}; the default settings have not been finished."
        if default is self.best:
            return f"{said}: the default settings; nothing better was found."
        gain = 100 * (self.best.accuracy - default.accuracy)
        return (
            f"{said}; the default settings have {default.accuracy:.4f}, so tuning brought {gain:+.1f} points on these "
            f"{self.validation} pictures. The best of many trials on the same pictures is flattered: judge it on the "
            "test part, which tuning never opened."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            "best": self.best.number, "best_accuracy": self.best.accuracy, "best_settings": self.best.settings,
            "default_accuracy": self.default.accuracy if self.default else None, "validation": self.validation,
            "seconds": round(self.seconds, 1), "importance": self.importance, "conclusion": self.sentence(),
            "trials": [_row(trial) for trial in self.trials],
        }  # fmt: skip


def read_result(tuning: Tuning) -> Result:
    """Read a study back; TrainingError where no trial has been finished."""
    over = [trial for trial in tuning.study.trials() if trial.state.name in ("COMPLETE", "PRUNED")]
    trials = tuple(_trial(trial) for trial in over)
    complete = [trial for trial in trials if trial.accuracy is not None]
    if not complete:
        why = next((f" ({trial.why})" for trial in trials if trial.why), "")
        raise TrainingError(f"{tuning.folder}: no trial was finished{why}; give more --trials or --minutes")
    best = max(complete, key=lambda trial: (trial.accuracy, -trial.number))
    config = tuning.space.config(best.settings)
    return Result(trials, best, config, _importance(tuning.study.inner, len(complete)), tuning.validation,
                  spent(tuning.study))  # fmt: skip


def write_result(result: Result, folder: Path) -> None:
    """Write `best.toml`, `trials.csv`, `summary.json`, `history.png` and, with enough trials, `importance.png`."""
    head = f"# The best of {len(result.trials)} trials of mien tune: {result.sentence()}\n"
    write_text(folder / BEST, head + result.config.to_toml())
    write_text(folder / SUMMARY, json.dumps(result.to_dict(), indent=2) + "\n")
    write_text(folder / TABLE, _csv(result.trials))
    _draw(folder / HISTORY, history(result))
    if result.importance:
        _draw(folder / IMPORTANCE, importance(result))


def history(result: Result) -> bytes:
    """Draw every trial's validation accuracy, and the best so far, against the defaults; PNG bytes."""

    def draw(axes: Axes) -> None:
        complete = [(trial.number, trial.accuracy) for trial in result.trials if trial.accuracy is not None]
        numbers, figures = [number for number, _ in complete], [figure for _, figure in complete]
        axes.plot(numbers, figures, "o", color=MUTED, label="trials")
        stopped = [trial.number for trial in result.trials if trial.accuracy is None]
        if stopped:
            axes.plot(stopped, [min(figures)] * len(stopped), "x", color=CATEGORIES[1], label="stopped early")
        leaders = list(itertools.accumulate(figures, max))
        axes.step(numbers, leaders, where="post", color=ACCENT, label="best so far")
        if result.default is not None and result.default.accuracy is not None:
            axes.axhline(result.default.accuracy, color=INK, linestyle=":", linewidth=1, label="defaults")
        axes.set_xlabel("trial")
        axes.set_ylabel("validation accuracy")
        axes.grid(axis="y", color=FAINT)
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=4)

    said = "validation accuracy of every trial, and the best so far"
    return chart("history", draw, caption=said, alt=said).png


def importance(result: Result) -> bytes:
    """Draw how much of the differences between trials each setting accounts for; PNG bytes."""
    rows = sorted(result.importance.items(), key=lambda row: row[1])

    def draw(axes: Axes) -> None:
        axes.barh([plain(name, 30) for name, _ in rows], [share for _, share in rows], color=ACCENT)
        axes.set_xlabel(f"share of importance (PED-ANOVA, {len(result.trials)} trials)")
        axes.grid(axis="x", color=FAINT)

    said = "how much each setting mattered"
    return chart("importance", draw, caption=said, alt=said, height=1.2 + 0.3 * len(rows)).png


def _draw(path: Path, png: bytes) -> None:
    with new_file(path) as part:
        part.write_bytes(png)


def _trial(trial: Any) -> Trial:
    complete = trial.state.name == "COMPLETE"
    return Trial(
        trial.number, float(trial.value) if complete else None, len(trial.intermediate_values),
        float(trial.user_attrs.get("seconds", 0.0)), dict(trial.params),
        "" if complete else str(trial.user_attrs.get("why", "stopped early")),
        bool(trial.user_attrs.get("defaults")),
    )  # fmt: skip


def _importance(study: Any, complete: int) -> dict[str, float]:
    if complete < _ENOUGH:
        return {}
    import optuna

    try:
        found = optuna.importance.get_param_importances(study)
    except (ValueError, RuntimeError, ZeroDivisionError):  # all trials alike
        return {}
    return {name: float(share) for name, share in found.items()} if len(found) > 1 else {}


def _with_interval(accuracy: float | None, n: int) -> str:
    value = accuracy or 0.0
    return format_estimate(Estimate(value, *wilson_interval(value * n, n)), digits=4)


def _row(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.number, "accuracy": trial.accuracy, "epochs": trial.epochs, "seconds": trial.seconds,
        "default": trial.is_default, "stopped": trial.why, **trial.settings,
    }  # fmt: skip


def _csv(trials: Sequence[Trial]) -> str:
    buffer = io.StringIO()
    rows = [_row(trial) for trial in trials]
    writer = csv.DictWriter(buffer, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
