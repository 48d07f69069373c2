"""The held-out part of a dataset or of a run is the one that is evaluated; damaged runs are refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from mien.data.dataset import read_manifest
from mien.errors import DataError
from mien.evaluation.held_out import (
    SplitRow,
    count_trained_on,
    describe_part,
    find_samples,
    held_out,
    held_out_of_run,
    read_split,
)
from mien.faces.crop import Region


@pytest.fixture
def run(faces: Path, tmp_path: Path) -> Path:
    """A run folder, as far as evaluation reads it: half of the faces for training, a quarter each held out."""
    names = sorted(path.relative_to(faces).as_posix() for path in faces.glob("*/*.*"))
    parts = ["train", "validation", "train", "test"]
    rows = [f"{name},{name.split('/')[0]},{parts[number % 4]},{number}\n" for number, name in enumerate(names)]
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "split.csv").write_text("file,label,part,group\n" + "".join(rows), "utf-8")
    write_about(folder, {"source": {"path": str(faces.resolve()), "classes": None, "rename": {}}})
    return folder


def write_about(folder: Path, about: dict[str, Any]) -> None:
    (folder / "run.json").write_text(json.dumps(about), "utf-8")


def without(folder: Path, part: str) -> None:
    path = folder / "split.csv"
    path.write_text(path.read_text("utf-8").replace(f",{part},", ",train,"), "utf-8")


@pytest.mark.parametrize(("parts", "expected"), [
    (("train", "validation", "test"), "test part of data"), (("train", "validation"), "validation part of data"),
    (("train",), "all of data"), ((), "all of data"),
])  # fmt: skip
def test_the_test_part_comes_before_the_validation_part(
    faces: Path, tmp_path: Path, parts: tuple[str, ...], expected: str
) -> None:
    for part in parts or ("",):
        for label in ("happy", "sad"):
            folder = tmp_path / "data" / part / label
            folder.mkdir(parents=True)
            (folder / "face.png").write_bytes(next((faces / label).iterdir()).read_bytes())
    manifest = read_manifest(tmp_path / "data")
    found = held_out(manifest)
    assert found.part == expected
    assert found.whole is manifest
    assert len(found.manifest.samples) == 2


def test_a_run_is_evaluated_on_its_test_part(run: Path) -> None:
    found = held_out_of_run(run)
    assert (found.part, len(found.manifest.samples)) == ("test", 10)
    assert {sample.name for sample in found.manifest.samples} == {
        row.file for row in read_split(run) if row.part == "test"
    }
    assert found.whole == found.manifest


def test_a_validation_part_is_said_to_have_chosen_the_epoch(run: Path) -> None:
    without(run, "test")
    found = held_out_of_run(run)
    assert found.part == describe_part("validation") == "validation (no test part; it also chose the kept epoch)"


@pytest.mark.parametrize(("about", "message"), [
    ({"folds": 5}, "cross-validated metrics are in"), ({"source": {}}, "does not name its data"),
    ([], "is not a run folder"),
])  # fmt: skip
def test_a_run_without_a_held_out_part_is_refused(run: Path, about: Any, message: str) -> None:
    write_about(run, about)
    with pytest.raises(DataError, match=message) as caught:
        held_out_of_run(run)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no run folder"):
        held_out_of_run(tmp_path)


@pytest.mark.parametrize("damage", ["", "file,label\na,b\n", "file,label,part,group\na,happy,elsewhere,1\n", "\0"])
def test_a_damaged_split_is_refused(run: Path, damage: str) -> None:
    (run / "split.csv").write_text(damage, "utf-8")
    with pytest.raises(DataError, match=r"split\.csv: cannot be read"):
        held_out_of_run(run)


def test_a_file_that_has_gone_is_named(run: Path, faces: Path) -> None:
    rows = (SplitRow("happy/gone.png", "happy", "test", 0),)
    with pytest.raises(DataError, match=r"happy/gone\.png of this run is no longer there \(1 file in all\); put back"):
        find_samples(read_manifest(faces), rows)


def test_regions_of_faces_are_read(run: Path) -> None:
    (run / "split.csv").write_text("file,label,part,group,x,y,side,angle\na.png,sad,test,3,1.5,2,30,-4\n", "utf-8")
    assert read_split(run) == (SplitRow("a.png", "sad", "test", 3, Region(1.5, 2, 30, -4)),)


def test_images_that_a_run_was_trained_on_are_counted(run: Path, faces: Path, tmp_path: Path) -> None:
    names = [row.file for row in read_split(run)]
    data = read_manifest(faces)
    assert count_trained_on(run, data, names) == 20
    assert count_trained_on(run, data, names[1:2]) == 0
    assert count_trained_on(tmp_path, data, names) == 0, "no run"


def test_copies_of_what_a_run_was_trained_on_are_counted_in_other_data(run: Path, faces: Path, tmp_path: Path) -> None:
    for row in read_split(run)[:8]:  # four of them for training
        copy = tmp_path / "other" / row.label / f"copy of {Path(row.file).name}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((faces / row.file).read_bytes())
    (tmp_path / "other" / "sad").mkdir(exist_ok=True)
    other = read_manifest(tmp_path / "other")
    names = [sample.name for sample in other.samples]
    assert len(names) == 8
    assert count_trained_on(run, other, names) == 4
    (tmp_path / "other" / names[0]).write_bytes(b"another image")
    assert count_trained_on(run, read_manifest(tmp_path / "other"), names) == 3
