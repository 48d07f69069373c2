"""The targets of the shipped model's recipe: the label and the crowd's votes, slips and strangers left out."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.calibrate import probabilities
from mien.labels import EXPRESSIONS
from mien.reader import load
from mien.synthetic import draw_face

MakeBundle = Callable[..., Path]

PATH = Path(__file__).parents[2] / "recipes" / "train_mien.py"
SPEC = importlib.util.spec_from_file_location("train_mien", PATH)
assert SPEC is not None
assert SPEC.loader is not None
recipe = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(recipe)

COLUMNS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")


def row(label: str = "sad", **votes: int) -> dict[str, str]:
    counts = {name: str(votes.get(name, 0)) for name in COLUMNS}
    return {"file": "fer0000001.png", "split": "train", "label": label, **counts}


def shares(votes: dict[str, str]) -> dict[str, float]:
    return dict(zip(EXPRESSIONS, recipe.target(votes, 0.5).shares, strict=True))


def test_label_and_votes_are_mixed() -> None:
    votes = row("sad", sadness=6, neutral=2, fear=2)
    made = recipe.target(votes, 0.5)
    assert (made.file, made.label, made.split) == ("fer2013/train/sad/fer0000001.png", "sad", "train")
    found = shares(votes)
    assert found["sad"] == pytest.approx(0.5 + 0.5 * 0.6)
    assert (found["neutral"], found["fear"]) == pytest.approx((0.1, 0.1))


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
    assert found[label] >= recipe.LABEL_SHARE - 1e-6


def drawn(folder: Path, name: str, seed: int, split: str = "train", label: str = "sad", **votes: int) -> Any:
    """A row, and its picture of 48 x 48 pixels."""
    made = recipe.target(row(label, **votes) | {"file": name, "split": split}, 0.5)
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
    groups = recipe.same_pictures([tmp_path / row.file for row in rows])
    assert sorted(map(sorted, groups)) == [[0, 1, 2]]
    first, second, other, held_out = recipe.repaired(rows, groups)
    assert [Path(row.file).name for row in (first, second, other, held_out)] == ["a.png", "b.png", "d.png", "e.png"]
    for row in (first, second):
        assert row.label == "sad"
        assert dict(zip(EXPRESSIONS, row.shares, strict=True)) == pytest.approx(
            dict.fromkeys(EXPRESSIONS, 0.0) | {"sad": 0.7, "fear": 0.3}
        )
    assert (other, held_out) == (rows[3], rows[4])


def test_teachers_move_the_targets_of_training_pictures_only(make_bundle: MakeBundle, tmp_path: Path) -> None:
    rows = [
        drawn(tmp_path, "a.png", 1, sadness=10),
        drawn(tmp_path, "b.png", 2, label="happy", happiness=10),
        drawn(tmp_path, "c.png", 3, split="validation", sadness=10),
    ]
    recipe.write_rows(tmp_path / "faces.csv", rows)
    teachers = [load(make_bundle(EXPRESSIONS, size=48, channels=1, maps=maps)) for maps in (False, True)]
    recipe.teach(teachers, tmp_path / "faces.csv", tmp_path / "taught.csv")
    taught = recipe.read_rows(tmp_path / "taught.csv")
    assert [(row.file, row.label, row.split) for row in taught] == [(row.file, row.label, row.split) for row in rows]
    assert np.allclose(taught[2].shares, rows[2].shares)
    for before, after in zip(rows[:2], taught[:2], strict=True):
        grey = np.asarray(Image.open(tmp_path / before.file))
        views = np.stack([grey, grey[:, ::-1]])[..., None]
        said = np.mean([probabilities(teacher.logits(views)).mean(axis=0) for teacher in teachers], axis=0)
        mixed = recipe.TEACHERS_SHARE * said + (1 - recipe.TEACHERS_SHARE) * before.shares
        assert np.allclose(after.shares, mixed, atol=1e-5)
        assert np.abs(after.shares - before.shares).max() > 0.01
