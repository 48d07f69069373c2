"""Layouts that people really have: right counts and a note on every guess, or one sentence that says what to do."""

import io
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.arguments import to_flags
from mien.data.dataset import read_manifest
from mien.errors import DataError
from mien.io.archives import ZipSource
from mien.io.code_pages import find_code_page

EVEN = {"happy": 2, "sad": 2}


def write(root: Path, names: Sequence[str], **texts: str | bytes) -> Path:
    """Make image files by name, and texts by name with `__` for a slash and `_` before the ending."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    for name, text in texts.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        path = root / f"{stem}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def two(*folders: str) -> list[str]:
    return [f"{folder}/{folder.replace('/', '-')}-{number}.png" for folder in folders for number in range(2)]


def classes_in(*folders: str) -> list[str]:
    return two(*(f"{folder}/{label}" for folder in folders for label in EVEN))


def read(root: Path) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Return the number of samples by part and class, and the notes as the command says them."""
    found = read_manifest(root)
    counts: dict[str, dict[str, int]] = {}
    for (part, label), count in Counter((one.split or "all", one.label) for one in found.samples).items():
        counts.setdefault(part, {})[label] = count
    return counts, [to_flags(note) for note in found.notes]


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_manifest(root)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{root}: ")


@pytest.mark.parametrize(
    ("train", "held_out", "part"),
    [
        ("TRAIN", "TEST", "test"), ("Train ", "Test ", "test"), ("1_train", "2_val", "validation"),
        ("Trainingsdaten", "Validierungsdaten", "validation"), ("entraînement", "test", "test"),
        ("apprentissage", "validation", "validation"), ("entrenamiento", "prueba", "test"),
        ("обучение", "тест", "test"), ("训练集", "测试集", "test"), ("train", "held-out", "test"),
        ("training", "private_test", "test"), ("trainval", "test", "test"),
    ],
)  # fmt: skip
def test_parts_in_other_words_and_languages(tmp_path: Path, train: str, held_out: str, part: str) -> None:
    write(tmp_path, classes_in(train, held_out))
    assert read(tmp_path)[0] == {"train": EVEN, part: EVEN}


@pytest.mark.parametrize("names", ["{part}_{label}", "{label}-{part}"])
def test_folders_named_by_part_and_class(tmp_path: Path, names: str) -> None:
    write(tmp_path, two(*(names.format(part=part, label=label) for part in ("train", "test") for label in EVEN)))
    counts, (note,) = read(tmp_path)
    assert counts == {"train": EVEN, "test": EVEN}
    assert note.startswith("reads ") and "as happy (test)" in note


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train/a.png", "b.png"], "leaves out 2 images in no class folder (b.png, train/a.png)"),
        (two("docs"), "leaves out docs (2 images), which is not named like train, validation or test"),
        (classes_in("unseen"), "leaves out unseen (4 images), which is not named like train, validation or test"),
        (two("test"), "leaves out test (2 images), which has no class folders"),
    ],
)
def test_images_left_out_beside_parts_are_counted(tmp_path: Path, names: list[str], words: str) -> None:
    write(tmp_path, classes_in("train", "val") + names)
    assert read(tmp_path) == ({"train": EVEN, "validation": EVEN}, [words])


def test_loose_images_beside_class_folders_are_counted(tmp_path: Path) -> None:
    write(tmp_path, [*two(*EVEN), "c.png", "a.jpg"])
    assert read(tmp_path) == ({"all": EVEN}, ["leaves out 2 images in no class folder (a.jpg, c.png)"])


def test_folders_that_hold_the_same_class_folders_are_not_classes(tmp_path: Path) -> None:
    few = refused(write(tmp_path / "few", classes_in("data", "data_augmented")))
    assert few.startswith("data, data_augmented hold the same class folders (happy, sad); give one of them")
    many = write(tmp_path / "many", classes_in(*(f"S00{number}" for number in range(5))))
    counts, (note,) = read(many)
    assert counts == {"all": {"happy": 10, "sad": 10}}
    assert {one.group for one in read_manifest(many).samples} == {f"S00{number}" for number in range(5)}
    assert "as of one person" in note


def test_folders_inside_class_folders_stay_inside(tmp_path: Path) -> None:
    write(tmp_path, two("happy/male", "happy/female", "sad/male", "sad/female"))
    assert read(tmp_path) == ({"all": {"happy": 4, "sad": 4}}, [])


def test_a_clone_with_more_documentation_than_data(tmp_path: Path) -> None:
    write(tmp_path, [*classes_in("repo/dataset"), *(f"repo/docs/images/{n}.png" for n in range(9)), "repo/demo/x.png"])
    assert read(tmp_path) == ({"all": EVEN}, ["reads repo/dataset and leaves out 10 images beside it (demo, docs)"])


def test_data_deep_in_a_clone(tmp_path: Path) -> None:
    write(
        tmp_path, [*classes_in("repo/src/data/train", "repo/src/data/test"), "repo/demo/a.png"], repo__log_csv="a,b\n"
    )
    assert read(tmp_path)[0] == {"train": EVEN, "test": EVEN}


def test_documentation_among_the_classes_is_pointed_out(tmp_path: Path) -> None:
    write(tmp_path, two(*EVEN, "docs"))
    assert read(tmp_path)[1] == ["class 'docs' is named like a folder beside data; --classes happy,sad leaves it out"]


@pytest.mark.parametrize("names", [two("S005/001", "S010/001"), two("fold1/a", "fold2/a")])
def test_persons_and_folds_as_classes_are_pointed_out(tmp_path: Path, names: list[str]) -> None:
    write(tmp_path, names)
    assert "are numbered; if they are persons or folds" in read(tmp_path)[1][0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Labels_CSV", "file,label\n{0},happy\n{1},sad\n"), ("labels_txt", "{0} happy\n{1} sad\n"),
        ("list_lst", "{0},happy\n{1},sad\n"), ("labels_tsv", "file\tlabel\n{0}\thappy\n{1}\tsad\n"),
        ("data__legend_csv", "user.id,image,emotion\n6,{0},happy\n7,{1},sad\n"),
        ("labels_csv", "image,happy,sad\n{0},True,False\n{1},False,True\n"),
        ("training_csv", "subDirectory_filePath,expression\nimages/{0},happy\nimages/{1},sad\n"),
    ],
)  # fmt: skip
def test_labels_in_any_table_beside_one_folder_of_images(tmp_path: Path, name: str, text: str) -> None:
    images = two("images")
    write(tmp_path, images, README_txt="numpy 1.0\n", **{name: text.format(*(Path(one).name for one in images))})
    counts, notes = read(tmp_path)
    assert counts == {"all": {"happy": 1, "sad": 1}}
    assert notes[0].startswith("takes the labels from ")


def test_the_official_layout_of_raf_db(tmp_path: Path) -> None:
    files = ["train_00001", "train_00002", "test_0001", "test_0002"]
    rows = "".join(f"{name}.jpg {4 + place % 2}\n" for place, name in enumerate(files))
    write(tmp_path, [f"Image/aligned/{name}_aligned.jpg" for name in files], EmoLabel__list_patition_label_txt=rows)
    counts, notes = read(tmp_path)
    assert counts == {"train": {"4": 1, "5": 1}, "test": {"4": 1, "5": 1}}
    assert "reads the part of each file from its name, test_… or train_…" in notes


def test_the_layout_of_raf_db_on_kaggle(tmp_path: Path) -> None:
    texts = {
        f"{part}_labels_csv": "image,label\n" + "".join(f"{part}-{c}-{n}.png,{c}\n" for c in (4, 5) for n in range(2))
        for part in ("train", "test")
    }
    write(
        tmp_path,
        [name.replace("DATASET-", "") for name in two(*(f"DATASET/{p}/{c}" for p in ("train", "test") for c in "45"))],
        **texts,
    )
    counts, notes = read(tmp_path)
    assert counts == {"train": {"4": 2, "5": 2}, "test": {"4": 2, "5": 2}}
    assert len(notes) == 1


def test_the_original_layout_of_ferplus(tmp_path: Path) -> None:
    parts = {"FER2013Train": "train", "FER2013Valid": "validation", "FER2013Test": "test"}
    votes = ("10,0,0,0,0,0,0,0,0,0", "0,10,0,0,0,0,0,0,0,0")
    texts = {
        f"data__{part}__label_csv": "".join(f'fer{n}.png,"(0, 0, 48, 48)",{votes[n % 2]}\n' for n in range(4))
        for part in parts
    }
    write(tmp_path, [f"data/{part}/fer{number}.png" for part in parts for number in range(4)], **texts)
    assert read(tmp_path)[0] == {part: {"neutral": 2, "happiness": 2} for part in parts.values()}


def test_kaggle_tables_with_a_test_part_without_labels(tmp_path: Path) -> None:
    write(
        tmp_path, [f"train/{n}.png" for n in range(4)] + two("test"),
        train_csv="id,label\n0,happy\n1,sad\n2,happy\n3,sad\n",
        test_csv="id\ntest-0.png\n", sample_submission_csv="id,label\ntest-0.png,happy\n",
    )  # fmt: skip
    counts, notes = read(tmp_path)
    assert counts == {"train": EVEN}
    assert "leaves out sample_submission.csv, test.csv" in notes
    assert "leaves out 2 images that the table does not name, like test/test-0.png" in notes


def test_votes_in_another_order_in_each_part(tmp_path: Path) -> None:
    write(
        tmp_path, two("train", "valid"), train___classes_csv="filename,happy,sad\ntrain-0.png,1,0\ntrain-1.png,0,1\n",
        valid___classes_csv="filename,sad,happy\nvalid-0.png,1,0\nvalid-1.png,0,1\n",
    )  # fmt: skip
    samples = {Path(one.name).stem: (one.label, one.target) for one in read_manifest(tmp_path).samples}
    assert samples["train-0"] == samples["valid-1"] == ("happy", (1.0, 0.0))
    assert samples["train-1"] == samples["valid-0"] == ("sad", (0.0, 1.0))


def test_contempt_of_ckextended(tmp_path: Path) -> None:
    write(tmp_path, [], ckextended_csv="emotion,pixels,Usage\n7,1 2 3 4,Training\n3,1 2 3 4,Training\n")
    assert read(tmp_path)[0] == {"train": {"contempt": 1, "happy": 1}}


@pytest.mark.parametrize(
    ("names", "texts", "words"),
    [
        (["train/images/a.png"], {"train__labels__a_txt": "0 .5 .5 1 1"}, "its labels are boxes of YOLO"),
        (["train/a.png", "valid/b.png"], {"train___annotations.coco_json": "{}"}, "its labels are boxes of COCO"),
        (["train_set/images/1.jpg"], {"train_set__annotations__1_exp_npy": b"x"}, "AffectNet's labels are in"),
        (["images/a.png"], {"labels_csv": "file,label\na.png,müde\n".encode("cp1252")}, "labels.csv: is not UTF-8"),
        (["image/a.jpg"], {"label_lst": "a.jpg 0 28 113 226 141 22.9 0\n"}, "label.lst: has no header"),
        ([], {"data_zip": b"PK", "README_md": "x"}, "has no labelled images, but data.zip; unpack it"),
        ([], {"happy__a_mp4": b"x", "sad__b_mp4": b"x"}, "(its files are .mp4)"),
    ],
)  # fmt: skip
def test_labels_that_are_not_read_are_one_sentence(
    tmp_path: Path, names: list[str], texts: dict[str, str | bytes], words: str
) -> None:
    root = write(tmp_path / "d", names)
    root.mkdir(exist_ok=True)
    for name, text in texts.items():
        write(root, [], **{name: text})
    assert words in refused(root)


@pytest.mark.parametrize("ending", [".7z", ".tar.gz", ".rar"])
def test_other_archives_are_to_be_unpacked(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"data{ending}"
    path.write_bytes(b"anything")
    assert refused(path).endswith("unpack it and give the folder")


def test_spaces_around_class_names_do_not_count(tmp_path: Path) -> None:
    write(tmp_path, [*two("happy", "happy "), *two("sad")])
    assert read(tmp_path) == ({"all": {"happy": 4, "sad": 2}}, [])


def test_a_class_with_an_equals_sign_can_be_mapped(tmp_path: Path) -> None:
    write(tmp_path, two("happy=1", "sad=0"))
    assert read_manifest(tmp_path, None, {"happy": "1=happy", "sad": "0=sad"}).classes == ("happy", "sad")


def unmarked_zip(path: Path, encoding: str, names: Sequence[str]) -> Path:
    """Write an archive whose names are in a code page that it does not say."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for place, name in enumerate(names):
            archive.writestr(f"{place:0{len(name.encode(encoding))}d}", b"x")
    data = buffer.getvalue()
    for place, name in enumerate(names):
        raw = name.encode(encoding)
        data = data.replace(f"{place:0{len(raw)}d}".encode(), raw)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "labels", "said"),
    [
        ("cp437", ("fröhlich", "müde"), "cp437"), ("cp850", ("coração", "triste"), "cp850"),
        ("cp1252", ("fröhlich", "müde"), "cp1252"), ("shift_jis", ("悲しい", "嬉しい"), "shift_jis"),
        ("gbk", ("高兴", "悲伤"), "gbk"), ("cp866", ("радость", "грусть"), "cp866"),
    ],
)  # fmt: skip
def test_names_of_archives_in_code_pages(tmp_path: Path, encoding: str, labels: tuple[str, str], said: str) -> None:
    path = unmarked_zip(tmp_path / "d.zip", encoding, [f"{label}/{n}.png" for label in labels for n in range(2)])
    counts, notes = read(path)
    assert counts == {"all": dict.fromkeys(labels, 2)}
    assert [note for note in notes if "names in the archive" in note] == (
        []
        if said == "cp437"
        else [f"reads the names in the archive as {said}; if they look wrong, give the unpacked folder"]
    )
    assert ZipSource(path).read(f"{labels[0]}/1.png") == b"x"


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=4))
def test_any_names_of_an_archive_have_a_code_page(names: list[bytes]) -> None:
    members = [zipfile.ZipInfo(name.decode("cp437")) for name in names]
    assert find_code_page(members) in ("cp437", "cp850", "cp1252", "shift_jis", "cp866", "gbk")


def test_windows_and_mac_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for name in ("d\\happy\\a.png", "d\\sad\\b.png", "__MACOSX/d/happy/._a.png"):
            archive.writestr(name, name)
        archive.writestr(unicodedata.normalize("NFD", "d/müde/c.png"), "x")
    assert read(tmp_path / "d.zip") == ({"all": {"happy": 1, "sad": 1, "müde": 1}}, [])


def test_pixel_tables_with_another_name_for_the_emotion(tmp_path: Path) -> None:
    pixels = " ".join(map(str, np.arange(16)))
    write(tmp_path, [], a_csv=f"label,pixels\n3,{pixels}\n4,{pixels}\n")
    assert read(tmp_path) == ({"all": {"happy": 1, "sad": 1}}, ["reads column 'label' as FER2013's emotion"])
