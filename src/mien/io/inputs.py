"""Iterate over the images and videos that a user names: files, folders, globs, lists, zip archives and standard input.

Only names are held, and the order is always the same, so that a long job can be counted first and continued later.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path, PurePath
from typing import BinaryIO

from mien.errors import DataError, InputError
from mien.io.archives import ZipSource, first_packed
from mien.io.folders import near_path, walk
from mien.io.input_item import InputItem
from mien.io.sniffing import (
    HEAD,
    begins_like_either,
    begins_like_image,
    head_of,
    is_clear_name,
    is_image_name,
)

#: The name of standard input.
STDIN = "-"
_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class InputSummary:
    """How many images and videos there are, how many videos, and the sha256 of all names; None for standard input."""

    count: int | None
    sha256: str | None
    videos: int | None = 0


class Inputs:
    """The images and videos that `names` name, in the order given; iterate to get an InputItem for each.

    In folders, globs and archives, a file is one by the end of its name or its first bytes; hidden files are
    left out. A file that cannot be read is an item with a `problem`.

    Args:
        names: each is an image or video, a folder (all below it), a `list.txt` (a path per line), a `.zip` (all
            in it, read in place), `-` (a path per line from `stdin`), or a glob, in which `**` stands for any
            number of folders.
        stdin: for `-`.
        exclude: a folder to leave out.

    Raises:
        InputError: a name does not exist or cannot be opened; while iterating, a name has no image.
    """

    def __init__(self, names: Sequence[str], stdin: BinaryIO | None = None, exclude: Path | None = None) -> None:
        self.names = tuple(names)
        self.repeatable = STDIN not in names
        if self.names.count(STDIN) > 1:
            raise InputError(f"{STDIN}: standard input can be read only once; name it once")
        self._stdin, self._exclude = stdin, exclude
        self._archives: dict[str, ZipSource] = {}
        self._iterators = [(name, self._iterator_of(name)) for name in names]

    def __iter__(self) -> Iterator[InputItem]:
        """Iterate over all images and videos."""
        for name, iterate in self._iterators:
            yield from iterate(name)

    def summarise(self, check: Callable[[str], None] | None = None) -> InputSummary:
        """Count and hash all names, passing each to `check`; standard input is not read."""
        if not self.repeatable:
            return InputSummary(None, None, None)
        digest, count, videos = hashlib.sha256(), 0, 0
        for item in self:
            if check is not None:
                check(item.name)
            digest.update(item.name.encode("utf-8", "surrogatepass") + b"\0")
            count += 1
            videos += item.is_video()
        return InputSummary(count, digest.hexdigest(), videos)

    def _iterator_of(self, name: str) -> Callable[[str], Iterator[InputItem]]:
        """Return the function that iterates over a name's images, by the kind of the name."""
        if not name:  # Path("") would be the working directory, which is never meant
            raise InputError("'': an empty name; give an image, a folder or a list")
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
        raise InputError(f"{name}: no such file or folder{near_path(path)}")

    def _folder(self, name: str) -> Iterator[InputItem]:
        return _require_any(_files_below(Path(name), self._exclude), f"{Path(name)}: has no images or videos in it")

    def _glob(self, name: str) -> Iterator[InputItem]:
        """Expand a glob like a shell, but sorted, and to images only."""
        parts = PurePath(name).parts
        first = next(index for index, part in enumerate(parts) if _WILD.search(part))
        top, pattern = Path(*parts[:first]), parts[first:]
        depth = None if "**" in pattern else len(pattern)
        found = _files_below(top, self._exclude, depth, lambda place: matches(place.split("/"), pattern))
        return _require_any(found, f"{name}: matches no images or videos")

    def _archive(self, name: str) -> Iterator[InputItem]:
        source = self._archives[name]
        wanted = [member for member in source.names if _is_wanted_member(source, member)]
        found = [(member, False, InputItem(f"{name}/{member}", source, member)) for member in wanted]
        refused = [one for one in source.refused if is_clear_name(one.name)]
        found += [(one.name, True, InputItem(f"{name}/{one.name}", problem=one.reason)) for one in refused]
        packed = first_packed(source.names)
        fix = f", but {packed}; unpack it and give the folder" if packed else ""
        items = (item for _, _, item in sorted(found, key=itemgetter(0, 1)))
        return _require_any(items, f"{name}: has no images or videos in it{fix}")

    def _standard_input(self, name: str) -> Iterator[InputItem]:
        if self._stdin is None:
            raise InputError(f"{name}: standard input is closed; pipe paths into it, or name a list.txt")
        return _require_any(_items(_stdin_lines(self._stdin)), f"{name}: standard input names no images or videos")


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether the parts of a relative path match those of a glob; `**` is any number of folders, or all below.

    Examples:
        >>> matches(["a", "b", "me.jpg"], ["**", "*.jpg"])
        True
    """
    reached = {0}  # how many of the parts those of the pattern so far may stand for
    for last, piece in enumerate(pattern, 1 - len(pattern)):
        if piece == "**" and last == 0:
            return min(reached) < len(parts)
        if piece == "**":
            reached = set(range(min(reached), len(parts)))
        else:
            reached = {count + 1 for count in reached if count < len(parts) and fnmatchcase(parts[count], piece)}
        if not reached:
            return False
    return len(parts) in reached


def _single(name: str) -> Iterator[InputItem]:
    yield InputItem(name)


def _list(name: str) -> Iterator[InputItem]:
    return _require_any(_items(_list_lines(Path(name))), f"{Path(name)}: lists no paths")


def _list_lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as stream:
            yield from _lines(stream, f"{path}: is not a readable list of paths, one per line")
    except OSError:
        raise InputError(f"{path}: is not a readable list of paths, one per line") from None


def _stdin_lines(stream: BinaryIO) -> Iterator[str]:
    return _lines(stream, f"{STDIN}: standard input is read as paths, one per line; this is not text")


def _lines(stream: BinaryIO, error: str) -> Iterator[str]:
    """Yield lines as file names, whatever bytes are in them; InputError with the text `error` if it is not text."""
    for number, line in enumerate(stream):
        if b"\0" in line or (number == 0 and begins_like_image(line[:HEAD])):
            raise InputError(error)
        yield os.fsdecode(line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line)


def _items(lines: Iterable[str]) -> Iterator[InputItem]:
    return (InputItem(line.strip()) for line in lines if line.strip())


def _require_any(items: Iterable[InputItem], error: str) -> Iterator[InputItem]:
    """Yield all items; InputError with the text `error` if there are none."""
    item = None
    for item in items:
        yield item
    if item is None:
        raise InputError(error)


def _files_below(
    top: Path, exclude: Path | None, depth: int | None = None, wanted: Callable[[str], bool] = bool
) -> Iterator[InputItem]:
    unreadable: list[InputItem] = []
    before = str(top / "x")[:-1]

    def name_of(place: str) -> str:
        return before + place.replace("/", os.sep)

    def refuse(place: str, error: OSError) -> None:
        if not place:
            raise InputError(f"{top}: the folder cannot be read ({error.strerror})")
        unreadable.append(InputItem(name_of(place), problem=f"the folder cannot be read ({error.strerror})"))

    empty: str | None = None  # a folder named like an image is a row if it has none
    for place, folder in walk(top, refuse, depth, exclude):
        if empty is not None and not place.startswith(f"{empty}/"):
            yield InputItem(name_of(empty))
            empty = None
        yield from unreadable
        unreadable.clear()
        if not wanted(place):
            continue
        if folder:
            empty = place if is_image_name(place) else None
        elif _is_wanted(name := name_of(place)):
            empty = None
            yield InputItem(name)
    if empty is not None:
        yield InputItem(name_of(empty))
    yield from unreadable


def _is_wanted(name: str) -> bool:
    """Return whether a file is named like an image or a video, or begins like one."""
    return is_clear_name(name) or begins_like_either(name, head_of(name))


def _is_wanted_member(source: ZipSource, member: str) -> bool:
    return is_clear_name(member) or begins_like_either(member, source.head(member, HEAD))


def _open_archive(path: Path) -> ZipSource:
    try:
        return ZipSource(path)
    except DataError as error:
        raise InputError(str(error)) from None
