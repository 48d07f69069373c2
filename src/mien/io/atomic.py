"""Write files and folders whole or not at all, and keep other processes off them.

Each is written beside its place under a temporary name, then renamed.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.errors import OutputError

#: The file to lock while a process works in a folder that several may share; make it first.
LOCK = ".lock"


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` if the block succeeds, and is removed otherwise.

    Raises OutputError if `path` exists, cannot be made, or the disk is full.
    """
    refuse_existing(path)
    part = temporary_path(path)
    with readable_errors(path):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            part.rename(path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder that replaces `path` if the block succeeds.

    Raises OutputError if it cannot be written or the disk is full; an older `path` then stays.
    """
    part = temporary_path(path)
    with readable_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with new_file(path) as part:
        part.write_bytes(to_bytes(text))


def read_json(path: Path) -> dict[str, Any]:
    """Read back an object that mien wrote as JSON; OutputError if it is damaged or not from mien."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OutputError(f"{path}: cannot be read ({error}); give another `out=`, or remove its folder") from None
    if not isinstance(found, dict):
        raise OutputError(f"{path}: was not written by mien; give another `out=`, or remove its folder")
    return found


def to_bytes(text: str) -> bytes:
    r"""Encode as UTF-8; a byte of a file name that is not UTF-8 becomes `\udcXX`, which JSON decodes to the same name.

    Examples:
        >>> to_bytes("\udce9.jpg")
        b'\\udce9.jpg'
    """
    return text.encode("utf-8", "backslashreplace")


def temporary_path(path: Path) -> Path:
    """Return the hidden name under which `path` is written; a file that a killed process left there is replaced.

    Raises OutputError for a path without a name of its own, like `.` (an empty path) and `/`.
    """
    if not path.name:
        raise OutputError(f"{path}: is a folder; give a name in it")
    return path.with_name(f".{path.name}.part")


def lock(handle: int, path: Path) -> None:
    """Keep a second process off an open file or folder until `handle` is closed or this process ends.

    Raises OutputError if another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(f"{path}: is being written by another process; wait, or give another name") from None
    except OSError:  # a file system without locks
        return


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock of a file; False if that cannot be found out."""
    try:
        with path.open("rb") as stream:
            lock(stream.fileno(), path)
    except OutputError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def locked(
    path: Path, what: Path | None = None, *, wait: float | None = None, on_wait: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock of a file, made if needed, so that one process at a time runs the block.

    Args:
        path: the lock file.
        what: named in the error; default: the lock file.
        wait: seconds between two tries while another process holds the lock; None: raise OutputError at once.
        on_wait: called once, before waiting.
    """
    with readable_errors(what or path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        waiting = False
        while True:
            try:
                lock(handle, what or path)
                break
            except OutputError:
                if wait is None:
                    raise
                if not waiting:
                    on_wait()
                waiting = True
                time.sleep(wait)
        yield
    finally:
        os.close(handle)


def changed_fields(job: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """Name the fields of a JSON-serialisable job that differ from `before`, for a sentence; empty if none do.

    Examples:
        >>> "begun with another " + changed_fields({"model": "b", "size": 1}, {"model": "a", "size": 1})
        'begun with another model'
    """
    now = json.loads(json.dumps(job))
    return " and another ".join(name for name, value in now.items() if before.get(name) != value)


def refuse_existing(path: Path) -> None:
    """Raise OutputError if `path` exists."""
    if os.path.lexists(path):
        raise OutputError(f"{path}: already exists; choose another name, or remove it first")


def refuse_foreign(path: Path, what: str, *markers: str) -> None:
    """Raise OutputError if `path` exists, unless it is an empty folder or has one of the files of a `what`."""
    if path.exists() and not path.is_dir():
        refuse_existing(path)
    if path.is_dir() and not any((path / marker).exists() for marker in markers):
        with readable_errors(path):
            used = any(not child.name.startswith(".") for child in path.iterdir())
        if used:
            raise OutputError(f"{path}: already exists and holds no {what}; choose another name")


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors (disk full, permission denied) into an OutputError of one line."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})", kept="nothing was kept") from error
