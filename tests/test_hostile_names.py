"""Names that strangers gave, to files, folders, classes, members of archives and models, are text in every output."""

import ast
import csv
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

import mien
from mien.cli import VERBS
from mien.data.clean import write_clean
from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import draw_face
from mien.errors import ImageError
from mien.evaluation.held_out import read_split
from mien.inference.bundle import CONFIG_FILE, load_bundle
from mien.inference.jobs.ray import PartsJob, PartWriter
from mien.io.cells import csv_table, from_cell, unescape
from mien.io.inputs import Inputs
from mien.io.parquet_parts import INPUTS_FILE, JOB_FILE, Changed, begin_parts
from mien.text import UNSAFE
from mien.training.data_split import DataSplit
from mien.training.loop.cache import cached_crops
from mien.training.reporter import PrintReporter

Call = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse some of these names")

#: A title for the terminal, a bell, a cleared screen; and what else is obeyed somewhere.
ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m"
NAMES = (
    ESCAPES, "two\nlines\r\u0085\u2028", "photo\u202egpj", "\u2066isolate", "caf\udce9", "=cmd|' C'!A0", "+1", "@x",
    "\t=tab", "\r=return", "＝full", "<script>alert(1)<img src=x onerror=alert(1)>", "'\"`$x$_{[red]b[[\\]", "x" * 200,
    "😀👩\u200d🚀写真", "-rf", "--help", " padded ", "%s{0}%n", "a\\u001b\\nb\\udce9", "'=quoted", "_hidden", "a;b,c",
)  # fmt: skip
CLASSES = (f"happy={ESCAPES}\udce9<b>\u202e$x", "-sad\n;@'\"`[red]{0}")
MODEL = f"mo{ESCAPES}del\u202e=<i>\udce9"
#: Settings of a tiny training.
FIXED = {"network": "stack", "size": 16, "width": 0.1, "epochs": 1}
SMALL = [word for name, value in FIXED.items() for word in (f"--{name}", str(value))]
SMALL += ["--from", "none", "--no-detect"]
#: What rich writes for colours, bars and the cursor.
_OF_RICH = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|\d*A)|\r")


def assert_text(text: str) -> None:
    """Nothing in it is obeyed, and no name is markup."""
    assert not UNSAFE.search(text), UNSAFE.sub(lambda one: f"<<{ord(one[0]):x}>>", text)[:2000]


def assert_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert_text(text)
    for markup in ("<script", "<b>", "<i>", "<img src=x"):
        assert markup not in text


def assert_cells(path: Path) -> list[dict[str, str]]:
    """Every cell is safe for a spreadsheet; returns the rows with their texts."""
    text = path.read_text(encoding="utf-8")
    assert_text(text)
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for cell in (cell for row in rows for pair in row.items() for cell in pair):
        assert not re.match(r"\s*[=+@＝＋－＠]|[\t\r\n]|\s*-(?!\d*\.?\d+(e-?\d+)?$)", cell), cell
    return [{from_cell(name): from_cell(cell) for name, cell in row.items()} for row in rows]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of hostile names, each with a face of each hostile name."""
    folder = tmp_path_factory.mktemp("hostile") / "data"
    for code, label in enumerate(CLASSES):
        (folder / label).mkdir(parents=True)
        for number, name in enumerate(NAMES):
            face = draw_face(("happy", "sad")[code], 100 * code + number, 64)
            Image.fromarray(face).save(folder / label / "new.png")
            (folder / label / "new.png").rename(folder / label / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def model(make_bundle: Callable[..., Path]) -> Path:
    folder = make_bundle(labels=CLASSES, maps=True)
    config = json.loads((folder / CONFIG_FILE).read_bytes())
    (folder / CONFIG_FILE).write_text(json.dumps({**config, "name": MODEL}))
    return folder


@pytest.fixture(scope="module")
def sources(data: Path) -> set[str]:
    return {str(data / label / f"{name}.png") for label in CLASSES for name in NAMES}


def test_predict(call: Call, data: Path, model: Path, sources: set[str], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = {kind: tmp_path / f"rows.{kind}" for kind in ("csv", "json", "jsonl", "parquet")}
    targets = [word for kind, path in out.items() for word in (f"--{kind}", path)]
    status, said, errors = call("predict", data, "--model", model, "--draw", tmp_path / "drawn", *targets)
    assert status == 0
    assert_text(said + errors)
    for kind in ("json", "jsonl"):
        assert_text(out[kind].read_text(encoding="utf-8"))
    rows = json.loads(out["json"].read_bytes())
    assert rows == [json.loads(line) for line in out["jsonl"].read_bytes().splitlines()]
    assert {row["source"] for row in rows} == sources
    assert {row["model"] for row in rows} == {MODEL}
    answers = {row["source"]: row["faces"][0]["answer"] for row in rows}
    cells = assert_cells(out["csv"])
    assert {row["source"]: row["answer"] for row in cells} == answers
    assert {f"p_{label}" for label in CLASSES} <= cells[0].keys()
    table = parquet.read_table(out["parquet"]).to_pylist()
    assert {unescape(row["source"]): unescape(row["answer"]) for row in table} == answers
    drawn = list((tmp_path / "drawn").iterdir())
    assert len(drawn) == len(sources)
    assert all(np.asarray(Image.open(path)).any() for path in drawn)


def test_the_table_and_standard_output(call: Call, data: Path, model: Path) -> None:
    for options in ([], ["--csv", "-"], ["--json", "-"], ["--jsonl", "-"]):
        status, said, errors = call("predict", data, "--model", model, *options)
        assert status == 0
        assert_text(said + errors)


@pytest.mark.parametrize("verb", ["predict", "check", "show"])
def test_a_terminal_with_colours(data: Path, model: Path, tmp_path: Path, verb: str) -> None:
    import pty

    words = {"predict": [data, "--model", model], "check": [data, "--all"], "show": [data, "--out", tmp_path / "s.png"]}
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mien", verb, *map(str, words[verb])]
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm-256color"}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as running:
        os.close(theirs)
        shown = b"".join(_pieces(ours))
    os.close(ours)
    assert running.returncode == 0, shown
    assert_text(_OF_RICH.sub("", shown.decode("utf-8", "surrogateescape")))


def _pieces(handle: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(handle, 2**16)
        except OSError:  # the other side is closed
            return
        yield piece


def test_check_and_its_clean_copy(call: Call, data: Path, tmp_path: Path) -> None:
    (data / CLASSES[0] / f"{NAMES[0]}-empty.png").touch()
    try:
        targets = ("--json", tmp_path / "i.json", "--csv", tmp_path / "i.csv", "--sheet", tmp_path / "i.png")
        status, said, errors = call("check", data, *targets, "--write-clean", tmp_path / "clean")
    finally:
        (data / CLASSES[0] / f"{NAMES[0]}-empty.png").unlink()
    assert status in (0, 1)
    assert_text(said + errors + (tmp_path / "i.json").read_text(encoding="utf-8"))
    (row,) = (row for row in assert_cells(tmp_path / "i.csv") if row["file"].endswith("-empty.png"))
    assert (row["file"], row["label"]) == (f"{CLASSES[0]}/{NAMES[0]}-empty.png", CLASSES[0])
    before, after = read_manifest(data), read_manifest(tmp_path / "clean")
    # A copy is for every system: bytes that are not UTF-8 are replaced.
    expected = [(one.name.replace("\udce9.png", "\ufffd.png"), one.label) for one in before.samples]
    assert [(one.name, one.label) for one in after.samples] == expected


def test_a_table_of_labels_and_groups_comes_back(data: Path, tmp_path: Path) -> None:
    """A clean copy of data with groups has its labels in a table."""
    rows = [
        {"file": f"{label}/{name}.png", "label": label, "group": name} for label in CLASSES for name in NAMES
    ]  # fmt: skip
    (data / "labels.csv").write_text(csv_table(["file", "label", "group"], rows), encoding="utf-8")
    try:
        manifest = read_manifest(data)
        assert sorted((one.name, one.label, one.group) for one in manifest.samples) == sorted(
            (row["file"], row["label"], row["group"].strip()) for row in rows
        )
        copy = write_clean(mien.check(data), tmp_path / "clean")
    finally:
        (data / "labels.csv").unlink()
    assert_cells(copy.path / "labels.csv")
    again = read_manifest(copy.path)
    assert sorted((one.label, str(one.group)) for one in again.samples) == sorted(
        (one.label, str(one.group)) for one in manifest.samples
    )


def test_reports(call: Call, data: Path, model: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        status, said, errors = call("evaluate", data, "--model", model, "--out", tmp_path / name)
        assert status == 0
        assert_text(said + errors)
    names = {f"{label}/{name}.png" for label in CLASSES for name in NAMES}
    assert {row["file"] for row in assert_cells(tmp_path / "a" / "predictions.csv")} == names
    assert_page(tmp_path / "a" / "report.html")
    assert json.loads((tmp_path / "a" / "metrics.json").read_bytes())["classes"] == sorted(CLASSES)
    status, said, errors = call("compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "c")
    assert status == 0
    assert_text(said + errors)
    assert_page(tmp_path / "c" / "compare.html")


def test_explain(call: Call, data: Path, model: Path, sources: set[str], tmp_path: Path) -> None:
    status, said, errors = call("explain", data, "--model", model, "--label", "all", "--out", tmp_path / "all")
    assert status == 0
    assert_text(said + errors)
    assert len(list((tmp_path / "all").iterdir())) == len(sources)
    options = ("--summary", "--faithfulness", "--limit", "10", "--out", tmp_path / "data")
    status, said, errors = call("explain", data, "--model", model, *options)
    assert status == 0
    assert_text(said + errors)
    assert_page(tmp_path / "data" / "explain.html")
    status, said, errors = call("show", data, "--out", tmp_path / "show.png")
    assert status == 0
    assert_text(said + errors)


def test_members_of_an_archive(call: Call, data: Path, model: Path, tmp_path: Path) -> None:
    path = tmp_path / f"{NAMES[0]}\udce9.zip"
    wanted = {name for name in NAMES if "\udce9" not in name}
    with zipfile.ZipFile(path, "w") as archive:
        for name in wanted:
            archive.writestr(f"{name}.png", (data / CLASSES[0] / f"{name}.png").read_bytes())
    status, said, errors = call("predict", path, "--model", model, "--csv", tmp_path / "rows.csv")
    assert status == 0
    assert_text(said + errors)
    found = {row["source"] for row in assert_cells(tmp_path / "rows.csv")}
    assert found == {
        f"{path}/{name}.png".replace("\\", "/") if "\\" in name else f"{path}/{name}.png" for name in wanted
    }


def test_what_a_training_stores_of_its_data(data: Path, tmp_path: Path) -> None:
    """One file name that is not UTF-8 ended a training after the data was checked."""
    manifest = read_manifest(data)
    split = DataSplit(manifest, ("train",) * len(manifest.samples), tuple(range(len(manifest.samples))), {})
    (tmp_path / "split.csv").write_text(split.to_csv(), encoding="utf-8")
    assert_cells(tmp_path / "split.csv")
    rows = read_split(tmp_path)
    assert [(row.file, row.label) for row in rows] == [(one.name, one.label) for one in manifest.samples]
    assert len(cached_crops(manifest, 8, 1, tmp_path)) == len(rows)


@pytest.mark.slow
def test_train(call: Call, data: Path, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    run = tmp_path / f"run{ESCAPES}\udce9=<b>"
    (data / CLASSES[0] / f"{NAMES[0]}-empty.png").touch()
    try:
        status, said, errors = call("train", data, "--out", run, *SMALL, "--tensorboard")
    finally:
        (data / CLASSES[0] / f"{NAMES[0]}-empty.png").unlink()
    assert status == 0, errors
    assert_text(said + errors)
    assert_page(run / "report.html")
    names = {f"{label}/{name}.png" for label in CLASSES for name in NAMES}
    assert {row["file"] for row in assert_cells(run / "split.csv")} <= names
    (left_out,) = assert_cells(run / "left-out.csv")
    assert left_out["file"] == f"{CLASSES[0]}/{NAMES[0]}-empty.png"
    assert len(list((run / "tensorboard").glob("*/events*"))) == 2
    for file in ("config.toml", "run.json", "metrics.json", "history.csv", "bundle/config.json", "bundle/CARD.md"):
        assert_text((run / file).read_text(encoding="utf-8"))
    theirs, labels = (
        tmp_path / f"their{ESCAPES}\udce9.keras",
        ",".join('"' + label.replace('"', '""') + '"' for label in CLASSES),
    )
    layers = [keras.Input((16, 16, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential([*layers, keras.layers.Softmax()]).save(tmp_path / "theirs.keras")
    (tmp_path / "theirs.keras").rename(theirs)
    other = shutil.copytree(run, tmp_path / f"b{ESCAPES}")
    for words in (["evaluate", "--model", run], ["runs", tmp_path], ["runs", tmp_path, "--json", "-"],
                  ["predict", data, "--model", run], ["compare", run, other, "--out", tmp_path / "both"],
                  ["export", theirs, "--labels", labels, "--out", tmp_path / f"bundle{ESCAPES}"]):  # fmt: skip
        status, said, errors = call(*words)
        assert status == 0, errors
        assert_text(said + errors)
    assert set(mien.load(run).answers) == set(CLASSES)
    assert_page(tmp_path / "both" / "compare.html")
    for file in ("config.json", "CARD.md"):
        assert_text((tmp_path / f"bundle{ESCAPES}" / file).read_text(encoding="utf-8"))

    shutil.copytree(run, tmp_path / "again")
    for path in (tmp_path / "again" / "metrics.json", tmp_path / "again" / "report.html"):
        path.unlink()
    path = data / CLASSES[1] / f"{NAMES[0]}.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    try:
        status, said, errors = call("train", "--resume", tmp_path / "again")
    finally:
        path.write_bytes(whole)
    assert (status, errors.count("has changed since this run began (1 file changed)")) == (2, 1)
    assert_text(said + errors)


@pytest.mark.slow
def test_searches(call: Call, data: Path, tmp_path: Path) -> None:
    """Studies and experiments, whose tables and charts name runs and settings."""
    pytest.importorskip("optuna")
    fixed = [word for name, value in FIXED.items() for word in ("--fix", f"{name}={value}")]
    study, sweep = tmp_path / f"study{ESCAPES}\udce9=<b>?x={{0}}%41", tmp_path / f"sweep{ESCAPES}\udce9=<b>"
    toml = tmp_path / f"{ESCAPES}\udce9.toml"
    settings = "".join(f"{name} = {json.dumps(value)}\n" for name, value in FIXED.items())
    title = json.dumps(f"<b>{ESCAPES}=x")
    toml.write_text(
        f"title = {title}\nseeds = 1\n[base]\n{settings}detect = false\n[grid]\nlearning_rate = [0.001, 0.01]\n"
    )
    for words in (["tune", data, *fixed, "--no-detect", "--search", "dropout", "--trials", "1", "--out", study],
                  ["experiment", toml, data, "--out", sweep],
                  ["runs", tmp_path]):  # fmt: skip
        status, said, errors = call(*words)
        assert status == 0, errors
        assert_text(said + errors)
    assert set(mien.load(next(sweep.glob("*/bundle"))).answers) == set(CLASSES)
    for folder in (study, sweep):
        for path in folder.rglob("*"):
            if path.suffix in (".json", ".toml", ".csv", ".html", ".md"):
                assert_text(path.read_text(encoding="utf-8"))
    for path in (study / "trials.csv", study / "split.csv", sweep / "experiment.csv"):
        assert_cells(path)


def test_parts_of_many_machines(data: Path, model: Path, sources: set[str], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    parts, starts, _ = begin_parts(tmp_path, Inputs([str(data)]), {"model": {"name": MODEL}})
    PartWriter(PartsJob(parts, Path.cwd(), load_bundle(model), detect=False)).write(0, starts[0])
    for path in (tmp_path / INPUTS_FILE, tmp_path / JOB_FILE):
        assert_text(path.read_text(encoding="utf-8"))
    rows = parquet.read_table(parts.path(0)).to_pylist()
    assert {unescape(row["source"]) for row in rows} == sources
    for row in rows:
        assert_text(row["source"] + row["model"] + row["answer"])
    path = data / CLASSES[0] / f"{NAMES[0]}.png"
    os.utime(path, ns=(1, 1))
    changed = begin_parts(tmp_path, Inputs([str(data)]), {"model": {"name": MODEL}})[2]
    assert changed == Changed(str(path), 1)


@pytest.mark.parametrize("verb", VERBS)
def test_errors_are_one_line(call: Call, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in ([MODEL], [f"--{MODEL}"], ["x", "--model", MODEL], ["--out", f"{MODEL}/x", f"{MODEL}.jpg"]):
        status, said, errors = call(verb, *words)
        assert status in (1, 2)
        assert_text(said + errors)
        assert errors.count("\n") <= 1
    assert_text("".join(call(MODEL)[1:]))


def test_serve(start_server: Callable[..., Any], model: Path, data: Path) -> None:
    process, address = start_server("--model", f"{MODEL.replace('=', '')}={model}", "--model", model)
    image = (data / CLASSES[0] / "+1.png").read_bytes()
    name = "<b>\u202egpj;=\u0085.png"
    rows = httpx.post(f"{address}/v1/predict", files={"file": (name, image)}, timeout=60, verify=False)
    assert rows.json()[0]["source"] == "<b>gpj;=.png", "the server leaves out what is not shown"
    assert rows.json()[0]["faces"][0]["answer"] in {label.replace("\udce9", "?") for label in CLASSES}
    for path in ("/v1/models", "/v1/config", "/metrics", "/docs", "/"):
        text = httpx.get(f"{address}{path}", timeout=60, verify=False)
        assert text.status_code == 200
        assert "<i>" not in text.text or path == "/v1/models"
    bad = httpx.post(f"{address}/v1/predict?model={name}", content=b"x", timeout=60, verify=False)
    assert (bad.status_code, bad.json()["code"]) == (404, "unknown_model")
    process.terminate()
    _, errors = process.communicate()
    assert errors == ""


def test_the_start_line_of_the_server(model: Path) -> None:
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--model", str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline()
        running.terminate()
    assert_text(line)
    assert re.match(r"mien serves mo\\x1b\]0;owned\\x07.* at http://", line)


def test_python(data: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader = mien.load(model)
    path = data / CLASSES[0] / f"{ESCAPES}.png"
    result = reader.predict(path)
    reporter = PrintReporter()
    reporter.on_start(path)
    reporter.say(f"reads {path}")
    with reporter.progress(str(path)):
        pass
    print(result, repr(reader), ImageError(str(path), CLASSES[1]), result._repr_html_(), mien.check(data)._repr_html_())
    assert_text(capsys.readouterr().out)


def test_one_module_prints_and_one_writes_csv() -> None:
    """Whoever adds an output takes the function that makes names safe; this finds who does not."""
    allowed = {
        "print": ["training/reporter.py"], "click.echo": ["cli/output/terminal.py"], "click.secho": [],
        "Console": [], "csv.writer": [], "csv.DictWriter": [], "html.escape": [],
        "escape": ["text.py", "io/formats.py", "io/cells.py", "server/reference.py", "training/search/tune.py"],
    }  # fmt: skip
    source = Path(mien.__file__).parent
    for path in source.rglob("*.py"):
        calls = (node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call))
        called = {ast.unparse(node.func) for node in calls}
        for name in called & allowed.keys():
            assert path.relative_to(source).as_posix() in allowed[name], name
