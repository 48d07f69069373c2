"""Read the files of a folder or a zip archive through one interface."""

import errno
import os
import stat
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, Protocol

from mien.errors import DataError, ImageError
from mien.io.code_pages import STANDARD_CODE_PAGE, find_code_page, member_name
from mien.io.images.source import MAX_BYTES, read_file
from mien.io.layout import RUNS
from mien.io.video.containers import is_video_name
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

#: A member that unpacks to more than this many times its packed size, and to more than 64 MiB, is a bomb.
MAX_RATIO = 200
#: A member that is a table or a video may be larger than an image.
MAX_LARGE_BYTES = 2 * 2**30
_PIECE = 2**20

#: Endings of archives that hold data to be unpacked first, and of zips inside another source.
ARCHIVE_SUFFIXES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz"})


@dataclass(frozen=True)
class Refused:
    """A member of an archive that is not safe to read, and why."""

    name: str
    reason: str


class FileSource(Protocol):
    """Files by name: `names` are relative POSIX paths, sorted; `folders` are those of every folder.

    `code_page` is that in which names of an archive were read if nothing says theirs: cp437 is the standard.
    """

    path: Path
    names: list[str]
    folders: list[str]
    refused: list[Refused]
    code_page: str

    def read(self, name: str) -> bytes:
        """Return the bytes of one file, or raise ImageError with the reason."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Return (size in bytes, a number that changes when the file does)."""


class FolderSource:
    """The files below a folder; hidden files and leftovers of systems are not listed.

    Links to folders are followed, but not back up. With `listed` false nothing is listed, and any name can be read.
    """

    def __init__(self, path: Path, listed: bool = True) -> None:
        self.path = path
        self.code_page = STANDARD_CODE_PAGE
        self.refused: list[Refused] = []
        self.names: list[str] = []
        self.folders: list[str] = []
        if not listed:
            return
        for name, folder in walk(path, self._refuse_folder):
            (self.folders if folder else self.names).append(name)
        self.names.sort()

    def _refuse_folder(self, name: str, error: OSError) -> None:
        if not name:
            raise DataError(f"{self.path}: cannot be read ({error.strerror}); make the folder readable") from None
        self.refused.append(Refused(name, f"folder cannot be read ({error.strerror})"))

    def read(self, name: str) -> bytes:
        """Return the bytes of one file, or raise ImageError with the reason."""
        try:
            return read_file(self.path / name)
        except ImageError as error:
            raise error.renamed(name) from None

    def stamp(self, name: str) -> tuple[int, int]:
        """Return (size in bytes, modification time in ns); zeros if the file cannot be reached."""
        try:
            status = (self.path / name).stat()
        except OSError:
            return (0, 0)
        return (status.st_size, status.st_mtime_ns)


class ZipSource:
    """The members of a zip archive, read in place: nothing is unpacked to disk.

    Members with absolute or `..` paths, links, encrypted members and bombs are refused, never read.
    Raises DataError for a file that is not the `expected` one.
    """

    def __init__(self, path: Path, expected: str = "a readable zip archive") -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except PermissionError:
            raise DataError(f"{path}: permission denied; make the file readable") from None
        except Exception as error:  # a damaged directory makes zipfile raise nearly anything
            fix = "; unpack it and give the folder" if path.suffix.lower() in ARCHIVE_SUFFIXES - {".zip"} else ""
            raise DataError(f"{path}: is not {expected} ({error}){fix}") from None
        self._lock = threading.Lock()
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.refused: list[Refused] = []
        folders: set[str] = set()
        self.code_page = find_code_page(self._zip.infolist())
        for info in self._zip.infolist():
            self._add(info, folders)
        self.names = sorted(self._members)
        for name in self.names:
            folders.update(parent.as_posix() for parent in PurePosixPath(name).parents if parent.name)
        self.folders = sorted(folders)

    def _add(self, info: zipfile.ZipInfo, folders: set[str]) -> None:
        name = member_name(info, self.code_page)
        if not name:
            self.refused.append(Refused("(a member)", "has no name"))
            return
        info.filename = name
        place = PurePosixPath(info.filename.replace("\\", "/"))
        if any(is_junk(part) for part in place.parts if part != ".."):
            return
        reason = unsafe_member(info)
        if reason:
            self.refused.append(Refused(info.filename, reason))
        elif info.is_dir():
            folders.add(place.as_posix())
        else:
            self._members[place.as_posix()] = info

    def read(self, name: str) -> bytes:
        """Return the bytes of one member, or raise ImageError with the reason."""
        info = self._members[name]
        try:
            with self._lock, self._zip.open(info) as member:
                data = member.read(info.file_size + 1)
        except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError, RuntimeError) as error:
            raise ImageError(name, f"is damaged inside the archive ({error})", "damaged") from None
        except Exception as error:  # zlib, lzma and bz2 each raise their own
            raise ImageError(name, f"cannot be unpacked ({error})", "damaged") from None
        if len(data) > info.file_size:
            raise ImageError(name, "unpacks to more than the archive states", "damaged")
        return data

    def copy(self, name: str, target: BinaryIO | IO[bytes]) -> None:
        """Copy one member into a file, piece by piece, or raise ImageError with the reason."""
        info, left = self._members[name], self._members[name].file_size
        try:
            with self._lock, self._zip.open(info) as member:
                while piece := member.read(min(_PIECE, left + 1)):
                    left -= len(piece)
                    if left < 0:
                        raise ImageError(name, "unpacks to more than the archive states", "damaged")
                    target.write(piece)
        except ImageError:
            raise
        except Exception as error:  # as in `read`
            raise ImageError(name, f"is damaged inside the archive ({error})", "damaged") from None

    def head(self, name: str, count: int) -> bytes:
        """Return the first `count` bytes of one member; nothing if it is damaged."""
        try:
            with self._lock, self._zip.open(self._members[name]) as member:
                return member.read(count)
        except Exception:  # as in `read`, which says why
            return b""

    def stamp(self, name: str) -> tuple[int, int]:
        """Return (size in bytes, CRC-32)."""
        info = self._members[name]
        return (info.file_size, info.CRC)


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


def unsafe_member(info: zipfile.ZipInfo) -> str | None:
    """Return why a zip member must not be read; None if it is safe."""
    name = info.filename.replace("\\", "/")
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts or name[1:2] == ":" or "\0" in name:
        return "its path leaves the archive"
    if len(place.parts) > MAX_DEPTH + 1:
        return f"lies more than {MAX_DEPTH} folders deep"
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        return "is a link"
    if info.flag_bits & 0x1:
        return "is encrypted"
    large = place.suffix.lower() == ".csv" or is_video_name(place.name)
    limit = MAX_LARGE_BYTES if large else MAX_BYTES
    if info.file_size > limit:
        return f"unpacks to more than {limit >> 20} MiB"
    if info.file_size > 64 * 2**20 and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"unpacks to more than {MAX_RATIO} times its size; is it a bomb?"
    return None


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


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder (else it is a regular file); DataError if it is neither or out of reach."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"{path}: no such file or folder{near_path(path)}") from None
    except PermissionError:
        raise DataError(f"{path}: permission denied; make the folder above it readable") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be opened ({error})") from None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        raise DataError(f"{path}: is neither a folder nor a regular file")
    return stat.S_ISDIR(mode)


def open_source(path: Path) -> FileSource:
    """Open a folder or a zip archive; DataError if it is neither."""
    if is_folder(path):
        return FolderSource(path)
    return ZipSource(path, expected="a folder, a .csv or a readable zip archive")
