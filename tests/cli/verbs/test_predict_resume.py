"""`mien predict` is interrupted in every way there is, and goes on with no row lost, doubled or changed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killing import stop_at_row
from PIL import Image

from mien.inference.reader import Reader

MakeBundle = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


@pytest.fixture(scope="module")
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty images of noise, which take a few milliseconds each, and one file that is none."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(20):
        values = np.random.default_rng(number).integers(0, 256, (240, 240, 3), np.uint8)
        Image.fromarray(values).save(folder / f"{number}.jpg", quality=95)
    (folder / "20.jpg").write_text("not an image")
    return folder


def listing(folder: Path, images: Path, count: int) -> Path:
    """A list in which every image stands many times, in no order."""
    chosen = random.Random(count).choices(sorted(images.iterdir()), k=count)
    path = folder / "list.txt"
    path.write_text("\n".join(map(str, chosen)), encoding="utf-8")
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mien", "predict", *map(str, arguments)]


def killed_twice(folder: Path, inputs: Path, bundle: Path, kind: str) -> tuple[bytes, bytes, int]:
    """Run once whole, and once killed at two random moments; returns both outputs and the last exit status."""
    whole, out = folder / f"whole.{kind}", folder / f"out.{kind}"
    subprocess.run(command(inputs, "--model", bundle, f"--{kind}", whole), capture_output=True, check=False)
    expected = whole.read_bytes()
    part = out.with_name(out.name + ".part")
    arguments = ["predict", inputs, "--model", bundle, f"--{kind}", out]
    count = len(inputs.read_text().splitlines())
    for row in sorted(random.sample(range(1, count + 1), 2)):
        ended = stop_at_row(arguments, row, signal.SIGKILL)
        assert (ended.status, ended.stdout) == (-signal.SIGKILL, "")
        assert re.fullmatch(r"(mien: resuming after [\d,]+ of [\d,]+\n)?", ended.stderr)
        assert not out.exists()
        assert part.exists()
    done = subprocess.run(command(*arguments[1:]), capture_output=True, text=True, check=False)
    assert not part.exists()
    assert sorted(path.name for path in folder.iterdir()) == sorted((inputs.name, whole.name, out.name))
    return expected, out.read_bytes(), done.returncode


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_killed_twice_the_output_is_the_same_byte_for_byte(
    bundle: Path, images: Path, tmp_path: Path, kind: str
) -> None:
    inputs = listing(tmp_path, images, 400)
    expected, found, status = killed_twice(tmp_path, inputs, bundle, kind)
    assert status == 1, "one of the files is not an image"
    assert found == expected
    if kind == "jsonl":
        assert [json.loads(line)["source"] for line in found.splitlines()] == inputs.read_text().splitlines()


def test_a_file_that_cannot_be_written_at_the_end_costs_no_row(
    call: Call, bundle: Path, images: Path, tmp_path: Path
) -> None:
    in_the_way = tmp_path / ".out.csv.part"
    in_the_way.mkdir()
    arguments = ("predict", images, "--model", bundle, "--csv", tmp_path / "out.csv")
    status, _, err = call(*arguments)
    assert (status, err.count("\n")) == (2, 1)
    assert f"21 rows are kept in {tmp_path / 'out.csv.part'}; the same command continues" in err
    assert "nothing was kept" not in err
    in_the_way.rmdir()
    assert call(*arguments)[0] == 1, "one of the files is not an image"
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 22


@pytest.mark.slow
def test_twenty_thousand_rows_killed_twice(bundle: Path, images: Path, tmp_path: Path) -> None:
    inputs = listing(tmp_path, images, 20_000)
    expected, found, status = killed_twice(tmp_path, inputs, bundle, "jsonl")
    rows = [json.loads(line) for line in found.splitlines()]
    assert [row["source"] for row in rows] == inputs.read_text().splitlines()
    assert status == 1
    assert all(bool(row["reason"]) == (row["status"] != "ok") for row in rows)
    assert sum(row["status"] == "unreadable" for row in rows) > 500
    assert found == expected


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signals_keep_the_rows(bundle: Path, images: Path, tmp_path: Path, how: signal.Signals) -> None:
    inputs, out, part = listing(tmp_path, images, 400), tmp_path / "out.csv", tmp_path / "out.csv.part"
    arguments = [inputs, "--model", bundle, "--csv", out]
    ended = stop_at_row(["predict", *arguments], 50, how)
    assert part.read_bytes().count(b"\n") - 1 == 50
    if how == signal.SIGINT:
        said = f"mien: interrupted; 50 rows are kept in {part}; the same command continues\n"
        assert (ended.status, ended.stderr) == (130, said)
    else:
        assert (ended.status, ended.stderr) == (-signal.SIGTERM, "")
    subprocess.run(command(*arguments), capture_output=True, check=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.txt", "out.csv"]
    assert len(out.read_text().splitlines()) == 401


def test_interrupted_before_the_first_row_nothing_is_left(
    bundle: Path, images: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopped(monkeypatch, 0):
        assert call("predict", images, "--model", bundle, "--csv", tmp_path / "o.csv") == (
            130,
            "",
            "mien: interrupted\n",
        )
    assert list(tmp_path.iterdir()) == []


class stopped:  # noqa: N801
    """In this context the reader is interrupted after some results."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self._patch, self._after = monkeypatch, after

    def __enter__(self) -> None:
        read = Reader.predict_named

        def interrupted(reader: Reader, *arguments: Any) -> Iterator[Any]:
            for number, result in enumerate(read(reader, *arguments)):
                if number == self._after:
                    raise KeyboardInterrupt
                yield result

        self._patch.setattr(Reader, "predict_named", interrupted)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


@pytest.fixture
def begun(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, list[object], bytes]:
    """A list of 100, its command, and what the command writes; given anew it was interrupted after 75 rows."""
    inputs = listing(tmp_path, images, 100)
    arguments = ["predict", inputs, "--model", bundle, "--jsonl", tmp_path / "out.jsonl"]
    assert call(*arguments)[0] == 1
    expected = (tmp_path / "out.jsonl").read_bytes()
    (tmp_path / "out.jsonl").unlink()
    with stopped(monkeypatch, 75):
        status, _, err = call(*arguments)
    assert (status, "75 rows are kept" in err) == (130, True)
    return inputs, arguments, expected


def stamped(rows: bytes) -> bytes:
    """Rows as a journal keeps them: each with the size and the time of its file."""
    lines = []
    for line in rows.splitlines():
        row = json.loads(line)
        status = Path(row["source"]).stat()
        text = json.dumps({**row, "stamp": [status.st_size, status.st_mtime_ns]}).encode()
        lines.append(b"%s %08x\n" % (text, zlib.crc32(text)))
    return b"".join(lines)


@pytest.mark.parametrize("when", ["first", "later", "in the last batch"])
@pytest.mark.parametrize("how", ["replaced", "removed"])
def test_an_image_that_has_changed_is_read_again_and_named(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str, how: str
) -> None:
    inputs, data, out = tmp_path / "list.txt", tmp_path / "data", tmp_path / "out.jsonl"
    data.mkdir()
    for number in range(90):
        shutil.copyfile(images / f"{number % 20}.jpg", data / f"{number:02}.jpg")
    inputs.write_text("".join(f"{path}\n" for path in sorted(data.iterdir())))
    arguments = ["predict", inputs, "--model", bundle, "--no-detect", "--jsonl", out]
    with stopped(monkeypatch, 75):
        assert call(*arguments)[0] == 130
    changed = data / {"first": "00.jpg", "later": "40.jpg", "in the last batch": "70.jpg"}[when]
    if how == "replaced":
        shutil.copyfile(images / "7.jpg", changed)
    else:
        changed.unlink()
    status, _, err = call(*arguments)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["source"] for row in rows] == inputs.read_text().split()
    assert status == (how == "removed")
    assert f"mien: {changed} has changed since it was read; it and what came after it were read again\n" in err
    out.unlink()
    assert call(*arguments)[0] == status
    assert [json.loads(line) for line in out.read_text().splitlines()] == rows


def test_rows_whose_journal_is_gone_are_not_said_to_be_kept(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, folder = listing(tmp_path, images, 100), tmp_path / "results"
    original = Reader.predict_named

    def interrupted(reader: Reader, *arguments: Any) -> Iterator[Any]:
        yield from islice(original(reader, *arguments), 75)
        shutil.rmtree(folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(Reader, "predict_named", interrupted)
    status, _, err = call("predict", inputs, "--model", bundle, "--jsonl", folder / "out.jsonl")
    part = folder / "out.jsonl.part"
    assert (status, err) == (130, f"mien: interrupted; nothing is kept, because {part} has been removed\n")


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_a_file_that_is_there_is_never_replaced(
    call: Call, bundle: Path, images: Path, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / f"out.{kind}"
    assert call("predict", images / "0.jpg", "--model", bundle, f"--{kind}", out)[0] == 0
    before = out.read_bytes()
    for inputs in (images / "0.jpg", images):  # the same command, and another one
        refused = call("predict", inputs, "--model", bundle, f"--{kind}", out)
        assert refused == (2, "", f"mien: {out}: already exists; choose another name, or remove it first\n")
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_journal_without_rows_protects_no_file_from_being_kept(
    call: Call, bundle: Path, images: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    (tmp_path / "out.jsonl.part").write_bytes(b"")
    refused = call("predict", images, "--model", bundle, "--jsonl", out)
    assert refused == (2, "", f"mien: {out}: already exists; choose another name, or remove it first\n")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_killed_after_the_file_was_written_the_same_command_ends_well(
    begun: tuple[Path, list[object], bytes], call: Call, tmp_path: Path
) -> None:
    """The file has its name, and the journal is still there."""
    _, arguments, expected = begun
    (tmp_path / "out.jsonl").write_bytes(expected)
    assert call(*arguments)[0] == 1
    assert (tmp_path / "out.jsonl").read_bytes() == expected
    assert not (tmp_path / "out.jsonl.part").exists()


def test_a_journal_cut_anywhere_is_mended(begun: tuple[Path, list[object], bytes], call: Call, tmp_path: Path) -> None:
    _, arguments, expected = begun
    part = tmp_path / "out.jsonl.part"
    journal = part.read_bytes()
    head = journal.index(b"\n") + 1
    for cut in (0, head - 5, head, head + 1, head + 500, len(journal) // 2, len(journal) - 1, len(journal)):
        for tail in (b"", b"\0" * 100):
            part.write_bytes(journal[:cut] + tail)
            (tmp_path / "out.jsonl").unlink(missing_ok=True)
            assert call(*arguments)[0] == 1
            assert (tmp_path / "out.jsonl").read_bytes() == expected
            assert not part.exists()


def test_a_row_that_was_damaged_is_read_again_and_said(
    begun: tuple[Path, list[object], bytes], call: Call, tmp_path: Path
) -> None:
    _, arguments, expected = begun
    part = tmp_path / "out.jsonl.part"
    lines = part.read_bytes().splitlines(keepends=True)
    lines[60] = re.sub(rb'("probability": 0\.)(\d)', lambda one: one[1] + b"%d" % (9 - int(one[2])), lines[60])
    part.write_bytes(b"".join(lines))
    status, _, err = call(*arguments)
    assert status == 1
    assert f"mien: {part}: line 61 is damaged; it and what came after it were read again\n" in err
    assert (tmp_path / "out.jsonl").read_bytes() == expected


def test_a_complete_journal_is_only_written_out(
    begun: tuple[Path, list[object], bytes], call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process was killed between the last row and the renaming."""
    _, arguments, expected = begun
    part = tmp_path / "out.jsonl.part"
    head = part.read_bytes().split(b"\n", 1)[0] + b"\n"
    part.write_bytes(head + stamped(expected))
    with stopped(monkeypatch, 0):  # not a single image is read
        assert call(*arguments)[0] == 1
    assert (tmp_path / "out.jsonl").read_bytes() == expected


def test_what_has_changed_is_refused_by_name(
    begun: tuple[Path, list[object], bytes], call: Call, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    inputs, arguments, _ = begun
    part = tmp_path / "out.jsonl.part"
    journal = part.read_bytes()

    def refused(*changed: object) -> str:
        status, out, err = call(*changed)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert part.read_bytes() == journal
        found = re.fullmatch(
            rf"mien: {re.escape(str(part))}: was begun with another (.*); "
            r"delete it to start over, or write to another file\n",
            err,
        )
        assert found, err
        return found[1]

    other = make_bundle(labels=("sad", "happy", "other"))
    assert refused(*[other if value == arguments[3] else value for value in arguments]) == "model"
    assert refused(*arguments, "--threshold", "0.4") == "choice of options"
    assert refused(*arguments, "--mirror", "yes") == "choice of options"
    assert refused(*arguments, "--no-detect", "--faces", "largest") == "choice of options"
    assert refused(*arguments, inputs) == "list of inputs"
    lines = inputs.read_text().splitlines()
    for changed in (lines[:-1], [*lines, lines[0]], lines[1:], [*lines[:50], "x.png", *lines[51:]]):
        inputs.write_text("\n".join(changed))
        assert refused(*arguments) == "list of inputs"
    inputs.write_text("\n".join(lines))
    assert call(*arguments, "--threads", "1")[0] == 1, "how many threads changes nothing"


def test_standard_input_goes_on_and_is_compared(
    begun: tuple[Path, list[object], bytes], bundle: Path, tmp_path: Path
) -> None:
    inputs, _, expected = begun
    out, part = tmp_path / "two.jsonl", tmp_path / "two.jsonl.part"
    lines = inputs.read_text().splitlines()

    def run(names: list[str]) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, "-m", "mien", "predict", "-", "--model", str(bundle), "--jsonl", str(out)]
        return subprocess.run(arguments, input="\n".join(names), capture_output=True, text=True, check=False)

    assert run(lines).returncode == 1
    assert out.read_bytes() == expected
    out.unlink()
    rows = stamped(expected).split(b"\n")
    head = json.loads((tmp_path / "out.jsonl.part").read_bytes().split(b"\n", 1)[0])
    head["list of inputs"] = {"given": ["-"]}
    part.write_bytes(b"\n".join([json.dumps(head).encode(), *rows[:50], rows[50][:30]]))
    changed = run(lines[1:])
    assert (changed.returncode, changed.stderr.count("\n")) == (2, 1)
    assert "was begun with another list of inputs" in changed.stderr
    assert run(lines[:49]).returncode == 2
    assert run(lines).returncode == 1
    assert out.read_bytes() == expected


def test_an_archive_goes_on(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for number in range(5):
            for path in sorted(images.iterdir()):
                archive.write(path, f"{number}/{path.name}")
    out = tmp_path / "out.csv"
    arguments = ["predict", tmp_path / "photos.zip", "--model", bundle, "--csv", out]
    assert call(*arguments)[0] == 1
    expected = out.read_bytes()
    out.unlink()
    with stopped(monkeypatch, 70):
        assert call(*arguments)[0] == 130
    assert call(*arguments)[0] == 1
    assert out.read_bytes() == expected
    assert expected.count(b"\n") == 106


def test_drawings_go_on(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = listing(tmp_path, images, 80)
    for name, after in (("whole", 10**6), ("out", 40)):
        arguments = ["predict", inputs, "--model", bundle, "--csv", tmp_path / f"{name}.csv"]
        with stopped(monkeypatch, after):
            call(*arguments, "--draw", tmp_path / name)
    assert len(list((tmp_path / "out").iterdir())) < len(list((tmp_path / "whole").iterdir()))
    assert "another choice of options" in call(*arguments)[2]
    assert call(*arguments, "--draw", tmp_path / "out")[0] == 1
    whole, out = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("whole", "out"))
    assert out == whole
    assert len(whole) == sum(
        Path(name).suffix == ".jpg" and "20.jpg" not in name for name in inputs.read_text().split()
    )


def test_files_that_vanish_meanwhile_are_rows(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(images, folder)
    read = Reader.predict_named

    def vanishing(reader: Reader, *arguments: Any) -> Iterator[Any]:
        shutil.rmtree(folder)
        (folder).mkdir()
        shutil.copy(images / "0.jpg", folder)
        yield from read(reader, *arguments)

    monkeypatch.setattr(Reader, "predict_named", vanishing)
    inputs = tmp_path / "list.txt"
    inputs.write_text("\n".join(str(folder / f"{number}.jpg") for number in range(5)))
    status, out, err = call("predict", inputs, "--model", bundle, "--jsonl", "-")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["reason"] for row in rows] == [None, *["no such file"] * 4]
    assert (status, err) == (1, "mien: 4 of 5 files could not be read; see their rows\n")


def test_outputs_are_written_in_one_pass_and_a_stream_gets_all_rows(
    call: Call, bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that were kept stream again, so that the stream is whole; the other file names belong to the job."""
    out, table = tmp_path / "out.json", tmp_path / "out.csv"
    inputs = listing(tmp_path, images, 50)
    arguments = ["predict", inputs, "--model", bundle, "--csv", table, "--json", out, "--jsonl", "-"]
    with stopped(monkeypatch, 40):
        assert call(*arguments)[0] == 130
    assert not table.exists()
    status, _, err = call(*arguments[:-2], "--parquet", tmp_path / "out.parquet")
    assert (status, "was begun with another set of outputs" in err) == (2, True)
    _, text, err = call(*arguments)
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["source"] for row in rows] == inputs.read_text().splitlines()
    assert rows == json.loads(out.read_text())
    assert len(table.read_text().splitlines()) == 51
    assert f"wrote {table}: 50 rows" in err, "standard output has the rows alone"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.txt", "out.csv", "out.json"]
