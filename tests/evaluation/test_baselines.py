"""The numbers to beat: the shipped model's and the largest class's, paired, said plainly, never claimed from noise."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mien
from mien.data.dataset import read_manifest
from mien.evaluation.baselines import ShippedPredictions, measure_baselines, pool_shipped, score_shipped
from mien.evaluation.scoring import Predictions, SetDigest, score
from mien.report.report import Evaluation

SAD_OF_20 = np.array([0] * 12 + [1] * 8)


def predicted(truth: np.ndarray, answers: np.ndarray, classes: Sequence[str] = ("happy", "sad")) -> Predictions:
    """Predictions that are 80 % sure of each answer."""
    k, n = len(classes), len(truth)
    probabilities = np.full((n, k), 0.2 / (k - 1))
    probabilities[np.arange(n), answers] = 0.8
    return Predictions(tuple(classes), tuple(f"{row}.png" for row in range(n)), truth, answers, probabilities)


def shipped(predictions: Predictions) -> ShippedPredictions:
    return ShippedPredictions("mien", "0" * 64, True, predictions)


def wrong_on(truth: np.ndarray, rows: Sequence[int]) -> np.ndarray:
    answers = truth.copy()
    answers[list(rows)] = 1 - answers[list(rows)]
    return answers


def test_a_model_worse_than_the_shipped_one_is_said_to_be() -> None:
    truth = np.tile(SAD_OF_20, 10)
    found = measure_baselines(predicted(truth, wrong_on(truth, range(60))), shipped(predicted(truth, truth)))
    said = found.sentences()[0]
    assert said.startswith("The shipped model is significantly more accurate than the new model: +30.0 points [")
    assert said.endswith("Use the shipped one, or train on more images.")
    assert found.in_short()[0].startswith("It is significantly less accurate than the shipped model, by 30.0 points [")


def test_a_better_model_is_said_to_be() -> None:
    truth = np.tile(SAD_OF_20, 10)
    found = measure_baselines(predicted(truth, truth), shipped(predicted(truth, wrong_on(truth, range(60)))))
    assert found.sentences()[0].startswith("The new model is significantly more accurate than the shipped model: +30.0")
    assert "worse" not in found.sentences()[0]
    assert "not shown" not in " ".join(found.sentences())


def test_four_images_of_thirty_are_no_claim() -> None:
    truth = np.array([0] * 15 + [1] * 15)
    found = measure_baselines(predicted(truth, truth), shipped(predicted(truth, wrong_on(truth, range(4)))))
    said = found.sentences()[0]
    assert "is not significant: the new model leads by +13.3 points [" in said
    assert said.endswith("So the new model is not shown to be better than the shipped model.")
    assert "significantly" not in said


def test_always_the_largest_class_is_beside_every_model() -> None:
    constant = predicted(SAD_OF_20, np.zeros(20, np.int64))
    found = measure_baselines(constant, "the reason.")
    assert found.largest_class.metrics.accuracy.value == 0.6
    assert found.sentences() == (
        "Always answering happy is right on 60.0 %. Always answering happy and the new model are right on the same 12 "
        "of the 20 images. So the new model is not shown to be better than always answering happy.",
        "the reason.",
    )
    assert (found.shipped, found.to_dict()["shipped"], found.to_dict()["reason"]) == (None, None, "the reason.")


def test_images_without_a_face_count_as_wrong_answers_of_the_shipped_model() -> None:
    own = predicted(SAD_OF_20, SAD_OF_20)
    seen = replace(
        own, names=own.names[3:], truth=own.truth[3:], answers=own.answers[3:], probabilities=own.probabilities[3:]
    )
    found = measure_baselines(own, shipped(seen))
    assert found.shipped is not None
    assert found.shipped.no_face == 3
    assert found.shipped.metrics.accuracy.value == 17 / 20
    assert "The shipped model found no face in 3 of 20 images; they count as wrong answers." in found.sentences()[0]


def test_figures_are_those_of_compare(faces: Path, make_bundle: "object", tmp_path: Path) -> None:
    bundle = make_bundle(labels=("happy", "sad"))  # type: ignore[operator]
    mine = mien.evaluate(faces, model=bundle, detect=False, out=tmp_path / "mine")
    theirs = mien.evaluate(faces, detect=False, out=tmp_path / "shipped")
    compared = mien.compare(tmp_path / "shipped", tmp_path / "mine").to_dict()
    answers = score_shipped(read_manifest(faces), detect=False)
    found = measure_baselines(mine.predictions, answers).to_dict()["shipped"]
    assert found["accuracy"] == theirs.metrics.accuracy.to_dict()
    for key, value in compared["differences"][0]["differences"].items():
        assert found["difference"]["differences"][key] == pytest.approx(value, abs=1e-5), key
    assert found["difference"]["p_value"] == compared["differences"][0]["test"]["p_value"]


def test_class_names_match_without_regard_to_capitals(faces: Path, tmp_path: Path) -> None:
    for old, new in (("happy", "Happy"), ("sad", "SAD")):
        shutil.copytree(faces / old, tmp_path / "capitals" / new)
    small = read_manifest(faces)
    answers = score_shipped(small, detect=False)
    capitals = score_shipped(read_manifest(tmp_path / "capitals"), detect=False)
    assert isinstance(answers, ShippedPredictions)
    assert isinstance(capitals, ShippedPredictions)
    assert capitals.predictions.classes == ("Happy", "SAD")
    by_file = [
        dict(zip((Path(name).name for name in one.predictions.names), one.predictions.answers.tolist(), strict=True))
        for one in (answers, capitals)
    ]
    assert by_file[0] == by_file[1]
    renamed = score_shipped(read_manifest(faces, rename={"happy": "smile"}), detect=False)
    assert renamed == "The shipped model does not know smile, so it is not compared."


def test_a_shipped_model_that_cannot_be_read_does_not_end_a_training(shipped: Path, faces: Path) -> None:
    (shipped / "mien" / "model.onnx").write_bytes(b"")
    said = score_shipped(read_manifest(faces), detect=False)
    assert isinstance(said, str)
    assert said.startswith("The shipped model cannot be read, so it is not compared (")
    assert "sha256" in said


def test_photographs_without_any_face_are_no_baseline(tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        (tmp_path / label).mkdir()
        Image.new("RGB", (80, 80), "grey").save(tmp_path / label / "grey.png")
    said = score_shipped(read_manifest(tmp_path), detect=True)
    assert said == "The shipped model found no face in any of these images, so it is not compared."


def test_folds_are_joined(faces: Path) -> None:
    manifest = read_manifest(faces)
    halves = [replace(manifest, samples=manifest.samples[start::2]) for start in (0, 1)]
    parts = [score_shipped(half, detect=False) for half in halves]
    joined, whole = pool_shipped(parts), score_shipped(manifest, detect=False)
    assert isinstance(joined, ShippedPredictions)
    assert isinstance(whole, ShippedPredictions)
    assert measure_baselines(whole.predictions, joined).shipped.difference.test.p_value == 1.0  # type: ignore[union-attr]
    assert sorted(joined.predictions.names) == sorted(whole.predictions.names)
    assert pool_shipped([parts[0], "no."]) == "no."


def test_a_test_set_has_one_digest_in_any_order(faces: Path) -> None:
    reader, manifest = mien.load("mien", faces="largest", detect=False), read_manifest(faces)
    halves = [replace(manifest, samples=manifest.samples[start::2]) for start in (0, 1)]
    parts = [score(reader, half).sha256 for half in halves]
    assert SetDigest.join(parts) == score(reader, manifest).sha256
    assert SetDigest.join(parts[::-1]) == SetDigest.join(parts)
    assert len({*parts, SetDigest.join(parts)}) == 3
    assert SetDigest.join([parts[0], None]) is None


def test_metrics_json_holds_them(tmp_path: Path) -> None:
    own = predicted(SAD_OF_20, SAD_OF_20)
    baselines = measure_baselines(own, shipped(predicted(SAD_OF_20, wrong_on(SAD_OF_20, range(2)))))
    found = json.loads(json.dumps(Evaluation(own, "test", baselines=baselines).to_dict()))["baselines"]
    assert found["largest_class"]["accuracy"]["value"] == 0.6
    assert found["shipped"]["accuracy"]["value"] == 0.9
    assert found["shipped"]["difference"]["differences"]["accuracy"]["value"] == pytest.approx(0.1)
    assert (found["shipped"]["model"], found["shipped"]["detect"], found["shipped"]["no_face"]) == ("mien", True, 0)
