"""The check finds what was planted, by its name, and nothing else; and decides rightly what is left out."""

import json
import os
import shutil
import zipfile
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image

from mien.data.audit import Audit, audit
from mien.data.dataset import read_manifest
from mien.data.issues import ISSUE_KINDS, Issue, Severity
from mien.data.synthetic.corrupt import corrupt_dataset
from mien.data.synthetic.faces import draw_face, write_dataset

BROKEN = ("zero-bytes", "html", "text", "truncated", "lfs-pointer", "too-small", "not-an-image", "absurd-size",
          "unsupported-type")  # fmt: skip


def check(path: Path, strict: bool = False) -> Audit:
    return audit(read_manifest(path), strict_extensions=strict)


def by_kind(found: Audit) -> dict[str, Issue]:
    kinds = {issue.kind: issue for issue in found.issues}
    assert len(kinds) == len(found.issues)
    return kinds


def quiet(found: Audit) -> dict[str, Issue]:
    """The issues without those that every small test folder has."""
    return {kind: issue for kind, issue in by_kind(found).items() if kind not in ("few-images", "class-imbalance")}


def draw(path: Path, seed: int, expression: str = "happy", size: int = 64) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_face(expression, seed, size)).save(path, quality=92)
    return path


def test_a_sound_dataset_has_no_issue(faces: Path) -> None:
    found = check(faces)
    assert found.issues == ()
    assert found.left_out == {}
    assert found.copies == ()
    assert found.usable.samples == found.manifest.samples


@pytest.mark.parametrize("seed", [0, 1])
def test_every_planted_issue_is_found_and_nothing_else(tmp_path: Path, seed: int) -> None:
    write_dataset(tmp_path, 24, seed=seed, size=64)
    planted: dict[str, set[str]] = defaultdict(set)
    copies = defaultdict(set)
    for item in corrupt_dataset(tmp_path, seed):
        planted[item.kind].update(item.files)
        copies[item.kind].add(tuple(sorted(item.files)))
    found = check(tmp_path)
    issues = by_kind(found)
    strays = planted.pop("stray")
    assert not strays & {sample.name for sample in found.manifest.samples}
    assert set(issues) - {"few-images", "class-imbalance"} == set(planted)
    for kind in ("exact-duplicate", "near-duplicate", "label-conflict"):
        assert {tuple(group) for group in issues[kind].groups} == copies[kind]
    for kind in ("exact-duplicate", "near-duplicate"):  # the one that is kept is not listed
        for group in copies[kind]:
            assert len(set(group) & set(issues[kind].files)) == len(group) - 1
    for kind in set(planted) - {"exact-duplicate", "near-duplicate"}:
        assert set(issues[kind].files) == planted[kind], kind
    gone = {kind: set(issues[kind].files) for kind in (*BROKEN, "label-conflict", "exact-duplicate") if kind in issues}
    assert found.left_out == {name: kind for kind, names in gone.items() for name in names}


def test_issues_that_are_not_planted_elsewhere(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    (data / "fear").mkdir()
    (data / "happy" / "noise.jpg").write_bytes(bytes(range(256)))
    (data / "happy" / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (data / "happy" / "a.webp").touch()
    (data / "sad" / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(data / "sad" / "fifo.jpg")
    with Image.open(draw(data / "sad" / "strip.png", 77, "sad")) as face:
        face.resize((20, 200)).save(data / "sad" / "strip.png")
    issues = by_kind(check(data))
    assert issues["empty-class"].detail == "fear"
    assert issues["not-an-image"].files == ("happy/noise.jpg",)
    assert issues["unsupported-type"].files == ("happy/a.svg",)
    assert issues["zero-bytes"].files == ("happy/a.webp",)
    assert issues["unreadable"].files == ("sad/fifo.jpg", "sad/gone.jpg")
    assert issues["absurd-size"].files == ("sad/strip.png",)
    assert len(issues) == 6


def test_strict_extensions(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    with Image.open(data / "sad" / "sad-00003.jpg") as image:
        image.save(data / "sad" / "sad-00003.webp", quality=95)
    (data / "sad" / "sad-00003.jpg").unlink()
    assert quiet(check(data)) == {}
    found = check(data, strict=True)
    assert quiet(found)["strict-extension"].files == ("sad/sad-00003.webp",)
    assert found.left_out == {"sad/sad-00003.webp": "strict-extension"}


def test_of_a_leak_the_held_out_copy_is_kept(tmp_path: Path) -> None:
    for part, start in (("train", 0), ("validation", 100), ("test", 200)):
        for label in ("happy", "sad"):
            for i in range(3):
                draw(tmp_path / part / label / f"{i}.png", start + i + 50 * (label == "sad"), label)
    happy = tmp_path / "train" / "happy"
    shutil.copy(tmp_path / "test" / "happy" / "0.png", happy / "leak.png")
    with Image.open(tmp_path / "validation" / "happy" / "1.png") as image:
        image.resize((48, 48)).save(happy / "near leak.jpg", quality=80)
    shutil.copy(tmp_path / "test" / "happy" / "2.png", tmp_path / "validation" / "happy" / "leak too.png")
    found = check(tmp_path)
    issue = quiet(found)["split-leak"]
    assert issue.files == ("train/happy/leak.png", "train/happy/near leak.jpg", "validation/happy/leak too.png")
    assert set(issue.groups) == {
        ("test/happy/0.png", "train/happy/leak.png"),
        ("train/happy/near leak.jpg", "validation/happy/1.png"),
        ("test/happy/2.png", "validation/happy/leak too.png"),
    }
    assert set(found.left_out) == set(issue.files)
    assert set(quiet(found)) == {"split-leak"}


def test_a_conflict_leaves_out_every_copy(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    shutil.copy(data / "happy" / "happy-00001.jpg", data / "sad" / "same.jpg")
    shutil.copy(data / "happy" / "happy-00001.jpg", data / "happy" / "again.jpg")
    found = check(data)
    assert quiet(found)["label-conflict"].files == ("happy/again.jpg", "happy/happy-00001.jpg", "sad/same.jpg")
    assert set(quiet(found)) == {"label-conflict"}
    assert not {sample.name for sample in found.usable.samples} & set(found.left_out)


def test_of_near_copies_the_largest_is_kept_in_a_clean_copy(tmp_path: Path) -> None:
    for i in range(4):
        draw(tmp_path / "happy" / f"{i}.jpg", i, "happy", 96)
        draw(tmp_path / "sad" / f"{i}.jpg", 50 + i, "sad", 96)
    with Image.open(tmp_path / "happy" / "1.jpg") as image:
        image.resize((70, 70)).save(tmp_path / "happy" / "0 small.jpg")
        image.resize((140, 140)).save(tmp_path / "happy" / "9 large.jpg")
    found = check(tmp_path)
    issue = quiet(found)["near-duplicate"]
    assert issue.files == ("happy/0 small.jpg", "happy/1.jpg")
    assert issue.groups == (("happy/0 small.jpg", "happy/1.jpg", "happy/9 large.jpg"),)
    assert found.named(["near-duplicate"]) == set(issue.files)
    assert found.left_out == {}
    assert found.copies == issue.groups


def test_files_that_a_table_names_twice(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    lines = ["file,label,split"]
    for label in ("happy", "sad"):
        names = sorted(path.name for path in (data / label).iterdir())
        lines += [f"{label}/{name},{label},{'test' if '7.' in name else 'train'}" for name in names]
    lines += ["happy/happy-00007.jpg,happy,train", "sad/sad-00001.jpg,sad,train", "sad/sad-00002.jpg,happy,train"]
    (data / "labels.csv").write_text("\n".join(lines))
    found = check(data)
    issues = quiet(found)
    assert issues["split-leak"].files == ("happy/happy-00007.jpg",)
    assert issues["exact-duplicate"].files == ("sad/sad-00001.jpg",)
    assert issues["label-conflict"].files == ("sad/sad-00002.jpg",)
    assert len(issues) == 3
    used = {sample.name: sample.split for sample in found.usable.samples}
    assert len(used) == len(found.usable.samples) == 39
    assert used["happy/happy-00007.jpg"] == "test"
    assert used["sad/sad-00001.jpg"] == "train"
    assert found.to_dict()["usable"] == 39


def test_classes_are_judged_by_what_is_left(tmp_path: Path) -> None:
    write_dataset(tmp_path / "one", 3, size=48, classes=("happy",))
    assert by_kind(check(tmp_path / "one"))["one-class"].detail == "only 'happy'"
    for label, count in (("happy", 31), ("sad", 20)):
        write_dataset(tmp_path / "two", count, size=48, classes=(label,))
    issues = by_kind(check(tmp_path / "two"))
    assert issues["class-imbalance"].detail == "happy 31, sad 20"
    (tmp_path / "two" / "sad" / "sad-00001.jpg").write_bytes(b"")
    issues = by_kind(check(tmp_path / "two"))
    assert issues["few-images"].detail == "happy 31, sad 19"
    assert set(issues) == {"few-images", "zero-bytes"}


def test_a_class_absent_from_a_part(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for label in ("happy", "sad"):
            draw(tmp_path / part / label / "0.png", len(part) + 50 * (label == "sad"), label)
    (tmp_path / "test" / "sad" / "0.png").write_text("not found")
    issues = quiet(check(tmp_path))
    assert issues["missing-in-part"].detail == "sad in test"
    assert set(issues) == {"missing-in-part", "text"}


def test_rows_and_members_that_gave_nothing(tmp_path: Path, faces: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(faces.rglob("*.*")):
            archive.write(file, file.relative_to(faces))
        archive.writestr("../happy/x.jpg", b"x")
    issue = by_kind(check(path))["bad-entry"]
    assert issue.files == ("../happy/x.jpg",)
    assert "leaves the archive" in issue.detail
    assert issue.severity is Severity.ERROR


def test_an_archive_is_checked_like_its_folder(tmp_path: Path) -> None:
    data = tmp_path / "d"
    write_dataset(data, 20, seed=3, size=64)
    corrupt_dataset(data, 3)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(data.rglob("*")):
            archive.write(file, file.relative_to(data))
    assert check(path).to_dict() == check(data).to_dict()


def test_worst_first_and_json_ready(tmp_path: Path) -> None:
    write_dataset(tmp_path, 20, seed=2, size=64)
    corrupt_dataset(tmp_path, 2)
    found = check(tmp_path)
    order = [(issue.severity.rank, -len(issue.files)) for issue in found.issues]
    assert order == sorted(order)
    row = json.loads(json.dumps(found.to_dict()))
    assert list(row) == ["files", "classes", "notes", "fixes", "usable", "detection", "labels", "remarks", "issues"]
    assert row["files"] == len(found.manifest.samples)
    assert row["usable"] == row["files"] - len(found.left_out)
    for issue in row["issues"]:
        assert {"kind", "severity", "fix", "files"} <= set(issue)
        assert issue["fix"] == ISSUE_KINDS[issue["kind"]].fix
        assert issue["files"] == sorted(set(issue["files"]))
    assert sum(found.counts.values()) == len(found.issues)


def test_a_class_folder_inside_another_is_an_issue(tmp_path: Path, faces: Path) -> None:
    """What an archive unpacked into its own folder gives."""
    data = tmp_path / "d"
    shutil.copytree(faces / "happy", data / "happy" / "happy")
    shutil.copytree(faces / "sad", data / "sad")
    (issue,) = check(data).issues
    assert (issue.kind, len(issue.files)) == ("nested-folder", 20)
    assert not check(data).left_out
    alone = next(issue for issue in check(data / "happy").issues if issue.kind == "one-class")
    assert alone.detail.endswith(f"as sad beside it, give the folder above, {data}")


def test_progress_rises_to_one(faces: Path) -> None:
    shares: list[float] = []
    audit(read_manifest(faces), on_progress=shares.append)
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.1
    assert shares[-1] == 1.0


def test_a_file_that_vanishes_is_one_issue(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    manifest = read_manifest(data)
    (data / "sad" / "sad-00005.jpg").unlink()
    issues = {issue.kind: issue for issue in audit(manifest).issues}
    assert issues["unreadable"].files == ("sad/sad-00005.jpg",)
    assert issues["unreadable"].detail == "no such file"


def test_the_catalogue_says_what_to_do() -> None:
    for kind, entry in ISSUE_KINDS.items():
        assert entry.title
        assert entry.fix
        assert kind == kind.lower()
        assert "\n" not in entry.title + entry.fix
    assert [severity.rank for severity in Severity] == [0, 1, 2]
