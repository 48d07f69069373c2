"""Before and after the decisions: the same images under the same labels, and one honest sentence."""

from pathlib import Path

import numpy as np

from mien.evaluation.predictions import SavedPredictions
from mien.server.fix.outcome import measure_outcome


def predictions(names: list[str], truth: list[int], right: list[bool]) -> SavedPredictions:
    answers = np.where(right, truth, 1 - np.array(truth))
    probabilities = np.where(np.eye(2)[answers] == 1, 0.9, 0.1)
    return SavedPredictions(
        Path("run"), ("happy", "sad"), tuple(names), np.array(truth), answers, probabilities, None, "pooled", "m",
        data_sha256=str(sum(right)),
    )  # fmt: skip


def test_only_images_whose_label_no_decision_changed_are_compared() -> None:
    names = [f"{n}.jpg" for n in range(100)]
    before = predictions(names, [0] * 50 + [1] * 50, [n % 2 == 0 for n in range(100)])
    # Ten are relabelled, ten are left out, and the model is right on all of the rest.
    after = predictions(names[:90], [1] * 10 + [0] * 40 + [1] * 40, [True] * 90)
    found = measure_outcome(before, after)
    assert found["sentence"].startswith("The model with them is significantly more accurate than the model without")
    assert "on 80 images" in found["sentence"]
    assert found["notes"][0].startswith("Each picture was answered by a model that was not trained on it. 20 pictures")
    assert [len(row) for row in found["rows"]] == [3] * len(found["rows"])
    assert not any("meaningless" in note for note in found["notes"]), "they are the same images"


def test_a_difference_by_chance_is_said_to_be_none() -> None:
    names = [f"{n}.jpg" for n in range(40)]
    truth = [n % 2 for n in range(40)]
    before = predictions(names, truth, [n > 8 for n in range(40)])
    after = predictions(names, truth, [n > 7 for n in range(40)])
    assert "is not significant" in measure_outcome(before, after)["sentence"]


def test_too_few_images_give_no_figures() -> None:
    names = [f"{n}.jpg" for n in range(9)]
    before = predictions(names, [0] * 4 + [1] * 5, [True] * 9)
    found = measure_outcome(before, before)
    assert found["sentence"] == "Only 9 pictures can be compared: too few to tell."
    assert found["rows"] == []
