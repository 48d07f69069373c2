"""Folders and archives give the files that count, and nothing that is not safe to read."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from archives import make_zip, refused

from mien.errors import DataError, ImageError
from mien.io.sources import FolderSource, is_folder, open_source

Nobody = Callable[[], AbstractContextManager[None]]


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_lists_sorted_names_without_junk(tmp_path: Path) -> None:
    for name in ("b/2.jpg", "b/1.jpg", "a/[x] y.jpg", "a/.hidden.jpg", ".git/x.jpg", "__MACOSX/a/x.jpg", "Thumbs.db",
                 "a/.DS_Store", "a/desktop.ini", "top.txt"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    source = open_source(tmp_path)
    assert source.names == ["a/[x] y.jpg", "b/1.jpg", "b/2.jpg", "top.txt"]
    assert source.folders == ["a", "b"]
    assert source.read("b/1.jpg") == b"b/1.jpg"
    assert source.refused == []


def test_errors_of_a_folder_name_the_file_within_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        open_source(tmp_path).read("a/none.jpg")
    assert str(caught.value) == "a/none.jpg: no such file"
    assert open_source(tmp_path).stamp("a/none.jpg") == (0, 0)


def test_the_stamp_changes_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    source = open_source(tmp_path)
    before = source.stamp("a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    assert source.stamp("a.jpg") != before


def test_what_may_not_be_read_is_named(tmp_path: Path, as_nobody: Nobody) -> None:
    data = tmp_path / "data"
    for folder in ("open", "shut"):
        (data / folder).mkdir(parents=True)
        (data / folder / "a.jpg").write_bytes(b"x")
    (data / "open" / "a.jpg").chmod(0)
    (data / "shut").chmod(0)
    archive = make_zip(tmp_path / "a.zip", {"happy/a.jpg": b"x"})
    archive.chmod(0)
    try:
        with as_nobody():
            source = FolderSource(data)
            assert source.names == ["open/a.jpg"]
            assert refused(source) == {"shut": "folder cannot be read (Permission denied)"}
            with pytest.raises(ImageError, match="permission denied"):
                source.read("open/a.jpg")
            with pytest.raises(DataError, match="permission denied"):
                open_source(archive)
            with pytest.raises(DataError, match="Permission denied"):
                open_source(data / "shut")
            with pytest.raises(DataError, match="permission denied"):
                open_source(data / "shut" / "deeper")
    finally:
        (data / "shut").chmod(0o755)


def test_places_that_are_no_source(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty.zip").touch()
    (tmp_path / "loop").symlink_to("loop")
    cases = {
        "none": "no such file or folder",
        "text.zip/below": "no such file or folder",
        "fifo": "neither a folder nor a regular file",
        "text.zip": "is not a folder, a .csv or a readable zip",
        "empty.zip": "is not a folder, a .csv or a readable zip",
        "loop": "cannot be opened",
        "x" * 300: "cannot be opened",
        "a\0b": "cannot be opened",
    }
    for name, words in cases.items():
        with pytest.raises(DataError, match=words) as caught:
            open_source(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="neither"):
        is_folder(Path("/dev/zero"))
