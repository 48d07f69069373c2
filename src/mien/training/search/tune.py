"""Search settings on the validation split. The images of the test split are never opened.

Data is audited and split exactly as by `mien train` with the same seed, so that the settings found can be evaluated on
a test split that no trial has seen. The folder holds only the rows of the other splits.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from mien.arrays import UInt8
from mien.errors import ConfigError, OutputError, TrainingError
from mien.io.atomic import LOCK, changed_fields, locked, read_json, readable_errors, refuse_foreign, write_text
from mien.io.cells import escape
from mien.io.layout import CHECKPOINT, CONFIG, SPLIT, is_begun
from mien.text import pluralize
from mien.training.config import FROM_SCRATCH, TrainConfig
from mien.training.data_split import DataSplit, read_split, split_data
from mien.training.loop.cache import cached_crops
from mien.training.loop.checkpoint import load_checkpoint
from mien.training.loop.fit import fit
from mien.training.loop.schedule import Epoch, best_epoch
from mien.training.networks.pretrained import SMALL_DATASET, build_config, small_dataset_config
from mien.training.reporter import BatchProgress, QuietReporter, Reporter
from mien.training.run import initial_network
from mien.training.search.space import Space, make_space, resolved
from mien.training.search.study import (
    ABOUT,
    DEFAULTS,
    REASON,
    Budget,
    Pruner,
    Study,
    first_attempt,
    open_study,
    record_seconds,
    run_trials,
    seconds_spent,
)
from mien.training.source import TrainingSource, audit_source, stored_detection

STUDY, TRIALS = "study.db", "trials"
_SEEN = ("train", "validation")


@dataclass(frozen=True)
class Tuning:
    """A finished or interrupted search: its folder, the search space, the study, the number of validation images."""

    folder: Path
    space: Space
    study: Study
    validation: int


@dataclass(frozen=True)
class Options:
    """How to search.

    Attributes:
        budget: when to stop.
        storage: a database URL; None: an SQLite file in the folder.
        study: name of the study in the database; None: from the folder.
        pruner: how to stop bad trials early.
        silent_after: seconds without a heartbeat after which a process counts as dead.
    """

    budget: Budget
    storage: str | None = None
    study: str | None = None
    pruner: Pruner = "median"
    silent_after: int = 60


def tune(
    source: TrainingSource, settings: Mapping[str, Any], out: Path, options: Options,
    search: tuple[str, ...] | None = None, reporter: Reporter | None = None,
    on_trial: Callable[[int, TrainConfig, Space], Reporter] | None = None,
) -> Tuning:  # fmt: skip
    """Search settings within a budget. The first trial has the settings that `mien train` would use.

    The same call resumes an interrupted search, and several processes may search at once.

    Args:
        source: the labelled data.
        settings: fixed settings.
        out: the folder of the study.
        options: budget, database and pruner.
        search: names of the settings to search; None: all that are not fixed.
        reporter: receives the progress and the result of each trial.
        on_trial: called with number, config and search space before a trial; returns the reporter of that trial.

    Raises:
        ConfigError, DataError: as in `mien.train`.
        OutputError: `out` holds another study.
    """
    reporter = reporter or QuietReporter()
    given = {name: value for name, value in settings.items() if value is not None}
    base = build_config(given)
    # Wrong names, and data that cannot be used, must leave no folder behind.
    make_space(resolved(given, base), base, search)
    fresh = None if out.exists() else _new_split(source, base, reporter)
    with readable_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with exclusive(out, reporter.say):
        split = _split(source, base, out, reporter, fresh)
    count = len(split.subset("train").samples)
    given["detect"] = split.detection.detect
    base, small = replace(base, detect=split.detection.detect), small_dataset_config(given)
    if small is not None and count < SMALL_DATASET:
        base, given = small, {**given, "start_from": small.start_from}
        reporter.say(
            f"{count} training images are few: fine-tuning the shipped model '{base.start_from}', as mien train does "
            f"(train from scratch: `fix={ {'start_from': FROM_SCRATCH} }`)"
        )
    space = make_space(resolved(given, base), base, search)
    with exclusive(out, reporter.say):  # only one process may make the tables of a database
        study = open_study(
            options.storage or out / STUDY, options.study or f"mien-{escape(out.resolve().name)}", _job(space, split),
            space.defaults, pruner=options.pruner, warm_up=max(1, base.epochs // 4),
            silent_after=options.silent_after, seed=base.seed,
        )  # fmt: skip
    if done := sum(trial.state.is_finished() for trial in study.trials()):
        reporter.say(f"resuming: {pluralize(done, 'trial')} finished before")
    objective = _Objective(space, split, out, options.budget, study, on_trial)
    run_trials(study, objective, options.budget, reporter.say)
    return Tuning(out, space, study, len(split.subset("validation").samples))


@contextmanager
def exclusive(out: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Wait until no other process of this machine prepares or writes results in `out`, then keep others out."""
    waiting = f"{out}: another process is at work there; waiting for it"
    with locked(out / LOCK, out, wait=0.2, on_wait=lambda: say(waiting)):
        yield


def _new_split(source: TrainingSource, base: TrainConfig, reporter: Reporter) -> DataSplit:
    return _without_test(split_data(audit_source(source, reporter, base.detect), base))


def _split(
    source: TrainingSource, base: TrainConfig, out: Path, reporter: Reporter, fresh: DataSplit | None
) -> DataSplit:
    """Return `fresh` or a new split, or that of an earlier call; without the test split."""
    about = {"data": source.to_dict(), "seed": base.seed, "detect": base.detect}
    about["shares"] = [base.validation_share, base.test_share]
    path = out / ABOUT
    if path.exists():
        stored = read_json(path)
        if changed_fields(about, stored):
            raise OutputError(f"{out}: was begun with other data or another seed; give another `out=`")
        split = read_split(out, source.manifest, stored_detection(path, stored))
        with reporter.progress("checking that the images are as they were") as report:
            split.require_unchanged(report)
        return split
    refuse_foreign(out, "study", ABOUT)
    split = fresh or _new_split(source, base, reporter)
    write_text(out / SPLIT, split.to_csv())
    write_text(path, json.dumps({**about, "detection": split.detection.to_dict()}, indent=2) + "\n")
    return split


def _without_test(split: DataSplit) -> DataSplit:
    kept = [row for row, name in enumerate(split.splits) if name in _SEEN]
    samples = tuple(split.manifest.samples[row] for row in kept)
    return replace(
        split, manifest=replace(split.manifest, samples=samples), splits=tuple(split.splits[row] for row in kept),
        groups=tuple(split.groups[row] for row in kept),
    )  # fmt: skip


def _job(space: Space, split: DataSplit) -> dict[str, Any]:
    """Return the description that all processes of a study must share; no paths of one machine."""
    digest = hashlib.sha256(split.to_csv().encode()).hexdigest()
    ranges = {name: repr(values) for name, values in space.searched.items()}
    given = {name: value for name, value in space.given.items() if name != "deterministic"}
    return {"data": digest, "settings": given, "search": ranges, "seed": space.base.seed, "epochs": space.base.epochs}


class _Objective:
    """Train with the settings of a trial and return its validation accuracy; stop early if it looks bad."""

    def __init__(
        self, space: Space, split: DataSplit, out: Path, budget: Budget, study: Study,
        on_trial: Callable[[int, TrainConfig, Space], Reporter] | None,
    ) -> None:  # fmt: skip
        self._space, self._split, self._out, self._budget, self._study = space, split, out, budget, study
        self._on_trial = on_trial

    def __call__(self, trial: Any) -> float:
        """Return the validation accuracy of the kept epoch."""
        import optuna

        config = self._space.suggest(trial)
        folder = self._out / TRIALS / f"{first_attempt(trial):04d}"
        reporter = self._on_trial(trial.number, config, self._space) if self._on_trial else QuietReporter()
        listener = _TrialReporter(trial, reporter, self._time_limit(trial))
        try:
            history = self._train(config, folder, listener)
        except (TrainingError, ConfigError) as error:  # diverged, or settings that make no network
            trial.set_user_attr(REASON, str(error))
            record_seconds(trial, listener.seconds)  # it may not have finished an epoch
            raise optuna.TrialPruned(str(error)) from None
        finally:
            keras.utils.clear_session(free_memory=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return history[best_epoch(history)].val_accuracy

    def _time_limit(self, trial: Any) -> float:
        """Return how many seconds a trial may take; unlimited for the default settings, the baseline of all others."""
        if self._budget.minutes is None or trial.user_attrs.get(DEFAULTS):
            return math.inf
        return 60 * self._budget.minutes - seconds_spent(self._study)

    def _train(self, config: TrainConfig, folder: Path, listener: "_TrialReporter") -> list[Epoch]:
        folder.mkdir(parents=True, exist_ok=True)
        begun = is_begun(folder)
        crops = self._crops(config)
        network = initial_network(config, len(self._split.manifest.classes), begun=begun)
        write_text(folder / CONFIG, config.to_toml())
        if begun:
            listener.report_past(load_checkpoint(folder / CHECKPOINT).history)
        training = self._split.arrays(crops, "train", config.class_weight == "balanced")
        return fit(network, config, training, self._split.arrays(crops, "validation"), folder, listener)

    def _crops(self, config: TrainConfig) -> UInt8:
        cache = self._out / ".cache"
        with exclusive(self._out):  # several processes would decode the same images into one file
            return cached_crops(self._split.manifest, config.size, config.channels, cache, None, self._split.regions)


class _TrialReporter(QuietReporter):
    """Report the epochs of a trial to its study, and end it if the pruner or the budget says so."""

    def __init__(self, trial: Any, reporter: Reporter, time_limit: float) -> None:
        self._trial, self._reporter, self._time_limit = trial, reporter, time_limit
        self._history: list[Epoch] = []
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long this process has worked on the trial."""
        return time.monotonic() - self._began

    def report_past(self, history: list[Epoch]) -> None:
        """Report the epochs of a killed trial that this one continues."""
        for row in history:
            self._report(row)

    def _report(self, row: Epoch) -> None:
        self._history.append(row)
        self._trial.report(self._history[best_epoch(self._history)].val_accuracy, row.epoch)

    def on_batch(self, batch: BatchProgress) -> None:
        """Pass a batch on."""
        self._reporter.on_batch(batch)

    def on_epoch(self, epoch: Epoch) -> None:
        """Report a finished epoch; TrialPruned ends the trial."""
        import optuna

        self._reporter.on_epoch(epoch)
        self._report(epoch)
        record_seconds(self._trial, self.seconds)
        if self._trial.user_attrs.get(DEFAULTS):
            return
        if self.seconds > self._time_limit:
            self._trial.set_user_attr(REASON, "the minutes are used up")
            raise optuna.TrialPruned
        if self._trial.should_prune():
            self._trial.set_user_attr(REASON, f"pruned after epoch {epoch.epoch}")
            raise optuna.TrialPruned
