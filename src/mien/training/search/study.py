"""The Optuna study behind `mien tune`, which several processes and machines may share.

Every process sends heartbeats to the database. A trial without heartbeats is marked failed, and the next free process
tries its settings again, so that a killed process loses nothing.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from mien.errors import ConfigError, OutputError, TrainingError
from mien.io.atomic import changed_fields, locked
from mien.text import first_line
from mien.training.search.database import (
    POLL,
    database_errors,
    heartbeat_seconds,
    lock_file,
    lost_database_errors,
    open_database,
    require_optuna,
    without_password,
    without_warnings,
)

Pruner = Literal["median", "halving", "none"]
#: The file that marks the folder of a study.
ABOUT = "tune.json"
#: States of trials that count in the budget; a failed trial has been queued again, or was one too many.
_COUNTED = ("COMPLETE", "PRUNED", "RUNNING")
#: Attributes of trials: seconds so far, whether its settings are the defaults, why it was stopped, its first attempt.
SECONDS, DEFAULTS, REASON, _ORIGIN = "seconds", "defaults", "why", "origin"
#: Attributes of a study: whether the first trial is queued, and the job that all processes must share.
_READY, _JOB = "ready", "job"


@dataclass(frozen=True)
class Budget:
    """When to start no further trial: after a number of trials, or of minutes of trials, of all processes together."""

    trials: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Study:
    """An Optuna study in a database.

    Attributes:
        inner: the `optuna.Study`.
        database: its storage.
        lock_file: locked while this process takes a trial; None if the database needs no lock.
        heartbeat: seconds between two heartbeats.
    """

    inner: Any
    database: Any
    lock_file: Path | None
    heartbeat: int

    def trials(self) -> list[Any]:
        """Return all trials as `optuna.trial.FrozenTrial`, in the order in which they were started or queued."""
        return list(self.inner.get_trials(deepcopy=False))


def open_study(
    storage: str | Path, name: str, job: Mapping[str, Any], first: Mapping[str, Any], *,
    pruner: Pruner = "median", warm_up: int = 1, silent_after: int = 60, seed: int = 0,
) -> Study:  # fmt: skip
    """Open a study, or make it and queue its first trial.

    Args:
        storage: path of an SQLite file, or a database URL.
        name: name of the study in the database.
        job: data, settings and ranges that all trials share, JSON-serialisable; another job is refused.
        first: settings of the first trial, the defaults.
        pruner: how to stop bad trials early.
        warm_up: number of epochs in which no trial is pruned.
        silent_after: seconds without a heartbeat after which a process counts as dead.
        seed: of the sampler.

    Raises:
        ConfigError: the database cannot be used.
        MissingExtraError: Optuna, or the driver of a PostgreSQL database, is not installed.
        OutputError: the study is of another job.
    """
    require_optuna(storage)
    try:
        with without_warnings():
            database = open_database(storage, silent_after)
            study, made = _open(database, name, _pruner(pruner, warm_up), seed)
    except database_errors() as error:
        raise ConfigError(f"`storage={without_password(storage)!r}`: cannot be used ({first_line(error)})") from None
    if made:
        study.set_user_attr(_JOB, dict(job))
        study.enqueue_trial(dict(first), user_attrs={DEFAULTS: True})
        study.set_user_attr(_READY, True)
    else:
        _wait_until_ready(study, first)
        if changed := changed_fields(job, study.user_attrs.get(_JOB, {})):
            fix = "give the same again, or another `out=` or `study=`"
            raise OutputError(
                f"{without_password(storage)}: the study '{name}' was begun with another {changed}; {fix}"
            )
    return Study(study, database, lock_file(storage), heartbeat_seconds(silent_after))


def run_trials(study: Study, objective: Callable[[Any], float], budget: Budget, say: Callable[[str], None]) -> None:
    """Run trials, one at a time in this process, until the budget is used up.

    With a budget of trials, this waits for the trials of other processes: if one dies, its trial is taken over. When
    the minutes are used up, only a queued trial with the default settings is started, or waited for.

    Args:
        study: from `open_study`.
        objective: trains with an Optuna trial and returns the value to maximise.
        budget: when to stop.
        say: receives a line after each trial.
    """
    try:
        _run_trials(study, objective, budget, say)
    except lost_database_errors() as error:
        raise OutputError(
            f"the study's database cannot be used any more ({first_line(error)}); mend it, and give the command again"
        ) from None


def _run_trials(study: Study, objective: Callable[[Any], float], budget: Budget, say: Callable[[str], None]) -> None:
    waited = False
    while True:
        trial, running = _take(study, budget)
        if trial is not None:
            waited = False
            _run_trial(study, trial, objective)
            say(_outcome(study, trial.number))
        elif not running:
            return
        else:
            if not waited:
                say(f"waiting for {running} trial{'s' if running > 1 else ''} of other processes")
            waited = True
            time.sleep(POLL)


def _take(study: Study, budget: Budget) -> tuple[Any, int]:
    """Start the next queued or new trial; None if the budget is used up.

    Also return the number of running trials to wait for, because they must be taken over if their processes die: all
    with a budget of trials, the one with the default settings if the minutes are used up.
    """
    import optuna

    with _locked(study), without_warnings():
        optuna.storages.fail_stale_trials(study.inner)
        states = Counter(trial.state.name for trial in study.trials())
        done = states["COMPLETE"] + states["PRUNED"]
        if budget.minutes is not None and seconds_spent(study) >= 60 * budget.minutes:
            default = {trial.state.name for trial in study.trials() if trial.user_attrs.get(DEFAULTS)}
            if "WAITING" not in default:  # the baseline of all others is always tried
                return None, int("RUNNING" in default)
        if budget.trials is not None and done + states["RUNNING"] >= budget.trials and not states["WAITING"]:
            return None, states["RUNNING"]
        trial = study.inner.ask()
        study.database.record_heartbeat(trial._trial_id)
    before = [other for other in study.trials() if other.number < trial.number]
    if budget.trials is not None and sum(other.state.name in _COUNTED for other in before) >= budget.trials:
        study.inner.tell(trial, state=optuna.trial.TrialState.FAIL)  # another machine was faster
        return None, states["RUNNING"]
    trial.set_user_attr(SECONDS, 0.0)
    return trial, 0


def _run_trial(study: Study, trial: Any, objective: Callable[[Any], float]) -> None:
    """Run a trial to its end. An interrupted one stays running in the database, to be taken over as if killed."""
    import optuna

    with _heartbeats(study, trial), without_warnings():
        try:
            value, state = objective(trial), optuna.trial.TrialState.COMPLETE
        except optuna.TrialPruned:
            value, state = None, optuna.trial.TrialState.PRUNED
        except optuna.exceptions.UpdateFinishedTrialError:
            return  # another process has taken the trial over, after missing heartbeats
        study.inner.tell(trial, value, state=state, skip_if_finished=True)


def _outcome(study: Study, number: int) -> str:
    """Return the result of a trial and the best of all processes so far, in one line."""
    trials = study.trials()
    trial = next(one for one in trials if one.number == number)
    complete = [one for one in trials if one.state.name == "COMPLETE"]
    if trial.state.name == "COMPLETE":
        result = f"accuracy {trial.value:.4f}"
    else:
        result = f"stopped early ({trial.user_attrs.get(REASON, 'another process has taken it over')})"
    best = max(complete, key=lambda one: (one.value, -one.number), default=None)
    so_far = "no trial is complete so far" if best is None else f"best so far {best.value:.4f} (trial {best.number})"
    return f"trial {number}: {result}; {so_far}"


@contextmanager
def _heartbeats(study: Study, trial: Any) -> Iterator[None]:
    """Send heartbeats of a trial to the database while the block runs."""
    over = Event()

    def beat() -> None:
        while not over.wait(study.heartbeat):
            with suppress(*lost_database_errors()):  # the trial meets the loss too, and says so in one line
                study.database.record_heartbeat(trial._trial_id)

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _locked(study: Study) -> Iterator[None]:
    """Keep other processes of this machine from taking a trial at the same moment."""
    with locked(study.lock_file, wait=0.02) if study.lock_file else nullcontext():
        yield


def seconds_spent(study: Study) -> float:
    """Return the seconds of all trials so far, in all processes."""
    return sum(float(trial.user_attrs.get(SECONDS, 0.0)) for trial in study.trials())


def record_seconds(trial: Any, seconds: float) -> None:
    """Record the seconds of a trial so far."""
    trial.set_user_attr(SECONDS, round(seconds, 3))


def first_attempt(trial: Any) -> int:
    """Return the number of the trial that this one continues: of a killed one, or its own."""
    if _ORIGIN not in trial.user_attrs:  # a trial that is queued again inherits the attributes of the killed one
        trial.set_user_attr(_ORIGIN, trial.number)
    return int(trial.user_attrs[_ORIGIN])


def _open(database: Any, name: str, pruner: Any, seed: int) -> tuple[Any, bool]:
    """Return the study and whether it was made now; of several processes exactly one makes it."""
    import optuna

    # Every process needs its own draws: with one seed, two that start together would try the same settings.
    trials = 0
    options = {"storage": database, "pruner": pruner}
    try:
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
        return optuna.create_study(study_name=name, direction="maximize", sampler=sampler, **options), True
    except optuna.exceptions.DuplicatedStudyError:
        trials = len(optuna.load_study(study_name=name, **options).get_trials(deepcopy=False))
    sampler = optuna.samplers.TPESampler(seed=hash((seed, trials, time.time_ns())) % 2**31, n_startup_trials=8)
    return optuna.load_study(study_name=name, sampler=sampler, **options), False


def _wait_until_ready(study: Any, first: Mapping[str, Any]) -> None:
    """Wait until the process that made the study has queued the first trial; do it if that process died."""
    for _ in range(20):
        if study.user_attrs.get(_READY):
            return
        time.sleep(POLL)
    if _JOB not in study.user_attrs:
        raise TrainingError(f"the study '{study.study_name}' was not made by mien; give another `study=`")
    study.enqueue_trial(dict(first), user_attrs={DEFAULTS: True}, skip_if_exists=True)
    study.set_user_attr(_READY, True)


def _pruner(kind: Pruner, warm_up: int) -> Any:
    import optuna

    if kind == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=warm_up)
    if kind == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, warm_up))
    return optuna.pruners.NopPruner()
