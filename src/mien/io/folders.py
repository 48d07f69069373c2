"""Walk through the files below a folder, in a fixed order and with bounded cost."""

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mien.io.layout import RUNS
from mien.text import nearest

#: Names in a folder that a missing one is compared with.
_BESIDE = 2000
#: What operating systems leave behind, and the folder that mien trains into if it is started inside the data.
JUNK_NAMES = frozenset({".ds_store", "thumbs.db", "desktop.ini", "__macosx", RUNS})

#: Folders are read to this depth below the one that is named, and in an archive. Data lies a handful deep; what lies
#: far deeper was made to cost time.
MAX_DEPTH = 64
#: So many links to one folder are followed, from all of a source.
MAX_LINKED = 100
#: What tells a file or folder from every other: its device and number.
_FileId = tuple[int, int]


def walk(
    top: Path, refuse: Callable[[str, OSError], None], depth: int | None = None, exclude: Path | None = None
) -> Iterator[tuple[str, bool]]:
    """Yield everything below a folder, sorted by the parts of its path: relative POSIX name, and whether a folder.

    Hidden files and leftovers of systems are left out. Links to folders are followed, but not back up, and to one
    folder at most `MAX_LINKED` times. Only the names in the folders on the way are held.

    Args:
        top: the folder.
        refuse: called with a folder that cannot be read or lies too deep, and its error; the name of `top` is "".
        depth: how many levels are entered; None enters `MAX_DEPTH`, and refuses folders below.
        exclude: a folder to leave out.
    """
    reached: Counter[_FileId] = Counter()  # folders behind links: links to each other would multiply without end

    def entered(place: str, linked: bool) -> _Level | None:
        here = _file_id(top / place)
        if any(here == level.folder for level in levels) or (place and exclude and here == _file_id_of(exclude)):
            return None
        if linked:
            reached[here] += 1
            if reached[here] == MAX_LINKED + 1:
                raise OSError(errno.ELOOP, f"more than {MAX_LINKED} links lead to it")
            if reached[here] > MAX_LINKED:
                return None
        if len(levels) > MAX_DEPTH:
            raise OSError(errno.ELOOP, f"lies more than {MAX_DEPTH} folders deep")
        with os.scandir(top / place) as entries:
            found = sorted(
                (entry.name, _is_folder(entry), linked or entry.is_symlink())
                for entry in entries if not is_junk(entry.name)
            )  # fmt: skip
        return _Level(place, here, iter(found))

    def enter(place: str, linked: bool = False) -> None:
        if len(levels) == depth:
            return
        try:
            level = entered(place, linked)
        except OSError as error:
            refuse(place, error)
        else:
            levels.extend([level] if level else [])

    levels: list[_Level] = []
    enter("")
    while levels:
        found = next(levels[-1].left, None)
        if found is None:
            levels.pop()
            continue
        (name, folder, linked), place = found, levels[-1].place
        path = f"{place}/{name}" if place else name
        yield path, folder
        if folder:
            enter(path, linked)


@dataclass(frozen=True)
class _Level:
    """A folder that `walk` is in: its relative name, what tells it from every other, and its entries that are left."""

    place: str
    folder: _FileId
    left: Iterator[tuple[str, bool, bool]]


def _file_id(path: Path) -> _FileId:
    status = path.stat()
    return status.st_dev, status.st_ino


def _file_id_of(path: Path) -> _FileId | None:
    """Return the identity of a folder that may not exist yet."""
    try:
        return _file_id(path)
    except OSError:
        return None


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere, or in a circle
        return False


def is_junk(name: str) -> bool:
    """Return whether a file or folder is hidden or a leftover of a system.

    Examples:
        >>> is_junk("Thumbs.db"), is_junk("me.jpg")
        (True, False)
    """
    return name.startswith(".") or name.lower() in JUNK_NAMES


def near_path(path: Path) -> str:
    """Return the end of an error's sentence that suggests a path beside a missing one; empty if none is alike."""
    try:
        with os.scandir(path.parent) as entries:
            beside = [entry.name for entry in islice(entries, _BESIDE) if not is_junk(entry.name)]
    except (OSError, ValueError):
        return ""
    name = nearest(path.name, beside)
    return f"; did you mean '{path.parent / name}'?" if name else ""
