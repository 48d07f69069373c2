"""`mien predict` keeps its contract: rows for images, one line for a bad call, and nothing half-written."""

import csv
import io
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from mien.cli import VERBS
from mien.io.cells import read_csv
from mien.io.inputs import Inputs

MakeBundle = Callable[..., Path]
Called = tuple[int, str, str]
Call = Callable[..., Called]


def process(*arguments: object, **options: Any) -> Called:
    """Run `python -m mien` as a person does; returns (exit status, stdout, stderr)."""
    command = [sys.executable, "-m", "mien", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, **options)
    return done.returncode, done.stdout, done.stderr


def assert_refused(called: Called, *words: str) -> None:
    """A bad call is exit status 2 and exactly one line on stderr."""
    status, out, err = called
    assert status == 2
    assert out == ""
    assert err.startswith("mien: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.fixture(scope="module")
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a.png, b.jpg and deep/c.png, and things beside them that are no images."""
    folder = tmp_path_factory.mktemp("in") / "images"
    (folder / "deep").mkdir(parents=True)
    (folder / ".cache").mkdir()
    for number, name in enumerate(("a.png", "b.jpg", "deep/c.png", ".hidden.png", ".cache/d.png")):
        values = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(values).resize((30, 20)).save(folder / name)
    (folder / "notes.txt").write_text("not a list of images")
    (folder / "Thumbs.db").write_bytes(b"x")
    return folder


@pytest.fixture
def mixed(images: Path, tmp_path: Path) -> Path:
    """Two good images and one file that is none."""
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_bytes((images / name).read_bytes())
    (tmp_path / "bad.jpg").write_text("<html>not found</html>")
    return tmp_path


def sources(text: str) -> list[str]:
    return [row["source"] for row in json.loads(text)]


def table_rows(text: str) -> list[list[str]]:
    """The cells of a printed table without their blanks; a folded cell is joined again."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        cells = [cell.replace(" ", "") for cell in line.split("│")[1:-1]]
        if cells and cells[0]:  # the number is never folded
            rows.append(cells)
        elif cells:
            rows[-1] = [before + after for before, after in zip(rows[-1], cells, strict=True)]
    return rows


# What comes out


def test_the_table_shows_every_image(call: Call, bundle: Path, images: Path) -> None:
    status, out, err = call("predict", images, "--model", bundle)
    assert (status, err) == (0, "")
    reader = mien.load(bundle)
    flat = re.sub(r"\s+", "", out)
    for name in ("a.png", "b.jpg", "deep/c.png"):
        result = reader.predict(images / name)
        assert name in flat
        assert f"{result.answer} │ {result.probability:.3f}".replace(" ", "") in flat
    assert "hidden" not in out


def test_every_door_gives_the_same_answer(call: Call, bundle: Path, images: Path, tmp_path: Path) -> None:
    reader = mien.load(bundle)
    names = [str(images / name) for name in ("a.png", "b.jpg", "deep/c.png")]
    rows = [reader.predict(name).to_dict() for name in names]
    for kind in ("json", "jsonl", "csv"):
        target = tmp_path / f"out.{kind}"
        each = "face" if kind == "csv" else "image"
        assert call("predict", *names, "--model", bundle, f"--{kind}", target) == (
            *(0, f"wrote {target}: 3 rows, one per {each}: 3 faces in 3 images\n", ""),
        )
    as_json = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    as_lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as stream:
        as_csv = list(csv.DictReader(stream))
    assert as_lines == as_json
    for row, from_json, from_csv, name in zip(rows, as_json, as_csv, names, strict=True):
        (face,), (json_face,) = row["faces"], from_json["faces"]
        for inner in ("probabilities", "two_way"):
            assert json_face.pop(inner) == pytest.approx(face.pop(inner), abs=1e-6)
        assert json_face.pop("probability") == pytest.approx(face["probability"], abs=1e-6)
        assert float(from_csv["probability"]) == pytest.approx(face.pop("probability"), abs=1e-6)
        assert from_json == row
        assert from_csv["source"] == name
        assert from_csv["answer"] == face["answer"]
        in_memory = reader.predict(Path(name).read_bytes()).face.probabilities
        for label, value in in_memory.items():
            assert float(from_csv[f"p_{label}"]) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("kind", ["json", "jsonl", "csv"])
def test_a_dash_is_standard_output(call: Call, bundle: Path, images: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    call("predict", images, "--model", bundle, f"--{kind}", target)
    assert call("predict", images, "--model", bundle, f"--{kind}", "-") == (0, target.read_text("utf-8"), "")


def test_csv_columns(call: Call, bundle: Path, mixed: Path) -> None:
    _, out, _ = call("predict", mixed, "--model", bundle, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == [
        *("source", "status", "reason", "model", "detect", "image_width", "image_height", "face"),
        *("x", "y", "width", "height", "score"),
        *("answer", "probability", "why", "p_happy", "p_sad"),
    ]
    assert (rows[0]["x"], rows[0]["y"], rows[0]["width"], rows[0]["height"]) == ("0", "0", "30", "20")
    assert rows[2]["status"] == "unreadable"
    assert "not an image" in rows[2]["reason"]
    assert rows[2]["answer"] == rows[2]["p_happy"] == ""


def test_without_a_name_the_shipped_model_answers(call: Call, shipped: Path, images: Path) -> None:
    status, out, err = call("predict", images / "a.png", "--json", "-")
    assert (status, err) == (0, "")
    (row,) = json.loads(out)
    assert row == mien.load("mien").predict(str(images / "a.png")).to_dict()
    assert call("predict", images / "a.png", "--model", "mien", "--json", "-") == (status, out, err)
    assert call("predict", images / "a.png", "--model", "mien-two", "--json", "-")[1] != out


def test_three_way_answers_in_the_table_and_the_csv(call: Call, three_way: Path, faces: Path) -> None:
    reader = mien.load(three_way)
    names = [entry.name for entry in Inputs([str(faces)])]
    expected = [reader.predict(name).face for name in names]
    shown = table_rows(call("predict", faces, "--model", three_way)[1])
    for number, (cells, name, face) in enumerate(zip(shown, names, expected, strict=True), 1):
        assert face.expressions is not None
        first, second = sorted(face.expressions.items(), key=lambda item: -item[1])[:2]
        listing = f"{first[0]} {first[1]:.2f}  {second[0]} {second[1]:.2f}"
        wanted = [str(number), name, face.answer, f"{face.probability:.3f}", listing, face.why or ""]
        assert cells == [cell.replace(" ", "") for cell in wanted]
    assert any(face.why for face in expected)
    _, text, _ = call("predict", faces, "--model", three_way, "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["source"] for row in rows] == names
    for row, face in zip(rows, expected, strict=True):
        assert (row["answer"], row["why"]) == (face.answer, face.why or "")
        for label, value in {**face.probabilities, **(face.expressions or {})}.items():
            assert float(row[f"p_{label}"]) == pytest.approx(value, abs=1e-6)
    assert [name for name in rows[0] if name.startswith("p_")] == [
        *("p_happy", "p_sad", "p_neither"),
        *("p_angry", "p_disgust", "p_fear", "p_neutral", "p_surprise"),
    ]


def test_reasons_have_a_column_only_where_there_are_some(call: Call, bundle: Path, images: Path) -> None:
    assert "why" not in call("predict", images, "--model", bundle)[1]
    _, out, _ = call("predict", images, "--model", bundle, "--threshold", "0.999")
    assert any(cells[-1] == "threshold0.999forsad" for cells in table_rows(out))


def test_folders_files_and_lists_in_the_given_order(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(images)
    listing = tmp_path / "list.txt"
    listing.write_bytes("\ufeffdeep/c.png\r\n\r\n  a.png  \nabsent.png".encode())
    status, out, _ = call("predict", "b.jpg", images, listing, "--model", bundle, "--json", "-")
    assert status == 1
    inside = [str(images / name) for name in ("a.png", "b.jpg", "deep/c.png")]
    assert sources(out) == ["b.jpg", *inside, "deep/c.png", "a.png", "absent.png"]


def test_the_threshold_moves_the_answer(call: Call, bundle: Path, images: Path) -> None:
    for threshold in ("0.001", "0.999"):
        _, out, _ = call("predict", images, "--model", bundle, "--threshold", threshold, "--json", "-")
        answers = {row["faces"][0]["answer"] for row in json.loads(out)}
        assert answers == {"sad" if threshold == "0.001" else "happy"}


def test_a_bad_file_is_a_row_and_the_others_are_read(call: Call, bundle: Path, mixed: Path) -> None:
    status, out, err = call("predict", mixed, "--model", bundle, "--json", "-")
    assert status == 1
    assert [row["status"] for row in json.loads(out)] == ["ok", "ok", "unreadable"]
    assert "not an image" in json.loads(out)[2]["reason"]
    assert err == "mien: 1 of 3 files could not be read; see their rows\n"
    status, out, err = call("predict", mixed, "--model", bundle)
    assert status == 1
    assert "unreadable" in out
    assert err == "mien: 1 of 3 files could not be read; see their rows\n"


# Bad calls


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "absent.png", "--model", "BUNDLE"], ["absent.png: no such file or folder"]),
        (["predict", "IN", "--model", "absent"], ["absent: no such model"]),
        (["predict", "IN", "--model", "IN"], ["is not a model folder"]),
        (["predict", "--model", "BUNDLE"], ["nothing to read"]),
        (
            ["predict", "IN", "--model", "BUNDLE", "--json", "-", "--csv", "-"],
            ["--json - and --csv -: only one of them can go to standard output"],
        ),
        (["predict", "IN", "--model", "BUNDLE", "--threshold", "1.5"], ["--threshold", "1.5"]),
        (["predict", "IN", "--model", "BUNDLE", "--threshold", "nan"], ["threshold"]),
        (["predict", "IN", "--model", "BUNDLE", "--threshold", "high"], ["--threshold", "high"]),
        (["predict", "IN", "--model", "THREE", "--threshold", "0.4"], ["two labels"]),
        (["predict", "IN", "--model", "BUNDLE", "--modle", "x"], ["--modle"]),
        (["predict", "IN", "--model"], ["--model"]),
        (["predict", "EMPTY", "--model", "BUNDLE"], ["has no images or videos in it"]),
        (["predict", "EMPTY/none.txt", "--model", "BUNDLE"], ["lists no paths"]),
        (["predict", "EMPTY/binary.txt", "--model", "BUNDLE"], ["is not a readable list"]),
        (["predict", "IN", "--model", "BUNDLE", "--json", ""], ["give a file name"]),
        (["predict", "IN/a.png", "--model", "BUNDLE", "--json", "IN/a.png"], ["is one of the inputs"]),
        (["predict", "IN", "--model", "BUNDLE", "--csv", "IN/a.png"], ["is one of the inputs"]),
        (["predict", "x" * 5000, "--model", "BUNDLE"], ["File name too long"]),
        (["predict", "two\nlines\x1b[31m.png", "--model", "BUNDLE"], [r"two\nlines\x1b[31m.png"]),
        (["perdict", "IN"], ["perdict"]),
        (["--verbose"], ["--verbose"]),
    ],
)
def test_a_bad_call_is_one_line(
    call: Call,
    make_bundle: MakeBundle,
    bundle: Path,
    images: Path,
    tmp_path: Path,
    arguments: list[str],
    words: list[str],
) -> None:
    (tmp_path / "none.txt").write_text("\n \n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    places = {"BUNDLE": bundle, "IN": images, "EMPTY": tmp_path}
    if "THREE" in arguments:
        places["THREE"] = make_bundle(("a", "b", "c"))
    before = (images / "a.png").read_bytes()
    named = [re.sub(r"^[A-Z]{2,}(?=/|$)", lambda m: str(places[m[0]]), word) for word in arguments]
    assert_refused(call(*named), *words)
    assert (images / "a.png").read_bytes() == before


def test_a_model_that_is_not_there(
    call: Call, shipped: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(call("predict", images, "--model", "happines"), "happines: no such model", "(mien, mien-two)")
    shutil.rmtree(shipped)
    assert_refused(call("predict", images), "no model comes with this installation", "--model FOLDER")


def test_bad_calls_of_the_real_command(bundle: Path, images: Path) -> None:
    assert_refused(process("predict", "absent.png", "--model", bundle), "absent.png")
    assert_refused(process("predict", images, "--model", "absent"), "absent")
    assert_refused(process("perdict", images), "perdict")
    assert_refused(process("predict", images, "--model", bundle, "--fast"), "--fast")


def test_the_real_command_and_its_exit_statuses(bundle: Path, mixed: Path) -> None:
    status, out, err = process("predict", mixed / "a.png", "--model", bundle, "--jsonl", "-")
    assert (status, err) == (0, "")
    assert json.loads(out)["source"] == str(mixed / "a.png")
    status, out, err = process("predict", mixed, "--model", bundle)
    assert status == 1
    assert out.count("unreadable") == 1
    assert err == "mien: 1 of 3 files could not be read; see their rows\n"


def test_help_and_version(call: Call) -> None:
    assert call("--version") == (0, f"mien {mien.__version__}\n", "")
    status, out, err = call("-h")
    assert (status, err) == (0, "")
    assert all(verb in out for verb in VERBS)
    status, out, _ = call()
    assert status == 2
    assert "predict" in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(call: Call, verb: str) -> None:
    status, out, err = call(verb, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: mien {verb}")


# Where the output goes


@pytest.mark.parametrize("place", ["FILE/out.json", "FILE/a/b/out.json", "", "/proc/absent/out.json"])
def test_a_place_that_cannot_be_written(
    call: Call, bundle: Path, images: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("kept")
    target = tmp_path if place == "" else place
    assert_refused(call("predict", images, "--model", bundle, "--json", target), str(target))
    assert Path("FILE").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["FILE"]


def test_folders_on_the_way_are_made(call: Call, bundle: Path, images: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "out.json"
    assert call("predict", images, "--model", bundle, "--json", target)[0] == 0
    assert [path.name for path in target.parent.iterdir()] == ["out.json"]


def test_an_unwritable_folder_is_refused_before_the_work(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert_refused(call("predict", images, "--model", bundle, "--json", tmp_path / "o.json"), "may write to")


@pytest.mark.skipif(os.name != "posix", reason="needs ulimit")
def test_a_full_disk_leaves_nothing(bundle: Path, images: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    limited = ["sh", "-c", 'ulimit -f 0 && exec "$@"', "sh", sys.executable, "-m", "mien"]
    done = subprocess.run(
        [*limited, "predict", str(images), "--model", str(bundle), "--json", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert_refused((done.returncode, done.stdout, done.stderr), str(target), "cannot be written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_device_is_written_to_and_never_replaced(
    call: Call, bundle: Path, images: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[str] = []
    listener = threading.Thread(target=lambda: received.append(pipe.read_text("utf-8")), daemon=True)
    listener.start()
    assert call("predict", images, "--model", bundle, "--json", pipe) == (0, "", "")
    listener.join(60)
    assert len(json.loads(received[0])) == 3
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("options", [["--json", "-"], []], ids=["json", "table"])
def test_standard_output_that_is_full(bundle: Path, images: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "mien", "predict", str(images), "--model", str(bundle), *options]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert_refused((done.returncode, "", done.stderr), "No space left on device")


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("redirection", "options", "status", "words"),
    [
        ("<&-", "-", 2, "-: standard input is closed"),
        (">&-", "IMAGE --json -", 2, "-: standard output is closed; give a file"),
        (">&-", "IMAGE", 0, ""),
        ("2>&-", "IMAGE --json -", 0, ""),
    ],
)
def test_standard_streams_that_are_closed(
    bundle: Path, images: Path, redirection: str, options: str, status: int, words: str
) -> None:
    given = options.replace("IMAGE", shlex.quote(str(images / "a.png")))
    line = f"{shlex.quote(sys.executable)} -m mien predict {given} --model {shlex.quote(str(bundle))} {redirection}"
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert words in done.stderr
    assert done.stderr.count("\n") == bool(words)


@pytest.fixture
def long_list(images: Path, tmp_path: Path) -> Path:
    """One image, many times: more output than a pipe holds."""
    path = tmp_path / "list.txt"
    path.write_text(f"{images / 'a.png'}\n" * 1500)
    return path


@pytest.mark.skipif(os.name != "posix", reason="closed pipes are POSIX")
@pytest.mark.parametrize(
    ("options", "unbuffered"),
    [(["--jsonl", "-"], "1"), (["--jsonl", "-"], ""), (["--csv", "-"], "")],
    ids=["jsonl unbuffered", "jsonl", "csv"],
)
def test_a_reader_that_stops_early_is_no_error(
    bundle: Path, long_list: Path, options: list[str], unbuffered: str
) -> None:
    command = [sys.executable, "-m", "mien", "predict", str(long_list), "--model", str(bundle), *options]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 1


# Names from outside


ODD_NAMES = ["[red]a[].png", r"back\[slash].png", "two\nlines.png", "esc\x1b[31m.png", "ünï☹喜.png", 'a,"b".png']


@pytest.fixture
def odd(images: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ODD_NAMES:
        (folder / name).write_bytes((images / "a.png").read_bytes())
    return folder


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_odd_names_in_json_and_csv(call: Call, bundle: Path, odd: Path) -> None:
    expected = sorted(str(odd / name) for name in ODD_NAMES)
    _, out, _ = call("predict", odd, "--model", bundle, "--json", "-")
    assert sources(out) == expected
    _, out, _ = call("predict", odd, "--model", bundle, "--jsonl", "-")
    assert [json.loads(line)["source"] for line in out.splitlines()] == expected
    _, out, _ = call("predict", odd, "--model", bundle, "--csv", "-")
    assert [row["source"] for row in read_csv(out)] == expected


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such names")
def test_odd_names_in_the_table(
    call: Call, bundle: Path, odd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (odd / "bad[bold].png").write_bytes(b"")
    status, out, _ = call("predict", "odd", "--model", bundle)
    assert status == 1
    for name in (
        r"[red]a[].png",
        r"back\[slash].png",
        r"two\nlines.png",
        r"esc\x1b[31m.png",
        "ünï☹喜.png",
        "bad[bold]",
    ):
        assert f"odd/{name}" in out
    assert "\x1b" not in out
    assert len(re.findall(r"^│ \d │ odd/", out, re.MULTILINE)) == 7


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf8(bundle: Path, images: Path, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Path(name).write_bytes((images / "a.png").read_bytes())
    status, out, err = process("predict", tmp_path, "--model", bundle, "--json", "-")
    assert (status, err) == (0, "")
    assert sources(out) == [name]
    status, out, err = process("predict", tmp_path, "--model", bundle, "--csv", tmp_path / "out.csv")
    assert (status, err) == (0, "")
    assert r"caf\udce9.png" in (tmp_path / "out.csv").read_text("utf-8")
    status, out, err = process("predict", tmp_path, "--model", bundle)
    assert (status, err) == (0, "")


def test_labels_that_look_like_markup(call: Call, make_bundle: MakeBundle, images: Path) -> None:
    folder = make_bundle(("[red]", "[/bold]"))
    status, out, err = call("predict", images / "a.png", "--model", folder)
    assert (status, err) == (0, "")
    assert "[red]" in out
    assert "[/bold]" in out


@pytest.mark.parametrize("options", [["--json", "-"], []], ids=["json", "table"])
def test_output_that_knows_ascii_only(bundle: Path, odd: Path, options: list[str]) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    status, out, err = process("predict", odd, "--model", bundle, *options, env=environment)
    assert (status, err) == (0, "")
    if options:
        assert sources(out) == sorted(str(odd / name) for name in ODD_NAMES)


# A model of crops and whole photographs


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with two images of the size of photographs and one of that of a crop."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, size in (("a", (640, 480)), ("b", (3000, 500)), ("c", (120, 1000))):
        Image.new("RGB", size).save(folder / f"{name}.jpg")
    return folder


def test_photographs_read_whole_are_said_once(call: Call, bundle: Path, photographs: Path, tmp_path: Path) -> None:
    said = (
        "mien: this model was trained on whole images and classifies them whole, but 2 of 3 are as large as "
        "photographs; --detect yes finds the faces first (mien train --detect yes trains for that)\n"
    )
    for output in ([], ["--json", "-"], ["--csv", tmp_path / "out.csv"]):
        status, _, err = call("predict", photographs, "--model", bundle, *output)
        assert (status, err) == (0, said)


def test_nothing_is_said_of_crops(call: Call, bundle: Path, photographs: Path, images: Path) -> None:
    assert call("predict", photographs / "c.jpg", "--model", bundle)[2] == ""
    assert call("predict", images, "--model", bundle)[2] == ""


def test_a_network_that_takes_large_images_is_given_what_is_large_for_it(
    call: Call, make_bundle: MakeBundle, photographs: Path
) -> None:
    assert "1 of 3" in call("predict", photographs, "--model", make_bundle(size=166))[2]


@pytest.mark.parametrize("words", [["--no-detect"], ["--detect", "yes"]])
def test_nothing_is_said_to_those_who_know(call: Call, bundle: Path, photographs: Path, words: list[str]) -> None:
    assert "as large as photographs" not in call("predict", photographs, "--model", bundle, *words)[2]


def test_nothing_is_said_of_a_model_that_finds_faces(call: Call, make_bundle: MakeBundle, photographs: Path) -> None:
    assert "as large as photographs" not in call("predict", photographs, "--model", make_bundle(framing="face"))[2]
