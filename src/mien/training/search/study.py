"""The study behind `mien tune`: an Optuna study in a database, which several processes and machines may share.

Every process says in the database that it is alive; a trial whose process has been silent for too long is marked
failed and its settings are tried again, by whichever process is free first. So a killed process loses nothing.
"""

import contextlib
import os
import re
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

from mien.errors import ConfigError, MissingExtraError, OutputError, TrainingError
from mien.io.atomic import lock, what_changed

Pruner = Literal["median", "halving", "none"]
#: The file by which the folder of a study is known.
ABOUT = "tune.json"
#: A trial that has killed its process this often is not tried again.
_RETRIES = 3
#: The states of trials that take a place in the budget; a failed one has been queued again, or was too much.
_COUNTED = ("COMPLETE", "PRUNED", "RUNNING")
#: Heartbeats per time after which a process counts as dead.
_BEATS = 6
_POLL = 0.5
_OPENINGS = 20
_SPENT, _READY, _JOB, _ORIGIN, _DEFAULTS = "seconds", "ready", "job", "origin", "defaults"


@dataclass(frozen=True)
class Budget:
    """When to begin no further trial: after so many `trials`, or so many `minutes` of trials of all processes."""

    trials: int | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Study:
    """An Optuna study in a database. `guard` is a file that is locked while this process takes a trial, where needed.

    SQLite does not lock rows, so that two processes could take the same queued trial; databases of several machines
    do. `beat` is how many seconds lie between two signs of life.
    """

    inner: Any
    database: Any
    guard: Path | None
    beat: int

    def trials(self) -> list[Any]:
        """Return all trials as Optuna's FrozenTrial, in the order in which they were begun or queued."""
        return list(self.inner.get_trials(deepcopy=False))


def require_optuna() -> None:
    """Raise MissingExtraError where Optuna is not installed, before long work starts."""
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("mien tune", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Optuna calls its heartbeat experimental at every use, and wants its own loop, which does not lock SQLite."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage")
        yield


def open_study(
    storage: str | Path, name: str, job: Mapping[str, Any], first: Mapping[str, Any], *,
    pruner: Pruner = "median", warm_up: int = 1, silent_after: int = 60, seed: int = 0,
) -> Study:  # fmt: skip
    """Open a study, or make it and queue `first` as its first trial.

    `storage` is the path of an SQLite file or any database URL. `job` is what makes trials comparable, JSON-ready;
    a study of another job is refused. No trial is pruned in its first `warm_up` epochs. After `silent_after`
    seconds without a sign a process counts as dead. Raises ConfigError where the database cannot be used, OutputError
    where the study is another.
    """
    require_optuna()
    try:
        with _without_warnings():
            database = _open_database(storage, silent_after)
            study, made = _open(database, name, _pruner(pruner, warm_up), seed)
    except _database_errors() as error:
        raise ConfigError(f"--storage {_shown(storage)}: cannot be used ({_first_line(error)})") from None
    if made:
        study.set_user_attr(_JOB, dict(job))
        study.enqueue_trial(dict(first), user_attrs={_DEFAULTS: True})
        study.set_user_attr(_READY, True)
    else:
        _wait_until_ready(study, first)
        if changed := what_changed(job, study.user_attrs.get(_JOB, {})):
            fix = "give the same again, or another --out or --study"
            raise OutputError(f"{_shown(storage)}: the study '{name}' was begun with another {changed}; {fix}")
    return Study(study, database, _guard(storage), max(1, silent_after // _BEATS))


def run_trials(study: Study, objective: Callable[[Any], float], budget: Budget, say: Callable[[str], None]) -> None:
    """Run trials until the budget is used up; one trial at a time in this process, each followed by a line of news.

    With a budget of trials this waits for those that other processes have begun: if one dies, its trial is taken over.
    When the minutes are used up only the queued trial with the default settings is begun, or waited for.
    """
    try:
        _run_trials(study, objective, budget, say)
    except _lost_database() as error:
        raise OutputError(
            f"the study's database cannot be used any more ({_first_line(error)}); mend it, and give the command again"
        ) from None


def _run_trials(study: Study, objective: Callable[[Any], float], budget: Budget, say: Callable[[str], None]) -> None:
    waited = False
    while True:
        trial, running = _take(study, budget)
        if trial is not None:
            waited = False
            _one_trial(study, trial, objective)
            say(_came_to(study, trial.number))
        elif not running:
            return
        else:
            if not waited:
                say(f"waiting for {running} trial{'s' if running > 1 else ''} of other processes")
            waited = True
            time.sleep(_POLL)


def _take(study: Study, budget: Budget) -> tuple[Any, int]:
    """Begin the next trial: a queued one or a new one; None where the budget is used up.

    Also returns how many trials are still running that must not be lost if their processes die: all where the budget
    is one of trials, the one with the default settings where the minutes are used up.
    """
    import optuna

    with _locked(study.guard), _without_warnings():
        optuna.storages.fail_stale_trials(study.inner)
        states = Counter(trial.state.name for trial in study.trials())
        done = states["COMPLETE"] + states["PRUNED"]
        if budget.minutes is not None and spent(study) >= 60 * budget.minutes:
            default = {trial.state.name for trial in study.trials() if trial.user_attrs.get(_DEFAULTS)}
            if "WAITING" not in default:  # all are compared with it, so it is tried in any case
                return None, int("RUNNING" in default)
        if budget.trials is not None and done + states["RUNNING"] >= budget.trials and not states["WAITING"]:
            return None, states["RUNNING"]
        trial = study.inner.ask()
        study.database.record_heartbeat(trial._trial_id)
    before = [other for other in study.trials() if other.number < trial.number]
    if budget.trials is not None and sum(other.state.name in _COUNTED for other in before) >= budget.trials:
        study.inner.tell(trial, state=optuna.trial.TrialState.FAIL)  # another machine was quicker by a moment
        return None, states["RUNNING"]
    trial.set_user_attr(_SPENT, 0.0)
    return trial, 0


def _one_trial(study: Study, trial: Any, objective: Callable[[Any], float]) -> None:
    """Run a trial to its end. What interrupts it leaves it running in the database, to be taken over as if killed."""
    import optuna

    with _signs_of_life(study, trial), _without_warnings():
        try:
            value, state = objective(trial), optuna.trial.TrialState.COMPLETE
        except optuna.TrialPruned:
            value, state = None, optuna.trial.TrialState.PRUNED
        except optuna.exceptions.UpdateFinishedTrialError:
            return  # this process was silent for so long that another one has taken the trial over
        study.inner.tell(trial, value, state=state, skip_if_finished=True)


def _came_to(study: Study, number: int) -> str:
    """Say in a line what a trial came to, and the best so far of all processes."""
    trials = study.trials()
    trial = next(one for one in trials if one.number == number)
    complete = [one for one in trials if one.state.name == "COMPLETE"]
    if trial.state.name == "COMPLETE":
        said = f"accuracy {trial.value:.4f}"
    else:
        said = f"stopped early ({trial.user_attrs.get('why', 'another process has taken it over')})"
    best = max(complete, key=lambda one: (one.value, -one.number), default=None)
    so_far = "no trial is complete so far" if best is None else f"best so far {best.value:.4f} (trial {best.number})"
    return f"trial {number}: {said}; {so_far}"


@contextmanager
def _signs_of_life(study: Study, trial: Any) -> Iterator[None]:
    """Tell the database every few seconds that a trial is being worked on."""
    over = Event()

    def beat() -> None:
        while not over.wait(study.beat):
            study.database.record_heartbeat(trial._trial_id)

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _locked(guard: Path | None) -> Iterator[None]:
    """Keep the other processes of this machine from taking a trial in the same moment."""
    if guard is None:
        yield
        return
    handle = os.open(guard, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while True:
            with contextlib.suppress(OutputError):
                lock(handle, guard)
                break
            time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _guard(storage: str | Path) -> Path | None:
    from sqlalchemy.engine import make_url

    if isinstance(storage, Path):
        return storage.with_name(f".{storage.name}.lock")
    url = make_url(storage)
    file = url.database if url.get_backend_name() == "sqlite" else None
    return Path(file).with_name(f".{Path(file).name}.lock") if file else None


def spent(study: Study) -> float:
    """Return how many seconds all trials have taken so far, in all processes."""
    return sum(float(trial.user_attrs.get(_SPENT, 0.0)) for trial in study.trials())


def note_spent(trial: Any, seconds: float) -> None:
    """Write down what a trial has taken so far."""
    trial.set_user_attr(_SPENT, round(seconds, 3))


def origin(trial: Any) -> int:
    """Return the number of the trial whose work this one goes on with: its own, or that of a killed one."""
    if _ORIGIN not in trial.user_attrs:  # a trial that is queued again takes the attributes of the killed one along
        trial.set_user_attr(_ORIGIN, trial.number)
    return int(trial.user_attrs[_ORIGIN])


def _open_database(storage: str | Path, silent_after: int) -> Any:
    """Connect, and make the tables; of several processes that do so at once, all but one see them appear meanwhile."""
    left = _OPENINGS
    while True:
        try:
            return _connected(storage, silent_after)
        except _database_errors() as error:
            left -= 1
            if not left or not re.search("already exists|duplicate|unique|locked", str(error), re.IGNORECASE):
                raise
            time.sleep(_POLL)


def _connected(storage: str | Path, silent_after: int) -> Any:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    is_file = isinstance(storage, Path) or storage.startswith("sqlite:")
    url = f"sqlite:///{storage.resolve()}" if isinstance(storage, Path) else storage
    return RDBStorage(
        url,
        engine_kwargs={"connect_args": {"timeout": 60}} if is_file else None,
        heartbeat_interval=max(1, silent_after // _BEATS),  # only says that there are any
        grace_period=silent_after,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES),
    )


def _open(database: Any, name: str, pruner: Any, seed: int) -> tuple[Any, bool]:
    """Return the study and whether it was made just now; of several processes exactly one makes it."""
    import optuna

    # Every process needs draws of its own: with one seed, two that begin together would try the same settings.
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
    """Wait for the process that makes the study to have queued the first trial; do it if that one has died."""
    for _ in range(20):
        if study.user_attrs.get(_READY):
            return
        time.sleep(_POLL)
    if _JOB not in study.user_attrs:
        raise TrainingError(f"the study '{study.study_name}' was not made by mien; give another --study")
    study.enqueue_trial(dict(first), user_attrs={_DEFAULTS: True}, skip_if_exists=True)
    study.set_user_attr(_READY, True)


def _pruner(kind: Pruner, warm_up: int) -> Any:
    import optuna

    if kind == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=warm_up)
    if kind == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, warm_up))
    return optuna.pruners.NopPruner()


def _database_errors() -> tuple[type[Exception], ...]:
    """What a database that cannot be used raises: no driver, no such server, a URL that is none."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    return (ImportError, OptunaError, SQLAlchemyError, ValueError)


def _lost_database() -> tuple[type[Exception], ...]:
    """What a database raises that is lost, full or damaged while trials are running."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return (StorageInternalError, SQLAlchemyError)


def _shown(storage: str | Path) -> str:
    """Return a database URL without its password."""
    if isinstance(storage, Path):
        return str(storage)
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return "(no database URL)"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
