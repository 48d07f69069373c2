"""What a person names to be read: files, folders, globs, lists, zip archives and standard input, one picture at a time.

Nothing is held but the names on the way, and the order is always the same, so that a long job can be
counted first and continued later.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO

from mien.errors import DataError, ImageError, InputError
from mien.io.image import IMAGE_SUFFIXES, begins_like_image
from mien.io.sources import ZipSource, walk

#: What the names of films end in, in lower case.
VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v"))
#: The name of standard input.
STDIN = "-"
_WILD = re.compile(r"[*?\[]")
_HEAD = 12


@dataclass(frozen=True, slots=True)
class InputItem:
    """One picture to read: `name` is its path or, in an archive, `archive.zip/inner/name.jpg`."""

    name: str
    archive: ZipSource | None = None
    member: str = ""
    fault: str | None = None

    def picture(self) -> str | bytes | ImageError:
        """Return what `Reader.predict_named` takes: a path, the bytes of a member, or why it cannot be read."""
        if self.fault is not None:
            return ImageError(self.name, self.fault)
        if self.archive is None:
            return self.name
        try:
            return self.archive.read(self.member)
        except ImageError as error:
            return error.renamed(self.name)


@dataclass(frozen=True)
class InputSummary:
    """How many pictures there are, and the sha256 of their names in order; None of standard input."""

    count: int | None
    sha256: str | None


class Inputs:
    """The pictures that `names` name, in the order given; iterate to get an Entry for each.

    A name is a picture file, a folder (all pictures below it), a `list.txt` (a path per line), a `.zip`
    (its pictures, read in place), `-` (a path per line from `stdin`), or a glob, in which `**` stands for any
    number of folders. In folders, globs and archives a file counts as a picture by the end of its name or its
    first bytes; hidden files are left out, and so is what is in the folder `without`. What cannot be read is
    an Entry that says so.

    Raises InputError here for a name that is not there or cannot be opened, and while iterating for one
    that holds no picture.
    """

    def __init__(self, names: Sequence[str], stdin: BinaryIO | None = None, without: Path | None = None) -> None:
        self.names = tuple(names)
        self.repeatable = STDIN not in names
        if self.names.count(STDIN) > 1:
            raise InputError(f"{STDIN}: standard input can be read only once; name it once")
        self._stdin, self._without = stdin, without
        self._archives: dict[str, ZipSource] = {}
        self._ways = [(name, self._way(name)) for name in names]

    def __iter__(self) -> Iterator[InputItem]:
        """Go through all pictures."""
        for name, way in self._ways:
            yield from way(name)

    def survey(self, check: Callable[[str], None] | None = None) -> InputSummary:
        """Go through all names once, handing each to `check`; standard input is left alone."""
        if not self.repeatable:
            return InputSummary(None, None)
        digest, count = hashlib.sha256(), 0
        for entry in self:
            if check is not None:
                check(entry.name)
            digest.update(entry.name.encode("utf-8", "surrogatepass") + b"\0")
            count += 1
        return InputSummary(count, digest.hexdigest())

    def _way(self, name: str) -> Callable[[str], Iterator[InputItem]]:
        """Decide what a name is."""
        if not name:  # Path("") would be the working directory, which is never meant
            raise InputError("'': an empty name; give a picture, a folder or a list")
        path = Path(name)
        if name == STDIN:
            return self._standard_input
        if path.is_dir():
            return self._folder
        if path.suffix.lower() == ".txt" and path.is_file():
            return _list
        if path.suffix.lower() == ".zip" and path.is_file():
            self._archives[name] = _open_archive(path)
            return self._archive
        if os.path.lexists(path):
            return _single
        if _WILD.search(name):
            return self._glob
        raise InputError(f"{name}: no such file or folder")

    def _folder(self, name: str) -> Iterator[InputItem]:
        return _some(_pictures_below(Path(name), self._without), f"{Path(name)}: has no pictures in it")

    def _glob(self, name: str) -> Iterator[InputItem]:
        """Like a shell, but sorted, and of the files only those that are pictures."""
        parts = PurePath(name).parts
        first = next(index for index, part in enumerate(parts) if _WILD.search(part))
        top, pattern = Path(*parts[:first]), parts[first:]
        depth = None if "**" in pattern else len(pattern)
        found = _pictures_below(top, self._without, depth, lambda place: matches(place.split("/"), pattern))
        return _some(found, f"{name}: matches no pictures")

    def _archive(self, name: str) -> Iterator[InputItem]:
        source = self._archives[name]
        found = {member: InputItem(f"{name}/{member}", source, member) for member in source.names}
        found = {member: entry for member, entry in found.items() if _is_member_picture(source, member)}
        for item in source.refused:
            if _named_like_picture(item.name):
                found[item.name] = InputItem(f"{name}/{item.name}", fault=item.reason)
        return _some((found[member] for member in sorted(found)), f"{name}: has no pictures in it")

    def _standard_input(self, name: str) -> Iterator[InputItem]:
        if self._stdin is None:
            raise InputError(f"{name}: standard input is closed; pipe paths into it, or name a list.txt")
        return _some(_entries(_stdin_lines(self._stdin)), f"{name}: standard input names no pictures")


def is_video(name: str) -> bool:
    """Whether a name is that of a film."""
    return PurePath(name).suffix.lower() in VIDEO_SUFFIXES


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a relative path match those of a glob; `**` is any number of folders, or all below."""
    if not pattern or not parts:
        return not pattern and not parts
    if pattern[0] == "**":
        return len(pattern) == 1 or any(matches(parts[skip:], pattern[1:]) for skip in range(len(parts)))
    return fnmatchcase(parts[0], pattern[0]) and matches(parts[1:], pattern[1:])


def _single(name: str) -> Iterator[InputItem]:
    yield InputItem(name)


def _list(name: str) -> Iterator[InputItem]:
    return _some(_entries(_list_lines(Path(name))), f"{Path(name)}: lists no paths")


def _list_lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as stream:
            yield from _lines(stream, f"{path}: is not a readable list of paths, one per line")
    except OSError:
        raise InputError(f"{path}: is not a readable list of paths, one per line") from None


def _stdin_lines(stream: BinaryIO) -> Iterator[str]:
    return _lines(stream, f"{STDIN}: standard input is read as paths, one per line; this is no text")


def _lines(stream: BinaryIO, otherwise: str) -> Iterator[str]:
    """Yield lines as file names, whatever bytes are in them; InputError, saying `otherwise`, where it is no text."""
    for number, line in enumerate(stream):
        if b"\0" in line or (number == 0 and begins_like_image(line[:_HEAD])):
            raise InputError(otherwise)
        yield os.fsdecode(line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line)


def _entries(lines: Iterable[str]) -> Iterator[InputItem]:
    return (InputItem(line.strip()) for line in lines if line.strip())


def _some(entries: Iterable[InputItem], otherwise: str) -> Iterator[InputItem]:
    """Yield all entries; InputError where there are none."""
    entry = None
    for entry in entries:
        yield entry
    if entry is None:
        raise InputError(otherwise)


def _pictures_below(
    top: Path, without: Path | None, depth: int | None = None, wanted: Callable[[str], bool] = bool
) -> Iterator[InputItem]:
    faults: list[InputItem] = []

    def refuse(place: str, error: OSError) -> None:
        if not place:
            raise InputError(f"{top}: the folder cannot be read ({error.strerror})")
        faults.append(InputItem(str(top / place), fault=f"the folder cannot be read ({error.strerror})"))

    hollow: str | None = None  # a folder with a picture's name is a row, if nothing was found in it
    for place, folder in walk(top, refuse, depth, without):
        if hollow is not None and not place.startswith(f"{hollow}/"):
            yield InputItem(str(top / hollow))
            hollow = None
        yield from faults
        faults.clear()
        if not wanted(place):
            continue
        if folder:
            hollow = place if _named_like_picture(place) else None
        elif _is_picture(top / place):
            hollow = None
            yield InputItem(str(top / place))
    if hollow is not None:
        yield InputItem(str(top / hollow))
    yield from faults


def _is_picture(path: Path) -> bool:
    """Whether a file is named like a picture or begins like one; what is no regular file is never opened."""
    if _named_like_picture(path.name):
        return True
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as stream:
            return begins_like_image(stream.read(_HEAD))
    except OSError:
        return False


def _is_member_picture(source: ZipSource, member: str) -> bool:
    return _named_like_picture(member) or begins_like_image(source.head(member, _HEAD))


def _named_like_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _open_archive(path: Path) -> ZipSource:
    try:
        return ZipSource(path)
    except DataError as error:
        raise InputError(str(error)) from None
