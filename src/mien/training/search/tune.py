"""Searching settings on the validation part; the pictures of the test part are never opened for it.

The data are checked and split exactly as `mien train` does with the same seed, so that the settings that are found can
be judged afterwards on a test part that no trial has seen. Only the rows of the other parts are kept.
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from mien.arrays import UInt8
from mien.errors import ConfigError, OutputError, TrainingError
from mien.io.atomic import LOCK, lock, read_json, readable_errors, refuse_foreign, write_text
from mien.io.layout import CHECKPOINT, CONFIG, SPLIT, is_begun
from mien.training.config import FROM_SCRATCH, TrainConfig
from mien.training.loop.cache import cached_crops
from mien.training.loop.fit import fit, read_history
from mien.training.loop.schedule import Epoch, best_epoch
from mien.training.networks.pretrained import FEW_PICTURES, configured, configured_for_few
from mien.training.plan import Plan, make_part, plan_split, read_plan
from mien.training.run import first_network
from mien.training.search.space import Space, make_space, resolved
from mien.training.search.study import ABOUT, Budget, Pruner, Study, note_spent, open_study, origin, run_trials, spent
from mien.training.source import QuietReporter, Reporter, TrainingSource, check_source

STUDY, TRIALS = "study.db", "trials"
_SEEN = ("train", "validation")


@dataclass(frozen=True)
class Tuning:
    """A study that is over or interrupted: its folder, what was searched, the study, and the pictures judged."""

    folder: Path
    space: Space
    study: Study
    validation: int


@dataclass(frozen=True)
class Options:
    """How to search: the budget, the database (None: a file in the folder), the study's name, and when to give up.

    `silent_after` is after how many seconds without a sign a process counts as dead.
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
    """Search settings around `settings` within a budget; the first trial is what `mien train` would do.

    The same call goes on where an earlier one ended or was killed, and several may run at once. `search` names the
    settings to vary; None is all that are not given. Raises ConfigError, DataError, OutputError or TrainingError.
    """
    reporter = reporter or QuietReporter()
    given = {name: value for name, value in settings.items() if value is not None}
    base = configured(given)
    # Wrong names and data that cannot be used leave no folder behind.
    make_space(resolved(given, base), base, search)
    fresh = None if out.exists() else _fresh_plan(source, base, reporter)
    with readable_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with exclusive(out, reporter.say):
        plan = _plan(source, base, out, reporter, fresh)
    count = len(plan.part("train").samples)
    for_few = configured_for_few(given)
    if for_few is not None and count < FEW_PICTURES:
        base, given = for_few, {**given, "start_from": for_few.start_from}
        reporter.say(
            f"{count} training pictures are few: starting from the shipped model '{base.start_from}', as mien train "
            f"does (from scratch: --fix start_from={FROM_SCRATCH})"
        )
    space = make_space(resolved(given, base), base, search)
    with exclusive(out, reporter.say):  # the tables of a database are made by one process
        study = open_study(
            options.storage or out / STUDY, options.study or f"mien-{out.resolve().name}", _job(space, plan),
            space.defaults, pruner=options.pruner, warm_up=max(1, base.epochs // 4),
            silent_after=options.silent_after, seed=base.seed,
        )  # fmt: skip
    trials = _Trials(space, plan, out, options.budget, study, on_trial)
    run_trials(study, trials, options.budget, reporter.say)
    return Tuning(out, space, study, len(plan.part("validation").samples))


@contextmanager
def exclusive(out: Path, say: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Wait until no other process of this machine is preparing or writing results in `out`, and keep them off."""
    with readable_errors(out):
        handle = os.open(out / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        said = False
        while True:
            try:
                lock(handle, out)
                break
            except OutputError:
                if not said:
                    say(f"{out}: another process is at work there; waiting for it")
                said = True
                time.sleep(0.2)
        yield
    finally:
        os.close(handle)


def _fresh_plan(source: TrainingSource, base: TrainConfig, reporter: Reporter) -> Plan:
    checked, regions = check_source(source, reporter, base.faces)
    return _without_test(plan_split(checked, base, regions))


def _plan(source: TrainingSource, base: TrainConfig, out: Path, reporter: Reporter, fresh: Plan | None) -> Plan:
    """Return `fresh` or split the source, or read back the split of an earlier call; without the test part."""
    about = {"data": source.to_dict(), "seed": base.seed, "faces": base.faces}
    about["shares"] = [base.validation_share, base.test_share]
    path = out / ABOUT
    if path.exists():
        if read_json(path) != json.loads(json.dumps(about)):
            raise OutputError(f"{out}: was begun with other data or another seed; give another --out")
        return read_plan(out, source.manifest)
    refuse_foreign(out, "study", ABOUT)
    plan = fresh or _fresh_plan(source, base, reporter)
    write_text(out / SPLIT, plan.to_csv())
    write_text(path, json.dumps(about, indent=2) + "\n")
    return plan


def _without_test(plan: Plan) -> Plan:
    kept = [row for row, part in enumerate(plan.parts) if part in _SEEN]
    samples = tuple(plan.manifest.samples[row] for row in kept)
    return replace(
        plan, manifest=replace(plan.manifest, samples=samples), parts=tuple(plan.parts[row] for row in kept),
        groups=tuple(plan.groups[row] for row in kept),
    )  # fmt: skip


def _job(space: Space, plan: Plan) -> dict[str, Any]:
    """What must be the same in all processes of a study; no path of one machine."""
    digest = hashlib.sha256(plan.to_csv().encode()).hexdigest()
    ranges = {name: repr(what) for name, what in space.searched.items()}
    given = {name: value for name, value in space.given.items() if name != "deterministic"}
    return {"data": digest, "settings": given, "search": ranges, "seed": space.base.seed, "epochs": space.base.epochs}


class _Trials:
    """The objective: train with the settings of a trial, judge on validation, stop early where it looks bad."""

    def __init__(
        self, space: Space, plan: Plan, out: Path, budget: Budget, study: Study,
        on_trial: Callable[[int, TrainConfig, Space], Reporter] | None,
    ) -> None:  # fmt: skip
        self._space, self._plan, self._out, self._budget, self._study = space, plan, out, budget, study
        self._on_trial = on_trial

    def __call__(self, trial: Any) -> float:
        """Return the validation accuracy of the kept epoch."""
        import optuna

        config = self._space.suggest(trial)
        folder = self._out / TRIALS / f"{origin(trial):04d}"
        reporter = self._on_trial(trial.number, config, self._space) if self._on_trial else QuietReporter()
        listener = _Watch(trial, reporter, self._deadline(trial))
        try:
            history = self._train(config, folder, listener)
        except (TrainingError, ConfigError) as error:  # diverged, or settings that make no network
            trial.set_user_attr("why", str(error))
            note_spent(trial, listener.seconds)  # it may not have come to its first epoch
            raise optuna.TrialPruned(str(error)) from None
        finally:
            keras.utils.clear_session(free_memory=True)
        (folder / CHECKPOINT).unlink(missing_ok=True)
        return history[best_epoch(history)].val_accuracy

    def _deadline(self, trial: Any) -> float:
        """How many seconds this trial may take; the first one, which all are compared with, is never cut short."""
        if self._budget.minutes is None or trial.user_attrs.get("defaults"):
            return math.inf
        return 60 * self._budget.minutes - spent(self._study)

    def _train(self, config: TrainConfig, folder: Path, listener: "_Watch") -> list[Epoch]:
        folder.mkdir(parents=True, exist_ok=True)
        begun = is_begun(folder)
        crops = self._crops(config)
        network = first_network(config, len(self._plan.manifest.classes), begun=begun)
        write_text(folder / CONFIG, config.to_toml())
        if begun:
            listener.catch_up(read_history(folder))
        training = make_part(self._plan, crops, "train", config.class_weight == "balanced")
        return fit(network, config, training, make_part(self._plan, crops, "validation"), folder, listener)

    def _crops(self, config: TrainConfig) -> UInt8:
        cache = self._out / ".cache"
        with exclusive(self._out):  # several processes would decode the same pictures into one file
            return cached_crops(self._plan.manifest, config.size, config.channels, cache, None, self._plan.regions)


class _Watch(QuietReporter):
    """Reports a trial's epochs to its study, and ends it where the pruner or the budget says so."""

    def __init__(self, trial: Any, reporter: Reporter, seconds: float) -> None:
        self._trial, self._reporter, self._most = trial, reporter, seconds
        self._history: list[Epoch] = []
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the trial has been at work in this process."""
        return time.monotonic() - self._began

    def catch_up(self, history: list[Epoch]) -> None:
        """Report the epochs of a killed trial that this one goes on with."""
        for row in history:
            self._report(row)

    def _report(self, row: Epoch) -> None:
        self._history.append(row)
        self._trial.report(self._history[best_epoch(self._history)].val_accuracy, row.epoch)

    def on_batch(self, epoch: int, done: int, steps: int, loss: float, accuracy: float, rate: float) -> None:
        """Pass a batch on."""
        self._reporter.on_batch(epoch, done, steps, loss, accuracy, rate)

    def on_epoch(self, row: Epoch) -> None:
        """Report a finished epoch; TrialPruned ends the trial."""
        import optuna

        self._reporter.on_epoch(row)
        self._report(row)
        note_spent(self._trial, self.seconds)
        if self._trial.user_attrs.get("defaults"):
            return
        if self.seconds > self._most:
            self._trial.set_user_attr("why", "the minutes are used up")
            raise optuna.TrialPruned
        if self._trial.should_prune():
            self._trial.set_user_attr("why", f"pruned after epoch {row.epoch}")
            raise optuna.TrialPruned
