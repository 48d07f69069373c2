"""Where results go: files appear whole, devices are written to, and bad names are refused before long work."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien.errors import ConfigError, OutputError
from mien.io.targets import (
    UniqueStems,
    free_folder,
    is_device,
    refuse_file_name,
    require_new_folder,
    require_writable,
    same_file,
    write_output,
    write_pieces,
)


@pytest.mark.parametrize("names", [["a.png", "a-2.png", "b/a.png", "A.jpg"], ["a.png"] * 4, ["", "..", "x" * 300, "."]])
def test_no_stem_is_given_twice(names: list[str]) -> None:
    stems = UniqueStems()
    given = [stems(name) for name in names]
    assert len({name.lower() for name in given}) == len(names)
    assert all(name and len(name) < 100 and "/" not in name for name in given)


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.txt"

    def pieces() -> Iterator[str]:
        yield "a"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        write_pieces(pieces(), str(target))
    assert list(target.parent.iterdir()) == []
    write_output("whole", str(target))
    assert target.read_text() == "whole"


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    write_output("caf\udce9\n", "-")
    assert capfdbinary.readouterr().out == b"caf\\udce9\n"


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    require_writable("-")
    require_writable(tmp_path / "a" / "b.csv")
    with pytest.raises(OutputError, match="is a folder; give a file name"):
        require_writable(tmp_path)
    with pytest.raises(OutputError, match="is not a folder that you may write to"):
        require_writable(tmp_path / "file" / "out.csv")
    require_new_folder(tmp_path / "out")
    with pytest.raises(OutputError, match="already exists"):
        require_new_folder(tmp_path / "file")


def test_the_first_free_folder_is_taken(tmp_path: Path) -> None:
    assert free_folder(tmp_path, "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / ".run-2.part").mkdir()  # another process is writing it
    assert free_folder(tmp_path, "run") == tmp_path / "run-3"


def test_two_names_of_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").touch()
    Path("link").symlink_to("a")
    assert same_file("a", tmp_path / "x" / ".." / "a")
    assert same_file("link", "a")
    assert same_file("absent", "./absent")
    assert not same_file("a", "absent")


def test_a_folder_is_not_named_like_an_image_or_a_video(tmp_path: Path) -> None:
    for name in ("x.jpg", "x.MP4"):
        with pytest.raises(ConfigError, match="give another"):
            refuse_file_name(tmp_path / name, "give another")
    (tmp_path / "x.jpg").mkdir()
    refuse_file_name(tmp_path / "x.jpg", "give another")  # it exists, so it is meant
    refuse_file_name(tmp_path / "x", "give another")


@pytest.mark.skipif(os.name != "posix", reason="needs a named pipe")
def test_a_pipe_is_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert is_device(tmp_path / "pipe")
    assert not is_device(tmp_path)
    assert not is_device(tmp_path / "absent")
