"""The file of decisions keeps every decision that was confirmed, whatever ends the process, and whoever else writes."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mien.data.fixes.records import FILE_NAME, Fix, parse_fixes
from mien.data.fixes.store import FixesFile, fixes_path, read_fixes
from mien.errors import DataError, OutputError

A, B = Fix("a" * 64, "sad/a.jpg", "keep", "sad", "sad"), Fix("b" * 64, "sad/b.jpg", "leave-out", "", "sad")


def add(path: Path, start: int, count: int) -> None:
    file = FixesFile(path)
    for number in range(start, start + count):
        file.append([Fix(f"{number:064x}", f"{number}.jpg", "keep", "sad")])


def test_decisions_are_dated_in_order_and_read_back(tmp_path: Path) -> None:
    file = FixesFile(tmp_path / FILE_NAME)
    first = file.append([A, B])
    second = file.append([A])
    times = [fix.when for fix in (*first, *second)]
    assert times == sorted(set(times))
    assert read_fixes(file.path).fixes == (*first, *second)
    assert list(tmp_path.iterdir()) == [file.path]  # no lock file stays


def test_a_clock_that_was_put_back_does_not_turn_the_order(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    FixesFile(path).append([A])
    path.write_text("".join([*path.read_text().splitlines(True)[:1], A_FAR]))
    assert FixesFile(path).append([B])[0].when == "2999-01-01T00:00:00.002Z"


A_FAR = Fix(A.sha256, A.path, "keep", "sad", "sad", when="2999-01-01T00:00:00.000Z").to_line().decode()


def test_a_cut_row_is_dropped_by_the_next_decision(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    kept = FixesFile(path).append([A])
    path.write_bytes(path.read_bytes() + B.to_line()[:70])
    assert read_fixes(path).cut_short
    added = FixesFile(path).append([B])
    found = read_fixes(path)
    assert found.fixes == (*kept, *added)
    assert not found.cut_short
    assert found.bad_rows == ()


def test_a_last_row_without_its_line_break_is_kept(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    kept = FixesFile(path).append([A])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert read_fixes(path).fixes == (*kept, *()) == tuple(kept)
    assert read_fixes(path).fixes + tuple(FixesFile(path).append([B])) == read_fixes(path).fixes


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_no_confirmed_decision_is_lost_by_a_kill(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    code = f"""
from pathlib import Path
from mien.data.fixes.records import Fix
from mien.data.fixes.store import FixesFile
file = FixesFile(Path({str(path)!r}))
for number in range(100000):
    file.append([Fix(f"{{number:064x}}", f"{{number}}.jpg", "keep", "sad")])
    print(number, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 20:
            process.send_signal(signal.SIGKILL)
            break
    confirmed = [20, *(int(line) for line in process.stdout.read().splitlines() if line)]
    process.wait()
    process.stdout.close()
    assert len(read_fixes(path).fixes) > max(confirmed)
    before = read_fixes(path).fixes
    assert (*before, *FixesFile(path).append([A])) == read_fixes(path).fixes


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=add, args=(path, start, 15)) for start in (0, 100)]
    for one in others:
        one.start()
    for one in others:
        one.join()
    found = read_fixes(path)
    assert {fix.path for fix in found.fixes} == {f"{n}.jpg" for n in (*range(15), *range(100, 115))}
    assert found.bad_rows == ()


def test_what_others_wrote_is_seen(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    mine, other = FixesFile(path), FixesFile(path)
    assert not mine.refresh()
    other.append([B])
    assert mine.refresh()
    assert [fix.path for fix in mine.found.fixes] == [B.path]
    mine.append([A])
    assert [fix.path for fix in read_fixes(path).fixes] == [B.path, A.path]


def test_a_file_that_a_spreadsheet_saved_is_written_anew_with_all_in_it(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    kept = FixesFile(path).append([A])
    text = path.read_text().replace(",", ";").replace("\n", "\r\n") + "my own note;\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    added = FixesFile(path).append([B])
    found = read_fixes(path)
    assert found.fixes == (*kept, *added)
    assert b"my own note;" in path.read_bytes()
    assert [bad.reason for bad in found.bad_rows] == ["it has too few cells"]


def test_a_decision_behind_two_joined_files_is_its_own_persons(tmp_path: Path) -> None:
    path, other = tmp_path / FILE_NAME, tmp_path / "other.csv"
    FixesFile(path).append([A])
    FixesFile(other).append([B])
    path.write_bytes(path.read_bytes() + other.read_bytes())
    FixesFile(path).append([A])
    assert [(fix.path, fix.who) for fix in read_fixes(path).fixes] == [(A.path, ""), (B.path, "file 2"), (A.path, "")]


def test_merging_adds_what_is_new_once(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine" / FILE_NAME, tmp_path / "ben" / FILE_NAME
    FixesFile(mine).append([A])
    theirs = FixesFile(other).append([B, Fix(A.sha256, A.path, "leave-out")])
    file = FixesFile(mine)
    added = file.merge(other)
    assert [(fix.path, fix.who, fix.when) for fix in added.fixes] == [(fix.path, "ben", fix.when) for fix in theirs]
    assert not file.merge(other).fixes
    assert len(read_fixes(mine).fixes) == 3
    assert parse_fixes(other.read_bytes()).fixes == tuple(theirs)  # the other file stays as it was


def people_and_copies(first: int) -> list[Fix]:
    """A thousand people who each decided about another copy of one image."""
    return [Fix("c" * 64, f"{number}.jpg", "keep", "sad", who=f"{number}") for number in range(first, first + 1000)]


def test_a_merge_that_could_not_be_read_again_is_refused_before_it_is_written(tmp_path: Path) -> None:
    mine, other = tmp_path / FILE_NAME, tmp_path / "other.csv"
    FixesFile(mine).append(people_and_copies(0))
    FixesFile(other).append(people_and_copies(1000))
    before, file = mine.read_bytes(), FixesFile(mine)
    words = (
        f"^{mine}: 1,000 further decisions would make a file that is not read again .2,000 people decided about 2,000"
    )
    with pytest.raises(OutputError, match=words):
        file.merge(other)
    with pytest.raises(OutputError, match=words):
        file.append(people_and_copies(1000))
    assert mine.read_bytes() == before
    assert len(FixesFile(mine).append([A])) == 1, "others can be added"
    assert len(read_fixes(mine).fixes) == 1001


def test_a_file_that_would_be_too_large_is_refused_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a bound that takes no half gigabyte to reach."""
    monkeypatch.setattr("mien.data.fixes.store.MAX_LARGE_BYTES", 2**20)
    file = FixesFile(tmp_path / FILE_NAME)
    rows = [Fix(f"{number:064x}", f"{number}-{'x' * 400}.jpg", "keep", "sad") for number in range(1500)]
    file.append(rows)
    with pytest.raises(OutputError, match=r"1,500 further decisions would make a file .* larger than 1 MiB"):
        file.append(rows)
    assert len(read_fixes(file.path).fixes) == 1500


def test_places_of_the_file(tmp_path: Path) -> None:
    assert fixes_path(tmp_path) == tmp_path / "mien-fixes.csv"
    assert fixes_path(tmp_path / "faces.zip") == tmp_path / "faces.zip.mien-fixes.csv"


def test_another_file_is_neither_read_nor_written_over(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("file,label\na.jpg,sad\n")
    with pytest.raises(DataError, match="holds no decisions"):
        FixesFile(path)
    assert path.read_text() == "file,label\na.jpg,sad\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
def test_a_full_disk_is_one_line_and_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / FILE_NAME
    file = FixesFile(path)
    kept = file.append([A])
    before = path.read_bytes()
    real = os.write

    def full(handle: int, data: bytes) -> int:
        real(handle, data[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match="No space left"):
        file.append([B])
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert file.found.fixes == tuple(kept)


def test_decisions_have_a_place_beside_data_of_any_name() -> None:
    """A damaged `run.json` may name what no path can be: reading the data says so, not the search for decisions."""
    name = "a" * 300
    assert fixes_path(Path(name)) == Path(f"{name}.{FILE_NAME}")
