"""Where a user wants results: a file or new folder, a device or pipe, or `-` for standard output."""

import json
import os
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from mien.errors import OutputError
from mien.io.atomic import new_file, part_of, readable_errors, refuse_existing, to_bytes


def write_output(text: str, target: str) -> None:
    """Write text to a file, whole or not at all, or to standard output for `-`."""
    write_pieces([text], target)


def write_pieces(pieces: Iterable[str], target: str) -> None:
    """Write text as it comes: to a file, whole or not at all, or to standard output for `-`."""
    path = Path(target)
    if target == "-":
        for piece in pieces:
            _write_stdout(to_bytes(piece))
        return
    # A device or a pipe has no place beside it, and is never replaced.
    place = nullcontext(path) if is_device(path) else new_file(path)
    with place as found, readable_errors(path), found.open("wb") as stream:
        for piece in pieces:
            stream.write(to_bytes(piece))


def _write_stdout(data: bytes) -> None:
    if sys.stdout is None:  # the shell's >&-
        raise OutputError("-: standard output is closed; give a file")
    sys.stdout.flush()
    stream = sys.stdout.buffer
    while data:  # an unbuffered stream may take only a part at a time
        data = data[stream.write(data) :]
    stream.flush()


def to_json(value: object) -> str:
    """Return JSON with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def is_device(path: Path) -> bool:
    """Whether `path` is a device or a pipe, which is written to and must never be replaced by a file."""
    return path.exists() and not path.is_file() and not path.is_dir()


def same_file(name: str | Path, target: str | Path) -> bool:
    """Whether two names mean one file, through links and `..` too; neither of them need exist."""
    if os.path.abspath(name) == os.path.abspath(target):  # noqa: PTH100
        return True
    try:
        return os.path.samefile(name, target)  # noqa: PTH121
    except (OSError, ValueError):
        return False


def free_folder(parent: Path, name: str) -> Path:
    """Return `parent/name`, or `parent/name-2`, …, whichever does not exist yet."""
    path, number = parent / name, 2
    while path.exists() or part_of(path).exists():
        path, number = parent / f"{name}-{number}", number + 1
    return path


def require_writable(target: str | Path) -> None:
    """Refuse an output that is a folder, or whose folder cannot be made, before long work starts."""
    path = Path(target)
    if str(target) == "-" or is_device(path):
        return
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give a file name")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise OutputError(f"{path}: cannot be written; {parent} is not a folder that you may write to")


def require_new_folder(out: Path) -> None:
    """Refuse a folder that is there already, or that cannot be made, before long work starts."""
    refuse_existing(out)
    require_writable(out)
