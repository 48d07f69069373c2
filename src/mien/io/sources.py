"""Read the files of a folder or a zip archive through one interface."""

import stat
from pathlib import Path
from typing import Protocol

from mien.errors import DataError, ImageError
from mien.io.archives import Refused, ZipSource
from mien.io.code_pages import STANDARD_CODE_PAGE
from mien.io.folders import near_path, walk
from mien.io.images.source import MAX_FILE_BYTES, MAX_OTHER_BYTES, read_file
from mien.io.sniffing import is_image_name


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
            return read_file(self.path / name, MAX_FILE_BYTES if is_image_name(name) else MAX_OTHER_BYTES)
        except ImageError as error:
            raise error.renamed(name) from None

    def stamp(self, name: str) -> tuple[int, int]:
        """Return (size in bytes, modification time in ns); zeros if the file cannot be reached."""
        try:
            status = (self.path / name).stat()
        except OSError:
            return (0, 0)
        return (status.st_size, status.st_mtime_ns)


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
