"""Files that may be damaged: kind and size first, then the content."""

import io
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.io.bounded import parse_json, parse_toml, read_arrays, read_bytes, read_object


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "/dev/zero", "/dev/stdin"):
        with pytest.raises(OSError, match="is not a regular file"):
            read_bytes(tmp_path / name)
    for reader in (read_bytes, read_object, read_arrays):
        with pytest.raises(IsADirectoryError, match="is a folder"):
            reader(tmp_path)
        with pytest.raises(FileNotFoundError):
            reader(tmp_path / "none")
    with pytest.raises(OSError, match="null byte"):
        read_bytes(tmp_path / "a\0b")


def test_a_file_is_as_large_as_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" * 2048)
    assert len(read_bytes(path, 2048)) == 2048
    with pytest.raises(OSError, match="is larger than 1 KiB"):
        read_bytes(path, 1024)


@pytest.mark.parametrize(("text", "says"), [
    ("[" * 100 + "]" * 100, "nested deeper than 64"), ("[" * 100_000, "nested deeper than 64"), ("NaN", "not finite"),
    ('{"a": -Infinity}', "not finite"), ("[1e999]", "not finite"), ("1" * 5000, "too many digits"), ("{", "Expecting"),
])  # fmt: skip
def test_json_that_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_json(text)


@pytest.mark.parametrize(("text", "says"), [
    ("a = " + "[" * 100 + "]" * 100, "nested deeper than 64"), ("a = " + "[" * 20_000, "nested deeper than 64"),
    ("a = 0x" + "f" * 6000, "too many digits"), ("a = " + "9" * 5000, "digits"), (".".join("a" * 200) + "=1", "nested"),
    ("# " + "x" * 2**16, "is larger than 64 KiB"), ("a = ", "Invalid value"), ("\xff", "codec"),
])  # fmt: skip
def test_toml_that_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_toml(text.encode("latin-1"))


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(), st.lists, max_leaves=20))
def test_json_of_ours_is_read_as_it_is(value: Any) -> None:
    import json

    assert parse_json(json.dumps(value)) == value


@given(
    st.lists(st.sampled_from(["<f4", "<f2", "<i8", "|u1", "|b1"]), max_size=4), st.lists(st.integers(0, 3), max_size=3)
)
def test_arrays_are_read_as_numpy_reads_them(kinds: list[str], shape: list[int]) -> None:
    import tempfile

    arrays = {f"a{n}": np.arange(math.prod(shape)).reshape(shape).astype(kind) for n, kind in enumerate(kinds)}
    arrays["turned"] = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        np.savez(path, allow_pickle=False, **arrays)
        found = read_arrays(path)
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(found[name], value)
        assert found[name].dtype == value.dtype


def npy(header: str, data: bytes = b"\0" * 8) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(("member", "says"), [
    (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999), }"), "not of the shape"),
    (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }"), "not of the shape"),
    (npy("{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }"), "holds no numbers"),
    (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"), "holds no numbers"),
    (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }")[:-1], "not of the shape"),
    (npy("__import__('os').system('true')"), "malformed"), (b"", "magic"), (b"text", "magic"),
])  # fmt: skip
def test_arrays_that_are_not_what_they_state(tmp_path: Path, member: bytes, says: str) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", member)
    with pytest.raises(ValueError, match=says):
        read_arrays(path)


def test_a_bomb_of_arrays_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(10**6, np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", buffer.getvalue())
    with pytest.raises(ValueError, match="unpacks to much more than its size"):
        read_arrays(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="not a zip file"):
        read_arrays(tmp_path / "b.npz")
