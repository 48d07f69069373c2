"""Read files that others may have made or damaged: kind and size before the first byte, then the content.

A FIFO, a device without end, a bomb and nesting without end are refused as cheaply as a missing file. Images:
`mien.io.images.source`.
"""

import errno
import json
import math
import stat
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.text import first_line

#: Bytes of a text file that a person or mien writes: settings, JSON, a key.
MAX_TEXT = 16 * 2**20
#: Levels of nesting, and digits of a whole number, beyond those of any file of ours.
_MAX_DEPTH, _MAX_DIGITS = 64, 19
_TOO_LARGE = 10**_MAX_DIGITS
_TOO_LONG, _NOT_FINITE = "a whole number has too many digits", "a number is not finite"
#: Reading TOML takes time that grows with the square of a long key.
_MAX_TOML = 64 * 2**10
#: Arrays are stored as they are: a file of them that unpacks to more than this many times its size is a bomb.
_MAX_RATIO = 16


def read_bytes(path: Path, limit: int = MAX_TEXT) -> bytes:
    """Return the bytes of a regular file.

    Args:
        path: the file.
        limit: a larger file is refused, in bytes.

    Raises:
        OSError: it cannot be read, is too large or not a regular file; `strerror` is the reason.

    Examples:
        >>> read_bytes(Path("/dev/zero"))
        Traceback (most recent call last):
        OSError: [Errno 22] is not a regular file: '/dev/zero'
    """
    size = regular_size(path)
    with path.open("rb") as stream:
        data = stream.read(limit + 1) if size <= limit else None
    if data is None or len(data) > limit:
        raise OSError(errno.EFBIG, f"is larger than {_in_units(limit)}", str(path))
    return data


def regular_size(path: Path) -> int:
    """Return the size of a regular file in bytes; OSError for everything else, before it is opened."""
    try:
        found = path.stat()
    except ValueError as error:  # a name with a zero byte
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return found.st_size


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    """Return a UTF-8 text file; OSError as `read_bytes`, ValueError if it is not UTF-8."""
    return read_bytes(path, limit).decode("utf-8")


def read_object(path: Path, limit: int = MAX_TEXT) -> dict[str, Any]:
    """Return the object in a JSON file; OSError as `read_bytes`, ValueError as `parse_json` or for another value."""
    found = parse_json(read_bytes(path, limit))
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    return found


def parse_json(data: bytes | str) -> Any:
    """Return the value of a JSON text.

    Raises ValueError if it is not valid, is nested deeper than 64 levels, or has a number that is not finite.

    Examples:
        >>> parse_json('{"accuracy": 1e999}')
        Traceback (most recent call last):
        ValueError: a number is not finite
    """
    try:
        found = _parse(data if isinstance(data, str) else data.decode(json.detect_encoding(data), "surrogatepass"))
    except RecursionError:
        raise _too_deep() from None
    except (json.JSONDecodeError, UnicodeError):
        raise
    except ValueError as error:  # Python's own limit of digits, which a user need not change
        raise ValueError(_TOO_LONG if "digits" in str(error) else str(error)) from None
    _check_values(found)
    return found


def _parse(text: str) -> Any:
    if text.startswith("\ufeff"):
        raise json.JSONDecodeError("begins with a byte order mark", text, 0)
    return _DECODER.decode(text)


def parse_toml(data: bytes) -> dict[str, Any]:
    """Return the table of a TOML text; ValueError if it is not valid, too large, or nested deeper than 64 levels."""
    if len(data) > _MAX_TOML:
        raise ValueError(f"it is larger than {_in_units(_MAX_TOML)}")
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise _too_deep() from None
    except (tomllib.TOMLDecodeError, UnicodeError):
        raise
    except ValueError:  # Python's own limit, which a user need not change
        raise ValueError(_TOO_LONG) from None
    _check_values(found, finite=False)
    return found


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a `.npz` file of numbers, by name.

    Raises OSError if it cannot be read, ValueError if it is damaged, holds anything but numbers, or unpacks to much
    more than its size.
    """
    size = regular_size(path)
    with path.open("rb") as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                if sum(info.file_size for info in archive.infolist()) > _MAX_RATIO * size:
                    raise ValueError("unpacks to much more than its size")
                return {info.filename.removesuffix(".npy"): _array(archive, info) for info in archive.infolist()}
        except OSError:
            raise
        except Exception as error:  # zipfile, zlib and numpy raise many kinds
            raise ValueError(first_line(error)) from None


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Return one array. Its header states shape and type, which must be those of the bytes that follow."""
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in headers:
            raise ValueError(f"{info.filename} is of another version of numpy")
        shape, fortran, dtype = headers[version](member)
        if dtype.kind not in "biuf":
            raise ValueError(f"{info.filename} holds no numbers")
        count = info.file_size - member.tell()
        if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize != count:
            raise ValueError(f"{info.filename} is not of the shape that it states")
        data = member.read(count + 1)  # beyond the end, where the check sum is compared
    if len(data) != count:
        raise ValueError(f"{info.filename} is cut short")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _check_values(value: Any, finite: bool = True) -> None:
    """Raise ValueError for deep nesting and numbers that JSON or repr cannot write again."""
    level: Iterable[Any] = [value]
    for _ in range(_MAX_DEPTH):
        inside: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is str:
                continue
            if kind is dict:
                inside += one.values()
            elif kind is list:
                inside += one
            elif kind is int and not -_TOO_LARGE < one < _TOO_LARGE:
                raise ValueError(_TOO_LONG)
            elif kind is float and not math.isfinite(one) and finite:
                raise ValueError(_NOT_FINITE)
        if not inside:
            return
        level = inside
    raise _too_deep()


def _refuse(_: str) -> float:
    raise ValueError(_NOT_FINITE)


#: Made once: a file of answers has a text in every line.
_DECODER = json.JSONDecoder(parse_constant=_refuse)


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {_MAX_DEPTH} levels")


def _in_units(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 2**20 else f"{count >> 10} KiB"
