"""The shipped model's recipe: targets mixed of label and votes, teachers, blends, and its trainings in a row."""

import csv
import io
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import face_networks
import fer_targets
import numpy as np
import pytest
import train_mien
import views
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import mien
from mien.data.synthetic.faces import draw_face
from mien.labels import EXPRESSIONS
from mien.training.config import TrainConfig
from shipped_model_data import VOTED, Fold

HALF = fer_targets.Mix(0.5, 0.5)
COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


def row(label: str = "sad", **votes: int) -> dict[str, str]:
    counts = {name: str(votes.get(name, 0)) for name in COLUMNS}
    return {"file": "fer0000001.png", "split": "train", "label": label, **counts}


def shares(votes: dict[str, str]) -> dict[str, float]:
    return dict(zip(EXPRESSIONS, fer_targets.target(votes, HALF).shares, strict=True))


def test_label_and_votes_are_mixed() -> None:
    votes = row("sad", sadness=6, neutral=2, fear=2)
    made = fer_targets.target(votes, HALF)
    assert (made.file, made.label, made.split) == ("fer2013/train/sad/fer0000001.png", "sad", "train")
    found = shares(votes)
    assert found["sad"] == pytest.approx(0.5 + 0.5 * 0.6)
    assert (found["neutral"], found["fear"]) == pytest.approx((0.1, 0.1))


def test_the_label_counts_more_where_the_crowd_is_not_sure() -> None:
    mix = fer_targets.Mix(decided=0.2, undecided=0.9)
    agreed = fer_targets.target(row("fear", sadness=6, fear=4), mix).shares
    unsure = fer_targets.target(row("fear", sadness=5, fear=5), mix).shares
    assert agreed[EXPRESSIONS.index("fear")] == pytest.approx(0.2 + 0.8 * 0.4)
    assert unsure[EXPRESSIONS.index("fear")] == pytest.approx(0.9 + 0.1 * 0.5)


def test_a_single_vote_and_contempt_do_not_count() -> None:
    found = shares(row("happy", happiness=4, sadness=1, contempt=5))
    assert found["happy"] == 1
    found = shares(row("fear", contempt=8, unknown=1, fear=1))
    assert found["fear"] == 1


@given(
    st.sampled_from(EXPRESSIONS), st.lists(st.integers(0, 10), min_size=len(COLUMNS), max_size=len(COLUMNS))
)  # fmt: skip
def test_shares_are_a_distribution(label: str, votes: list[int]) -> None:
    found = shares(row(label, **dict(zip(COLUMNS, votes, strict=True))))
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert min(found.values()) >= 0
    assert found[label] >= HALF.decided - 1e-6


def drawn(folder: Path, name: str, seed: int, split: str = "train", label: str = "sad", **votes: int) -> Any:
    """A row, and its image of 48 x 48 pixels."""
    made = fer_targets.target(row(label, **votes) | {"file": name, "split": split}, HALF)
    path = folder / made.file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_face("sad", seed, 48)).convert("L").save(path)
    return made


def test_copies_share_their_targets_and_leave_the_validation_part(tmp_path: Path) -> None:
    rows = [
        drawn(tmp_path, "a.png", 1, label="sad", sadness=10),
        drawn(tmp_path, "b.png", 1, label="fear", sadness=8, fear=2),
        drawn(tmp_path, "c.png", 1, split="validation", label="angry", anger=10),
        drawn(tmp_path, "d.png", 2, label="happy", happiness=10),
        drawn(tmp_path, "e.png", 3, split="validation", label="happy", happiness=10),
    ]
    groups = fer_targets.same_images([tmp_path / row.file for row in rows])
    assert sorted(map(sorted, groups)) == [[0, 1, 2]]
    first, second, other, held_out = fer_targets.repaired(rows, groups)
    assert [Path(row.file).name for row in (first, second, other, held_out)] == ["a.png", "b.png", "d.png", "e.png"]
    for row in (first, second):
        assert row.label == "sad"
        assert dict(zip(EXPRESSIONS, row.shares, strict=True)) == pytest.approx(
            dict.fromkeys(EXPRESSIONS, 0.0) | {"sad": 0.7, "fear": 0.3}
        )
    assert (other, held_out) == (rows[3], rows[4])


def some_faces(count: int = 12) -> fer_targets.Faces:
    images = np.stack([draw_face("happy", seed, 48).mean(axis=-1, keepdims=True) for seed in range(count)])
    targets = np.eye(len(EXPRESSIONS), dtype=np.float32)[np.arange(count) % len(EXPRESSIONS)]
    return fer_targets.Faces(images.astype(np.uint8), targets, np.arange(count) % 3 > 0)


def a_network(seed: int = 0) -> Any:
    import keras

    from mien.training.networks.networks import build

    keras.utils.set_random_seed(seed)
    return build(TrainConfig.make({"network": "residual", "width": 0.25}), len(EXPRESSIONS))


def test_views_differ_are_made_once_and_the_same_again(tmp_path: Path) -> None:
    faces, two = some_faces(), (train_mien.DAMAGED, train_mien.CLEAN)
    views.make_views(faces, two, tmp_path / "one")
    found = [np.load(tmp_path / "one" / f"view-{number}.npy") for number in (0, 1)]
    assert found[0].shape == faces.train_images().shape and found[0].dtype == np.uint8
    damage = [np.abs(view.astype(float) - faces.train_images()).mean() for view in found]
    assert damage[0] > damage[1] > 0
    (tmp_path / "one" / "view-1.npy").unlink()  # as after an interruption
    before = (tmp_path / "one" / "view-0.npy").stat().st_mtime_ns
    views.make_views(faces, two, tmp_path / "one")
    np.testing.assert_array_equal(np.load(tmp_path / "one" / "view-1.npy"), found[1])
    assert (tmp_path / "one" / "view-0.npy").stat().st_mtime_ns == before


def test_a_teacher_says_the_same_of_a_view_and_of_its_mirror_image(tmp_path: Path) -> None:
    view, teacher = some_faces().train_images(), a_network()
    for name, images in (("view-0", view), ("view-1", view[:, :, ::-1])):
        np.save(tmp_path / f"{name}.npy", images)
    views.ask("teacher", teacher, tmp_path, "float32")
    said = [np.load(tmp_path / f"teacher-{number}.npy") / 255 for number in (0, 1)]
    np.testing.assert_allclose(said[0], said[1], atol=4e-3)
    both = [teacher.predict(images, verbose=0) for images in (view, view[:, :, ::-1])]
    np.testing.assert_allclose(said[0], np.mean(both, axis=0), atol=3e-3)


def test_a_student_sees_view_after_view_and_what_was_said_of_each(tmp_path: Path) -> None:
    faces = some_faces()
    views.make_views(faces, (train_mien.DAMAGED,) * 3, tmp_path)
    for seed, name in enumerate(("one", "two")):
        views.ask(name, a_network(seed), tmp_path, "float32")
    taught = views.read_views(faces, tmp_path, ["one", "two"])
    for epoch in range(7):
        split = taught.of_epoch(epoch)
        view = np.load(tmp_path / f"view-{epoch % 3}.npy")
        np.testing.assert_array_equal(split.crops[split.rows], view if epoch // 3 != 1 else view[:, :, ::-1])
        said = np.mean([np.load(tmp_path / f"{name}-{epoch % 3}.npy") / 255 for name in ("one", "two")], axis=0)
        share = views.TEACHERS_SHARE
        np.testing.assert_allclose(split.targets, share * said + (1 - share) * faces.train_targets(), atol=4e-3)
        np.testing.assert_allclose(split.targets.sum(axis=1), 1, atol=1e-5)
    late = views.read_views(faces, tmp_path, ["one", "two"], first=2)
    for epoch in (0, 2):
        np.testing.assert_array_equal(late.of_epoch(epoch).crops, np.load(tmp_path / "view-2.npy"))
    np.testing.assert_array_equal(late.of_epoch(1).targets, taught.of_epoch(2).targets)


def test_what_teachers_said_is_known_by_the_views(tmp_path: Path) -> None:
    faces, seen, again, other = some_faces(), tmp_path / "seen", tmp_path / "again", tmp_path / "other"
    for folder in (seen, again):
        views.make_views(faces, (train_mien.CLEAN,) * 2, folder)
    views.make_views(faces, (train_mien.DAMAGED,) * 2, other)
    for seed, name in enumerate(("one", "two")):
        views.ask(name, a_network(seed), seen, "float32")
    views.publish(("one", "two"), seen, tmp_path / "answers.npz")
    views.adopt(tmp_path / "answers.npz", again)
    kept = {path.name: np.load(path) for path in seen.iterdir()}
    found = {path.name: np.load(path) for path in again.iterdir()}
    assert len(kept) == 6 and kept.keys() == found.keys()
    for name, values in kept.items():
        np.testing.assert_array_equal(found[name], values)
    with pytest.raises(ValueError, match="saw other views"):
        views.adopt(tmp_path / "answers.npz", other)
    assert len(list(other.iterdir())) == 2


def test_every_training_of_the_recipe_can_be_configured() -> None:
    """A misspelt setting would only be found after hours of training."""
    assert train_mien.STAGES.keys() == train_mien.STUDENTS.keys()
    students = [(own, stage) for name, own in train_mien.STUDENTS.items() for stage in train_mien.STAGES[name]]
    for settings in (
        *(teacher.settings for teacher in train_mien.TEACHERS), *({**own, **stage.settings} for own, stage in students)
    ):  # fmt: skip
        assert TrainConfig.make({**train_mien.COMMON, **settings}).size == 48
    assert {teacher.name for teacher in train_mien.TEACHERS} == set(face_networks.SOURCES)
    for own, stage in students:
        seen = len(train_mien.VIEWS) - stage.first
        assert {**own, **stage.settings}["epochs"] % seen == 0, "the last epochs see the last views"
        assert stage.targets in train_mien.TARGETS
    assert all(stages[-1].folder == name for name, stages in train_mien.STAGES.items())


def an_archive(folder: Path) -> None:
    """FER2013 and its votes as the recipe reads them, of drawn faces: 20 of every label in train, 4 in validation."""
    names = ["file", "split", "label", *COLUMNS]
    with (
        zipfile.ZipFile(folder / "fer2013.zip", "w") as archive,
        (folder / "ferplus_votes.csv").open("w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.DictWriter(stream, names)
        table.writeheader()
        for number, (label, copy) in enumerate(itertools.product(EXPRESSIONS, range(24))):
            split, file = "validation" if copy < 4 else "train", f"fer{number:07}.png"
            seen = label if label in ("happy", "sad", "neutral") else "neutral"
            buffer = io.BytesIO()
            Image.fromarray(draw_face(seen, number, 48)).convert("L").save(buffer, "PNG")
            archive.writestr(f"fer2013/{split}/{label}/{file}", buffer.getvalue())
            votes = {"happy": "happiness", "sad": "sadness"}.get(seen, "neutral")
            table.writerow({**dict.fromkeys(COLUMNS, 0), votes: 8, "file": file, "split": split, "label": label})


def test_a_recipe_without_its_data_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"fer2013\.zip: no such file; --data is the folder that holds"):
        train_mien.train_all(tmp_path, tmp_path / "work", {})
    assert not (tmp_path / "work").exists()


def a_fold() -> Fold:
    """Drawn faces in place of the validation fold; every expression has a majority."""
    count = 140
    labels = np.arange(count) % len(EXPRESSIONS)
    shown = [label if label in ("happy", "sad") else "neutral" for label in np.take(EXPRESSIONS, labels)]
    images = np.stack([draw_face(label, seed, 48).mean(axis=-1) for seed, label in enumerate(shown)])
    votes, copies = np.zeros((count, len(VOTED)), np.int64), np.arange(count)
    return Fold(images.astype(np.uint8), labels, labels, labels, votes, copies, copies >= 0, {})


def a_small_source(folder: Path) -> face_networks.Source:
    """A teacher of one convolution, in place of the networks that npm fetches."""

    def layers_of(build: Any) -> Any:
        x = build.start((115.0, 115.0, 115.0), 128)
        return build.convolve(x, "only", build.weights["kernel"], 1.0, build.weights["shift"], 4, "same")

    rng = np.random.default_rng(0)
    arrays = {"kernel": rng.normal(size=(3, 3, 3, 8)), "shift": rng.normal(size=8)}
    folder.mkdir(parents=True)
    entries = [{"name": name, "shape": list(values.shape), "dtype": "float32"} for name, values in arrays.items()]
    (folder / "weights.json").write_text(json.dumps([{"weights": entries}]))
    (folder / "weights.bin").write_bytes(b"".join(values.astype("<f4").tobytes() for values in arrays.values()))
    return face_networks.Source("small@1", "", "", layers_of)


@pytest.mark.slow
def test_every_training_of_the_recipe_runs_after_the_other_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One epoch each of narrow networks, on few drawings: that names, weights and tables fit together."""
    import keras

    (tmp_path / "fer2013").mkdir()
    an_archive(tmp_path / "fer2013")
    work = tmp_path / "work"
    small = {name: a_small_source(work / "files" / name) for name in face_networks.SOURCES}
    monkeypatch.setattr(face_networks, "SOURCES", small)
    extra = {"epochs": 1, "width": 0.25, "batch_size": 32, "precision": "float32"}
    train_mien.train_all(tmp_path, work, extra)
    for stage in itertools.chain(*train_mien.STAGES.values()):
        made = work / "runs" / stage.folder / "model.keras"
        assert keras.saving.load_model(made).output.shape[-1] == len(EXPRESSIONS)
    for mirror in (True, False):
        settings = {**train_mien.STUDENTS["mien"], **extra}
        train_mien.release(work / "runs" / "mien", settings, a_fold(), tmp_path / f"mirror-{mirror}", mirror)
    reader, single = (mien.load(tmp_path / f"mirror-{mirror}") for mirror in (True, False))
    image = a_fold().images[:1, ..., np.newaxis]
    both = [single.logits(view) for view in (image, np.ascontiguousarray(image[:, :, ::-1]))]
    np.testing.assert_allclose(reader.logits(image), np.mean(both, axis=0), atol=1e-4)
    kept = {path: path.stat().st_mtime_ns for path in work.rglob("*") if path.is_file()}
    train_mien.train_all(tmp_path, work, extra)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
