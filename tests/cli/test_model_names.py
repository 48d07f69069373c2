"""A folder in the current directory that has the name of a shipped model: which of both each command takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import mien
from mien.inference.bundle import SHIPPED, find_shipped

Call = Callable[..., tuple[int, str, str]]
#: Of the user's own bundle; the shipped models know no animals.
ANIMALS = ("cat", "dog")


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a clone of mien: no model, but a file that a run has, too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mien" / "src" / "mien").mkdir(parents=True)
    (tmp_path / "mien" / "model.keras").write_text("not one")
    return tmp_path / "mien"


@pytest.fixture
def own(tmp_path: Path, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a bundle of the user's own that is called `mien`."""
    monkeypatch.chdir(tmp_path)
    return make_bundle(ANIMALS).rename(tmp_path / "mien")


def answers_of(out: str) -> set[str]:
    return {
        name for row in map(json.loads, out.splitlines()) for face in row["faces"] for name in face["probabilities"]
    }


def test_beside_a_clone_the_name_is_that_of_the_shipped_model(clone: Path, faces: Path, call: Call) -> None:
    image = next((faces / "happy").iterdir())
    for flags in ([], ["--model", "mien"], ["--model", "mien-int8"]):
        status, out, err = call("predict", image, "--no-detect", "--jsonl", "-", *flags)
        assert (status, answers_of(out)) == (0, {"happy", "sad", "neither"}), err
    for verb in (
        ("predict", image),
        ("check", faces),
        ("evaluate", faces),
        ("explain", image),
        ("fix", faces, "--list"),
    ):
        status, _, err = call(*verb, "--model", "./mien")
        assert status == 2
        assert err.startswith("mien: mien: is not a model folder"), "a separator means the folder"
        assert err.endswith("the shipped model is 'mien', without a folder\n")


def test_what_lies_in_a_clone_is_not_taken_for_the_shipped_model_s(clone: Path, faces: Path, call: Call) -> None:
    status, _, err = call("explain", next((faces / "sad").iterdir()), "--method", "grad-cam", "--model", "mien")
    assert status == 2
    assert "needs the Keras model, and mien is a bundle alone" in err
    found = mien.evaluate(faces, model="mien", detect=False, metrics_only=True)
    assert found.run == find_shipped()


@pytest.mark.filterwarnings("default::mien.errors.ModelNameWarning")
def test_a_bundle_of_that_name_is_taken_and_a_line_says_how_to_name_the_other(
    own: Path, faces: Path, call: Call
) -> None:
    image = next((faces / "happy").iterdir())
    status, out, err = call("predict", image, "--no-detect", "--jsonl", "-", "--model", "mien")
    assert (status, answers_of(out)) == (0, set(ANIMALS))
    assert err.splitlines()[0].startswith("mien: 'mien' was taken for your model folder ./mien, not for the shipped")
    assert err.count("was taken") == 1
    for model, expected in (("./mien", set(ANIMALS)), (SHIPPED / "mien", {"happy", "sad", "neither"}), (None, None)):
        flags = ["--model", model] if model else []
        status, out, err = call("predict", image, "--no-detect", "--jsonl", "-", *flags)
        assert (status, answers_of(out)) == (0, expected or {"happy", "sad", "neither"})
        assert "was taken" not in err
