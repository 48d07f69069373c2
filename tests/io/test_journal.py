"""A journal keeps what was whole, drops what was cut short, and belongs to one job."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mien.errors import OutputError
from mien.io.journal import Journal

JOB: dict[str, Any] = {"model": "m", "list of inputs": {"count": 3, "names": ("a", "ü", "\udce9")}}
ROWS: list[dict[str, Any]] = [
    {"source": name, "faces": [1.5, None]} for name in ("a", "two\nlines", "ü\u2028", "\udce9")
]


def write(out: Path, rows: list[dict[str, Any]], job: dict[str, Any] = JOB) -> bytes:
    with Journal(out, job) as journal:
        for row in rows:
            journal.append(row)
        return journal.path.read_bytes()


def rows_of(out: Path) -> list[dict[str, Any]]:
    with Journal(out, JOB) as journal:
        return [row for row, _ in journal.replay()]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out.csv"
    write(out, ROWS)
    assert [path.name for path in out.parent.iterdir()] == ["out.csv.part"]
    assert rows_of(out) == ROWS


@example(cut=142, tail=b"\n")
@given(cut=st.integers(0, 10_000), tail=st.sampled_from([b"", b"\0" * 40, b'{"source"', b"\xff\n", b"[1]\n", b"\n"]))
@settings(max_examples=200)
def test_whatever_is_cut_off_the_rows_before_stay(
    cut: int, tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("journal") / "out.csv"
    whole = write(out, ROWS)
    head = whole.index(b"\n") + 1
    cut = min(cut % len(whole), len(whole))
    part = out.with_name("out.csv.part")
    part.write_bytes(whole[:cut] + tail)
    if cut < head and not whole.startswith((whole[:cut] + tail).rstrip(b"\0")):
        with pytest.raises(OutputError, match="was not written by mien"):
            Journal(out, JOB)
        assert part.read_bytes() == whole[:cut] + tail
        return
    # What follows may happen to be what was cut off.
    lines = zip(whole.splitlines(True), (whole[:cut] + tail).splitlines(True), strict=False)
    kept = max(sum(line == found for line, found in lines) - 1, 0)
    with Journal(out, JOB) as journal:
        found = list(journal.replay())
        assert [row for row, _ in found] == ROWS[:kept]
        journal.keep(kept, found[-1][1] if found else None)
        for row in ROWS[kept:]:
            journal.append(row)
        assert journal.rows == len(ROWS)
    assert part.read_bytes() == whole


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_of_flipped_bits_none_comes_back(place: int, bit: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("journal") / "out.csv"
    whole = bytearray(write(out, ROWS))
    head = whole.index(b"\n") + 1
    place = head + place % (len(whole) - head)
    line = whole.count(b"\n", 0, place)
    whole[place] ^= 1 << bit
    out.with_name("out.csv.part").write_bytes(whole)
    with Journal(out, JOB) as journal:
        assert [row for row, _ in journal.replay()] == ROWS[: line - 1]
        last_end_is_gone = line == len(ROWS) and not whole.endswith(b"\n")  # as if it had been cut short
        assert journal.damaged == (None if last_end_is_gone else f"{out}.part: line {line + 1}")


def test_rows_that_are_damaged_or_gone_at_the_end_are_said(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", JOB) as journal:
        for row in ROWS:
            journal.append(row)
        assert list(journal.all_rows()) == ROWS
        whole = journal.path.read_bytes()
        journal.path.write_bytes(whole.replace(b"1.5", b"1.6", 3)[:-1])
        said = r"out\.csv\.part: only 0 of its 4 rows are as they were written; nothing was kept"
        with pytest.raises(OutputError, match=said):
            list(journal.all_rows())


def test_it_is_removed_when_it_is_finished_or_holds_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with Journal(out, JOB) as journal:
        assert journal.path.exists()
    assert list(tmp_path.iterdir()) == []
    write(out, ROWS)
    with Journal(out, JOB) as journal:
        assert journal.resumed
    assert rows_of(out) == ROWS
    with Journal(out, JOB) as journal:
        journal.finish()
    assert list(tmp_path.iterdir()) == []


def test_another_job_is_refused_by_name_and_nothing_is_touched(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    whole = write(out, ROWS)
    other = {**JOB, "model": "n"}
    with pytest.raises(OutputError, match=r"out\.csv\.part: was begun with another model; delete it to start over, or"):
        Journal(out, other)
    with pytest.raises(OutputError, match="another model and another list of inputs;"):
        Journal(out, {"model": "n", "list of inputs": None})
    assert out.with_name("out.csv.part").read_bytes() == whole


@pytest.mark.parametrize("data", [b"mine", b"mine\n", b'{"a": 1}\n', b"\n", b"\xff" * 5000])
def test_a_file_of_somebody_else_is_never_touched(tmp_path: Path, data: bytes) -> None:
    part = tmp_path / "out.csv.part"
    part.write_bytes(data)
    with pytest.raises(OutputError, match="was not written by mien"):
        Journal(tmp_path / "out.csv", JOB)
    assert part.read_bytes() == data


def test_two_processes_do_not_write_one_journal(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    with Journal(out, JOB) as journal:
        journal.append(ROWS[0])
        with pytest.raises(OutputError, match="by another process"):
            Journal(out, JOB)
        journal.append(ROWS[1])
    assert rows_of(out) == ROWS[:2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_that_says_what_is_kept(tmp_path: Path) -> None:
    with Journal(tmp_path / "out.csv", JOB) as journal:
        journal.append(ROWS[0])
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, journal._file)
        os.close(full)
        with pytest.raises(OutputError, match=r"No space left on device\); 1 rows are kept in .*out\.csv\.part"):
            journal.append(ROWS[1])
    assert rows_of(tmp_path / "out.csv") == ROWS[:1]
