"""`mien fix` beside its page: the list of what to look at, merging, its end, and one line for every mistake."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.data.fixes.records import FILE_NAME, Fix
from mien.data.fixes.store import FixesFile, read_fixes

Call = Callable[..., tuple[int, str, str]]


def fix(decision: str, label: str = "", who: str = "") -> Fix:
    return Fix("1" * 64, "sad/a.png", decision, label, "sad", who=who)  # type: ignore[arg-type]


def test_every_image_is_a_row_with_the_reason(faces: Path, tmp_path: Path, call: Call) -> None:
    status, out, _ = call("fix", faces, "--jsonl", "-", "--no-detect", "--out", tmp_path / "fixes.csv")
    assert status == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 40
    assert all(row["kind"] and row["reason"] for row in rows)
    assert sum(row["sampled"] for row in rows) == 10
    assert not (faces / FILE_NAME).exists()


def test_the_list_says_what_is_left(faces: Path, tmp_path: Path, call: Call) -> None:
    status, out, err = call("fix", faces, "--list", "--no-detect", "--out", tmp_path / "fixes.csv")
    assert status == 0
    assert f"reading 40 images of {faces} ..." in err, "it takes a while until anything else is printed"
    assert "how many of the rest are wrong" in out
    assert "labelled" in out


def test_merging_shows_the_conflicts(tmp_path: Path, call: Call) -> None:
    mine, other = tmp_path / FILE_NAME, tmp_path / "ben.csv"
    FixesFile(mine).append([fix("keep", "sad", "Ada")])
    FixesFile(other).append([fix("leave-out")])
    status, out, err = call("fix", tmp_path, "--merge", other)
    assert status == 1
    assert "1 decision added from" in out
    assert "sad/a.png: people disagree: Ada: kept as sad; ben: left out" in out
    assert "people disagree about 1 image" in err
    assert len(read_fixes(mine).fixes) == 2
    status, out, _ = call("fix", tmp_path, "--merge", other)
    assert status == 1
    assert "0 decisions added" in out


def test_rows_that_cannot_be_merged_are_named(tmp_path: Path, call: Call) -> None:
    other = tmp_path / "ben.csv"
    FixesFile(other).append([fix("keep", "sad"), fix("leave-out")])
    whole = other.read_text("utf-8")
    other.write_text(whole.replace("leave-out", "b\x1burn"), "utf-8")
    status, out, err = call("fix", tmp_path, "--merge", other)
    assert status == 1
    assert "1 decision added from" in out
    assert f"{other}: line 3: " in err
    assert "1 row cannot be read: not added" in err
    assert "\x1b" not in out + err
    other.write_text(whole[:-20], "utf-8")
    status, _, err = call("fix", tmp_path, "--merge", other)
    assert status == 1
    assert "its last row is cut short: not added" in err
    other.write_text(whole, "utf-8")
    assert call("fix", tmp_path, "--merge", other)[0] == 0
    assert len(read_fixes(tmp_path / FILE_NAME).fixes) == 2


def end_of(folder: Path, *flags: str) -> list[str]:
    """What `mien fix faces` says after Ctrl-C in a folder, without what it says of the data."""
    pytest.importorskip("uvicorn", reason="the server is not installed: pip install 'mien[serve]'")
    command = [sys.executable, "-m", "mien", "fix", "faces", "--no-browser", *flags]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert "http://" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 0
    return [line for line in said.splitlines() if line.startswith("mien: ")]


def test_the_end_says_what_was_decided_and_what_is_next(faces: Path, tmp_path: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "faces")
    assert end_of(tmp_path) == ["mien: stopped"], "nothing was decided"
    happy, sad = (sorted((data / label).iterdir()) for label in ("happy", "sad"))
    rows = [(image, "keep", "happy") for image in happy[:3]] + [(sad[0], "relabel", "happy"), (sad[1], "leave-out", "")]
    fixes = [
        Fix(hashlib.sha256(image.read_bytes()).hexdigest(), f"{image.parent.name}/{image.name}", kind, label, was)  # type: ignore[arg-type]
        for image, kind, label in rows for was in [image.parent.name]
    ]  # fmt: skip
    FixesFile(data / FILE_NAME).append(fixes)
    count = "5 of 40 images are decided (3 kept, 1 relabelled, 1 left out)"
    assert end_of(tmp_path) == [
        f"mien: {Path('faces') / FILE_NAME}: {count}; next: mien train faces", "mien: stopped",
    ]  # fmt: skip
    (data / FILE_NAME).rename(tmp_path / "my fixes.csv")
    flags = ("--classes", "happy,sad", "--detect", "no")
    ends = [f"mien: my fixes.csv: {count}; next: mien train faces {' '.join(flags)} --fixes 'my fixes.csv'"]
    assert end_of(tmp_path, *flags, "--out", "my fixes.csv") == [*ends, "mien: stopped"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("--merge", "none.csv"), "no such file"), (("--list", "--classes", "happy"), "give at least two names"),
     (("--list",), "--classes")],
)  # fmt: skip
def test_a_bad_call_is_one_line(
    arguments: tuple[str, ...], reason: str, faces: Path, tmp_path: Path, call: Call
) -> None:
    for path in (faces / "sad").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    status, out, err = call("fix", tmp_path, *arguments)
    assert (status, out) == (2, "")
    assert reason in err
    assert err.count("\n") == 1
