"""Results appear whole or not at all."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mien.errors import OutputError
from mien.io.atomic import is_locked, locked, new_file, new_folder, read_json, refuse_existing, write_text

#: Hold a lock file until a line comes or the process is killed.
HOLDER = """
import sys
from pathlib import Path
from mien.io.atomic import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""

#: Add one to the number in a file, so often that processes that did so at the same time would lose some.
ADDER = """
import sys
from pathlib import Path
from mien.io.atomic import locked
number = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with locked(number.with_name(".lock"), wait=0.001):
        number.write_text(str(int(number.read_text()) + 1))
"""


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


def test_a_file_of_a_new_folder_is_named_by_its_final_path(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, new_folder(tmp_path / "out") as folder:
        (folder / "a.txt").mkdir()
        write_text(folder / "a.txt", "a")
    assert str(caught.value).startswith(f"{tmp_path / 'out' / 'a.txt'}")
    assert ".part" not in str(caught.value)


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


@contextmanager
def holder(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process, which holds a lock file."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def let_go(process: "subprocess.Popen[str]") -> None:
    process.communicate("\n")
    assert process.returncode == 0


def test_another_process_is_refused_until_the_lock_is_free(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as other:
        assert is_locked(path)
        refused = pytest.raises(OutputError, match=r"out: is being written by another process; wait, or give another")
        with refused, locked(path, tmp_path / "out"):
            pytest.fail("the block must not run")
        assert listing(tmp_path) == [".lock"], "its file was removed"
        let_go(other)
    assert not is_locked(path)
    assert listing(tmp_path) == []
    with locked(path):
        assert is_locked(path)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("end", [let_go, subprocess.Popen.kill])
def test_who_waits_gets_the_lock_however_its_holder_ends(
    tmp_path: Path, end: Callable[["subprocess.Popen[str]"], None]
) -> None:
    path, waiting = tmp_path / ".lock", threading.Event()
    got = list[bool]()

    def wait() -> None:
        with locked(path, wait=0.01, on_wait=waiting.set):
            got.append(is_locked(path))

    with holder(path) as other:
        thread = threading.Thread(target=wait)
        thread.start()
        waiting.wait()
        assert got == []
        end(other)
        thread.join()
    assert got == [True]
    assert listing(tmp_path) == []


def test_the_file_of_a_killed_process_locks_nothing_and_goes_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holder(path) as other:
        other.kill()
        other.wait()
    assert listing(tmp_path) == [".lock"]
    assert not is_locked(path)
    with pytest.raises(RuntimeError), locked(path):
        raise RuntimeError
    assert listing(tmp_path) == []


def test_one_process_at_a_time_runs_the_block(tmp_path: Path) -> None:
    """A lock file that is removed while others wait for it must not let two in."""
    number = tmp_path / "number"
    number.write_text("0")
    command = [sys.executable, "-c", ADDER, str(number), "60"]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert number.read_text() == "180"
    assert listing(tmp_path) == ["number"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.skipif(os.name != "posix", reason="how POSIX says that a file system has no locks")
def test_without_locks_of_the_file_system_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    import fcntl

    def refuse(handle: int, kind: int) -> None:
        if kind & fcntl.LOCK_EX:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / ".lock"):
        assert not is_locked(tmp_path / ".lock")
    assert listing(tmp_path) == []


def test_where_no_lock_file_can_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = pytest.raises(OutputError, match=r"out: cannot be written \(")
    with refused, locked(tmp_path / "file" / ".lock", tmp_path / "out"):
        pytest.fail("the block must not run")
    assert not is_locked(tmp_path / "none" / ".lock")
