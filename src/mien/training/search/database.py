"""Open the database of a study: SQLite or any URL that SQLAlchemy knows, shared by processes and machines."""

import re
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from mien.errors import MissingExtraError

#: Seconds between two looks at the database while waiting.
POLL = 0.5
#: A trial whose process died is tried again at most this often.
_RETRIES = 3
#: Heartbeats in the time after which a process counts as dead.
_HEARTBEATS = 6
_ATTEMPTS = 20
#: Seconds to wait for a database of SQLite that another process writes.
_TIMEOUT = 60


def require_optuna(storage: str | Path | None = None) -> None:
    """Raise MissingExtraError if Optuna, or the driver of a PostgreSQL database, is not installed.

    A database URL is not checked here; `open_database` says what is wrong with it.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("mien tune", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if isinstance(storage, str) and _driver(storage) == "psycopg":
        try:
            import psycopg  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("`storage=` of PostgreSQL", "tune-db") from error


@contextmanager
def without_warnings() -> Iterator[None]:
    """Silence Optuna: it calls its heartbeat experimental, and wants its own loop, which does not lock SQLite."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage")
        yield


def open_database(storage: str | Path, silent_after: int) -> Any:
    """Connect and make the tables. If several processes do so at once, all but one see the tables appear."""
    left = _ATTEMPTS
    while True:
        try:
            return _connect(storage, silent_after)
        except database_errors() as error:
            left -= 1
            if not left or not re.search("already exists|duplicate|unique|locked", str(error), re.IGNORECASE):
                raise
            time.sleep(POLL)


def heartbeat_seconds(silent_after: int) -> int:
    """Return the seconds between two heartbeats."""
    return max(1, silent_after // _HEARTBEATS)


def lock_file(storage: str | Path) -> Path | None:
    """Return the file to lock while a process of this machine takes a trial; None if the database locks rows itself.

    SQLite does not, so that two processes could take the same queued trial.
    """
    from sqlalchemy.engine import make_url

    if isinstance(storage, Path):
        return storage.with_name(f".{storage.name}.lock")
    url = make_url(storage)
    file = url.database if url.get_backend_name() == "sqlite" else None
    return Path(file).with_name(f".{Path(file).name}.lock") if file else None


def database_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a database that cannot be opened: no driver, no server, not a URL, damaged."""
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    # Optuna asserts what a damaged table may lack.
    return (ImportError, OptunaError, SQLAlchemyError, ValueError, AssertionError, KeyError, TypeError)


def lost_database_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a database that is lost, full or damaged while trials run."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return (StorageInternalError, SQLAlchemyError)


def without_password(storage: str | Path) -> str:
    """Return a database URL without its password."""
    if isinstance(storage, Path):
        return str(storage)
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(storage).render_as_string(hide_password=True)
    except ArgumentError:
        return "(no database URL)"


def _driver(url: str) -> str | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).get_driver_name()
    except ArgumentError:
        return None


def _connect(storage: str | Path, silent_after: int) -> Any:
    from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback

    options: dict[str, Any] | None
    url, options = str(storage), None
    if isinstance(storage, Path):  # a path would be taken for a URL and a template: `?`, `{0}` and bytes not of UTF-8
        url = "sqlite:///study.db"
        connect = partial(sqlite3.connect, storage.resolve(), timeout=_TIMEOUT, check_same_thread=False)
        options = {"creator": connect}
    elif storage.startswith("sqlite:"):
        options = {"connect_args": {"timeout": _TIMEOUT}}
    return RDBStorage(
        url,
        engine_kwargs=options,
        heartbeat_interval=heartbeat_seconds(silent_after),  # Optuna only checks that there is one
        grace_period=silent_after,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES),
    )
