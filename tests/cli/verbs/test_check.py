"""`mien check` and `mien show` from the outside: exit status, JSON, table, and one line for every mistake."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.cli import main
from mien.data.synthetic.corrupt import corrupt_dataset
from mien.data.synthetic.faces import draw_face, write_dataset

Capture = pytest.CaptureFixture[str]
ODD_NAMES = ["[red]a.jpg", "[bold].jpg", "back\\[b].jpg", "new\nline.jpg", "ünï 😀 spaces .jpg", ":smile:.jpg",
             "\x1b[31mred.jpg", "a" * 200 + ".jpg", os.fsdecode(b"caf\xe9.jpg")]  # fmt: skip


def mien(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def tree(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def one_line(capsys: Capture, status: int) -> str:
    """The error contract: status 2, one line on stderr, nothing on stdout."""
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.startswith("mien: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    return err


@pytest.fixture(scope="module")
def corrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "corrupted"
    write_dataset(folder, 20, seed=1, size=64)
    corrupt_dataset(folder, 1)
    return folder


def test_a_sound_folder_is_status_0(faces: Path, capsys: Capture) -> None:
    before = tree(faces)
    assert mien("check", faces) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "40 files  (happy 20  sad 20)" in out
    assert "no issues found" in out
    assert "usable for training: 40 files" in out
    assert tree(faces) == before


def test_errors_are_status_1_and_listed_worst_first(corrupted: Path, capsys: Capture) -> None:
    before = tree(corrupted)
    assert mien("check", corrupted) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.index("same image under two labels") < out.index("near duplicate") < out.index("CMYK colours")
    assert out.index("error") < out.index("warning") < out.index("note")
    assert tree(corrupted) == before
    assert not [path for path in corrupted.rglob("*") if path.suffix == ".part"]


def test_warnings_alone_are_status_0(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    shutil.copy(data / "happy" / "happy-00001.jpg", data / "happy" / "again.jpg")
    assert mien("check", data) == 0
    assert "exact duplicate" in capsys.readouterr().out


def test_json_on_stdout_is_json_alone(corrupted: Path, capsys: Capture) -> None:
    assert mien("check", corrupted, "--json", "-") == 1
    out, err = capsys.readouterr()
    assert err == ""
    row = json.loads(out)
    assert row["files"] == sum(row["classes"].values())
    ranks = [("error", "warning", "note").index(issue["severity"]) for issue in row["issues"]]
    assert ranks == sorted(ranks)
    for issue in row["issues"]:
        assert {"kind", "severity", "fix", "files"} <= set(issue)
        assert all((corrupted / name).exists() for name in issue["files"])


def test_json_in_a_file_beside_the_table(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    assert mien("check", faces, "--json", tmp_path / "new" / "issues.json") == 0
    assert "no issues found" in capsys.readouterr().out
    row = json.loads((tmp_path / "new" / "issues.json").read_text(encoding="utf-8"))
    assert row["detection"]["kind"] == "crops" and row["labels"]["checked"] == 40
    assert {name: row[name] for name in ("files", "classes", "usable", "issues")} == {
        "files": 40, "classes": {"happy": 20, "sad": 20}, "usable": 40, "issues": []
    }  # fmt: skip


def test_a_clean_copy_is_status_0(tmp_path: Path, corrupted: Path, capsys: Capture) -> None:
    before = tree(corrupted)
    assert mien("check", corrupted, "--write-clean", tmp_path / "out") == 0
    out, err = capsys.readouterr()
    assert "usable for training" in out
    count, total = len(tree(tmp_path / "out")), json_of(corrupted, capsys)["files"]
    assert f"wrote {count} of {total} files to" in err
    lines = [line.strip("│").split("│") for line in err.splitlines() if line.startswith("│")]
    cells = {line[0].strip(): [int(cell) if cell.strip() else 0 for cell in line[1:]] for line in lines}
    assert cells["files"][2] == total and cells["written"][2] == count
    for column in range(3):  # happy, sad, all: the reasons account for every file
        assert sum(row[column] for name, row in cells.items() if name != "written") == cells["written"][column]
    assert tree(corrupted) == before
    assert mien("check", tmp_path / "out", "--quick") == 0


def json_of(data: Path, capsys: Capture) -> dict[str, Any]:
    mien("check", data, "--quick", "--json", "-")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_all_lists_every_file_of_every_issue(corrupted: Path, capsys: Capture) -> None:
    issues = json_of(corrupted, capsys)["issues"]
    mien("check", corrupted, "--quick")
    assert "every file: --all" in capsys.readouterr().out
    mien("check", corrupted, "--quick", "--all")
    out = capsys.readouterr().out
    lists = out[out.index("┘") :]
    for issue in issues:
        if issue["files"]:
            assert f"{issue['title']} ({len(issue['files'])})" in lists
            assert all(f"  {name}" in lists for name in issue["files"])
    conflict = next(issue for issue in issues if issue["kind"] == "label-conflict")["groups"][0]
    assert f"  {conflict[0]}  = {', '.join(conflict[1:])}" in lists


def test_strict_extensions(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    with Image.open(data / "sad" / "sad-00003.jpg") as image:
        image.save(data / "sad" / "sad-00003.webp")
    (data / "sad" / "sad-00003.jpg").unlink()
    assert mien("check", data, "--json", "-") == 0
    capsys.readouterr()
    assert mien("check", data, "--json", "-", "--strict-extensions") == 1
    issues = {issue["kind"]: issue["files"] for issue in json.loads(capsys.readouterr().out)["issues"]}
    assert issues["strict-extension"] == ["sad/sad-00003.webp"]


def test_classes_and_map(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    (data / "happy").rename(data / "smile")
    (data / "fear").mkdir()
    assert mien("check", data, "--classes", "sad,happy", "--map", "smile=happy", "--json", "-") == 0
    assert list(json.loads(capsys.readouterr().out)["classes"]) == ["sad", "happy"]


def test_an_archive(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in sorted(faces.rglob("*.*")):
            archive.write(file, Path("wrap") / file.relative_to(faces))
        archive.writestr("../happy/evil.jpg", b"x")
    assert mien("check", tmp_path / "a.zip", "--json", "-") == 1
    row = json.loads(capsys.readouterr().out)
    assert row["files"] == 40
    assert row["issues"][0]["kind"] == "bad-entry"
    assert row["issues"][0]["files"] == ["../happy/evil.jpg"]


@pytest.mark.parametrize("number", range(len(ODD_NAMES)))
def test_odd_file_names_break_neither_table_nor_json(number: int, tmp_path: Path, faces: Path, capsys: Capture) -> None:
    name = ODD_NAMES[number]
    data = shutil.copytree(faces, tmp_path / "[bold]d[/bold] :smile:")
    (data / "happy" / name).write_bytes(b"")
    assert mien("check", data, "--quick", "--json", "-") == 1
    (issue,) = json.loads(capsys.readouterr().out)["issues"]
    assert issue["files"] == [f"happy/{name}"]
    assert mien("check", data, "--quick", "--json", tmp_path / "f.json") == 1
    assert json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))["issues"] == [issue]
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "[bold]d[/bold] :smile:" in out
    assert len(out.splitlines()) <= (8 if len(name) < 100 else 12)  # a plain name takes 8
    if name.startswith("["):
        assert f"happy/{name}" in out


def test_class_names_may_look_like_markup(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    data = tmp_path / "d"
    odd = os.fsdecode(b"h\xe9[")
    shutil.copytree(faces / "happy", data / odd)
    shutil.copytree(faces / "sad", data / "[red]")
    (data / odd / "x].jpg").write_bytes(b"")  # h[/x].jpg would close a tag that was never opened
    assert mien("check", data, "--quick") == 1
    assert "h\\udce9[/x].jpg: is empty" in capsys.readouterr().out
    assert mien("show", data, "--out", tmp_path / "g.png") == 0


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "latin-1"])
def test_any_terminal_encoding_will_do(tmp_path: Path, faces: Path, encoding: str) -> None:
    data = shutil.copytree(faces, tmp_path / "é")
    (data / "happy" / "ü😀.jpg").write_bytes(b"")
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "mien", "check", str(data)]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"empty file" in done.stdout
    done = subprocess.run([*command, "--quick", "--json", "-"], env=environment, capture_output=True, check=False)
    assert json.loads(done.stdout)["issues"][0]["files"] == ["happy/ü😀.jpg"]


def test_the_bomb_is_reported_without_a_murmur(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    Image.new("1", (14_000, 14_000)).save(data / "sad" / "bomb.png", compress_level=1)
    with Image.open(data / "sad" / "sad-00002.jpg") as image:
        image.save(data / "sad" / "exif.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0", quality=30)
    command = [sys.executable, "-m", "mien", "check", str(data)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.stderr == b""
    assert done.returncode == 1
    assert b"absurd dimensions" in done.stdout


def test_bad_calls_are_one_line(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "bad.csv").write_text("name,class\na,b\n")
    (tmp_path / "latin.csv").write_bytes("file,label\né,a\n".encode("latin-1"))
    (tmp_path / "new\nline").mkdir()
    os.mkfifo(tmp_path / "fifo")
    cases: list[tuple[list[object], str]] = [
        (["check"], "check: give DATA; see mien check --help"),
        (["check", tmp_path / "none"], "no such file or folder"),
        (["check", tmp_path / "empty"], "no labelled images"),
        (["check", tmp_path / "new\nline"], "no labelled images"),
        (["check", tmp_path / "text.zip"], "readable zip"),
        (["check", tmp_path / "fifo"], "neither a folder nor"),
        (["check", tmp_path / "bad.csv"], "header must be"),
        (["check", tmp_path / "latin.csv"], "not UTF-8"),
        (["check", faces, "--classes", "happy"], "at least two"),
        (["check", faces, "--classes", "happy,angry"], "no class 'angry'; it has happy, sad"),
        (["check", faces, "--map", "smile"], "OLD=NEW"),
        (["check", faces, "--map", "smile=happy"], "no class 'smile'"),
        (["check", faces, "--json", tmp_path], "is a folder"),
        (["check", faces, "--json", tmp_path / "bad.csv" / "x.json"], "cannot be written"),
        (["check", faces, "--write-clean", tmp_path / "empty"], "already exists"),
        (["check", faces, "--nonsense"], "--nonsense: mien check has no such option"),
        (["check", faces, faces], "give one folder that holds a folder for each class"),
        (["show", tmp_path / "none"], "no such file or folder"),
        (["show", faces, "--out", tmp_path / "x.jpg"], "must end in .png"),
        (["show", faces, "--out", tmp_path / "bad.csv" / "x.png"], "cannot be written"),
        (["show", faces, "--per-class", "0"], "--per-class"),
        (["show", faces, "--seed", "-1"], "seed"),
    ]
    before = sorted(path.name for path in tmp_path.iterdir())
    for arguments, words in cases:
        assert words in one_line(capsys, mien(*arguments)), arguments
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_clean_copy_inside_the_data_is_refused(tmp_path: Path, faces: Path, capsys: Capture) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    assert mien("check", data, "--write-clean", data / "clean") == 2
    assert "lies inside" in capsys.readouterr().err
    assert not (data / "clean").exists()


def test_permissions_are_one_line(
    tmp_path: Path, capsys: Capture, as_nobody: Callable[[], AbstractContextManager[None]]
) -> None:
    data = tmp_path / "d"
    write_dataset(data, 3, size=48)
    mien("check", data)  # modules that are loaded late lie where another user may not read
    capsys.readouterr()
    (data / "happy" / "happy-00001.jpg").chmod(0)
    shut = tmp_path / "shut"
    shut.mkdir()
    shut.chmod(0)
    with as_nobody():
        assert "ermission denied" in one_line(capsys, mien("check", shut))
        assert "permission denied" in one_line(capsys, mien("check", shut / "deeper"))
        assert "permission denied" in one_line(capsys, mien("check", shut / "a.csv"))
        for option in ("--json", "--write-clean"):
            status = mien("check", data, option, tmp_path / "new")
            assert status == 2
            err = capsys.readouterr().err
            assert err.startswith("mien: ")
            assert err.count("\n") == 1
        assert mien("check", data, "--json", "-") == 1
        issues = {issue["kind"]: issue for issue in json.loads(capsys.readouterr().out)["issues"]}
    assert issues["unreadable"]["files"] == ["happy/happy-00001.jpg"]
    assert "chmod" in issues["unreadable"]["fix"]


def test_ctrl_c_is_130_and_leaves_nothing(
    tmp_path: Path, faces: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mien.data.clean._content", stop)
    assert mien("check", faces, "--write-clean", tmp_path / "out") == 130
    assert capsys.readouterr().err == "mien: interrupted\n"
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_traceback(corrupted: Path) -> None:
    command = f"{sys.executable} -m mien check '{corrupted}' | head -1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False)
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


# --- show


def test_show_draws_the_readable_images(tmp_path: Path, corrupted: Path, capsys: Capture) -> None:
    before = tree(corrupted)
    out = tmp_path / "[b]grid[/b].png"
    assert mien("show", corrupted, "--out", out, "--per-class", "3") == 0
    assert capsys.readouterr().out == f"wrote {out}\n"
    with Image.open(out) as image:
        assert image.format == "PNG"
        assert image.height > 2 * 88
    assert tree(corrupted) == before
    first = out.read_bytes()
    assert mien("show", corrupted, "--out", out, "--per-class", "3") == 0
    assert out.read_bytes() == first
    assert mien("show", corrupted, "--out", out, "--per-class", "3", "--seed", "4") == 0
    assert out.read_bytes() != first


def test_show_draws_of_photographs_the_faces_that_a_network_sees(tmp_path: Path, capsys: Capture) -> None:
    for label in ("happy", "sad"):
        (tmp_path / "d" / label).mkdir(parents=True)
        for number in range(4):
            photo = Image.new("RGB", (400, 300), (0, 255, 0))
            photo.paste(Image.fromarray(draw_face(label, number, size=96)), (150, 100))
            photo.save(tmp_path / "d" / label / f"{number}.png")

    def green(name: str, *options: str) -> float:
        arguments = ("--augment", "light", "--colour", "rgb", "--per-class", "4", "--out", tmp_path / name)
        assert mien("show", tmp_path / "d", *arguments, *options) == 0
        with Image.open(tmp_path / name) as image:
            red, green, blue = np.asarray(image, np.int16).transpose(2, 0, 1)
        return float(((green > red + 60) & (green > blue + 60)).mean())

    found = green("faces.png")
    assert "sampled images, so each image is cropped to its largest face; --no-detect" in capsys.readouterr().err
    assert found < 0.5 * green("whole.png", "--no-detect")


def test_show_of_a_class_without_a_readable_image(tmp_path: Path, capsys: Capture) -> None:
    write_dataset(tmp_path / "d", 3, size=48)
    for path in (tmp_path / "d" / "sad").iterdir():
        path.write_bytes(b"")
    assert "class 'sad' has no readable image" in one_line(
        capsys, mien("show", tmp_path / "d", "--out", tmp_path / "g.png")
    )
    assert not (tmp_path / "g.png").exists()
