"""Archives give the files that count, and nothing that is not safe to read."""

import os
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from archives import make_zip, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError, ImageError, InputError
from mien.io.archives import ZipSource, unsafe_member
from mien.io.folders import MAX_DEPTH
from mien.io.images.source import MAX_FILE_BYTES
from mien.io.inputs import Inputs
from mien.io.sources import open_source


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


def test_a_table_may_be_larger_than_an_image(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("labels.tsv")
    info.file_size = info.compress_size = MAX_FILE_BYTES + 1
    assert unsafe_member(info) is None
    for name in ("fer2013.csv", "a.png"):
        with (tmp_path / name).open("wb") as stream:
            stream.truncate(MAX_FILE_BYTES + 1)
    source = open_source(tmp_path)
    assert len(source.read("fer2013.csv")) == MAX_FILE_BYTES + 1
    with pytest.raises(ImageError, match="is larger than"):
        source.read("a.png")


@pytest.mark.parametrize("name", ["happy/a.png", "happy/a.tif", "a.jpg"])
def test_a_member_that_is_too_large_for_an_image_is_not_read(name: str) -> None:
    info = zipfile.ZipInfo(name)
    info.file_size = info.compress_size = MAX_FILE_BYTES + 1
    assert unsafe_member(info) == f"unpacks to more than {MAX_FILE_BYTES >> 20} MiB"
    info.file_size = info.compress_size = MAX_FILE_BYTES
    assert unsafe_member(info) is None


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


def test_a_folder_with_content_is_said(tmp_path: Path) -> None:
    members = {"happy/": b"", "happy/x.png/": b"an image", "sad/": b"x", "sad/a.png": b"1", "y.png\\": b"2"}
    source = ZipSource(make_zip(tmp_path / "a.zip", members))
    reason = "has content, but the name of a folder"
    assert refused(source) == {"happy/x.png": reason, "sad": reason}
    assert (source.names, source.folders) == (["sad/a.png", "y.png"], ["happy", "happy/x.png", "sad"])


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


def test_of_two_members_with_one_name_the_later_is_read_and_the_other_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    members = [("happy/a.jpg", b"1"), ("happy/b.jpg", b"2"), ("happy/a.jpg", b"3"), ("happy/b.jpg", b"2"),
               ("happy//c.jpg", b"4"), ("./happy/c.jpg", b"5"), ("happy/d\0.jpg", b"6"),
               ("happy/d\1.jpg", b"7")]  # fmt: skip
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name.replace("\0", "?"), data)
    path.write_bytes(path.read_bytes().replace(b"d?", b"d\0").replace(b"d\1", b"d\0"))
    source = ZipSource(path)
    assert {name: source.read(name) for name in ("happy/a.jpg", "happy/b.jpg", "happy/c.jpg", "happy/d")} == {
        "happy/a.jpg": b"3", "happy/b.jpg": b"2", "happy/c.jpg": b"5", "happy/d": b"7",
    }  # fmt: skip
    twice = "is twice in the archive; the later one is read"
    assert refused(source) == dict.fromkeys(["happy/a.jpg", "happy/c.jpg", "happy/d"], twice)
    items = [(Path(item.name).name, item.problem) for item in Inputs([str(path)])]
    assert items == [("a.jpg", None), ("a.jpg", twice), ("b.jpg", None), ("c.jpg", None), ("c.jpg", twice)]


def test_an_archive_in_an_archive_is_named(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"happy/a.jpg": b"1"}).read_bytes()
    path = make_zip(tmp_path / "a.zip", {"d/inner.zip": inner})
    with pytest.raises(InputError, match=r"a\.zip: has no images or videos in it, but d/inner\.zip; unpack it"):
        list(Inputs([str(path)]))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (24, struct.pack("<I", 300), "is damaged inside the archive (Bad CRC-32"),  # it unpacks to more
        (24, struct.pack("<I", 900), None),  # and to less: the check sum is right
        (20, struct.pack("<I", 2**31), None),  # packed, it is larger than the archive
        (42, struct.pack("<I", 5), "is damaged inside the archive (Bad magic number"),
        (42, struct.pack("<I", 2**31), "is damaged inside the archive ("),
        (10, struct.pack("<H", 99), "is damaged inside the archive (That compression method is not supported)"),
    ],
)
def test_a_directory_that_lies_is_one_line_or_does_no_harm(
    place: int, value: bytes, words: str | None, tmp_path: Path
) -> None:
    content = os.urandom(500)
    path = make_zip(tmp_path / "a.zip", {"happy/a.jpg": content, "sad/b.jpg": b"b"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02") + place
    data[start : start + len(value)] = value
    path.write_bytes(data)
    source = ZipSource(path)
    assert source.read("sad/b.jpg") == b"b"
    if words is None:
        assert source.read("happy/a.jpg") == content
        return
    with pytest.raises(ImageError) as caught:
        source.read("happy/a.jpg")
    assert str(caught.value).startswith(f"happy/a.jpg: {words}")
    assert "\n" not in str(caught.value)
