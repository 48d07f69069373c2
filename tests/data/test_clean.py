"""The clean copy holds what is usable, as upright RGB under true names; nothing half-written ever stays."""

import csv
import hashlib
import io
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.data.audit import Audit, audit
from mien.data.clean import write_clean
from mien.data.dataset import read_manifest
from mien.data.issues import Severity
from mien.data.synthetic.corrupt import corrupt_dataset
from mien.data.synthetic.faces import draw_face, write_dataset
from mien.errors import DataError, ImageError, OutputError
from mien.io.images.decoding import load_image
from mien.io.images.formats import FORMAT_SUFFIXES


def check(path: Path) -> Audit:
    return audit(read_manifest(path))


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def corrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "corrupted"
    write_dataset(folder, 24, seed=6, size=64)
    corrupt_dataset(folder, 6)
    return folder


def test_a_clean_copy_is_clean_and_the_original_untouched(tmp_path: Path, corrupted: Path) -> None:
    before = tree(corrupted)
    found = check(corrupted)
    seen = []
    copy = write_clean(found, tmp_path / "out", lambda: seen.append(1))
    count = len(copy)
    assert tree(corrupted) == before
    assert listing(tmp_path) == ["out"]
    assert count == len(seen) == len(tree(tmp_path / "out"))
    assert count == len(found.usable.samples) - len(found.named(["near-duplicate"]))
    again = check(tmp_path / "out")
    kinds = {issue.kind for issue in again.issues}
    assert kinds <= {"few-images", "class-imbalance"}
    assert len(again.manifest.samples) == count
    assert copy.written == again.manifest.counts() and copy.files == found.manifest.counts()


def test_every_file_that_is_not_copied_has_one_reason(tmp_path: Path, corrupted: Path) -> None:
    found = check(corrupted)
    copy = write_clean(found, tmp_path / "out", leave_out=["cmyk"])
    for name, count in copy.files.items():
        assert count == copy.written[name] + sum(kinds[name] for kinds in copy.left_out.values())
    totals = [sum(kinds.values()) for kinds in copy.left_out.values()]
    assert totals == sorted(totals, reverse=True) and min(totals) > 0
    assert copy.left_out.keys() >= {"label-conflict", "near-duplicate", "cmyk"}
    assert sum(copy.left_out["cmyk"].values()) == 1


def test_a_file_in_several_rows_is_copied_once_and_counted(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    names = [f"{label}/{path.name}" for label in ("happy", "sad") for path in sorted((data / label).iterdir())]
    rows = [f"{name},{name.split('/')[0]}" for name in [*names, *names[:3]]]
    (data / "labels.csv").write_text("\n".join(["file,label", *rows]))
    copy = write_clean(check(data), tmp_path / "out")
    assert copy.left_out == {"repeated-row": {"happy": 3, "sad": 0}}
    assert (copy.files, len(copy)) == ({"happy": 23, "sad": 20}, 40)


def test_what_is_converted_shows_the_same_image(tmp_path: Path, corrupted: Path) -> None:
    found = check(corrupted)
    write_clean(found, tmp_path / "out")
    kinds = {name: issue.kind for issue in found.issues for name in issue.files}
    by_stem = {path.stem: path for path in (tmp_path / "out").rglob("*.*")}
    converted = 0
    for sample in found.usable.samples:
        if sample.name in found.named(["near-duplicate"]):
            continue
        old, new = corrupted / sample.name, by_stem[Path(sample.name).stem]
        assert new.parent.name == sample.label
        with Image.open(new) as image:
            assert new.suffix in FORMAT_SUFFIXES[image.format or ""]
            if kinds.get(sample.name) in ("cmyk", "palette", "sixteen-bit", "alpha", "exif-rotated"):
                converted += 1
                assert image.mode == "RGB"
                assert not image.getexif()
                difference = np.abs(load_image(new).astype(int) - load_image(old).astype(int)).mean()
                assert difference <= (3 if new.suffix == ".jpg" else 0)
            else:
                assert new.read_bytes() == old.read_bytes()
    assert converted == 7


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_rotation_is_applied_once(tmp_path: Path, kind: str) -> None:
    face = Image.fromarray(draw_face("happy", 1, 64)).resize((50, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, label in enumerate(("happy", "sad")):
        (tmp_path / "d" / label).mkdir(parents=True)
        image = Image.fromarray(draw_face(label, number, 64)).resize((50, 64))
        stored = image.transpose(Image.Transpose.ROTATE_90)
        stored.save(tmp_path / "d" / label / f"a.{kind.lower()}", kind, exif=exif, quality=95, icc_profile=b"profile")
    write_clean(check(tmp_path / "d"), tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.*"):
        with Image.open(path) as image:
            assert image.size == face.size
            assert "icc_profile" not in image.info
        original = np.asarray(
            Image.fromarray(draw_face(path.parent.name, int(path.parent.name == "sad"), 64)).resize((50, 64))
        )
        assert np.abs(load_image(path).astype(int) - original.astype(int)).mean() < 8


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    data = tmp_path / "d"
    for number, name in enumerate(["a/x.png", "b/x.png", "b/X.PNG", "x-2.png"]):
        path = data / "happy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_face("happy", number, 48)).save(path, "PNG")
    (data / "sad").mkdir()
    Image.fromarray(draw_face("sad", 9, 48)).save(data / "sad" / "odd\n[b].jpg", "PNG")
    Image.fromarray(draw_face("sad", 10, 48)).save(data / "sad" / os.fsdecode(b"caf\xe9.png"))
    assert len(write_clean(check(data), tmp_path / "out")) == 6
    happy = listing(tmp_path / "out" / "happy")
    assert len({name.lower() for name in happy}) == 4
    assert listing(tmp_path / "out" / "sad") == ["caf\ufffd.png", "odd\n[b].png"]


def test_parts_stay_parts(tmp_path: Path) -> None:
    for part, seed in (("Training", 0), ("val", 10), ("test", 20)):
        for label in ("happy", "sad"):
            path = tmp_path / "d" / part / label / "1.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(draw_face(label, seed + 5 * (label == "sad"), 48)).save(path)
    write_clean(check(tmp_path / "d"), tmp_path / "out")
    assert listing(tmp_path / "out") == ["test", "train", "validation"]
    again = read_manifest(tmp_path / "out")
    assert sorted(s.split or "" for s in again.samples) == ["test"] * 2 + ["train"] * 2 + ["validation"] * 2


def labelled(folder: Path, header: str, rows: list[str]) -> Path:
    folder.mkdir()
    lines = [header]
    for number, row in enumerate(rows):
        Image.fromarray(draw_face("happy", number, 48)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{row}")
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_groups_and_votes_survive(tmp_path: Path) -> None:
    rows = ["happy,train,p1,0.75,0.25", "sad,test,p2,0,1", "happy,train,,1,0", "sad,,p1,0.5,0.5"]
    data = labelled(tmp_path / "d", "file,label,split,group,happy,sad", rows)
    write_clean(check(data), tmp_path / "out")
    old, new = read_manifest(data), read_manifest(tmp_path / "out")
    assert [(s.label, s.split, s.group, s.target) for s in new.samples] == [
        (s.label, s.split, s.group, s.target) for s in old.samples
    ]
    assert new.classes == old.classes
    assert new.bad_entries == ()


@pytest.mark.parametrize(
    "label", ["../../evil", "/evil", "a/b", "..", ".", ".hidden", "__MACOSX", "train", "a\\b", "C:x", "a\0b"]
)
def test_a_class_name_is_never_a_way_out(tmp_path: Path, label: str) -> None:
    data = labelled(tmp_path / "d", "file,label", [label, "sad", label, "sad"])
    before = tree(data)
    write_clean(check(data), tmp_path / "deep" / "er" / "out")
    assert listing(tmp_path) == ["d", "deep"]
    assert listing(tmp_path / "deep") == ["er"]
    assert listing(tmp_path / "deep" / "er") == ["out"]
    assert tree(data) == before
    again = read_manifest(tmp_path / "deep" / "er" / "out")
    assert again.counts() == {label: 2, "sad": 2}


def test_an_archive_and_pixels_become_files(tmp_path: Path, faces: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(faces.rglob("*.*")):
            archive.write(file, file.relative_to(faces))
    assert len(write_clean(check(path), tmp_path / "out")) == 40
    assert tree(tmp_path / "out") == tree(faces)
    grey = [np.asarray(Image.fromarray(draw_face(e, 1, 48)).convert("L")) for e in ("happy", "sad")]
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["emotion", "pixels", "Usage"])
    for code, pixels in zip((3, 4), grey, strict=True):
        writer.writerow([code, " ".join(map(str, pixels.ravel())), "PrivateTest"])
    (tmp_path / "fer2013.csv").write_text(buffer.getvalue())
    assert len(write_clean(check(tmp_path / "fer2013.csv"), tmp_path / "fer")) == 2
    (happy,) = (tmp_path / "fer" / "test" / "happy").iterdir()
    assert np.array_equal(load_image(happy)[..., 0], grey[0])


# --- what must not happen


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_an_existing_place_is_refused(tmp_path: Path, faces: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "folder":
        out.mkdir()
    elif kind == "file":
        out.touch()
    else:
        out.symlink_to("nowhere")
    with pytest.raises(OutputError, match="already exists"):
        write_clean(check(faces), out)
    assert listing(tmp_path) == ["out"]


def test_a_place_within_the_dataset_is_refused(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    before = tree(data)
    for out in (data / "clean", data / "happy" / "clean", tmp_path / "x" / ".." / "d" / "clean"):
        with pytest.raises(OutputError, match="lies inside"):
            write_clean(check(data), out)
    assert tree(data) == before


def test_nothing_usable_is_no_empty_folder(tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        (tmp_path / "d" / label).mkdir(parents=True)
        (tmp_path / "d" / label / "a.jpg").touch()
    with pytest.raises(DataError, match="no usable file"):
        write_clean(check(tmp_path / "d"), tmp_path / "out")
    assert listing(tmp_path) == ["d"]


def test_an_interrupt_leaves_nothing(tmp_path: Path, faces: Path) -> None:
    left = iter(range(5))

    def stop() -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_clean(check(faces), tmp_path / "out", stop)
    assert listing(tmp_path) == []


def test_a_file_that_vanishes_meanwhile_leaves_nothing(tmp_path: Path, faces: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "d")
    found = check(data)
    (data / "sad" / "sad-00009.jpg").unlink()
    with pytest.raises(ImageError, match=r"sad/sad-00009\.jpg: no such file"):
        write_clean(found, tmp_path / "out")
    assert listing(tmp_path) == ["d"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path | None]:
    """A disk of 64 KiB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    yield place if mounted else None
    if mounted:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tiny_disk: Path | None, tmp_path: Path, faces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = check(faces)
    disk = tiny_disk
    if disk is None:
        disk = tmp_path / "full"
        disk.mkdir()
        real, written = Path.write_bytes, [0]

        def write(self: Path, data: Any) -> int:
            written[0] += len(data)
            if written[0] > 65536:
                raise OSError(28, os.strerror(28))
            return real(self, data)

        monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        write_clean(found, disk / "out")
    assert "\n" not in str(caught.value)
    assert listing(disk) == []


def test_the_check_of_a_clean_copy_has_no_error(tmp_path: Path, corrupted: Path) -> None:
    write_clean(check(corrupted), tmp_path / "out")
    assert not [issue for issue in check(tmp_path / "out").issues if issue.severity is Severity.ERROR]
