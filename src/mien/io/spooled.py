"""Arrays that grow row by row: in memory while they are small, then in a temporary file."""

import mmap
import tempfile
from io import FileIO
from typing import Any

import numpy as np
import numpy.typing as npt

#: Bytes that are held in memory, and written at a time.
_HELD = 1 << 20


class SpooledRows:
    """Rows of one shape and kind, appended and then read as one array.

    The file has no name and is gone when this object and its array are. The system keeps as much of it in memory as it
    has to spare. If the file cannot be written, the rows stay in memory.

    Args:
        shape: of a row.
        kind: of its numbers.

    Examples:
        >>> rows = SpooledRows((2,), np.dtype(np.uint8))
        >>> rows.append(np.array([[1, 2], [3, 4]], np.uint8))
        >>> rows.array().tolist()
        [[1, 2], [3, 4]]
    """

    def __init__(self, shape: tuple[int, ...], kind: "np.dtype[Any]") -> None:
        self._shape, self._kind = shape, kind
        self._held = bytearray()
        self._file: FileIO | None = None
        self._written = 0
        self._may_write = True

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows (N, *shape); not after `array`."""
        if rows.shape[1:] != self._shape or rows.dtype != self._kind:
            raise ValueError(f"rows of {self._kind} {self._shape} are kept here, not {rows.dtype} {rows.shape[1:]}")
        self._held += np.ascontiguousarray(rows).data.cast("B") if rows.size else b""
        if len(self._held) >= _HELD:
            self._write()

    def array(self) -> npt.NDArray[Any]:
        """Return all rows, (N, *shape), which cannot be changed; only once."""
        if self._file is not None:
            self._write()
        if self._file is None:
            found = np.frombuffer(self._held, self._kind)
        else:
            found = np.frombuffer(mmap.mmap(self._file.fileno(), self._written, access=mmap.ACCESS_READ), self._kind)
            self._file.close()  # the mapping keeps it
        found.flags.writeable = False
        return found.reshape(-1, *self._shape)

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        if not self._may_write:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lasts as long as its array
            done = 0
            while done < len(self._held):
                done += self._file.write(memoryview(self._held)[done:])
        except OSError:  # a full disk, or no folder for temporary files
            self._may_write = False
            if self._file is not None:
                self._file.seek(0)
                self._held[:0] = self._file.read(self._written)
                self._file.close()
                self._file, self._written = None, 0
        else:
            self._written += len(self._held)
            self._held.clear()
