"""Many machines give the rows that one gives, whoever dies on the way; the folder of parts knows what is in it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from pyarrow import parquet

from mien.errors import ConfigError, OutputError
from mien.inference.bundle import load_bundle
from mien.inference.jobs.ray import ATTEMPTS, PartsJob, PartWriter, write_parts
from mien.io.inputs import Inputs
from mien.io.parquet_parts import INPUTS_FILE, JOB_FILE, Changed, ParquetParts, begin_parts, locked_folder

MakeBundle = Callable[..., Path]
Called = tuple[int, str, str]
Call = Callable[..., Called]
JOB = {"model": {"name": "linear", "sha256": "0"}, "choice of options": {"faces": "all"}}


@pytest.fixture(scope="module")
def bundle(make_bundle: MakeBundle) -> Path:
    return make_bundle()


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty images of noise, and one file that is none."""
    folder = tmp_path_factory.mktemp("in") / "images"
    folder.mkdir()
    for number in range(20):
        values = np.random.default_rng(number).integers(0, 256, (120, 160, 3), np.uint8)
        Image.fromarray(values).save(folder / f"{number:02}.jpg")
    (folder / "20.jpg").write_text("no image")
    return folder


def assert_refused(called: Called, *words: str) -> None:
    """A bad call is exit status 2 and exactly one line on stderr."""
    status, out, err = called
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("mien: ")
    for word in words:
        assert word in err


def rows_of(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """All rows of some Parquet files, one after the other."""
    return [row for path in paths for row in parquet.ParquetFile(path).read().to_pylist()]


def assert_same_rows(parts: Path, whole: Path) -> None:
    """Equal but for the last digits: the network sees images in another company where a part begins."""
    paths = sorted(parts.glob("part-*.parquet"))
    assert all(parquet.read_schema(path).equals(parquet.read_schema(whole), check_metadata=True) for path in paths)
    found, expected = rows_of(paths), rows_of([whole])
    assert [row["source"] for row in found] == [row["source"] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


def in_this_process(
    model: Path, names: Sequence[str], folder: Path, size: int, mirror: bool | None = None
) -> tuple[PartsJob, list[int]]:
    """What the command does, with one worker and without Ray."""
    folder.mkdir()
    parts, starts, _ = begin_parts(folder, Inputs(names), JOB, size)
    work = PartsJob(parts, Path.cwd(), load_bundle(model), detect=False, mirror=mirror)
    PartWriter(work)({"part": np.arange(len(parts)), "start": np.array(starts)})
    return work, starts


def test_parts_are_the_rows_of_one_machine(
    bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    """Relative names, an archive, a list with what is not there and a name that is no UTF-8."""
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("some.zip", "w") as archive:
        for path in sorted(images.iterdir())[-4:]:
            archive.write(path, f"inner/{path.name}")
        archive.writestr("../out.jpg", b"leaves the archive")
    (tmp_path / "here.jpg").write_bytes((images / "00.jpg").read_bytes())
    (tmp_path / "list.txt").write_text(f"here.jpg\nnot-there.jpg\n{images}/01.jpg\n", encoding="utf-8")
    odd = os.fsdecode(b"caf\xe9.jpg")
    try:
        Path(odd).write_bytes((images / "02.jpg").read_bytes())
    except OSError:
        odd = "here.jpg"  # a file system of UTF-8 names only
    names = (str(images), "some.zip", "list.txt", odd)

    work, _ = in_this_process(bundle, names, tmp_path / "out", 8)
    status, _, err = call("predict", *names, "--model", bundle, "--no-detect", "--parquet", "whole.parquet")

    assert (len(work.parts), work.parts.count) == (4, 30)
    assert_same_rows(tmp_path / "out", tmp_path / "whole.parquet")
    counts = sum((work.parts.counted(number) for number in range(4)), start=type(work.parts.counted(0))())
    assert status == 1
    assert f"{counts['unreadable']} of {counts.total()} files could not be read" in err


def test_mirror_images_count_on_every_machine_or_on_none(
    make_bundle: MakeBundle, images: Path, tmp_path: Path, call: Call
) -> None:
    averaging, names = make_bundle(mirror=True), [str(images)]
    in_this_process(averaging, names, tmp_path / "own", 8)
    in_this_process(averaging, names, tmp_path / "single", 8, mirror=False)
    call("predict", *names, "--model", averaging, "--no-detect", "--parquet", tmp_path / "whole.parquet")
    assert_same_rows(tmp_path / "own", tmp_path / "whole.parquet")
    with pytest.raises(AssertionError):
        assert_same_rows(tmp_path / "single", tmp_path / "whole.parquet")


def test_what_is_kept_is_said_as_it_is(bundle: Path, images: Path, tmp_path: Path) -> None:
    work, _ = in_this_process(bundle, [str(images)], tmp_path / "out", 8)
    work.parts.path(1).unlink()
    assert work.parts.kept() == f"2 of 3 parts are kept in {tmp_path / 'out'}; the same command continues"
    shutil.rmtree(tmp_path / "out")
    assert work.parts.kept() == f"nothing is kept, because {tmp_path / 'out' / JOB_FILE} has been removed"


def test_faces_are_counted_once_per_image(
    brightness_bundle: Path, two_people: Callable[..., np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    for number, (left, right) in enumerate(((True, False), (None, None), (True, None))):
        Image.fromarray(two_people(0.0, left, right)).save(tmp_path / f"{number}.png")
    (tmp_path / "out").mkdir()
    parts, starts, _ = begin_parts(tmp_path / "out", Inputs([str(tmp_path)]), JOB)
    counts = PartWriter(PartsJob(parts, tmp_path, load_bundle(brightness_bundle))).write(0, starts[0])
    assert counts == parts.counted(0) == {"ok": 2, "no_face": 1}
    assert len(rows_of([parts.path(0)])) == 4


def test_a_part_is_found_by_its_place_and_sorts_by_it(tmp_path: Path) -> None:
    parts = ParquetParts(tmp_path, 123_456_789, 1000)
    names = [parts.path(number).name for number in (0, 9, 10, 99_999, 123_456)]
    assert names == sorted(names)
    assert len(parts) == 123_457
    assert parts.images_in(123_456) == 789
    assert ParquetParts(tmp_path, 2000).path(1).name == "part-00001.parquet"


def test_the_list_is_that_of_the_local_engine(images: Path, tmp_path: Path) -> None:
    parts, starts, _ = begin_parts(tmp_path, Inputs([str(images)]), JOB, 6)
    survey = Inputs([str(images)]).summarise()
    told = json.loads((tmp_path / JOB_FILE).read_text())
    assert told["list of inputs"] == {"count": survey.count, "sha256": survey.sha256}
    assert [len(parts.lines(*place)) for place in enumerate(starts)] == [6, 6, 6, 3]
    assert parts.lines(3, starts[3])[0][0] == str(images / "18.jpg")


@pytest.mark.parametrize(
    ("job", "names", "size", "words"),
    [
        ({**JOB, "model": {"name": "linear", "sha256": "1"}}, ["."], 8, "another model;"),
        ({**JOB, "choice of options": {"faces": "largest"}}, ["."], 8, "another choice of options;"),
        (JOB, ["00.jpg"], 8, "another list of inputs;"),
        (JOB, ["."], 9, "another size of parts;"),
    ],
)
def test_another_job_is_refused_and_nothing_changed(
    job: dict[str, Any],
    names: list[str],
    size: int,
    words: str,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(images)
    begin_parts(tmp_path, Inputs(["."]), JOB, 8)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError) as refused:
        begin_parts(tmp_path, Inputs(names), job, size)
    assert words in str(refused.value)
    assert "delete the folder" in str(refused.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    begin_parts(tmp_path, Inputs(["."]), JOB, 8)


def test_a_folder_of_other_things_is_refused(images: Path, tmp_path: Path) -> None:
    (tmp_path / "part-00000.parquet").write_bytes(b"")
    with pytest.raises(OutputError, match=f"other files in it and no {JOB_FILE}"):
        begin_parts(tmp_path, Inputs([str(images)]), JOB)
    (tmp_path / JOB_FILE).write_text("{}")
    with pytest.raises(OutputError, match="not written by mien"):
        begin_parts(tmp_path, Inputs([str(images)]), JOB)
    assert not (tmp_path / INPUTS_FILE).exists()


def test_a_damaged_part_names_its_fix(bundle: Path, images: Path, tmp_path: Path) -> None:
    work, _ = in_this_process(bundle, [str(images)], tmp_path / "out", 8)
    work.parts.path(1).write_bytes(b"PAR1")
    with pytest.raises(OutputError, match=r"part-00001.parquet: cannot be read .*delete it"):
        work.parts.counted(1)
    work.parts.path(2).write_bytes(work.parts.path(0).read_bytes())
    with pytest.raises(OutputError, match="has 8 images, not 5; delete it"):
        work.parts.counted(2)


def test_parts_of_images_that_changed_are_written_again(bundle: Path, images: Path, tmp_path: Path) -> None:
    copies, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(images, copies)
    names = [str(copies)]
    work, starts = in_this_process(bundle, names, out, 8)
    assert begin_parts(out, Inputs(names), JOB, 8)[2] is None
    assert all(work.parts.path(number).exists() for number in range(3))

    for name in ("09.jpg", "11.jpg"):
        shutil.copy(copies / "00.jpg", copies / name)
    listed = (out / INPUTS_FILE).read_bytes()
    changed = Changed(str(copies / "09.jpg"), 2)
    assert begin_parts(out, Inputs(names), JOB, 8)[2] == changed
    assert [work.parts.path(number).exists() for number in range(3)] == [True, False, True]
    PartWriter(work).write(1, starts[1])
    found = {row["source"]: row["p_happy"] for row in rows_of([work.parts.path(number) for number in range(3)])}
    assert found[names[0] + "/09.jpg"] == pytest.approx(found[names[0] + "/00.jpg"], abs=1e-6)

    (out / INPUTS_FILE).write_bytes(listed)  # killed before the new list had its name
    assert begin_parts(out, Inputs(names), JOB, 8)[2] == changed
    (out / INPUTS_FILE).unlink()  # nothing says as what the images were read
    assert begin_parts(out, Inputs(names), JOB, 8)[2] == Changed(str(copies / "00.jpg"), 13)


def test_two_runs_do_not_write_the_same_folder(tmp_path: Path) -> None:
    with (
        locked_folder(tmp_path / "out"),
        pytest.raises(OutputError, match="another process"),
        locked_folder(tmp_path / "out"),
    ):
        pass
    with locked_folder(tmp_path / "out"):
        pass
    assert list((tmp_path / "out").iterdir()) == []


def test_what_kills_its_workers_is_not_tried_for_ever(bundle: Path, images: Path, tmp_path: Path) -> None:
    work, starts = in_this_process(bundle, [str(images)], tmp_path / "out", 8)
    for number in range(ATTEMPTS):
        (work.parts.folder / f"..part-00001.machine-{number}.part").touch()
    told = PartWriter(work)({"part": np.array([0, 1]), "start": np.array(starts[:2])})["done"]
    assert json.loads(told[0]) == {"counts": {"ok": 8}}
    assert "part-00001.parquet: its worker died 4 times" in json.loads(told[1])["error"]
    assert f"one of lines 9 to 16 in {INPUTS_FILE}" in json.loads(told[1])["error"]
    work.parts.remove_leftovers()
    assert PartWriter(work).write(1, starts[1]) == {"ok": 8}


def test_without_ray_one_sentence_says_what_to_install(
    bundle: Path, images: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    called = call("predict", images, "--model", bundle, "--engine", "ray", "--parquet", tmp_path / "out")
    assert_refused(called, "--engine ray", "pip install 'mien[cluster]'")
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(ConfigError, match=f"RAY_ADDRESS {address}: nobody"):
            patch.setenv("RAY_ADDRESS", address)
            next(write_parts(PartsJob(ParquetParts(tmp_path, 1), tmp_path, load_bundle()), {0: 0}, None))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give --parquet DIR"),
        (["--parquet", "-"], "give --parquet DIR"),
        (["--parquet", "OUT", "--csv", "x.csv"], "--csv: does not work with --engine ray"),
        (["--parquet", "OUT", "--draw", "x"], "--draw: does not work with --engine ray"),
        (["--parquet", "OUT", "clip.mp4"], "clip.mp4: a video is read on one machine"),
        (["--parquet", "IN"], "is one of the inputs"),
    ],
)
def test_a_bad_call_is_one_line(options: list[str], words: str, images: Path, tmp_path: Path, call: Call) -> None:
    places = {"OUT": str(tmp_path / "out"), "IN": str(images)}
    given = [places.get(option, option) for option in options]
    assert_refused(call("predict", images, "--engine", "ray", *given), words)
    assert list(tmp_path.iterdir()) == []


def start(*arguments: object) -> "subprocess.Popen[str]":
    """Start `mien predict` on a Ray of two workers."""
    command = [sys.executable, "-m", "mien", "predict", *map(str, arguments), "--engine", "ray", "--threads", "2"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def finished(folder: Path) -> dict[str, int]:
    """The parts that are there, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}


@pytest.mark.slow
def test_a_worker_is_killed_and_no_row_is_lost(bundle: Path, images: Path, tmp_path: Path) -> None:
    names = sorted(map(str, images.iterdir())) * 300
    (tmp_path / "list.txt").write_text("\n".join(names), encoding="utf-8")
    out, whole = tmp_path / "out", tmp_path / "whole.parquet"
    arguments = (tmp_path / "list.txt", "--model", bundle, "--no-detect", "--parquet")

    with start(*arguments, out) as running:
        while running.poll() is None:  # until two workers are in the middle of a part, and a part is finished
            attempts = sorted(out.glob(".*part-*.part"))
            if len(attempts) == 2 and finished(out):
                break
            time.sleep(0.005)
        workers = [int(path.name.removesuffix(".part").rpartition("-")[2]) for path in attempts]
        assert len(set(workers)) == 2
        assert all("ray::" in psutil.Process(worker).name() for worker in workers)
        os.kill(workers[0], signal.SIGKILL)
        assert attempts[0].exists(), "it had not finished its part"
        _, err = running.communicate()
    summary = "mien: 300 of 6300 files could not be read; see their rows\n"
    assert (running.returncode, err) == (1, summary)
    written = finished(out)
    assert sorted(path.name for path in out.iterdir()) == [INPUTS_FILE, JOB_FILE, *sorted(written)]

    local = [sys.executable, "-m", "mien", "predict", *map(str, arguments), str(whole)]
    assert subprocess.run(local, check=False, capture_output=True, text=True).stderr == summary
    assert_same_rows(out, whole)

    lost = out / "part-00003.parquet"
    lost.unlink()
    again = start(*arguments, out)
    resumed = f"mien: resuming after 5,300 of 6,300\n{summary}"
    assert (again.communicate()[1], again.returncode) == (resumed, 1)
    assert {name for name, when in finished(out).items() if when != written[name]} == {lost.name}
    assert_same_rows(out, whole)

    shutil.copy(images / "00.jpg", images / "19.jpg")
    changed = start(*arguments, out)
    said = f"mien: {images / '19.jpg'} and 299 more files have changed since an earlier call; the parts with them were"
    assert changed.communicate()[1] == f"{said} written again\n{summary}"
    assert changed.returncode == 1

    other = start(*arguments, out, "--threshold", "0.4")
    assert "was begun with another choice of options; delete the folder" in other.communicate()[1]
    assert other.returncode == 2


@pytest.mark.slow
def test_a_changed_model_is_refused(bundle: Path, make_bundle: MakeBundle, images: Path, tmp_path: Path) -> None:
    """And a run whose parts are all there needs no cluster."""
    begun = start(images, "--model", bundle, "--no-detect", "--parquet", tmp_path / "out")
    assert (begun.communicate()[1], begun.returncode) == ("mien: 1 of 21 files could not be read; see their rows\n", 1)
    written = finished(tmp_path / "out")
    other = make_bundle(size=24)
    refused = start(images, "--model", other, "--no-detect", "--parquet", tmp_path / "out")
    err = refused.communicate()[1]
    assert "was begun with another model; delete the folder" in err
    assert (err.count("\n"), refused.returncode) == (1, 2)
    assert finished(tmp_path / "out") == written
