"""The targets of the shipped model's recipe: the label and the crowd's votes, slips and strangers left out."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.labels import EXPRESSIONS

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


def shares(votes: dict[str, str]) -> tuple[list[Any], dict[str, float]]:
    (found,) = recipe.targets(iter([votes]))
    return found[:3], dict(zip(EXPRESSIONS, found[3:], strict=True))


def test_label_and_votes_are_mixed() -> None:
    about, found = shares(row("sad", sadness=6, neutral=2, fear=2))
    assert about == ["fer2013/train/sad/fer0000001.png", "sad", "train"]
    assert found["sad"] == pytest.approx(0.5 + 0.5 * 0.6)
    assert (found["neutral"], found["fear"]) == pytest.approx((0.1, 0.1))


def test_a_single_vote_and_contempt_do_not_count() -> None:
    _, found = shares(row("happy", happiness=4, sadness=1, contempt=5))
    assert found["happy"] == 1
    _, found = shares(row("fear", contempt=8, unknown=1, fear=1))
    assert found["fear"] == 1


@given(
    st.sampled_from(EXPRESSIONS), st.lists(st.integers(0, 10), min_size=len(COLUMNS), max_size=len(COLUMNS))
)  # fmt: skip
def test_shares_are_a_distribution(label: str, votes: list[int]) -> None:
    _, found = shares(row(label, **dict(zip(COLUMNS, votes, strict=True))))
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    assert min(found.values()) >= 0
    assert found[label] >= recipe.LABEL_SHARE - 1e-6
