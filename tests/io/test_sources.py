"""Folders and archives give the files that count, and nothing that is not safe to read."""

import os
import stat
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError, ImageError
from mien.io.inputs import Inputs
from mien.io.sources import MAX_DEPTH, MAX_LINKED, FolderSource, ZipSource, is_folder, is_junk, open_source

Nobody = Callable[[], AbstractContextManager[None]]


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_zip(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def refused(source: ZipSource | FolderSource) -> dict[str, str]:
    return {item.name: item.reason for item in source.refused}


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


def test_links_to_folders_are_followed_but_not_back_up(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "happy").mkdir(parents=True)
    (tmp_path / "elsewhere" / "happy" / "1.jpg").write_bytes(b"1")
    data = tmp_path / "data"
    data.mkdir()
    (data / "happy").symlink_to(tmp_path / "elsewhere" / "happy")
    (tmp_path / "elsewhere" / "happy" / "back").symlink_to(data)
    assert open_source(data).names == ["happy/1.jpg"]


def make_deep(folder: Path, depth: int) -> None:
    """Make folders in each other, also below the longest path that the system takes at once."""
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("a.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    finally:
        os.close(here)


@pytest.mark.skipif(os.mkdir not in os.supports_dir_fd, reason="needs folders by descriptor")
@pytest.mark.parametrize("depth", [1, MAX_DEPTH, MAX_DEPTH + 1, 1200, 3000])
def test_folders_are_read_to_a_depth_and_named_below(depth: int, tmp_path: Path) -> None:
    make_deep(tmp_path, depth)
    source = FolderSource(tmp_path)
    reached = "/".join("d" * min(depth, MAX_DEPTH + 1))
    assert source.folders[-1] == reached
    if depth <= MAX_DEPTH:
        assert (source.names, source.refused) == ([f"{reached}/a.jpg"], [])
        return
    assert source.names == []
    assert refused(source) == {reached: f"folder cannot be read (lies more than {MAX_DEPTH} folders deep)"}
    items = list(Inputs([str(tmp_path)]))
    assert [item.problem for item in items] == [f"the folder cannot be read (lies more than {MAX_DEPTH} folders deep)"]
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # Python's own removal recurses


@given(depth=st.integers(0, 5000), twice=st.booleans())
@settings(max_examples=20)
def test_members_of_an_archive_are_read_to_a_depth(
    depth: int, twice: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = "d/" * depth + "a.jpg"
    source = ZipSource(
        make_zip(tmp_path_factory.mktemp("zip") / "a.zip", {name: b"1"} | ({"b.jpg": b"2"} if twice else {}))
    )
    assert source.names == ["b.jpg"] * twice if depth > MAX_DEPTH else [*["b.jpg"] * twice, name]
    assert refused(source) == ({name: f"lies more than {MAX_DEPTH} folders deep"} if depth > MAX_DEPTH else {})
    assert len(source.folders) <= MAX_DEPTH


@given(links=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=40))
@settings(max_examples=25)
def test_links_between_folders_do_not_multiply(
    links: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Seven folders that all lead to each other have 13,700 paths, and a dozen more than can be counted."""
    top = tmp_path_factory.mktemp("links")
    for number in range(7):
        (top / f"{number}").mkdir()
        (top / f"{number}" / "a.jpg").touch()
    for here, there in set(links):
        (top / f"{here}" / f"to{there}").symlink_to(top / f"{there}")
    source = FolderSource(top)
    assert {f"{number}/a.jpg" for number in range(7)} <= set(source.names)
    assert len(source.names) <= 7 + 7 * MAX_LINKED
    assert set(refused(source).values()) <= {f"folder cannot be read (more than {MAX_LINKED} links lead to it)"}


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


def test_an_archive_reads_like_the_folder_it_was(tmp_path: Path) -> None:
    members = {
        "d/happy/1.jpg": b"1",
        "d/sad/2.jpg": b"22",
        "__MACOSX/d/._1.jpg": b"x",
        "d/.DS_Store": b"x",
        "d/é.jpg": b"3",
    }
    source = open_source(make_zip(tmp_path / "a.zip", members))
    assert source.names == ["d/happy/1.jpg", "d/sad/2.jpg", "d/é.jpg"]
    assert source.folders == ["d", "d/happy", "d/sad"]
    assert source.read("d/sad/2.jpg") == b"22"
    assert source.stamp("d/sad/2.jpg") != source.stamp("d/happy/1.jpg")


def test_unsafe_members_are_listed_and_never_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    link = zipfile.ZipInfo("happy/link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        for name in (
            "../evil.jpg",
            "happy/../../evil.jpg",
            "/etc/evil.jpg",
            "C:/evil.jpg",
            "c:\\evil.jpg",
            "..\\evil.jpg",
        ):
            archive.writestr(name, b"x")
        archive.writestr(link, "/etc/passwd")
        archive.writestr("happy/good.jpg", b"good")
    source = ZipSource(path)
    assert source.names == ["happy/good.jpg"]
    assert set(refused(source).values()) == {"its path leaves the archive", "is a link"}
    assert refused(source)["happy/link.jpg"] == "is a link"
    assert len(source.refused) == 7
    assert listing(tmp_path) == ["a.zip"]


def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"happy/a.jpg": b"secret"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert refused(ZipSource(path)) == {"happy/a.jpg": "is encrypted"}


def test_bombs_are_refused_by_what_they_state(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("happy/bomb.jpg", "w") as member:
            for _ in range(80):
                member.write(bytes(2**20))
        archive.writestr("happy/good.jpg", b"good")
    source = ZipSource(path)
    assert source.names == ["happy/good.jpg"]
    assert "bomb" in refused(source)["happy/bomb.jpg"]


def test_a_bomb_that_lies_about_its_size_is_cut_short(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"happy/liar.jpg": bytes(10 * 2**20)})
    data = bytearray(path.read_bytes())
    for head, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(head) + place
        data[start : start + 4] = (100).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"happy/liar\.jpg"):
        ZipSource(path).read("happy/liar.jpg")


def test_a_damaged_member_is_one_line(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"happy/a.jpg": os.urandom(500)}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)
    with pytest.raises(ImageError, match="damaged inside the archive") as caught:
        ZipSource(path).read("happy/a.jpg")
    assert "\n" not in str(caught.value)


@given(hits=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=150)
def test_a_damaged_archive_raises_nothing_else(
    hits: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    data = bytearray(make_zip(path, {"happy/a.jpg": b"aaaa" * 30, "sad/b.jpg": b"b" * 50}).read_bytes())
    for place, value in hits:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        source = ZipSource(path)
    except DataError:
        return
    for name in source.names:
        try:
            source.read(name)
        except ImageError as error:
            assert error.source == name


@pytest.mark.parametrize(
    ("name", "junk"),
    [(".x", True), ("Thumbs.db", True), ("DESKTOP.INI", True), ("__MACOSX", True), ("x.jpg", False), ("docs", False)],
)
def test_junk(name: str, junk: bool) -> None:
    assert is_junk(name) is junk
