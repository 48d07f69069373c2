"""`mien fix` without its page: the list of what to look at, merging, and one line for every mistake."""

import json
from pathlib import Path

import pytest

from mien.cli import main
from mien.data.fixes.records import FILE_NAME, Fix
from mien.data.fixes.store import FixesFile, read_fixes

Capture = pytest.CaptureFixture[str]


def mien(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def fix(decision: str, label: str = "", who: str = "") -> Fix:
    return Fix("1" * 64, "sad/a.png", decision, label, "sad", who=who)  # type: ignore[arg-type]


def test_every_image_is_a_row_with_the_reason(faces: Path, tmp_path: Path, capsys: Capture) -> None:
    assert mien("fix", faces, "--jsonl", "-", "--no-detect", "--out", tmp_path / "fixes.csv") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 40
    assert all(row["kind"] and row["reason"] for row in rows)
    assert sum(row["sampled"] for row in rows) == 10
    assert not (faces / FILE_NAME).exists()


def test_the_list_says_what_is_left(faces: Path, tmp_path: Path, capsys: Capture) -> None:
    assert mien("fix", faces, "--list", "--no-detect", "--out", tmp_path / "fixes.csv") == 0
    out = capsys.readouterr().out
    assert "40 images to look at" in out
    assert "labelled" in out


def test_merging_shows_the_conflicts(tmp_path: Path, capsys: Capture) -> None:
    mine, other = tmp_path / FILE_NAME, tmp_path / "ben.csv"
    FixesFile(mine).append([fix("keep", "sad", "Ada")])
    FixesFile(other).append([fix("leave-out")])
    assert mien("fix", tmp_path, "--merge", other) == 1
    out, err = capsys.readouterr()
    assert "1 decision added from" in out
    assert "sad/a.png: people disagree: Ada: kept as sad; ben: left out" in out
    assert "people disagree about 1 image" in err
    assert len(read_fixes(mine).fixes) == 2
    assert mien("fix", tmp_path, "--merge", other) == 1
    assert "0 decisions added" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("--merge", "none.csv"), "no such file"), (("--list", "--classes", "happy"), "give at least two names"),
     (("--list",), "--classes")],
)  # fmt: skip
def test_a_bad_call_is_one_line(
    arguments: tuple[str, ...], reason: str, faces: Path, tmp_path: Path, capsys: Capture
) -> None:
    for path in (faces / "sad").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert mien("fix", tmp_path, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
    assert err.count("\n") == 1
