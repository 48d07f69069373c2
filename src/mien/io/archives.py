"""Read the members of a zip archive in place, and refuse those that are not safe."""

import threading
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from mien.errors import DataError, ImageError
from mien.io.code_pages import find_code_page, member_name
from mien.io.folders import MAX_DEPTH, is_junk
from mien.io.images.source import MAX_FILE_BYTES, MAX_OTHER_BYTES
from mien.io.sniffing import is_image_name
from mien.io.video.containers import is_video_name

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
            if info.file_size:
                self.refused.append(Refused(place.as_posix(), "has content, but the name of a folder"))
        else:
            self._put(place.as_posix(), info)

    def _put(self, name: str, info: zipfile.ZipInfo) -> None:
        """Keep a member; of two with one name the later one, as programs that unpack do, which is said unless equal."""
        earlier = self._members.get(name, info)
        if self._stamp_of(earlier) != self._stamp_of(info):
            self.refused.append(Refused(name, "is twice in the archive; the later one is read"))
        self._members[name] = info

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
        return self._stamp_of(self._members[name])

    @staticmethod
    def _stamp_of(info: zipfile.ZipInfo) -> tuple[int, int]:
        return (info.file_size, info.CRC)


def first_packed(names: Iterable[str]) -> str | None:
    """Return the first of some file names that is an archive, which is not read inside another source."""
    return next((name for name in names if PurePosixPath(name).suffix.lower() in ARCHIVE_SUFFIXES), None)


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
    limit = MAX_LARGE_BYTES if large else MAX_FILE_BYTES if is_image_name(info.filename) else MAX_OTHER_BYTES
    if info.file_size > limit:
        return f"unpacks to more than {limit >> 20} MiB"
    if info.file_size > 64 * 2**20 and info.file_size > MAX_RATIO * max(info.compress_size, 1):
        return f"unpacks to more than {MAX_RATIO} times its size; is it a bomb?"
    return None
