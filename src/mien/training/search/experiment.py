"""Run a sweep as one study: a run per setting and seed, then a table, a chart and the significant effects."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.data.detection import DetectionChoice
from mien.errors import OutputError, TrainingError
from mien.io.atomic import LOCK, changed_fields, locked, read_json, readable_errors, refuse_foreign, write_text
from mien.io.bounded import read_object
from mien.io.cells import csv_table
from mien.io.layout import METRICS, is_finished, is_run
from mien.metrics.estimates import Estimate
from mien.text import join_words
from mien.training.data_split import DataSplit, split_data
from mien.training.loop.history import read_history
from mien.training.loop.schedule import best_epoch
from mien.training.networks.networks import build
from mien.training.reporter import QuietReporter, Reporter
from mien.training.run import resume_run, start_run
from mien.training.run_data import stored_split
from mien.training.runs import read_about
from mien.training.search.effects import FactorEffect, SeedMean, effects, mean_over_seeds
from mien.training.search.sweep import JOB, Sweep, SweepRun
from mien.training.source import AuditedSource, TrainingSource, audit_source, stored_detection
from mien.viz.charts import Chart
from mien.viz.intervals import IntervalRow, interval_chart

RESULT, TABLE, PLOT = "experiment.json", "experiment.csv", "comparison.png"


@dataclass(frozen=True)
class FinishedRun:
    """A finished run of a sweep.

    Attributes:
        run: its settings.
        accuracy: in [0, 1], on the split that was evaluated.
        evaluated_on: that split, in words.
        kept_epoch: the epoch whose weights are used.
        largest_class: accuracy of always answering the largest class on the same images.
        shipped: accuracy of the shipped model on them; None if it does not know the classes.
    """

    run: SweepRun
    accuracy: float
    evaluated_on: str
    kept_epoch: int
    largest_class: float
    shipped: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, a row of `experiment.csv`."""
        return {
            **self.run.values, "seed": self.run.seed, "accuracy": self.accuracy, "kept_epoch": self.kept_epoch,
            "largest_class": self.largest_class, "shipped": self.shipped, "run": self.run.folder,
        }  # fmt: skip


@dataclass(frozen=True)
class ExperimentResult:
    """The result of a sweep. `failed` holds the runs that could not be trained, and why."""

    sweep: Sweep
    runs: tuple[FinishedRun, ...]
    failed: tuple[tuple[SweepRun, str], ...]

    def mean_accuracies(self) -> dict[str, SeedMean]:
        """Return the mean accuracy over seeds of each combination of settings, best first."""
        values: dict[str, list[float]] = {}
        for done in self.runs:
            values.setdefault(done.run.label, []).append(done.accuracy)
        found = {label: mean_over_seeds(accuracies) for label, accuracies in values.items()}
        return dict(sorted(found.items(), key=lambda row: -row[1].mean))

    def beaten_in_words(self) -> str:
        """Return the numbers to beat: the means over all runs of the largest class and of the shipped model."""
        shipped = [done.shipped for done in self.runs if done.shipped is not None]
        said = (
            [f"always the largest class {np.mean([done.largest_class for done in self.runs]):.4f}"] if self.runs else []
        )
        said += [f"the shipped model {np.mean(shipped):.4f}"] if shipped else []
        return f"on the same images, mean over all runs: {join_words(said)}" if said else ""

    def effects(self) -> list[FactorEffect]:
        """Return the effect of each setting."""
        return effects([(done.run.values, done.run.seed, done.accuracy) for done in self.runs], self.sweep.grid)

    def conclusion(self) -> str:
        """Return which effects are significant, in words."""
        found = "; ".join(map(str, self.effects())) or "no conclusion: no seed has all its runs"
        failed = f"; {len(self.failed)} runs failed and are left out" if self.failed else ""
        return f"{found}{failed}."

    @property
    def evaluated_on(self) -> str:
        """The split that was evaluated, in words."""
        return " and ".join(sorted({done.evaluated_on for done in self.runs})) or "nothing"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        levels = {
            label: {"mean": mean.mean, "low": mean.low if mean.n > 1 else None,
                    "high": mean.high if mean.n > 1 else None, "seeds": mean.n}
            for label, mean in self.mean_accuracies().items()
        }  # fmt: skip
        return {
            "title": self.sweep.title, "measured": f"accuracy on: {self.evaluated_on}", "levels": levels,
            "effects": [effect.to_dict() for effect in self.effects()], "conclusion": self.conclusion(),
            "runs": [done.to_dict() for done in self.runs],
            "failed": [{"run": run.folder, "reason": reason} for run, reason in self.failed],
        }  # fmt: skip


def experiment(
    source: TrainingSource, sweep: Sweep, out: Path, reporter: Reporter | None = None,
    on_run: Callable[[SweepRun, Path], Reporter] | None = None,
) -> ExperimentResult:  # fmt: skip
    """Train all runs of a sweep and write table, chart and conclusion.

    The same call resumes an interrupted sweep: finished runs are kept, and values and seeds may be added. A run whose
    training fails (a loss of NaN, for example) is reported and left out.

    Args:
        source: the labelled data.
        sweep: grid and seeds.
        out: the folder of the runs and the result.
        reporter: receives progress and the accuracy of each run.
        on_run: called with a run and its folder before it is trained; returns the reporter of that run.

    Returns:
        The result, which is also written into `out`.

    Raises:
        OutputError: `out` holds another experiment, or another process works on it.
        TrainingError: the data has changed since the first run.
        ConfigError, DataError: as in `mien.train`, before the first run.
    """
    reporter = reporter or QuietReporter()
    runs = sweep.runs()
    data = _Data(source, reporter)
    _try_networks(source, [run for run in runs if not is_finished(out / run.folder)])
    if not out.exists():  # data that cannot be used must leave no folder behind
        data.split(runs[0])
    with readable_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    if 0 < (done := sum(is_finished(out / run.folder) for run in runs)) < len(runs):
        reporter.say(f"resuming: {done} of {len(runs)} runs are finished")
    finished: list[FinishedRun] = []
    failed: list[tuple[SweepRun, str]] = []
    with locked(out / LOCK, out):
        _check_job(out, sweep, data)
        _require_same_data([out / run.folder for run in runs])
        for run in runs:
            folder = out / run.folder
            try:
                is_new = not is_finished(folder)
                if is_new:
                    _train(run, folder, data, on_run(run, folder) if on_run else QuietReporter())
                finished.append(_finished_run(run, folder))
                if is_new:
                    reporter.say(_in_words(finished[-1]))
            except TrainingError as error:
                failed.append((run, str(error)))
                reporter.say(f"{run.folder}: {error}")
        result = ExperimentResult(sweep, tuple(finished), tuple(failed))
        _write(result, out)
    return result


@dataclass
class _Data:
    """A source that is audited once for all runs, or once with and once without faces if the sweep tries both.

    `chosen` is what a sample of the images decided for runs that leave it open.
    """

    source: TrainingSource
    reporter: Reporter
    chosen: DetectionChoice | None = None
    audited: dict[bool | None, AuditedSource] = field(default_factory=dict)

    def split(self, run: SweepRun) -> DataSplit:
        detect = run.config.detect
        if detect not in self.audited:
            known = self.chosen if detect is None else None
            wanted = known.detect if known else detect
            found = audit_source(self.source, self.reporter, wanted, again=bool(self.audited))
            self.audited[detect] = replace(found, detection=known) if known else found
            if detect is None:
                self.chosen = found.detection if known is None else known
        return split_data(self.audited[detect], run.config)


def _try_networks(source: TrainingSource, runs: Sequence[SweepRun]) -> None:
    """Build each network of a sweep once: names and sizes that Keras refuses must not end it after hours."""
    tried = set()
    for run in runs:
        config = run.config
        wanted = (config.network, config.size, config.colour, config.width, config.backbone)
        if wanted not in tried:
            build(config, len(source.manifest.classes))
        tried.add(wanted)
    keras.utils.clear_session(free_memory=True)


def _check_job(out: Path, sweep: Sweep, data: _Data) -> None:
    """Mark the folder as this experiment's, with what a sample decided; OutputError if it is another one's."""
    job = {"base": dict(sweep.base), "data": data.source.to_dict()}
    path = out / JOB
    if not path.exists():
        refuse_foreign(out, "experiment", JOB)
        data.split(sweep.runs()[0])
        chosen = data.chosen.to_dict() if data.chosen else None
        write_text(path, json.dumps({**job, "detection": chosen}, indent=2) + "\n")
        return
    stored = read_json(path)
    if changed := changed_fields(job, stored):
        raise OutputError(f"{out}: was begun with another {changed}; choose another name, or remove it first")
    data.chosen = stored_detection(path, stored) if stored.get("detection") else None


def _require_same_data(folders: Sequence[Path]) -> None:
    """Raise TrainingError if runs are left to train, and the data is not as it was when the first began."""
    begun = [folder for folder in folders if is_run(folder)]
    if not begun or all(map(is_finished, folders)):
        return

    def refuse(added: str) -> None:
        raise TrainingError(f"{added}; remove what was added, or begin another experiment")

    stored_split(begun[0], read_about(begun[0]), refuse).require_unchanged()


def _train(run: SweepRun, folder: Path, data: _Data, reporter: Reporter) -> None:
    """Train one run, or resume it."""
    if not folder.exists():
        start_run(data.source, run.config, folder, data.split(run), QuietReporter())
    resume_run(folder, reporter)
    keras.utils.clear_session(free_memory=True)  # the memory of finished networks would add up


def _finished_run(run: SweepRun, folder: Path) -> FinishedRun:
    """Read a finished run; TrainingError if its files are damaged."""
    try:
        metrics = read_object(folder / METRICS)
        history = read_history(folder)
        kept = history[best_epoch(history)].epoch
        beaten = {
            name: float(found["accuracy"]["value"]) if (found := metrics["baselines"][name]) else None
            for name in ("largest_class", "shipped")
        }
        accuracy = float(metrics["accuracy"]["value"])
        largest = beaten["largest_class"] or 0.0
        return FinishedRun(run, accuracy, str(metrics["part"]), kept, largest, beaten["shipped"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise TrainingError(f"{folder}: is damaged ({error}); remove it and give the command again") from None


def _in_words(done: FinishedRun) -> str:
    shipped = "" if done.shipped is None else f", shipped model {done.shipped:.4f}"
    return (
        f"{done.run.folder}: accuracy {done.accuracy:.4f} (largest class {done.largest_class:.4f}{shipped}; evaluated "
        f"on: {done.evaluated_on})"
    )


def _write(result: ExperimentResult, out: Path) -> None:
    """Write the result as JSON, the runs as CSV and the comparison as a PNG."""
    write_text(out / RESULT, json.dumps(result.to_dict(), indent=2) + "\n")
    names = [*result.sweep.grid, "seed", "accuracy", "kept_epoch", "largest_class", "shipped", "run"]
    write_text(out / TABLE, csv_table(names, (done.to_dict() for done in result.runs)))
    if result.runs:
        _comparison(result).save(out / PLOT)


def _comparison(result: ExperimentResult) -> Chart:
    """Draw each combination's mean with its interval and its runs, best above."""
    rows = [
        IntervalRow(
            label,
            Estimate(mean.mean, mean.low, mean.high),
            runs=tuple(done.accuracy for done in result.runs if done.run.label == label),
        )
        for label, mean in result.mean_accuracies().items()
    ]
    caption = f"dots: runs; bars: mean and 95 % t interval over {len(result.sweep.seeds)} seeds"
    xlabel = f"accuracy on: {result.evaluated_on}"
    return interval_chart(rows, xlabel, title=result.sweep.title, name="comparison", caption=caption, alt=caption)
