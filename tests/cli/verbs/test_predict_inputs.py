"""`mien predict` with every kind of input, drawings, and outputs that stay bounded."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from peak import peak_mib
from PIL import Image
from pyarrow import parquet
from skimage.data import astronaut

from mien.cli.output.predict_table import SHOWN, summary
from mien.data.synthetic.faces import draw_face
from mien.io.input_item import InputItem
from mien.results import ImageResult
from mien.viz.annotated_folder import AnnotatedFolder

MakeBundle = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: `in/a.png`, `in/deep/a.png`, `in/deep/b.jpg` and `photos.zip` with `x/a.png` in it."""
    monkeypatch.chdir(tmp_path)
    Path("in/deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "deep/a.png", "deep/b.jpg")):
        Image.fromarray(draw_face(("happy", "sad")[number % 2], number, 60)).save(f"in/{name}")
    with zipfile.ZipFile("photos.zip", "w") as archive:
        archive.write("in/a.png", "x/a.png")
    return tmp_path


def sources(text: str) -> list[str]:
    return [json.loads(line)["source"] for line in text.splitlines()]


def test_inputs_of_every_kind_in_any_mix(call: Call, bundle: Path, here: Path) -> None:
    Path("list.txt").write_text("in/deep/b.jpg\n")
    status, out, err = call(
        "predict", "in/**/a.png", "photos.zip", "in", "list.txt", "in/a.png", "--model", bundle, "--jsonl", "-"
    )
    assert (status, err) == (0, "")
    assert sources(out) == [
        *("in/a.png", "in/deep/a.png", "photos.zip/x/a.png", "in/a.png", "in/deep/a.png", "in/deep/b.jpg"),
        *("in/deep/b.jpg", "in/a.png"),
    ]
    faces = [json.loads(line)["faces"][0]["probability"] for line in out.splitlines()]
    assert faces[2] == faces[0]


def test_paths_from_standard_input(bundle: Path, here: Path) -> None:
    command = [sys.executable, "-m", "mien", "predict", "-", "in/a.png", "--model", str(bundle), "--jsonl", "-"]
    done = subprocess.run(command, input="in/deep/a.png\n\nabsent.png\n", capture_output=True, text=True, check=False)
    assert sources(done.stdout) == ["in/deep/a.png", "absent.png", "in/a.png"]
    assert (done.returncode, done.stderr) == (1, "mien: 1 of 3 files could not be read; see their rows\n")
    image = subprocess.run(command, input=Path("in/deep/b.jpg").read_bytes(), capture_output=True, check=False)
    assert (image.returncode, image.stdout, image.stderr.count(b"\n")) == (2, b"", 1)
    assert b"read as paths" in image.stderr


def test_a_member_that_is_damaged_is_a_row(call: Call, bundle: Path, here: Path) -> None:
    with zipfile.ZipFile("photos.zip", "a") as archive:
        archive.writestr("x/hurt.png", b"these are stored bytes")
    data = bytearray(Path("photos.zip").read_bytes())
    data[data.index(b"these are")] ^= 255
    Path("photos.zip").write_bytes(data)
    status, out, err = call("predict", "photos.zip", "--model", bundle, "--jsonl", "-")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["status"] for row in rows] == ["ok", "unreadable"]
    assert rows[1]["source"] == "photos.zip/x/hurt.png"
    assert "damaged inside the archive" in rows[1]["reason"]
    assert (status, err.count("\n")) == (1, 1)


def test_parquet_holds_what_csv_holds(call: Call, bundle: Path, here: Path) -> None:
    Path("in/bad.png").write_text("not an image")
    assert call("predict", "in", "--model", bundle, "--parquet", "out.parquet")[0] == 1
    lines = parquet.read_table("out.parquet").to_pylist()
    text = call("predict", "in", "--model", bundle, "--csv", "-")[1]
    for line, expected in zip(lines, csv.DictReader(io.StringIO(text)), strict=True):
        assert line["source"] == expected["source"]
        assert line["status"] == expected["status"]
        assert f"{line['p_happy'] or 0:.6f}" == f"{float(expected['p_happy'] or 0):.6f}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--parquet", "-"], "-: Parquet cannot be written to a stream; give a file"),
        (["--parquet", "o", "--csv", "./o"], "o: is another output of this command too; give another name"),
        (["--csv", "in/../photos.zip"], "in/../photos.zip: is one of the inputs; give another file"),
        (["--csv", "./in/deep/b.jpg"], "./in/deep/b.jpg: is one of the inputs; give another file"),
        (["--draw", "in"], "in: is not empty; give a new folder, or remove what is in it"),
        (["--draw", "in/a.png"], "in/a.png: is a file; give a folder"),
        (["--draw", "drawn.jpg"], "drawn.jpg: images are drawn into a folder; give the name of one"),
        (["--draw", "drawn.mp4"], "drawn.mp4: images are drawn into a folder"),
        (["--faces", "two"], "--faces"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_bad_calls_change_nothing(call: Call, bundle: Path, here: Path, options: list[str], words: str) -> None:
    before = sorted(here.rglob("*"))
    status, out, err = call("predict", "in", "photos.zip", "--model", bundle, *options)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert sorted(here.rglob("*")) == before


def test_an_input_is_never_written_over_through_a_link(call: Call, bundle: Path, here: Path) -> None:
    Path("link").symlink_to("in")
    before = Path("in/a.png").read_bytes()
    for named, target in (("in", "link/a.png"), ("link", "in/a.png"), ("link/a.png", "in/a.png")):
        status, out, err = call("predict", named, "--model", bundle, "--csv", target)
        assert (status, out) == (2, "")
        assert f"{target}: is one of the inputs" in err
        assert Path("in/a.png").read_bytes() == before


def test_a_long_table_is_cut_and_says_so(call: Call, bundle: Path, here: Path) -> None:
    Path("list.txt").write_text("in/a.png\n" * (SHOWN + 50))
    status, out, _ = call("predict", "list.txt", "--model", bundle)
    assert status == 0
    assert out.count("│ in/a.png") == SHOWN
    assert out.endswith("and 50 more images; --csv FILE writes a row for each\n")


def test_the_summary_counts_what_has_no_face() -> None:
    assert summary({"ok": 3}) == ""
    assert summary({"ok": 3, "no_face": 2}) == "no face was found in 2 of 5 images"
    assert summary({"unreadable": 1, "ok": 3}) == "1 of 4 files could not be read; see their rows"
    assert summary({"unreadable": 1, "no_face": 2, "ok": 1}) == (
        "1 of 4 files could not be read, and no face was found in 2 of 3 images; see their rows"
    )


def test_faces_and_whole_images(call: Call, make_bundle: MakeBundle, here: Path) -> None:
    model = make_bundle(framing="face")
    two = np.hstack([astronaut(), astronaut()[:, ::-1]])  # type: ignore[no-untyped-call]
    Image.fromarray(two).save("two.jpg", quality=95)
    Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save("none.png")

    def rows(*options: object) -> list[dict[str, object]]:
        status, out, err = call("predict", "two.jpg", "none.png", "--model", model, "--json", "-", *options)
        assert status == 0, "no face is no error"
        assert ("no face was found in 1 of 2 images" in err) is ("--no-detect" not in options)
        found: list[dict[str, object]] = json.loads(out)
        return found

    everything, largest, whole = rows(), rows("--faces", "largest"), rows("--no-detect", "--threads", "1")
    assert [row["status"] for row in everything] == ["ok", "no_face"]
    assert [len(row["faces"]) for row in everything] == [2, 0]  # type: ignore[arg-type]
    assert largest[0]["faces"] == everything[0]["faces"][:1]  # type: ignore[index]
    assert whole[0]["faces"][0]["box"] == {"x": 0, "y": 0, "width": 1024, "height": 512}  # type: ignore[index]


# Drawings


def test_drawings_keep_their_names_apart(call: Call, bundle: Path, here: Path) -> None:
    Path("in/deep/bad.png").write_text("not an image")
    for _ in range(2):  # what was drawn inside the input is never an input itself
        status, out, _ = call("predict", "in", "photos.zip", "--model", bundle, "--draw", "in/drawn", "--jsonl", "-")
        assert (status, len(sources(out))) == (1, 5)
        drawn = sorted(path.name for path in Path("in/drawn").iterdir())
        assert drawn == ["a-2.jpg", "a-3.jpg", "a.jpg", "b.jpg"]
        for name in drawn:
            with Image.open(f"in/drawn/{name}") as image:
                image.load()
            Path(f"in/drawn/{name}").unlink()


def test_an_image_that_is_gone_before_it_is_drawn_is_said(
    call: Call, bundle: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = AnnotatedFolder.draw

    def late(drawer: AnnotatedFolder, entry: InputItem, result: ImageResult) -> None:
        Path("in/deep/b.jpg").unlink(missing_ok=True)
        draw(drawer, entry, result)

    monkeypatch.setattr(AnnotatedFolder, "draw", late)
    status, out, err = call("predict", "in", "--model", bundle, "--draw", "drawn", "--jsonl", "-")
    assert (status, len(sources(out))) == (0, 3)
    assert "mien: 1 image not drawn: deleted or changed in the meantime" in err
    assert sorted(path.name for path in Path("drawn").iterdir()) == ["a-2.jpg", "a.jpg"]


# Progress and memory


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_sees_rate_and_time_left(bundle: Path, here: Path) -> None:
    Path("list.txt").write_text("in/a.png\n" * 3000)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "mien", "predict", "list.txt", "--model", str(bundle), "--csv", "out.csv"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"}
    seen = b""
    with subprocess.Popen(command, stderr=follower, stdout=subprocess.PIPE, env=environment) as running:
        os.close(follower)
        try:
            while data := os.read(leader, 4096):
                seen += data
        except OSError:  # the other side is closed
            pass
        assert running.wait() == 0
    os.close(leader)
    assert b"/3000" in seen
    assert b"/s" in seen


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["jsonl", "csv", "json", "parquet"])
def test_memory_does_not_grow_with_the_number_of_images(bundle: Path, here: Path, kind: str) -> None:
    peaks = []
    for count in (200, 20_000):
        Path("list.txt").write_text("in/a.png\n" * count)
        peaks.append(peak_mib("predict", "list.txt", "--model", bundle, f"--{kind}", f"out{count}"))
    assert peaks[1] - peaks[0] < 24, f"{peaks} MiB"
