"""Write files and folders whole or not at all, and keep other processes off them.

Each is written beside its place under a temporary name, then renamed.
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mien.errors import OutputError
from mien.io import bounded

#: The lock file of a folder that several processes may share; make the folder first.
LOCK = ".lock"
#: What an error says of a file that could not be written.
NOTHING_KEPT = "nothing was kept"
#: What a file system without locks answers.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` if the block succeeds, and is removed otherwise.

    Raises OutputError if `path` exists, cannot be made, another process makes it, or the disk is full.
    """
    part = temporary_path(path)
    with _alone(path):
        refuse_existing(path)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            yield part
            part.rename(path)
        except OutputError as error:  # of a file in it, by a name that nobody has given
            shutil.rmtree(part, ignore_errors=True)
            raise OutputError(error.problem.replace(str(part), str(path)), error.kept) from error
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder that replaces `path` if the block succeeds.

    Raises OutputError if it cannot be written, another process writes it, or the disk is full; an older `path` then
    stays.
    """
    part = temporary_path(path)
    with _alone(path):
        try:
            yield part
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time write `path`, in a folder that is made if needed; errors are of one line."""
    with readable_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f".{path.name}{LOCK}"), path):
            yield


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left of files of this module. Only for who keeps other processes off the folder."""
    for path in [*folder.glob(f".*{LOCK}"), *folder.glob(".*.part")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with new_file(path) as part:
        part.write_bytes(to_bytes(text))


def read_json(path: Path) -> dict[str, Any]:
    """Read back an object that mien wrote as JSON; OutputError if it is damaged or not from mien."""
    try:
        found = bounded.read_object(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be read ({error}); give another `out=`, or remove its folder") from None
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


@contextmanager
def locked(
    path: Path, what: Path | None = None, *, wait: float | None = None, on_wait: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold a lock file, so that one process at a time runs the block; the file is removed at its end.

    The lock ends with its process, however that ends; the file of a killed process locks nothing. On a file system
    without locks the block runs unlocked.

    Args:
        path: the lock file, in a folder that exists.
        what: named in the error; default: the lock file.
        wait: seconds between two tries while another process holds the lock; None: raise OutputError at once.
        on_wait: called once, before waiting.
    """
    from filelock import FileLock, Timeout  # some milliseconds, which only a long job is worth

    path, what = path.absolute(), what or path
    held = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        with readable_errors(what):
            try:
                held.acquire(blocking=False)
            except Timeout:
                if wait is None:
                    problem = f"{what}: is being written by another process; wait, or give another name"
                    raise OutputError(problem) from None
                on_wait()
                held.acquire(poll_interval=wait)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        try:
            yield
        finally:
            # While it is held: a process that waits for the removed file notices, and makes its own. Windows keeps a
            # file that is open; there, filelock removes it.
            if os.name == "posix":
                with suppress(OSError):
                    path.unlink()
    finally:
        held.release()


def is_locked(path: Path) -> bool:
    """Return whether a process holds a lock file; False if that cannot be found out."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    from filelock import lock_descriptor

    try:
        return not lock_descriptor(handle, blocking=False)
    except OSError:
        return False
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
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})", NOTHING_KEPT) from error
