"""Folder layouts of the literature: understood, or one sentence that says what to do."""

import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.arguments import to_flags
from mien.data.dataset import Manifest, read_manifest
from mien.data.layouts.parts import find_parts, is_part
from mien.errors import DataError


def lay_out(root: Path, counts: Mapping[str, int], **texts: str) -> Path:
    """Make so many files in each folder, and text files by name, with `__` for a slash and `_csv` for an ending."""
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / folder / f"{folder.replace('/', '-')}{number}.png").write_bytes(b"image %d" % number)
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_csv", ".csv").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def parts(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Return the number of samples by part and class."""
    found: dict[str, dict[str, int]] = {}
    for sample in manifest.samples:
        row = found.setdefault(sample.split or "all", {})
        row[sample.label] = row.get(sample.label, 0) + 1
    return found


EVEN = {"happy": 2, "sad": 2}
BOTH = {"train": EVEN, "test": EVEN}


@pytest.mark.parametrize(
    ("train", "held_out", "part"),
    [
        ("training_set", "test_set", "test"),
        ("FER2013Train", "FER2013Valid", "validation"),
        ("train", "eval", "validation"),
        ("Train Data", "Validation Data", "validation"),
        ("trainset", "testset", "test"),
        ("images_train", "images_test", "test"),
        ("faces-train-2", "faces-test-2", "test"),
        ("dogs_train", "dogs_test", "test"),
    ],
)
def test_parts_by_the_names_that_people_give_them(tmp_path: Path, train: str, held_out: str, part: str) -> None:
    lay_out(tmp_path, {f"{place}/{label}": 2 for place in (train, held_out) for label in EVEN})
    found = read_manifest(tmp_path)
    assert parts(found) == {"train": EVEN, part: EVEN}
    expected = [] if (train, held_out) == ("train", "nothing") else [note for note in found.notes if train in note]
    assert expected or is_part(train)


def test_eval_beside_val_is_the_test_part() -> None:
    assert find_parts(["train", "val", "eval"]) == {"train": "train", "val": "validation", "eval": "test"}


@pytest.mark.parametrize("names", [["crash test", "happy"], ["test drive", "trains"], ["happy", "sad"], ["phase1"]])
def test_classes_that_only_remind_of_parts_stay_classes(names: list[str]) -> None:
    assert find_parts(names) == {}


@given(st.lists(st.text(max_size=12), max_size=6, unique=True))
def test_any_names_give_known_parts(names: list[str]) -> None:
    found = find_parts(names)
    assert found.keys() <= set(names)
    assert set(found.values()) <= {"train", "validation", "test"}


def test_parts_inside_classes(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{label}/{part}": 2 for label in EVEN for part in ("train", "test")})
    assert parts(read_manifest(tmp_path)) == BOTH


def test_parts_that_wrap_their_classes_in_one_more_folder(tmp_path: Path) -> None:
    lay_out(tmp_path, {f"{part}/images/{label}": 2 for part in ("train", "test") for label in EVEN})
    assert parts(read_manifest(tmp_path)) == BOTH


def test_a_clone_with_readme_scripts_and_pictures_of_its_documentation(tmp_path: Path) -> None:
    lay_out(
        tmp_path / "repo-main", {"data/happy": 20, "data/sad": 20, "docs/images": 3, "src": 0},
        README_md="# faces", requirements="keras", src__train="import keras", docs__scores_csv="epoch,loss\n1,2\n",
    )  # fmt: skip
    (tmp_path / "repo-main" / "src" / "logo.png").write_bytes(b"logo")
    found = read_manifest(tmp_path)
    assert parts(found) == {"all": {"happy": 20, "sad": 20}}
    assert found.notes == ("reads repo-main/data and leaves out 4 images beside it (docs, src)",)


def test_a_readme_beside_the_one_folder_changes_nothing(tmp_path: Path) -> None:
    lay_out(tmp_path, {"data/happy": 2, "data/sad": 2}, README_md="# faces")
    found = read_manifest(tmp_path)
    assert parts(found) == {"all": EVEN}
    assert not found.notes


def test_a_class_with_folders_in_it_is_not_taken_for_the_data(tmp_path: Path) -> None:
    lay_out(tmp_path, {"happy/2019": 50, "happy/2020": 50, "sad": 5})
    assert parts(read_manifest(tmp_path)) == {"all": {"happy": 100, "sad": 5}}
    lay_out(tmp_path / "more", {"joy/2019": 50, "joy/2020": 50, "grief": 40})
    assert parts(read_manifest(tmp_path / "more")) == {"all": {"joy": 100, "grief": 40}}


def test_an_unrelated_table_beside_class_folders_does_not_decide(tmp_path: Path) -> None:
    lay_out(tmp_path, EVEN, labels_csv="name,age\nann,30\n")
    found = read_manifest(tmp_path)
    assert parts(found) == {"all": EVEN}
    assert "labels.csv beside them is no table of labels" in found.notes[0]
    (tmp_path / "labels.csv").write_text("file,label\nx.jpg,joy\ny.jpg,grief\n")
    found = read_manifest(tmp_path)
    assert parts(found) == {"all": EVEN}
    assert "most rows of labels.csv" in found.notes[0]


def test_roboflow(tmp_path: Path) -> None:
    for part in ("train", "valid", "test"):
        rows = "".join(f"{part}{number}.png, {number % 2}, {1 - number % 2}\n" for number in range(4))
        lay_out(tmp_path, {part: 4}, **{f"{part}___classes_csv": f"filename, happy, sad\n{rows}"})
    found = read_manifest(tmp_path)
    assert parts(found) == {"train": EVEN, "validation": EVEN, "test": EVEN}
    assert any("train/_classes.csv as train" in note for note in found.notes)


def test_kaggle_tables_beside_the_folders_of_the_parts(tmp_path: Path) -> None:
    texts = {
        f"{part}_csv": "id,label\n" + "".join(f"{part}{n},{'happy' if n % 2 else 'sad'}\n" for n in range(4))
        for part in ("train", "test")
    }
    lay_out(tmp_path, {"train": 4, "test": 4}, **texts)
    assert parts(read_manifest(tmp_path)) == BOTH


def test_ferplus_votes_find_their_files_in_the_folders_of_the_parts(tmp_path: Path) -> None:
    lay_out(tmp_path, {"FER2013Train": 0, "FER2013Valid": 0})
    names = ["Usage", "Image name", "neutral", "happiness", "sadness", "NF"]
    rows = [names]
    for usage, folder in (("Training", "FER2013Train"), ("PublicTest", "FER2013Valid")):
        for number in range(4):
            (tmp_path / folder / f"fer{number}.png").write_bytes(b"x")
            votes = ["0", "10", "0", "0"] if number % 2 else ["1", "0", "9", "0"]
            rows.append([usage, f"fer{number}.png", *votes])
    rows.append(["Training", "", "0", "0", "0", "10"])
    (tmp_path / "fer2013new.csv").write_text("\n".join(map(",".join, rows)))
    found = read_manifest(tmp_path, ["happy", "sad"], {"happiness": "happy", "sadness": "sad"})
    assert parts(found) == {"train": EVEN, "validation": EVEN}
    assert [entry.reason for entry in found.bad_entries] == ["has no file"]
    assert any("8 files of the table by the name alone" in note for note in found.notes)


def test_numbered_classes_of_raf_db_are_pointed_out(tmp_path: Path) -> None:
    lay_out(tmp_path / "DATASET", {f"{part}/{number}": 2 for part in ("train", "test") for number in (4, 5)})
    found = read_manifest(tmp_path)
    assert parts(found) == {"train": {"4": 2, "5": 2}, "test": {"4": 2, "5": 2}}
    assert to_flags(found.notes[0]) == "classes are numbers (4, 5); --map 4=NAME gives one a name"
    named = read_manifest(tmp_path, None, {"4": "happy", "5": "sad"})
    assert parts(named) == BOTH
    assert not named.notes


def test_an_unlabelled_part_among_the_classes_is_pointed_out(tmp_path: Path) -> None:
    lay_out(tmp_path, {**EVEN, "test": 3})
    (note,) = read_manifest(tmp_path).notes
    assert to_flags(note) == "class 'test' is named like a part of a dataset; --classes happy,sad leaves it out"


def test_parts_without_labels_are_one_sentence(tmp_path: Path) -> None:
    lay_out(tmp_path / "d", {"training_set": 3, "test_set": 3})
    words = r"has parts \(test_set, training_set\), but no class folders in them; put class folders into each"
    with pytest.raises(DataError, match=words):
        read_manifest(tmp_path / "d")


def test_classes_that_differ_in_case_or_form_are_pointed_out(tmp_path: Path) -> None:
    lay_out(tmp_path, {"happy": 2, "Happy": 2, "very_sad": 2, "very sad": 2})
    notes = [to_flags(note) for note in read_manifest(tmp_path).notes]
    assert notes == [
        "classes Happy and happy count as different; --map Happy=happy makes them one",
        "classes very sad and very_sad count as different; --map 'very_sad=very sad' makes them one",
    ]
    fixed = read_manifest(tmp_path, None, {"Happy": "happy", "very_sad": "very sad"})
    assert fixed.classes == ("happy", "very sad")
    assert not fixed.notes


def test_class_names_are_one_unicode_form_everywhere(tmp_path: Path) -> None:
    typed, stored = (unicodedata.normalize(form, "müde") for form in ("NFC", "NFD"))
    assert typed != stored
    lay_out(tmp_path, {stored: 2, "froh": 2})
    for wanted in (typed, stored):
        assert read_manifest(tmp_path, ["froh", wanted]).classes == ("froh", typed)
        assert read_manifest(tmp_path, None, {wanted: "sad"}).classes == ("froh", "sad")
    rows = [f"{typed}/{stored}{number}.png,{stored}" for number in range(2)] + ["froh/froh0.png,froh"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    assert read_manifest(tmp_path).counts() == {"froh": 1, typed: 2}


def test_utf8_names_in_a_zip_without_the_flag(tmp_path: Path) -> None:
    path = tmp_path / "mac.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label in ("fröhlich", "müde", "悲しい"):
            for number in range(2):
                archive.writestr(f"{label}/{number}.png", b"x")
    data = path.read_bytes()
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # clear flag 11, as macOS does
        place = -1
        while (place := data.find(start, place + 1)) >= 0:
            at = place + offset + 1
            data = data[:at] + bytes([data[at] & ~0x08]) + data[at + 1 :]
    path.write_bytes(data)
    found = read_manifest(path)
    assert set(found.classes) == {"fröhlich", "müde", "悲しい"}
    assert found.read(found.samples[0].name) == b"x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,label\n1.jpg,happy\n2.jpg,sad\n",
         "none of its 2 labelled entries can be used; the first is row 0: file '1.jpg' does not exist"),
        ("file,label\n1.jpg,happy\n", "nothing labelled can be used; row 0: file '1.jpg' does not exist"),
        ("emotion,pixels\n9,0 0 0 0\n3,1 2 3\n",
         "none of its 2 labelled entries can be used; the first is row 0: emotion '9' is not 0 to 7"),
    ],
)  # fmt: skip
def test_the_first_reason_and_the_count_are_said_if_nothing_can_be_used(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    assert str(caught.value) == f"{path}: {words}"
