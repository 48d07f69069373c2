"""Any labelled source in, one manifest out; every mistake one helpful line."""

import os
import shutil
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data.dataset import Manifest, Sample, read_manifest, require_trainable
from mien.errors import ConfigError, DataError, ImageError


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def png(seed: int) -> bytes:
    """A few bytes that stand for an image: the manifest looks at names only."""
    return b"image %d" % seed


def lay_out(root: Path, names: Mapping[str, int] | list[str]) -> Path:
    """Make files; a mapping gives the number of files per folder."""
    if isinstance(names, Mapping):
        names = [f"{folder}/{i}.jpg" for folder, count in names.items() for i in range(count)]
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(number))
    return root


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def rows(manifest: Manifest) -> list[tuple[str, str, str | None]]:
    return [(sample.name, sample.label, sample.split) for sample in manifest.samples]


def fails(path: Path, *arguments: object) -> str:
    with pytest.raises(DataError) as caught:
        read_manifest(path, *arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_a_misspelt_class_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    data = lay_out(tmp_path / "d", {"happy": 2, "sad": 2})
    assert fails(data, ["hapy", "sad"]).endswith("has no class 'hapy'; it has happy, sad; did you mean 'happy'?")
    assert fails(data, None, {"Saad": "x"}).endswith("to map; it has happy, sad; did you mean 'sad'?")
    assert "did you mean" not in fails(data, ["cat", "sad"])


# --- class folders


def test_class_folders(tmp_path: Path) -> None:
    data = lay_out(tmp_path / "d", {"sad": 2, "happy": 1})
    found = read_manifest(data)
    assert found.classes == ("happy", "sad")
    assert rows(found) == [("happy/0.jpg", "happy", None), ("sad/0.jpg", "sad", None), ("sad/1.jpg", "sad", None)]
    assert found.counts() == {"happy": 1, "sad": 2}
    assert not found.has_splits
    assert found.bad_entries == ()
    assert found.read("sad/1.jpg") == (data / "sad/1.jpg").read_bytes()


def test_a_zip_of_it_is_the_same(tmp_path: Path) -> None:
    data = lay_out(tmp_path / "in" / "wrap" / "d", {"sad": 2, "happy": 1})
    plain, wrapped = zipped(data, tmp_path / "a.zip"), zipped(tmp_path / "in", tmp_path / "b.zip")
    expected = [(label, split) for _, label, split in rows(read_manifest(data))]
    for path in (plain, wrapped, tmp_path / "in"):
        assert [(label, split) for _, label, split in rows(read_manifest(path))] == expected
    assert read_manifest(plain).read("sad/1.jpg") == (data / "sad/1.jpg").read_bytes()


@pytest.mark.parametrize(
    "names",
    [
        ["data/happy/a.jpg", "data/sad/b.jpg"],
        ["data/happy/train/a.jpg", "data/happy/test/b.jpg", "data/sad/train/c.jpg", "data/sad/test/d.jpg"],
    ],
)
def test_a_folder_that_is_one_class_is_answered_with_the_folder_above(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = lay_out(tmp_path, names) / "data"
    assert fails(data / "happy").endswith(f"as sad beside it, give the folder above, {data}")
    monkeypatch.chdir(data / "happy")
    assert fails(Path()).endswith("give the folder above, ..")
    shutil.rmtree(data / "sad")
    assert "give the folder above" not in fails(data / "happy")


def test_parts_without_class_folders_are_no_classes(tmp_path: Path) -> None:
    data = lay_out(tmp_path / "deep" / "d", {"train": 4, "test": 2})
    assert "has parts (test, train), but no class folders in them; put class folders into each" in fails(data)
    (data / "labels.csv").write_text("file,label\ntrain/0.jpg,happy\ntest/0.jpg,sad\n")
    assert read_manifest(data).counts() == {"happy": 1, "sad": 1}
    vehicles = lay_out(tmp_path / "vehicles", {"train": 2, "bus": 2})
    assert read_manifest(vehicles).classes == ("bus", "train")


def test_class_folders_inside_a_class_folder_are_noticed(tmp_path: Path) -> None:
    names = ["happy/a.jpg", "happy/Happy/b.jpg", "happy/2021/c.jpg", "sad/test/d.jpg", "sad/2021/happy/e.jpg"]
    assert read_manifest(lay_out(tmp_path / "d", names)).nested == {
        "happy/Happy/b.jpg", "sad/test/d.jpg", "sad/2021/happy/e.jpg"
    }  # fmt: skip
    parts = lay_out(tmp_path / "parts", ["train/happy/a.jpg", "train/sad/sad/b.jpg", "test/sad/c.jpg"])
    assert read_manifest(parts).nested == {"train/sad/sad/b.jpg"}


def test_strays_beside_the_class_folders_are_no_class(tmp_path: Path) -> None:
    names = ["LICENSE", "readme.md", "preview.jpg", "Thumbs.db", ".DS_Store", "__MACOSX/happy/._0.jpg", "docs/a.md",
             "docs/b.txt", "scripts/x.py", ".git/x.jpg"]  # fmt: skip
    data = lay_out(tmp_path / "d", {"happy": 2, "sad": 2})
    lay_out(data, names)
    for path in (data, zipped(data, tmp_path / "a.zip")):
        found = read_manifest(path)
        assert found.classes == ("happy", "sad")
        assert len(found.samples) == 4
        assert found.empty_classes == ()
        assert found.bad_entries == ()


def test_folders_within_a_class_belong_to_it(tmp_path: Path) -> None:
    found = read_manifest(lay_out(tmp_path, ["happy/a/b/1.jpg", "happy/2.jpg", "sad/x/3.jpg"]))
    assert found.counts() == {"happy": 2, "sad": 1}


def test_files_of_a_class_that_are_not_images_are_listed_with_it(tmp_path: Path) -> None:
    found = read_manifest(lay_out(tmp_path, ["happy/1.jpg", "happy/notes.txt", "sad/2", "sad/3.PNG"]))
    assert found.counts() == {"happy": 2, "sad": 2}


def test_odd_names_stay_what_they_are(tmp_path: Path) -> None:
    odd = ["happy/[red]a[/].jpg", "happy/new\nline.jpg", "sad class/ünï 😀 .jpg", "sad class/:smile:.jpg"]
    found = read_manifest(lay_out(tmp_path, odd))
    assert {sample.name for sample in found.samples} == set(odd)
    assert found.read("happy/new\nline.jpg") == png(1)
    (tmp_path / "happy" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    assert len(read_manifest(tmp_path).samples) == 5


# --- split folders


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "validation", "test"), ("Training", "valid", "testing"), ("TRAIN", "val", "Test")],
)
def test_split_folders(tmp_path: Path, train: str, validation: str, test: str) -> None:
    lay_out(tmp_path, {f"{part}/{label}": 2 for part in (train, validation, test) for label in ("happy", "sad")})
    lay_out(tmp_path, ["readme.md", "docs/x.png", "docs/img/y.png"])
    found = read_manifest(tmp_path)
    assert found.classes == ("happy", "sad")
    assert found.has_splits
    assert {split for _, _, split in rows(found)} == {"train", "validation", "test"}
    assert found.empty_classes == ()
    require_trainable(found)


def test_a_lone_train_folder_is_a_split_not_a_wrapping(tmp_path: Path) -> None:
    found = read_manifest(lay_out(tmp_path, {"train/happy": 1, "train/sad": 1}))
    assert {split for _, _, split in rows(found)} == {"train"}


def test_an_unlabelled_test_folder_beside_split_folders_is_left_alone(tmp_path: Path) -> None:
    found = read_manifest(lay_out(tmp_path, {"train/happy": 3, "train/sad": 3, "test": 5}))
    assert len(found.samples) == 6


# --- tables


def test_a_table_beside_its_files(tmp_path: Path) -> None:
    lay_out(tmp_path, ["files/a.jpg", "files/b.jpg", "top.jpg"])
    (tmp_path / "labels.csv").write_text(
        "file;label;split;group\nfiles/a.jpg;happy;train;p1\n./files/b.jpg;sad;test;p2\ntop.jpg;sad;;\ngone.jpg;sad;;\n"
    )
    for path in (tmp_path, tmp_path / "labels.csv"):
        found = read_manifest(path)
        assert rows(found) == [
            ("files/a.jpg", "happy", "train"),
            ("files/b.jpg", "sad", "test"),
            ("top.jpg", "sad", None),
        ]
        assert [sample.group for sample in found.samples] == ["p1", "p2", None]
        assert [(p.name, p.reason) for p in found.bad_entries] == [("row 3", "file 'gone.jpg' does not exist")]
        assert found.read("top.jpg") == png(2)


def test_a_table_may_point_elsewhere_but_not_from_within_an_archive(tmp_path: Path) -> None:
    lay_out(tmp_path, ["images/a.jpg", "d/b.jpg", "d/c.jpg"])
    outside = tmp_path / "images" / "a.jpg"
    (tmp_path / "d" / "labels.csv").write_text(f"file,label\n../images/a.jpg,happy\n{outside},happy\nb.jpg,sad\n")
    found = read_manifest(tmp_path / "d")
    assert [found.read(sample.name) for sample in found.samples] == [png(0), png(0), png(1)]
    assert [found.stamp(sample.name)[0] for sample in found.samples] == [7, 7, 7]
    packed = read_manifest(zipped(tmp_path / "d", tmp_path / "d.zip"))
    assert [sample.name for sample in packed.samples] == ["b.jpg"]
    assert len(packed.bad_entries) == 2


def test_a_table_is_read_without_listing_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / "t.tsv").write_text("file\tlabel\na.jpg\thappy\nb.jpg\tsad\n" + "x" * 300 + "\tsad\n")

    def walk(*_: object, **__: object) -> None:
        pytest.fail("a CSV in a home folder must not make mien walk through the whole of it")

    monkeypatch.setattr(os, "walk", walk)
    found = read_manifest(tmp_path / "t.tsv")
    assert found.counts() == {"happy": 1, "sad": 1}
    assert len(found.bad_entries) == 1


def test_the_named_table_comes_before_class_folders_and_others_after(tmp_path: Path) -> None:
    lay_out(tmp_path, {"happy": 1, "sad": 1})
    (tmp_path / "scores.csv").write_text("whatever\n")
    assert len(read_manifest(tmp_path).samples) == 2
    (tmp_path / "labels.csv").write_text("file,label\nhappy/0.jpg,joy\nsad/0.jpg,grief\n")
    assert read_manifest(tmp_path).classes == ("grief", "joy")


def test_two_unnamed_tables_are_ambiguous(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("file,label\n1.png,happy\n")
    assert "none of its" not in fails(tmp_path)
    (tmp_path / "1.png").write_bytes(b"x")
    assert "2 tables of labels and no class folders; give one of them, such as a.csv" in fails(tmp_path)


@pytest.mark.parametrize("where", ["plain", "folder", "zip", "wrapped zip"])
def test_fer2013(tmp_path: Path, where: str) -> None:
    folder = tmp_path / "in" / "fer2013"
    folder.mkdir(parents=True)
    lines = [
        f"{code},{' '.join([str(30 * code)] * 4)},{use}" for code in range(7) for use in ("Training", "PrivateTest")
    ]
    (folder / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(lines) + "\n9,1,Training\n")
    path = {
        "plain": folder / "fer2013.csv",
        "folder": folder,
        "zip": zipped(folder, tmp_path / "a.zip"),
        "wrapped zip": zipped(tmp_path / "in", tmp_path / "b.zip"),
    }[where]
    found = read_manifest(path, ["sad", "happy"])
    assert found.counts() == {"sad": 2, "happy": 2}
    assert {sample.split for sample in found.samples} == {"train", "test"}
    assert len(found.bad_entries) == 1
    (tmp_path / "one.png").write_bytes(found.read(next(s.name for s in found.samples if s.label == "happy")))
    with Image.open(tmp_path / "one.png") as image:
        assert (np.asarray(image) == 90).all()
    assert found.stamp(found.samples[0].name)[0] == len(found.read(found.samples[0].name))


def test_votes_become_shares_of_the_kept_classes(tmp_path: Path) -> None:
    lay_out(tmp_path, ["a.jpg", "b.jpg", "c.jpg"])
    (tmp_path / "labels.csv").write_text("file,happy,sad,fear\na.jpg,6,2,2\nb.jpg,0,5,5\nc.jpg,0,0,1\n")
    found = read_manifest(tmp_path, ["sad", "happy"])
    assert found.samples == (
        Sample("a.jpg", "happy", target=(0.25, 0.75)),
        Sample("b.jpg", "sad", target=(1.0, 0.0)),
    )


def test_votes_of_merged_classes_count_together(tmp_path: Path) -> None:
    lay_out(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / "labels.csv").write_text("file,happy,smile,sad\na.jpg,3,3,4\nb.jpg,0,0,1\n")
    found = read_manifest(tmp_path, rename={"smile": "happy"})
    assert found.samples[0] == Sample("a.jpg", "happy", target=(0.6, 0.4))


# --- choosing and renaming


def test_classes_are_chosen_and_ordered(tmp_path: Path) -> None:
    data = lay_out(tmp_path, {"a": 1, "b": 1, "c": 1})
    (data / "d").mkdir()
    assert read_manifest(data).empty_classes == ("d",)
    found = read_manifest(data, ["c", "a"])
    assert found.classes == ("c", "a")
    assert found.counts() == {"c": 1, "a": 1}
    assert found.empty_classes == ()  # not asked for, so nothing to complain of


def test_rename_merges_classes(tmp_path: Path) -> None:
    data = lay_out(tmp_path, {"smile": 1, "happy": 2, "cry": 1})
    found = read_manifest(data, ["happy", "sad"], {"smile": "happy", "cry": "sad"})
    assert found.counts() == {"happy": 3, "sad": 1}
    assert "no class 'frown' to map; it has cry, happy, smile" in fails(data, None, {"frown": "sad"})


# --- mistakes


def test_mistakes_are_named(tmp_path: Path) -> None:
    data = lay_out(tmp_path / "d", {"happy": 3, "sad": 3})
    (data / "fear").mkdir()
    assert "no such file or folder" in fails(tmp_path / "none")
    assert "no class 'angry'; it has happy, sad" in fails(data, ["happy", "angry"])
    assert "class 'fear' has no images" in fails(data, ["happy", "fear"])
    (tmp_path / "empty").mkdir()
    assert "no labelled images found; expected class folders" in fails(tmp_path / "empty")
    assert "move them into one folder per class" in fails(lay_out(tmp_path / "flat", ["a.jpg", "b.jpg"]))
    (tmp_path / "x.csv").write_text("name,class\na,b\n")
    assert "the header must be" in fails(tmp_path / "x.csv")
    (tmp_path / "y.csv").write_bytes("file,label\né,b\n".encode("latin-1"))
    assert "not UTF-8" in fails(tmp_path / "y.csv")
    (tmp_path / "z.jpg").write_bytes(b"x")
    assert "is not a folder, a .csv or a readable zip" in fails(tmp_path / "z.jpg")
    os.mkfifo(tmp_path / "f.csv")
    assert "neither" in fails(tmp_path / "f.csv")


def untrainable(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        require_trainable(read_manifest(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_trained_on_is_named(tmp_path: Path) -> None:
    one = lay_out(tmp_path / "one", {"happy": 5})
    (one / "sad").mkdir()
    assert "only one class, 'happy' (empty folders: sad); give at least two" in untrainable(one)
    pages = lay_out(tmp_path / "pages", ["happy/1.jpg", "happy/2.jpg", "sad/download.html"])
    assert "(empty folders: sad)" in untrainable(pages)
    few = lay_out(tmp_path / "few", {"happy": 5, "sad": 2})
    assert "class 'sad' has 2 usable images; it needs at least 3" in untrainable(few)
    single = lay_out(tmp_path / "single", {"happy": 5, "sad": 1})
    assert "class 'sad' has 1 usable image;" in untrainable(single)
    lost = lay_out(tmp_path / "lost", {"train/happy": 5, "train/sad": 5, "test/happy": 5})
    assert "class 'sad' has no image in the test part" in untrainable(lost)
    held = lay_out(tmp_path / "held", {"test/happy": 5, "test/sad": 5})
    assert "no train part" in untrainable(held)


def test_permissions(tmp_path: Path, as_nobody: Callable[[], AbstractContextManager[None]]) -> None:
    data = lay_out(tmp_path / "d", {"happy": 2, "sad": 2})
    (tmp_path / "t.csv").write_text("file,label\n")
    (data / "sad").chmod(0)
    (data / "happy" / "0.jpg").chmod(0)
    (tmp_path / "t.csv").chmod(0)
    try:
        with as_nobody():
            found = read_manifest(data)
            assert found.counts() == {"happy": 2}
            assert [(p.name, p.reason) for p in found.bad_entries] == [
                ("sad", "folder cannot be read (Permission denied)")
            ]
            with pytest.raises(ImageError, match=r"happy/0\.jpg: permission denied"):
                found.read("happy/0.jpg")
            assert "Permission denied" in fails(tmp_path / "t.csv")
            assert "permission denied" in fails(data / "sad" / "deep.csv")
    finally:
        (data / "sad").chmod(0o755)


def test_unsafe_members_become_problems(tmp_path: Path) -> None:
    path = zipped(lay_out(tmp_path / "d", {"happy": 3, "sad": 3}), tmp_path / "a.zip")
    shutil.rmtree(tmp_path / "d")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../happy/evil.jpg", b"x")
        archive.writestr("/happy/evil.jpg", b"x")
    found = read_manifest(path)
    assert len(found.samples) == 6
    assert {p.name for p in found.bad_entries} == {"../happy/evil.jpg", "/happy/evil.jpg"}
    assert listing(tmp_path) == ["a.zip"]


def test_classes_as_one_string_are_refused(tmp_path: Path) -> None:
    """A string is a sequence, too: its letters must not be taken for classes."""
    with pytest.raises(ConfigError, match=r"classes 'happy,sad': give a list of names"):
        read_manifest(lay_out(tmp_path / "d", {"happy": 3, "sad": 3}), "happy,sad")
