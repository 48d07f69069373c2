"""The shipped model's recipe: targets mixed of label and votes, teachers, blends, and its trainings in a row."""

import csv
import io
import itertools
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import fer_targets
import numpy as np
import pytest
import teachers
import train_mien
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.inference.calibration import probabilities
from mien.labels import EXPRESSIONS
from mien.training.config import TrainConfig

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


def a_run(folder: Path, seed: int) -> Path:
    """An untrained network, saved as a run's."""
    import keras

    from mien.training.config import TrainConfig
    from mien.training.networks.networks import build

    keras.utils.set_random_seed(seed)
    folder.mkdir()
    build(TrainConfig.make({"network": "residual", "width": 0.25}), len(EXPRESSIONS)).save(folder / "model.keras")
    return folder


def test_teachers_move_the_targets_of_training_images_only(tmp_path: Path) -> None:
    """Of alike images under different targets, a teacher's last layer can only learn the mean."""
    rows = [
        drawn(tmp_path, "a.png", 1, sadness=10),
        drawn(tmp_path, "b.png", 1, label="happy", happiness=10),
        drawn(tmp_path, "c.png", 1, split="validation", sadness=10),
    ]
    fer_targets.write_rows(tmp_path / "faces.csv", rows)
    runs = [a_run(tmp_path / name, seed) for seed, name in enumerate(("one", "two"))]
    teachers.teach(runs, tmp_path / "faces.csv", tmp_path / "taught.csv")
    taught = fer_targets.read_rows(tmp_path / "taught.csv")
    assert [(row.file, row.label, row.split) for row in taught] == [(row.file, row.label, row.split) for row in rows]
    assert np.allclose(taught[2].shares, rows[2].shares)
    mean = (rows[0].shares + rows[1].shares) / 2
    for before, after in zip(rows[:2], taught[:2], strict=True):
        mixed = teachers.TEACHERS_SHARE * mean + (1 - teachers.TEACHERS_SHARE) * before.shares
        assert np.allclose(after.shares, mixed, atol=0.02)


def test_the_last_layer_is_a_softmax_regression_on_soft_targets() -> None:
    """Far apart, the probabilities that it is taught come out again; the same as scikit-learn's on hard ones."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 5)).astype(np.float32)
    truth = (x @ rng.normal(size=(5, 3)) + rng.gumbel(size=(400, 3))).argmax(axis=1)
    weights = teachers.last_layer(x, np.eye(3, dtype=np.float32)[truth])
    ours = probabilities(teachers.with_one(x) @ weights)
    theirs = LogisticRegression(C=1 / (teachers.DECAY * len(x)), tol=1e-8, max_iter=1000).fit(x, truth).predict_proba(x)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    soft = np.tile(np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], np.float32), (50, 1))
    apart = np.tile(np.eye(2, dtype=np.float32) * 50, (50, 1))
    said = probabilities(teachers.with_one(apart) @ teachers.last_layer(apart, soft))
    np.testing.assert_allclose(said, soft, atol=5e-3)


def test_a_blend_lies_between_two_networks_and_its_normalisation_fits_the_images(tmp_path: Path) -> None:
    import keras
    from blend import blend

    from mien.training.networks.networks import build
    from mien.training.networks.pretrained import load_pretrained

    config = TrainConfig.make({"network": "stack", "size": 48, "width": 0.1})
    runs = [tmp_path / name for name in ("one", "two")]
    for run in runs:
        run.mkdir()
        build(config, len(EXPRESSIONS)).save(run / "model.keras")
        (run / "config.toml").write_text(config.to_toml())
    rng = np.random.default_rng(0)
    for number in range(8):
        Image.fromarray(rng.integers(90, 110, (48, 48), np.uint8)).save(tmp_path / f"{number}.png")
    even = np.full(len(EXPRESSIONS), 1 / len(EXPRESSIONS))
    rows = [fer_targets.Row(f"{number}.png", "sad", "train", even) for number in range(8)]
    fer_targets.write_rows(tmp_path / "table.csv", rows)
    blend(runs[0], runs[1], 0.25, tmp_path / "table.csv", tmp_path / "blended")
    one, two, made = (keras.saving.load_model(run / "model.keras") for run in (*runs, tmp_path / "blended"))
    for ours, theirs, mixed in zip(
        one.trainable_weights, two.trainable_weights, made.trainable_weights, strict=True
    ):  # fmt: skip
        np.testing.assert_allclose(mixed, 0.25 * np.array(ours) + 0.75 * np.array(theirs), atol=1e-6)
    norm = next(layer for layer in made.layers if isinstance(layer, keras.layers.BatchNormalization))
    assert np.abs(np.array(norm.moving_mean)).max() > 0  # both networks' were 0
    assert norm.momentum == 0.9  # as it was
    further = build(config, len(EXPRESSIONS))
    load_pretrained(further, TrainConfig.make({**asdict(config), "start_from": str(tmp_path / "blended")}))
    np.testing.assert_array_equal(np.array(further.weights[0]), np.array(made.weights[0]))  # as a start of training


def test_the_recipes_trainings_build_on_earlier_ones_only() -> None:
    """A name that is misspelt or stands too late would only be found after hours of training."""
    known: set[str] = set()
    for training in train_mien.TRAININGS:
        assert known.issuperset(training.teachers) and (training.start is None or training.start in known)
        assert training.start is not None or training.share_of_start == 0
        settings = {**train_mien.SETTINGS, **training.settings, "start_from": training.start and "mien"}
        assert TrainConfig.make(settings).network == "residual"
        known.add(training.name)
    assert len(known) == len(train_mien.TRAININGS)


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


@pytest.mark.slow
def test_every_training_of_the_recipe_runs_after_the_other_and_only_once(tmp_path: Path) -> None:
    """One epoch each of a narrow network, on few drawings: that names, weights and tables fit together."""
    import keras

    (tmp_path / "fer2013").mkdir()
    an_archive(tmp_path / "fer2013")
    extra = {"epochs": 1, "freeze_epochs": 0, "width": 0.25, "batch_size": 32, "precision": "float32"}
    train_mien.train_all(tmp_path, tmp_path / "work", extra)
    made = tmp_path / "work" / train_mien.TRAININGS[-1].result / "model.keras"
    assert keras.saving.load_model(made).output.shape[-1] == len(EXPRESSIONS)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*") if path.is_file()}
    train_mien.train_all(tmp_path, tmp_path / "work", extra)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    (tmp_path / "work" / "data" / f"{train_mien.TRAININGS[-1].name}.csv").unlink()
    with pytest.raises(SystemExit, match="is of another recipe"):
        train_mien.train_all(tmp_path, tmp_path / "work", extra)
