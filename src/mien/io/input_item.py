"""One image or video that a user names: a file, or a member of an archive."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from mien.errors import ImageError
from mien.io.archives import ZipSource
from mien.io.sniffing import HEAD, is_video, looks_like_video

#: A video in an archive is unpacked in memory up to this size, in bytes, and else into a temporary file.
_IN_MEMORY = 64 * 2**20

#: Two numbers that change when a file does.
Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class InputItem:
    """One image or video: `name` is its path or, in an archive, `archive.zip/inner/name.jpg`.

    `problem` says why it cannot be read, if that is known already.
    """

    name: str
    archive: ZipSource | None = None
    member: str = ""
    problem: str | None = None

    def is_video(self) -> bool:
        """Return whether this is a video: by its first bytes, or by its name if they say nothing."""
        if self.problem is not None:
            return False
        if self.archive is None:
            return is_video(self.name)
        return looks_like_video(self.member, self.archive.head(self.member, HEAD))

    def image(self) -> str | bytes | ImageError:
        """Return what `Reader.predict_named` takes: a path, the bytes of a member, or why it cannot be read."""
        if self.problem is not None:
            return ImageError(self.name, self.problem)
        if self.archive is None:
            return self.name
        try:
            return self.archive.read(self.member)
        except ImageError as error:
            return error.renamed(self.name)

    def stamp(self) -> Stamp | None:
        """Return what changes when the file does: its size and time, or its size and check sum in an archive.

        None if it is not there, or cannot be read.
        """
        if self.problem is not None:
            return None
        if self.archive is not None:
            return self.archive.stamp(self.member)
        try:
            status = os.stat(self.name)  # noqa: PTH116
        except (OSError, ValueError):
            return None
        return status.st_size, status.st_mtime_ns

    @contextmanager
    def file(self) -> Iterator[str | BinaryIO]:
        """Give what `open_video` takes: a path, or a member of an archive unpacked for the while.

        Raises ImageError if it cannot be read.
        """
        if self.archive is None:
            yield self.name
            return
        with SpooledTemporaryFile(_IN_MEMORY) as stream:
            try:
                self.archive.copy(self.member, stream)
            except ImageError as error:
                raise error.renamed(self.name) from None
            stream.seek(0)
            yield cast("BinaryIO", stream)
