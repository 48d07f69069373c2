"""The study behind tuning: budgets, several processes on one database, kill -9; with a toy in the place of training."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mien.errors import ConfigError, MissingExtraError, OutputError
from mien.training.search.study import Budget, Study, open_study, record_seconds, run_trials, seconds_spent

optuna = pytest.importorskip("optuna")
optuna.logging.set_verbosity(optuna.logging.ERROR)

JOB: dict[str, Any] = {"data": "a digest", "search": {"x": "0 to 1"}}

#: A process that works on a study: (database, trials, log, seconds per trial, silent_after, together). Its first trial
#: lasts until as many processes as work together have begun one.
WORKER = """
import json, os, sys, time
from pathlib import Path
from mien.training.search.study import Budget, Study, record_seconds, first_attempt, open_study, run_trials
place, trials, log, pause, silent_after, together = sys.argv[1:]
storage = place if "://" in place else Path(place)
study = open_study(storage, "toy", {"toy": 1}, {"x": 0.5}, silent_after=int(silent_after))
def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    with open(log, "a") as stream:
        stream.write(json.dumps([os.getpid(), trial.number, first_attempt(trial), x]) + "\\n")
    while len({json.loads(line)[0] for line in open(log)}) < int(together):
        time.sleep(0.05)
    time.sleep(float(pause))
    record_seconds(trial, float(pause))
    return -((x - 0.3) ** 2)
run_trials(study, objective, Budget(int(trials)), print)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all studies of this file: its tables take longest."""
    return tmp_path_factory.mktemp("database") / "study.db"


def toy(trial: Any) -> float:
    x = trial.suggest_float("x", 0, 1)
    record_seconds(trial, 10.0)
    return float(-((x - 0.3) ** 2))


def worker(
    place: str | Path, trials: int, log: Path, pause: float, silent_after: int = 60, together: int = 1
) -> subprocess.Popen[str]:
    arguments = [str(place), str(trials), str(log), str(pause), str(silent_after), str(together)]
    return subprocess.Popen([sys.executable, "-c", WORKER, *arguments], text=True)


def log_of(path: Path) -> list[list[Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def reopened(place: str | Path) -> Study:
    return open_study(place, "toy", {"toy": 1}, {"x": 0.5})


def states(study: Study) -> Counter[str]:
    return Counter(trial.state.name for trial in study.trials())


def test_the_defaults_come_first_and_the_budget_of_trials_is_kept(file: Path) -> None:
    study = open_study(file, "first", JOB, {"x": 0.5})
    run_trials(study, toy, Budget(trials=5), print)
    trials = study.trials()
    assert [trial.params["x"] for trial in trials if trial.user_attrs.get("defaults")] == [0.5]
    assert trials[0].params["x"] == 0.5
    assert states(study) == {"COMPLETE": 5}


def test_the_same_call_does_nothing_more_and_a_larger_budget_goes_on(file: Path) -> None:
    for budget, expected in ((3, 3), (3, 3), (5, 5)):
        study = open_study(file, "again", JOB, {"x": 0.5})
        run_trials(study, toy, Budget(trials=budget), print)
        assert states(study) == {"COMPLETE": expected}


def test_minutes_are_those_that_trials_took(file: Path) -> None:
    study = open_study(file, "minutes", JOB, {"x": 0.5})
    run_trials(study, toy, Budget(minutes=0.5), print)  # of ten seconds each
    assert states(study) == {"COMPLETE": 3}
    assert seconds_spent(study) == 30


def test_minutes_end_a_search_in_which_no_trial_is_finished(file: Path) -> None:
    study = open_study(file, "hopeless", JOB, {"x": 0.5})

    def hopeless(trial: Any) -> float:
        assert trial.number < 10, "the minutes were used up long ago"
        toy(trial)
        raise optuna.TrialPruned

    run_trials(study, hopeless, Budget(minutes=0.5), print)
    assert states(study) == {"PRUNED": 3}


def test_the_defaults_are_tried_also_when_the_minutes_are_used_up(file: Path) -> None:
    """Their process was interrupted late; they are waited for, taken over, and nothing else is begun."""
    study = open_study(file, "late", JOB, {"x": 0.5}, silent_after=2)

    def interrupted(trial: Any) -> float:
        record_seconds(trial, 60.0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupted, Budget(minutes=0.5), print)
    study = open_study(file, "late", JOB, {"x": 0.5}, silent_after=2)
    run_trials(study, toy, Budget(minutes=0.5), print)
    assert states(study) == {"FAIL": 1, "COMPLETE": 1}
    assert [trial.params["x"] for trial in study.trials() if trial.state.name == "COMPLETE"] == [0.5]


def test_a_study_of_another_job_is_refused(file: Path) -> None:
    open_study(file, "another", JOB, {"x": 0.5})
    with pytest.raises(OutputError, match=r"'another' was begun with another data; give the same again"):
        open_study(file, "another", {**JOB, "data": "another"}, {"x": 0.5})


@pytest.mark.parametrize("url", ["nonsense", "oracle://nobody@localhost/x", "sqlite:////no/such/folder/study.db"])
def test_a_database_that_cannot_be_used_is_one_line(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^`storage=.*`: cannot be used") as caught:
        open_study(url, "one", JOB, {"x": 0.5})
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_removed_while_a_trial_runs_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    study = open_study(tmp_path / "study" / "study.db", "removed", JOB, {"x": 0.5}, silent_after=6)

    def remove(trial: Any) -> float:
        shutil.rmtree(tmp_path / "study")
        time.sleep(2 * study.heartbeat)  # a thread that fails is an error of the test
        return toy(trial)

    with pytest.raises(OutputError, match="cannot be used any more") as caught:
        run_trials(study, remove, Budget(trials=2), print)
    assert "\n" not in str(caught.value)


def test_a_database_that_is_lost_on_the_way_is_one_line(tmp_path: Path) -> None:
    place = tmp_path / "study.db"
    study = open_study(place, "lost", JOB, {"x": 0.5})

    def lose(trial: Any) -> float:
        place.write_bytes(b"no database" * 10_000)
        return toy(trial)

    with pytest.raises(OutputError, match="cannot be used any more") as caught:
        run_trials(study, lose, Budget(trials=2), print)
    assert "\n" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        open_study("postgresql+psycopg://me:secret@127.0.0.1:1/none", "one", JOB, {"x": 0.5})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["postgresql+psycopg://me:secret@host/none", "postgresql+psycopg:///none"])
def test_without_the_driver_of_postgresql_it_is_one_line(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError) as caught:
        open_study(url, "one", JOB, {"x": 0.5})
    assert str(caught.value) == "`storage=` of PostgreSQL needs an optional part of mien: pip install 'mien[tune-db]'"


def test_bad_trials_are_stopped_and_good_ones_are_not(file: Path) -> None:
    study = open_study(file, "pruned", JOB, {"x": 0.9}, warm_up=1)

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1) if trial.number else 0.9
        height = 0.9 if trial.number != 7 else 0.1
        for epoch in range(1, 5):
            trial.report(height, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(height + 0 * x)

    run_trials(study, objective, Budget(trials=10), print)
    assert [trial.number for trial in study.trials() if trial.state.name == "PRUNED"] == [7]


def test_what_was_interrupted_is_tried_again(file: Path) -> None:
    study = open_study(file, "interrupted", JOB, {"x": 0.5}, silent_after=2)

    def interrupted(trial: Any) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trials(study, interrupted, Budget(trials=2), print)
    study = open_study(file, "interrupted", JOB, {"x": 0.5}, silent_after=2)
    run_trials(study, toy, Budget(trials=2), print)
    complete = [trial for trial in study.trials() if trial.state.name == "COMPLETE"]
    assert len(complete) == 2
    assert [trial.params["x"] for trial in complete if trial.user_attrs.get("defaults")] == [0.5]


def share(place: str | Path, log: Path) -> None:
    """Two processes begin together and share twelve trials; none is lost, none is done twice."""
    both = [worker(place, 12, log, 0.1, together=2) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    study = reopened(place)
    assert states(study)["COMPLETE"] == 12
    assert states(study)["RUNNING"] == states(study)["WAITING"] == states(study)["PRUNED"] == 0
    rows = log_of(log)
    assert len(rows) == 12
    assert len({number for _, number, *_ in rows}) == 12
    assert len({x for *_, x in rows}) == 12
    assert len({pid for pid, *_ in rows}) == 2
    assert sum(bool(trial.user_attrs.get("defaults")) for trial in study.trials()) == 1


def kill(place: str | Path, log: Path) -> None:
    """A process is killed in the middle of a trial; another one does the same settings again, exactly once."""
    first = worker(place, 4, log, 600, silent_after=8)
    while not log_of(log):
        assert first.poll() is None
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert worker(place, 4, log, 0.05, silent_after=8).wait() == 0
    study = reopened(place)
    assert states(study) == {"COMPLETE": 4, "FAIL": 1}
    killed, *others = log_of(log)
    assert len(others) == 4
    again = [row for row in others if row[2] == killed[1]]
    assert [row[3] for row in again] == [killed[3]] == [0.5]


def test_two_processes_share_an_sqlite_file(tmp_path: Path) -> None:
    share(tmp_path / "study.db", tmp_path / "log")


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    kill(tmp_path / "study.db", tmp_path / "log")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of its own, in a temporary folder, reached by a socket in it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    if os.geteuid() == 0 and shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="mien-postgres-"))
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    programs = found[-1].parent

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)

    run("initdb", "-A", "trust", "-U", "mien", "--no-sync")
    run("pg_ctl", "-w", "-o", f"-c listen_addresses='' -c fsync=off -k {folder}", "start")
    try:
        yield f"postgresql+psycopg://mien@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(postgres: str) -> str:
    """An empty database."""
    from sqlalchemy import create_engine, text

    name = f"study{time.time_ns()}"
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
    engine.dispose()
    return postgres.replace("/postgres?", f"/{name}?")


@pytest.mark.slow
def test_two_processes_share_a_postgresql_database(database: str, tmp_path: Path) -> None:
    share(database, tmp_path / "log")


@pytest.mark.slow
def test_a_killed_process_loses_nothing_in_a_postgresql_database(database: str, tmp_path: Path) -> None:
    kill(database, tmp_path / "log")
