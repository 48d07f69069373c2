"""Every image of a dataset is predicted and compared with its label, or named as unusable."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from predictions import made_up
from skimage.data import astronaut

import mien
from mien.data.dataset import read_manifest
from mien.errors import DataError
from mien.evaluation.scoring import pool_folds, prediction_rows, score
from mien.report.report import Evaluation

MakeBundle = Callable[..., Path]


@pytest.fixture(scope="module")
def reader(make_bundle: MakeBundle) -> mien.Reader:
    return mien.load(make_bundle(), threads=1)


@pytest.fixture(scope="module")
def seven(make_bundle: MakeBundle) -> mien.Reader:
    labels = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    return mien.load(make_bundle(labels), threads=1)


# Scoring


def test_every_answer_is_the_one_that_predict_gives(reader: mien.Reader, faces: Path) -> None:
    scored = score(reader, read_manifest(faces))
    assert scored.classes == ("happy", "sad")
    assert len(scored.names) == 40
    for index, name in enumerate(scored.names):
        result = reader.predict(faces / name)
        assert scored.classes[scored.truth[index]] == name.split("/")[0]
        assert scored.classes[scored.answers[index]] == result.answer
        assert scored.probabilities[index] == pytest.approx(list(result.face.probabilities.values()), abs=1e-6)
    assert scored.metrics.accuracy.value == (scored.truth == scored.answers).mean()


def test_classes_in_reversed_order_give_the_same_answers(make_bundle: MakeBundle, faces: Path) -> None:
    reader = mien.load(make_bundle(threshold=0.2), threads=1)
    straight = score(reader, read_manifest(faces))
    reversed_ = score(reader, read_manifest(faces, ["sad", "happy"]))
    assert reversed_.classes == ("sad", "happy")
    np.testing.assert_array_equal(reversed_.answers, 1 - straight.answers)
    np.testing.assert_array_equal(reversed_.truth, 1 - straight.truth)
    np.testing.assert_allclose(reversed_.probabilities, straight.probabilities[:, ::-1])
    assert reversed_.metrics.accuracy == straight.metrics.accuracy


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_the_threshold_counts_for_the_models_two_labels(make_bundle: MakeBundle, faces: Path, threshold: float) -> None:
    reader = mien.load(make_bundle(threshold=threshold), threads=1)
    scored = score(reader, read_manifest(faces))
    np.testing.assert_array_equal(scored.answers, scored.probabilities[:, 1] >= threshold)
    assert (scored.answers != scored.probabilities.argmax(axis=1)).any()


def test_data_with_some_of_the_labels_are_judged_among_these(seven: mien.Reader, faces: Path) -> None:
    scored = score(seven, read_manifest(faces))
    assert scored.classes == ("happy", "sad")
    np.testing.assert_allclose(scored.probabilities.sum(axis=1), 1)
    for index, name in enumerate(scored.names[:5]):
        two_way = seven.predict(faces / name).face.two_way
        assert two_way is not None
        assert scored.probabilities[index] == pytest.approx([two_way["happy"], two_way["sad"]])
    np.testing.assert_array_equal(scored.answers, scored.probabilities.argmax(axis=1))


# Which reading of a face is judged


def renamed(faces: Path, place: Path, **names: str) -> Path:
    """The drawn faces with their class folders under other names."""
    data = Path(shutil.copytree(faces, place / "data"))
    for old, new in names.items():
        (data / old).rename(data / new)
    return data


def test_happy_and_sad_are_judged_two_way(three_way: Path, faces: Path) -> None:
    reader = mien.load(three_way, threads=1)
    scored = score(reader, read_manifest(faces))
    assert (scored.answer_field, scored.classes) == ("two_way", ("happy", "sad"))
    neither = 0
    for index, name in enumerate(scored.names):
        face = reader.predict(faces / name).face
        assert face.two_way is not None
        assert scored.probabilities[index] == pytest.approx([face.two_way["happy"], face.two_way["sad"]])
        assert scored.classes[scored.answers[index]] == ("happy" if face.two_way["happy"] > 0.5 else "sad")
        neither += face.answer == "neither"
    assert neither > 0  # so the two ways differ here
    turned = score(reader, read_manifest(faces, ["sad", "happy"]))
    np.testing.assert_array_equal(turned.answers, 1 - scored.answers)


def test_some_of_the_seven_are_judged_by_the_expressions(three_way: Path, faces: Path, tmp_path: Path) -> None:
    reader = mien.load(three_way, threads=1)
    data = renamed(faces, tmp_path, sad="disgust")
    shutil.copytree(data / "happy", data / "fear")
    scored = score(reader, read_manifest(data))
    assert (scored.answer_field, scored.classes) == ("expressions", ("disgust", "fear", "happy"))
    for index, name in enumerate(scored.names):
        seven = reader.predict(data / name).face.expressions
        assert seven is not None
        values = np.array([seven[label] for label in scored.classes])
        assert scored.probabilities[index] == pytest.approx(values / values.sum(), abs=1e-6)
        assert scored.answers[index] == values.argmax()


def test_happy_sad_and_neither_are_judged_by_the_answer(three_way: Path, faces: Path, tmp_path: Path) -> None:
    reader = mien.load(three_way, threads=1)
    shutil.copytree(faces, tmp_path / "data")
    shutil.copytree(faces / "sad", tmp_path / "data" / "neutral")
    manifest = read_manifest(tmp_path / "data", rename={"neutral": "neither"})
    scored = score(reader, manifest)
    assert scored.answer_field == "answer"
    for index, name in enumerate(scored.names):
        face = reader.predict(tmp_path / "data" / name).face
        assert scored.classes[scored.answers[index]] == face.answer
        assert scored.probabilities[index] == pytest.approx([face.probabilities[label] for label in scored.classes])
    assert (scored.answers != scored.probabilities.argmax(axis=1)).any()
    assert Evaluation(scored, "all").to_dict()["judged_by"] == "answer"


def test_without_a_rule_every_other_data_is_judged_as_before(
    reader: mien.Reader, seven: mien.Reader, make_bundle: MakeBundle, faces: Path, tmp_path: Path
) -> None:
    manifest = read_manifest(faces)
    assert score(reader, manifest).answer_field == "answer"
    assert score(seven, manifest).answer_field == "two_way"
    own = mien.load(make_bundle(("cat", "dog", "owl")), threads=1)
    animals = read_manifest(renamed(faces, tmp_path, happy="cat", sad="owl"))
    assert score(own, animals).answer_field == "probabilities"


def test_what_is_part_of_neither_cannot_stand_beside_it(three_way: Path, faces: Path, tmp_path: Path) -> None:
    reader = mien.load(three_way, threads=1)
    data = renamed(faces, tmp_path, sad="neutral")
    with pytest.raises(DataError, match=r"'neutral' is part of 'neither'; use `rename={'neutral': 'neither'}`$"):
        score(reader, read_manifest(shutil.copytree(data / "happy", data / "neither").parent))
    with pytest.raises(DataError, match=r"does not know the class 'gloomy' \(it knows happy, sad, neither, angry"):
        score(reader, read_manifest(data, rename={"neutral": "gloomy"}))


def test_a_class_that_the_model_does_not_know(reader: mien.Reader, faces: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(faces, data)
    (data / "sad").rename(data / "gloomy")
    with pytest.raises(DataError) as caught:
        score(reader, read_manifest(data))
    assert "the model does not know the class 'gloomy' (it knows happy, sad)" in str(caught.value)
    assert "`rename={'gloomy': " in str(caught.value)
    mapped = score(reader, read_manifest(data, rename={"gloomy": "sad"}))
    np.testing.assert_array_equal(mapped.truth, score(reader, read_manifest(faces)).truth[np.r_[20:40, 0:20]])


def test_one_class_is_not_enough(reader: mien.Reader, faces: Path, tmp_path: Path) -> None:
    shutil.copytree(faces / "happy", tmp_path / "data" / "happy")
    with pytest.raises(DataError, match="has only the class 'happy'; evaluation needs at least two"):
        score(reader, read_manifest(tmp_path / "data"))


def test_unreadable_images_are_listed_and_do_not_count(reader: mien.Reader, faces: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(faces, data)
    (data / "happy" / "00-empty.png").write_bytes(b"")
    (data / "sad" / "page.jpg").write_text("<html>")
    manifest = read_manifest(data)
    (data / "sad" / "page.jpg").unlink()
    scored = score(reader, manifest)
    assert len(scored.names) == 40
    assert [name for name, _ in scored.skipped] == ["happy/00-empty.png", "sad/page.jpg"]
    assert "empty" in scored.skipped[0][1]
    assert "no such file" in scored.skipped[1][1]
    whole = score(reader, read_manifest(faces))
    np.testing.assert_array_equal(scored.answers, whole.answers)
    assert Evaluation(scored, "all").to_dict()["skipped"][0]["file"] == "happy/00-empty.png"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labelled folders of the astronaut's face, and one image without a face."""
    folder = tmp_path_factory.mktemp("photographs")
    head = Image.fromarray(astronaut()[:300, 60:360])  # type: ignore[no-untyped-call]
    for number, name in enumerate(("happy", "sad")):
        (folder / name).mkdir()
        head.save(folder / name / "a.png")
        head.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((250 + number, 250)).save(folder / name / "b.png")
    Image.new("RGB", (300, 200), (90, 120, 60)).save(folder / "sad" / "field.png")
    return folder


def test_the_largest_face_is_judged_and_images_without_one_are_named(
    make_bundle: MakeBundle, photographs: Path
) -> None:
    reader = mien.load(make_bundle(framing="face"), threads=2, faces="largest")
    scored = score(reader, read_manifest(photographs))
    assert scored.names == ("happy/a.png", "happy/b.png", "sad/a.png", "sad/b.png")
    assert (scored.no_face, scored.skipped) == (("sad/field.png",), ())
    for index, name in enumerate(scored.names):
        face = reader.predict(photographs / name).face
        assert face.score is not None
        assert scored.probabilities[index] == pytest.approx(list(face.probabilities.values()), abs=1e-6)
    found = Evaluation(scored, "all").to_dict()
    assert (found["n"], found["no_face"], found["skipped"]) == (4, ["sad/field.png"], [])
    whole = score(mien.load(make_bundle(framing="face"), threads=1, detect=False), read_manifest(photographs))
    assert (len(whole.names), whole.no_face) == (5, ())
    assert pool_folds([scored, scored]).no_face == scored.no_face * 2


def test_no_face_anywhere_is_an_error_that_names_the_fix(make_bundle: MakeBundle, tmp_path: Path) -> None:
    for name in ("happy", "sad"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (300, 200), (90, 120, 60)).save(tmp_path / "data" / name / "a.png")
    (tmp_path / "data" / "sad" / "b.png").write_text("x")
    with pytest.raises(DataError, match=r"no face was found in 2 of 3 images.*; use cropped faces .*`detect=False`"):
        score(mien.load(make_bundle(framing="face"), threads=1), read_manifest(tmp_path / "data"))


def test_nothing_readable_is_an_error(reader: mien.Reader, tmp_path: Path) -> None:
    for name in ("happy", "sad"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.png").write_text("x")
    with pytest.raises(DataError, match="none of the 2 images could be read"):
        score(reader, read_manifest(tmp_path / "data"))


def test_progress_goes_from_nothing_to_all(reader: mien.Reader, faces: Path) -> None:
    seen: list[float] = []
    score(reader, read_manifest(faces), seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 40
    assert seen[-1] == 1.0


def test_folds_are_pooled_in_order() -> None:
    parts = [made_up(10, seed=1), made_up(15, seed=2)]
    whole = pool_folds(parts)
    assert whole.names == parts[0].names + parts[1].names
    np.testing.assert_array_equal(whole.probabilities[10:], parts[1].probabilities)
    assert whole.metrics.n == 25
    right = sum(int((part.truth == part.answers).sum()) for part in parts)
    assert whole.metrics.accuracy.value == right / 25


def test_rows_name_truth_answer_and_probabilities() -> None:
    scored = made_up(5)
    first = next(prediction_rows(scored))
    assert list(first) == ["file", "truth", "answer", "p_happy", "p_sad"]
    assert first["truth"] == scored.classes[scored.truth[0]]
    assert first["p_sad"] == pytest.approx(scored.probabilities[0, 1], abs=1e-6)
