"""Decisions change what a dataset is, for exactly the files that they are about, and say so."""

import hashlib
import shutil
from pathlib import Path

import pytest
from PIL import Image

from mien.data.audit import audit
from mien.data.clean import write_clean
from mien.data.dataset import read_manifest
from mien.data.fixes.records import FILE_NAME, Fix
from mien.data.fixes.store import FixesFile
from mien.errors import DataError
from mien.results import Box


def decide(data: Path, name: str, decision: str, label: str = "", **more: object) -> None:
    """Append a decision about a file, as a person would."""
    was = more.pop("was", name.partition("/")[0])
    row = Fix(hashlib.sha256((data / name).read_bytes()).hexdigest(), name, decision, label, was, **more)  # type: ignore[arg-type]
    FixesFile(data / FILE_NAME).append([row])


def names(data: Path, label: str) -> list[str]:
    return sorted(path.relative_to(data).as_posix() for path in (data / label).iterdir())


def test_labels_files_and_faces_are_as_decided(data: Path) -> None:
    first, second, third, *_ = names(data, "sad")
    decide(data, first, "relabel", "happy")
    decide(data, second, "leave-out")
    decide(data, third, "keep", "sad", face=Box(1, 2, 30, 40))
    found = read_manifest(data)
    labels = {sample.name: sample.label for sample in found.samples}
    assert labels[first] == "happy"
    assert second not in labels
    assert found.counts() == {"happy": 21, "sad": 18}
    assert found.fixes is not None
    assert found.fixes.faces == {third: Box(1, 2, 30, 40)}
    assert found.notes[-1] == (
        "uses 3 decisions of mien-fixes.csv (1 kept, 1 relabelled, 1 left out); `fixes=False` ignores them"
    )
    assert read_manifest(data, fixes=False).counts() == {"happy": 20, "sad": 20}


def test_the_file_of_decisions_is_no_sample_and_no_table(data: Path) -> None:
    decide(data, names(data, "sad")[0], "keep", "sad")
    shutil.copy(data / FILE_NAME, data / "happy" / FILE_NAME)
    assert len(read_manifest(data, fixes=False).samples) == 40


def test_a_changed_file_is_asked_again(data: Path) -> None:
    first, second, *_ = names(data, "sad")
    decide(data, first, "leave-out")
    (data / first).write_bytes((data / second).read_bytes() + b"\0")
    found = read_manifest(data)
    assert found.fixes is not None
    assert found.fixes.changed == (first,)
    assert len(found.samples) == 40
    assert "1 file changed since: their decisions do not count" in found.notes[-1]


def test_a_disagreement_counts_for_nothing(data: Path) -> None:
    first = names(data, "sad")[0]
    decide(data, first, "leave-out", who="Ada")
    decide(data, first, "keep", "sad", who="Ben")
    found = read_manifest(data)
    assert found.fixes is not None
    assert found.fixes.conflicts == (first,)
    assert len(found.samples) == 40


def test_a_copy_and_a_moved_file_have_the_decision_of_their_content(data: Path) -> None:
    first, second, *_ = names(data, "sad")
    decide(data, first, "leave-out")
    decide(data, second, "relabel", "happy")
    shutil.copy(data / first, data / "happy" / "copy.jpg")
    (data / second).rename(data / "happy" / "moved.jpg")
    labels = {sample.name: sample.label for sample in read_manifest(data).samples}
    assert "happy/copy.jpg" not in labels
    assert labels["happy/moved.jpg"] == "happy"


def test_a_file_that_was_moved_to_a_third_class_is_asked_again(data: Path) -> None:
    first = names(data, "sad")[0]
    decide(data, first, "keep", "sad")
    (data / "angry").mkdir()
    (data / first).rename(data / "angry" / "a.jpg")
    found = read_manifest(data)
    assert found.fixes is not None
    assert found.fixes.changed == ("angry/a.jpg",)
    assert {sample.label for sample in found.samples if sample.name == "angry/a.jpg"} == {"angry"}


def test_decisions_may_name_the_old_or_the_new_class(data: Path) -> None:
    first, second, *_ = names(data, "sad")
    decide(data, first, "relabel", "happy")
    decide(data, second, "relabel", "joy")
    assert read_manifest(data, rename={"happy": "joy"}).counts() == {"joy": 22, "sad": 18}


def test_an_unsorted_folder_has_the_labels_that_people_gave(data: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for name in (*names(data, "sad"), *names(data, "happy")):
        shutil.copy(data / name, flat / name.replace("/", "-"))
    with pytest.raises(DataError, match="not in class folders"):
        read_manifest(flat)
    for path in sorted(flat.iterdir())[:30]:
        decide(flat, path.name, "relabel", path.name.partition("-")[0], was="")
    found = read_manifest(flat)
    assert found.counts() == {"happy": 20, "sad": 10}
    assert "10 files without a label yet" in found.notes[-1]


def test_a_copy_under_two_labels_is_settled_by_a_decision(data: Path) -> None:
    first = names(data, "sad")[0]
    shutil.copy(data / first, data / "happy" / "copy.jpg")
    assert set(audit(read_manifest(data)).left_out.values()) == {"label-conflict"}
    decide(data, first, "keep", "sad")
    found = audit(read_manifest(data))
    assert list(found.left_out.values()) == ["exact-duplicate"]
    assert sum(sample.label == "sad" for sample in found.usable.samples) == 20


def test_the_clean_copy_is_as_decided(data: Path, tmp_path: Path) -> None:
    first, second, *_ = names(data, "sad")
    decide(data, first, "relabel", "happy")
    decide(data, second, "leave-out")
    copy = write_clean(audit(read_manifest(data)), tmp_path / "clean")
    assert copy.written == {"happy": 21, "sad": 18}
    assert copy.decisions == 1


def test_decisions_and_chosen_faces_go_along_into_the_clean_copy(data: Path, tmp_path: Path) -> None:
    first, second, third, *_ = names(data, "sad")
    with Image.open(data / third) as image:
        image.convert("RGBA").save(data / "sad" / "clear.png")  # the copy is another file: RGB
    decide(data, first, "relabel", "happy", face=Box(1, 2, 30, 40), who="Ada")
    decide(data, second, "keep", "sad")
    decide(data, third, "leave-out")
    decide(data, "sad/clear.png", "keep", "sad", face=Box(3, 4, 50, 60))
    before = read_manifest(data, rename={"happy": "joy"})
    assert before.fixes is not None
    copy = write_clean(audit(before), tmp_path / "clean")
    after = read_manifest(tmp_path / "clean")
    assert after.fixes is not None and copy.decisions == 3
    moved = f"joy/{Path(first).name}"
    assert (tmp_path / "clean" / "sad" / "clear.png").read_bytes() != (data / "sad" / "clear.png").read_bytes()
    assert after.fixes.faces == {moved: Box(1, 2, 30, 40), "sad/clear.png": Box(3, 4, 50, 60)}
    assert after.fixes.confirmed == {moved, second, "sad/clear.png"}
    assert (after.counts(), after.fixes.changed, after.fixes.relabelled) == ({"joy": 21, "sad": 19}, (), 0)
    assert [fix.who for fix in after.fixes.fixes if fix.path == moved] == ["Ada"]
    assert read_manifest(tmp_path / "clean", fixes=False).counts() == after.counts()


def test_decisions_go_along_into_a_table(data: Path, tmp_path: Path) -> None:
    rows = [f"{name},{name.partition('/')[0]},{name[-5]}" for name in (*names(data, "sad"), *names(data, "happy"))]
    (data / "labels.csv").write_text("\n".join(["file,label,group", *rows]))
    first = names(data, "sad")[0]
    decide(data, first, "relabel", "happy", face=Box(1, 2, 30, 40))
    write_clean(audit(read_manifest(data)), tmp_path / "clean")
    after = read_manifest(tmp_path / "clean")
    assert after.fixes is not None
    (name,) = after.fixes.faces
    assert after.source.read(name) == (data / first).read_bytes()
    assert after.counts() == {"happy": 21, "sad": 19}
