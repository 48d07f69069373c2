"""Where a user wants results: a file or new folder, a device or pipe, or `-` for standard output.

One rule for every command keeps what is the user's: an input is never written to, nothing is written among the files of
a labelled folder, and a file that exists is replaced only if it is an earlier result of the same kind. How a file or
folder appears whole or not at all is in `mien.io.atomic`.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

from mien.errors import ConfigError, OutputError
from mien.io.atomic import new_file, readable_errors, refuse_existing, temporary_path, to_bytes
from mien.io.sniffing import is_image_name
from mien.io.video.containers import is_video_name
from mien.text import dump_json

#: In place of a pattern: a PNG is an earlier result if its text has SOFTWARE.
PNG = "PNG"
#: The text that mien writes into its PNGs.
SOFTWARE = {"Software": "mien"}
#: Bytes of an existing file that are compared.
_HEAD = 4096

#: Characters of a name that are kept: a file system allows 255 bytes, with what is added.
_NAME = 50


def write_output(text: str, target: str) -> None:
    """Write text to a file, which appears when it is complete, or to standard output for `-`."""
    write_pieces([text], target)


def write_pieces(pieces: Iterable[str], target: str) -> None:
    """Write text piece by piece to a file, which appears when it is complete, or to standard output for `-`."""
    path = Path(target)
    if target == "-":
        for piece in pieces:
            _write_stdout(to_bytes(piece))
        return
    # Nothing can be written beside a device or a pipe, and it must never be replaced.
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
    """Return indented JSON with a newline at its end."""
    return dump_json(value, indent=2) + "\n"


def is_device(path: Path) -> bool:
    """Whether `path` is a device or a pipe, which must never be replaced by a file."""
    return path.exists() and not path.is_file() and not path.is_dir()


def same_file(name: str | Path, target: str | Path) -> bool:
    """Whether two names mean one file, also through links and `..`; neither need exist."""
    if os.path.abspath(name) == os.path.abspath(target):  # noqa: PTH100
        return True
    try:
        return os.path.samefile(target, name)  # noqa: PTH121 - the target first: it hardly ever exists
    except (OSError, ValueError):
        return False


def free_folder(parent: Path, name: str) -> Path:
    """Return `parent/name`, or the first of `parent/name-2`, `parent/name-3`, … that does not exist."""
    path, number = parent / name, 2
    while path.exists() or temporary_path(path).exists():
        path, number = parent / f"{name}-{number}", number + 1
    return path


def require_writable(target: str | Path) -> None:
    """Raise OutputError, before long work starts, if a file cannot be written there."""
    path = Path(target)
    if str(target) == "-" or is_device(path):
        return
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give a file name")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise OutputError(f"{path}: cannot be written; {parent} is not a folder that you may write to")


def require_new_folder(out: Path, *inputs: str | Path | None) -> None:
    """Raise OutputError, before long work starts, if the folder exists, lies inside an input or cannot be made."""
    refuse_existing(out)
    for name in inputs:
        if name is not None and _depth(out, Path(name)):
            raise _inside(out, name)
    require_writable(out)


def require_output(target: str | Path, begins: str, *inputs: str | Path | None) -> None:
    """Raise OutputError, before long work starts, if a file may not be written there.

    An existing file may be replaced if it is empty or an earlier result of the same kind. A device, a pipe and `-`
    always pass.

    Args:
        target: the file to write.
        begins: how results of this kind begin, as a regular expression without spaces: the header of a CSV, the first
            keys of a JSON; or `PNG`. Empty if a result cannot be told: no existing file is replaced.
        *inputs: what the command reads; None is skipped. A new file may stand at the top of a folder that is read, not
            in its subfolders, where it would become one of the labelled files.
    """
    path = Path(target)
    if str(target) == "-" or is_device(path):
        return
    for name in inputs:
        if name is None:
            continue
        if path.exists() and not path.is_dir() and same_file(name, path):
            raise OutputError(f"{path}: is one of the inputs; give another file")
        if _depth(path, Path(name)) > 1:
            raise _inside(path, name)
    require_writable(path)
    if path.exists() and not _is_result(path, begins):
        raise OutputError(
            f"{path}: already exists and is not an earlier result of this kind; choose another name, or remove it first"
        )


def _depth(path: Path, folder: Path) -> int:
    """Return how many levels below a folder a path lies; 0 if it does not, or `folder` is none."""
    if not folder.is_dir():
        return 0
    here, there = path.resolve(), folder.resolve()
    return len(here.relative_to(there).parts) if here.is_relative_to(there) else 0


def _inside(path: Path, folder: str | Path) -> OutputError:
    return OutputError(f"{path}: lies inside {folder}, which mien does not change; choose another folder")


def _is_result(path: Path, begins: str) -> bool:
    """Whether an existing file is empty or begins as a result does."""
    with readable_errors(path), path.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        return True
    if begins == PNG:
        return _png_software(path) == SOFTWARE["Software"]
    words = "".join(head.decode("utf-8", "replace").split())
    return bool(begins) and re.match(begins, words) is not None


def _png_software(path: Path) -> str | None:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            found = image.info.get(next(iter(SOFTWARE)))
    except (OSError, ValueError, SyntaxError):
        return None
    return str(found)


def refuse_file_name(folder: Path, fix: str) -> None:
    """Raise ConfigError, which says the `fix`, if a new folder would be named like an image or a video."""
    if not folder.exists() and (is_image_name(folder.name) or is_video_name(folder.name)):
        raise ConfigError(f"{folder}: {fix}")


class UniqueStems:
    """Name the outputs of many files after them, without their endings; no name is given twice.

    Examples:
        >>> stems = UniqueStems()
        >>> [stems(name) for name in ("a/face.jpg", "b/face.png")]
        ['face', 'face-2']
    """

    def __init__(self) -> None:
        self._used: Counter[str] = Counter()

    def __call__(self, name: str) -> str:
        """Return the name for the next file."""
        stem = PurePosixPath(name.replace("\\", "/")).stem[:_NAME] or "image"
        # Upper and lower case are one name on some systems.
        while True:
            self._used[stem.lower()] += 1
            number = self._used[stem.lower()]
            if number == 1:
                return stem
            if not self._used[f"{stem}-{number}".lower()]:
                self._used[f"{stem}-{number}".lower()] = 1
                return f"{stem}-{number}"
