"""Results appear whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from mien.errors import OutputError
from mien.io.atomic import new_file, new_folder, read_json, refuse_existing, write_text


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with new_folder(out) as folder:
        (folder / "a.txt").write_text("a")
        assert not out.exists()
    assert (out / "a.txt").read_text() == "a"
    assert listing(out.parent) == ["out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_nothing_stays_of_a_broken_block(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), new_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
        raise error
    with pytest.raises(error), new_file(tmp_path / "f.txt") as part:
        part.write_text("half")
        raise error
    assert listing(tmp_path) == []


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left") as caught, new_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "\n" not in str(caught.value)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_exists_is_refused_and_untouched(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.write_text("mine")
    else:
        out.symlink_to("nowhere")
    with pytest.raises(OutputError, match="already exists"):
        refuse_existing(out)
    with pytest.raises(OutputError, match="already exists"), new_folder(out):
        pytest.fail("the block must not run")
    assert listing(tmp_path) == ["out"]


def test_a_folder_of_the_users_named_part_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "mine.txt").write_text("mine")
    with new_folder(tmp_path / "out"):
        pass
    write_text(tmp_path / "out.txt", "new")
    assert (tmp_path / "out.part" / "mine.txt").read_text() == "mine"


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as left:
        pass
    (tmp_path / "out").rename(left)
    (left / "half.txt").write_text("half")
    with new_folder(tmp_path / "out") as folder:
        (folder / "whole.txt").write_text("whole")
    assert listing(tmp_path / "out") == ["whole.txt"]


def test_a_file_replaces_the_older_one_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old ü")
    with pytest.raises(OutputError, match="nothing was kept"), new_file(path) as part:
        part.write_text("half")
        raise OSError(errno.EIO, "Input/output error")
    assert path.read_text(encoding="utf-8") == "old ü"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert listing(path.parent) == ["a.txt"]


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file" / "out", tmp_path / ("x" * 300), Path("/proc/nowhere/out")):
        with pytest.raises(OutputError) as caught, new_folder(bad):
            pytest.fail("the block must not run")
        assert "\n" not in str(caught.value)
        with pytest.raises(OutputError):
            write_text(bad, "x")


def test_an_empty_name_is_one_line() -> None:
    for bad in (Path(), Path("/")):
        with pytest.raises(OutputError, match="is a folder; give a name in it"):
            write_text(bad, "x")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", None])
def test_damaged_json_is_one_line(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(OutputError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
