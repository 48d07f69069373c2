"""What a person may name is gone through in one order, lazily, and what cannot be read is an entry that says why."""

import io
import os
import socket
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.data.synthetic.faces import draw_face
from mien.errors import ImageError, InputError
from mien.io import inputs
from mien.io.folders import MAX_DEPTH
from mien.io.inputs import Inputs, matches

Nobody = Callable[[], AbstractContextManager[None]]
JPEG = b"\xff\xd8\xff\xe0 and so on"


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def listed(*names: object, stdin: bytes = b"", **options: Any) -> list[str]:
    return [entry.name for entry in Inputs([str(name) for name in names], io.BytesIO(stdin), **options)]


def faults(*names: object) -> dict[str, str]:
    found = {entry.name: entry.image() for entry in Inputs([str(name) for name in names])}
    return {name: image.reason for name, image in found.items() if isinstance(image, ImageError)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Folders


def test_a_folder_gives_its_images_sorted_by_the_parts_of_their_paths(here: Path) -> None:
    fill(here, "in/b.png", "in/a.JPG", "in/a/2.webp", "in/a/10.webp", "in/a-b/1.gif", "in/notes.txt", "in/clip.mp4",
         "in/.hidden.png", "in/.git/x.png", "in/__MACOSX/x.png", "in/Thumbs.db")  # fmt: skip
    expected = ["in/a/10.webp", "in/a/2.webp", "in/a-b/1.gif", "in/a.JPG", "in/b.png", "in/clip.mp4"]
    assert listed("in") == sorted(expected, key=lambda name: Path(name).parts)
    assert listed("in/") == listed("in")
    assert listed(here / "in") == [str(here / name) for name in listed("in")]
    assert listed("in", "in/b.png") == [*listed("in"), "in/b.png"]


def test_an_image_without_its_ending_is_known_by_its_first_bytes(here: Path) -> None:
    fill(here, "in/text", "in/note.md")
    for name, data in {"photo": JPEG, "img.php": b"\x89PNG\r\n\x1a\n..", "w.bin": b"RIFF....WEBPVP8 "}.items():
        (here / "in" / name).write_bytes(data)
    with zipfile.ZipFile("a.zip", "w") as archive:
        for path in sorted((here / "in").iterdir()):
            archive.write(path, path.name)
    assert listed("in") == ["in/img.php", "in/photo", "in/w.bin"]
    assert listed("a.zip") == ["a.zip/img.php", "a.zip/photo", "a.zip/w.bin"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_an_entry_and_is_never_opened(here: Path) -> None:
    fill(here, "in/z.png")
    os.mkfifo("in/fifo.jpg")
    os.mkfifo("in/fifo")
    (here / "in" / "gone.jpg").symlink_to("nowhere")
    (here / "in" / "loop.jpg").symlink_to("loop.jpg")
    (here / "in" / "folder.jpg").mkdir()
    fill(here, "in/full.jpg/inner.png", "in/odd.jpg/notes.txt")
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s.jpg")  # a socket's path must be short
        (here / "in" / "socket.jpg").symlink_to(f"{short}/s.jpg")
        assert listed("in") == [
            *("in/fifo.jpg", "in/folder.jpg", "in/full.jpg/inner.png", "in/gone.jpg", "in/loop.jpg", "in/odd.jpg"),
            *("in/socket.jpg", "in/z.png"),
        ]
    assert listed("in/fifo.jpg", "in/gone.jpg") == ["in/fifo.jpg", "in/gone.jpg"]


def test_links_are_followed_but_not_in_circles(here: Path) -> None:
    fill(here, "elsewhere/1.png", "in/2.png")
    (here / "in" / "there").symlink_to(here / "elsewhere")
    (here / "elsewhere" / "back").symlink_to(here / "in")
    assert listed("in") == ["in/2.png", "in/there/1.png"]


def test_a_folder_may_be_left_out(here: Path) -> None:
    fill(here, "in/1.png", "in/drawn/1.png", "in/drawn/deep/2.png")
    assert listed("in", exclude=here / "in" / "drawn") == ["in/1.png"]
    assert listed("in/**/*.png", exclude=Path("in/drawn")) == ["in/1.png"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, as_nobody: Nobody) -> None:
    data = fill(tmp_path / "in", "a.png", "shut/b.png", "z.png")
    (data / "shut").chmod(0)
    try:
        with as_nobody():
            assert listed(data) == [str(data / name) for name in ("a.png", "shut", "z.png")]
            assert faults(data) == {str(data / "shut"): "the folder cannot be read (Permission denied)"}
            with pytest.raises(InputError, match=r"shut: the folder cannot be read \(Permission denied\)"):
                listed(data / "shut")
    finally:
        (data / "shut").chmod(0o755)


# Globs


def test_a_glob_is_expanded_in_order(here: Path) -> None:
    fill(here, "in/b.png", "in/a.png", "in/c.jpg", "in/d/e.png", "in/d/f/g.png", "in/[1].png", "in/notes.txt", "x.png")
    assert listed("in/*.png") == ["in/[1].png", "in/a.png", "in/b.png"]
    assert listed("in/*") == ["in/[1].png", "in/a.png", "in/b.png", "in/c.jpg"]
    assert listed("in/**/*.png") == ["in/[1].png", "in/a.png", "in/b.png", "in/d/e.png", "in/d/f/g.png"]
    assert listed("in/**") == listed("in")
    assert listed("*/d/?.png") == ["in/d/e.png"]
    assert listed("**/[eg].png") == ["in/d/e.png", "in/d/f/g.png"]
    assert listed(here / "in" / "?.jpg") == [str(here / "in" / "c.jpg")]
    assert listed("in/[1].png") == ["in/[1].png"], "a file of that very name goes before a pattern"
    assert listed("*.png", "in/c.jpg") == ["x.png", "in/c.jpg"]


@given(
    parts=st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=4),
    pattern=st.lists(st.sampled_from(["a", "*", "?", "[ab]", "a*", "**"]), min_size=1, max_size=4),
)
def test_globs_match_part_by_part(parts: list[str], pattern: list[str]) -> None:
    """Against the definition: every `**` is replaced by each number of `*` that can be meant."""
    meant: list[list[str]] = [[]]
    for number, one in enumerate(pattern, 1):
        least = 1 if number == len(pattern) else 0
        choices = [["*"] * count for count in range(least, 5)] if one == "**" else [[one]]
        meant = [[*before, *choice] for before in meant for choice in choices]
    expected = any(
        len(plain) == len(parts) and all(fnmatchcase(part, one) for part, one in zip(parts, plain, strict=True))
        for plain in meant
    )
    assert matches(parts, pattern) is expected


def test_a_glob_of_many_stars_asks_about_each_part_once_per_star(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    def count(part: str, pattern: str) -> bool:
        nonlocal asked
        asked += 1
        return fnmatchcase(part, pattern)

    monkeypatch.setattr(inputs, "fnmatchcase", count)
    parts, pattern = ["a"] * MAX_DEPTH, ["**", "a"] * 30 + ["b"]
    assert not matches(parts, pattern)
    assert asked <= len(parts) * len(pattern)


# Lists and standard input


def test_lists_give_a_path_per_line(here: Path) -> None:
    names = ["a\u2028b.png", "c\x0cd.png", "e\x85f.png", "a.png", "a.png", "folder"]
    Path("list.txt").write_bytes(("\ufeff" + "\r\n".join(names) + "\n\n  ").encode())
    assert listed("list.txt") == names
    assert listed("-", stdin=Path("list.txt").read_bytes()) == names
    Path("latin.txt").write_bytes(b"caf\xe9.png\n")
    assert listed("latin.txt") == ["caf\udce9.png"], "a name is bytes; what find prints is read as it is"
    assert listed("-", "list.txt", stdin=b"z.png\ncaf\xe9.png") == ["z.png", "caf\udce9.png", *names]


def test_a_long_list_is_not_held(here: Path) -> None:
    with Path("list.txt").open("w") as stream:
        stream.writelines(f"image-{number}.png\n" for number in range(100_000))
    entries = iter(Inputs(["list.txt"]))
    assert next(entries).name == "image-0.png"
    assert sum(1 for _ in entries) == 99_999


# Archives


def test_an_archive_is_read_in_place(here: Path) -> None:
    members = {"d/b.png": b"b", "d/a.png": b"a", "d/deep/er/c.jpg": b"c", "d/notes.txt": b"", "__MACOSX/x.png": b"x"}
    with zipfile.ZipFile("photos.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    found = {entry.name: entry.image() for entry in Inputs(["photos.zip"])}
    assert found == {"photos.zip/d/a.png": b"a", "photos.zip/d/b.png": b"b", "photos.zip/d/deep/er/c.jpg": b"c"}
    assert list(found) == sorted(found)
    assert [path.name for path in here.iterdir()] == ["photos.zip"]


def test_members_that_must_not_or_cannot_be_read_are_entries(here: Path) -> None:
    with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_STORED) as archive:
        for name in ("../evil.png", "/etc/evil.png", "good.png", "hurt.png", "locked.png", "../passwd"):
            archive.writestr(name, b"some bytes of " + name.encode())
        archive.writestr("bomb.png", bytes(80 * 2**20), zipfile.ZIP_DEFLATED, 1)
    data = bytearray(Path("a.zip").read_bytes())
    data[data.index(b"some bytes of hurt")] ^= 255
    data[data.index(b"locked.png") - 24] |= 1
    data[data.rindex(b"locked.png") - 38] |= 1
    Path("a.zip").write_bytes(data)
    found = faults("a.zip")
    assert found.pop("a.zip/hurt.png").startswith("is damaged inside the archive")
    assert "bomb" in found.pop("a.zip/bomb.png")
    assert found == {
        "a.zip/../evil.png": "its path leaves the archive",
        "a.zip//etc/evil.png": "its path leaves the archive",
        "a.zip/locked.png": "is encrypted",
    }
    assert "a.zip/good.png" in listed("a.zip")


# What is refused


def test_names_that_cannot_be_used_are_one_line(here: Path) -> None:
    fill(here, "damaged.zip", "empty/notes.txt", "photo.png")
    with zipfile.ZipFile("none.zip", "w") as archive:
        archive.writestr("notes.txt", b"")
    Path("none.txt").write_text(" \n\n")
    Path("binary.txt").write_bytes(b"a.png\n\xff\xfe\0")
    image = JPEG + b"\n" + b"more"
    cases: dict[str, tuple[list[str], bytes]] = {
        "absent.png: no such file or folder": (["absent.png"], b""),
        "pohto.png: no such file or folder; did you mean 'photo.png'?": (["pohto.png"], b""),
        "'': an empty name": ([""], b""),
        "damaged.zip: is not a readable zip archive": (["damaged.zip"], b""),
        "none.zip: has no images or videos in it": (["none.zip"], b""),
        "empty: has no images or videos in it": (["empty"], b""),
        "none.txt: lists no paths": (["none.txt"], b""),
        "binary.txt: is not a readable list": (["binary.txt"], b""),
        "*.jpg: matches no images or videos": (["*.jpg"], b""),
        "nowhere: the folder cannot be read (No such file or directory)": (["nowhere/*.jpg"], b""),
        "-: standard input names no images or videos": (["-"], b"\n \n"),
        "-: standard input is read as paths": (["-"], image),
        "-: standard input can be read only once": (["-", "-"], b"a.png"),
    }
    for words, (names, stdin) in cases.items():
        with pytest.raises(InputError) as caught:
            listed(*names, stdin=stdin)
        assert str(caught.value).startswith(words)
        assert "\n" not in str(caught.value)


# Counting


def test_the_survey_changes_with_every_name_and_their_order(here: Path) -> None:
    fill(here, "in/a.png", "in/b.png")
    before = Inputs(["in"]).summarise()
    assert before.count == 2
    assert Inputs(["in/a.png", "in/b.png"]).summarise() == before
    assert Inputs(["in/b.png", "in/a.png"]).summarise() != before
    fill(here, "in/c.png")
    assert Inputs(["in"]).summarise() != before
    assert Inputs(["in", "-"], io.BytesIO(b"x.png")).summarise().count is None


def test_entries_are_what_the_reader_takes(here: Path, make_bundle: Callable[..., Path]) -> None:
    from PIL import Image

    import mien

    Image.fromarray(draw_face("happy", 1, 40)).save("a.png")
    with zipfile.ZipFile("a.zip", "w") as archive:
        archive.write("a.png", "deep/a.png")
    images = ((entry.name, entry.image()) for entry in Inputs(["a.png", "a.zip", "a.png"]))
    rows = list(mien.load(make_bundle()).predict_named(images))
    assert [row.source for row in rows] == ["a.png", "a.zip/deep/a.png", "a.png"]
    assert rows[0].face == rows[1].face
