"""Where results go: files appear whole, devices are written to, and bad names are refused before long work."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from mien.errors import ConfigError, OutputError
from mien.io.targets import (
    PNG,
    UniqueStems,
    free_folder,
    is_device,
    refuse_file_name,
    require_new_folder,
    require_output,
    require_writable,
    same_file,
    write_output,
    write_pieces,
)
from mien.viz.mosaic import save_png


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


@pytest.mark.parametrize(
    ("begins", "own", "other"),
    [
        ("file,label", "file,label,kind\n", "name,label\n"),
        (r'\{"files":\d+', '{\n  "files": 40\n}\n', '{"files": ["a.jpg"]}'),
        ("", "", "file,label\n"),
    ],
)
def test_only_an_earlier_result_of_the_same_kind_is_replaced(tmp_path: Path, begins: str, own: str, other: str) -> None:
    target = tmp_path / "result"
    require_output(target, begins)
    target.write_text(own)
    require_output(target, begins)
    target.write_text(other)
    with pytest.raises(OutputError, match="result: already exists and is not an earlier result of this kind; choose"):
        require_output(target, begins)
    target.write_text("")  # as mktemp makes it
    require_output(target, begins)


def test_only_a_png_that_mien_has_drawn_is_replaced(tmp_path: Path) -> None:
    image, target = Image.new("RGB", (4, 4)), tmp_path / "a.png"
    save_png(image, target)
    require_output(target, PNG)
    for ending in ("PNG", "JPEG"):
        image.save(target, ending)
        with pytest.raises(OutputError, match="not an earlier result"):
            require_output(target, PNG)
    target.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(OutputError, match="not an earlier result"):
        require_output(target, PNG)


def test_inputs_are_never_written_to(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "happy").mkdir(parents=True)
    (data / "labels.csv").write_text("file,label\n")
    (tmp_path / "link").symlink_to(data)
    for target in (data / "labels.csv", tmp_path / "link" / "labels.csv"):
        with pytest.raises(OutputError, match="is one of the inputs"):
            require_output(target, "file,label", None, data / "labels.csv")
    for target in (data / "happy" / "new.csv", tmp_path / "link" / "happy" / "new.csv", data / "deep" / "new.csv"):
        with pytest.raises(OutputError, match=r"lies inside .*data, which mien does not change"):
            require_output(target, "file,label", data)
    for target in (data / "new.csv", tmp_path / "happy" / "new.csv"):
        require_output(target, "file,label", data)
    with pytest.raises(OutputError, match="lies inside"):
        require_new_folder(data / "report", data)
    require_new_folder(tmp_path / "report", data, None)


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
