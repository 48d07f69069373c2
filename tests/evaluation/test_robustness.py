"""Robustness is measured on the same images before and after, and says where accuracy has dropped."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.arrays import Int64, UInt8
from mien.data.dataset import read_manifest
from mien.data.synthetic.faces import write_dataset
from mien.errors import InputError
from mien.evaluation.robustness import Robustness, first_crossing, measure_robustness, predict_crops
from mien.evaluation.scoring import Predictions, score
from mien.inference.reader import load
from mien.labels import EXPRESSIONS
from mien.report.document import Note, Table
from mien.report.sections.robustness import robustness_section
from mien.viz.charts import Chart


def predictions_on(crops: UInt8, truth: Int64, seed: int = 0) -> Predictions:
    """Predictions on crops; robustness uses their labels alone."""
    names = tuple(f"{number}.png" for number in range(len(truth)))
    shares = np.full((len(truth), 2), 0.5)
    return Predictions(("happy", "sad"), names, truth, truth, shares, crops=crops, seed=seed)


@pytest.fixture(scope="module")
def bright_and_dark() -> tuple[UInt8, Int64]:
    """Forty plain crops, of which the bright ones are happy: mean 90 is where the model below changes its mind."""
    values = np.concatenate([np.linspace(91, 150, 20), np.linspace(20, 89, 20)]).round().astype(np.uint8)
    crops = np.broadcast_to(values[:, None, None, None], (40, 16, 16, 3)).copy()
    return crops, np.array([0] * 20 + [1] * 20)


@pytest.fixture(scope="module")
def found(brightness_bundle: Path, bright_and_dark: tuple[UInt8, Int64]) -> Robustness:
    crops, truth = bright_and_dark
    return measure_robustness(load(brightness_bundle, detect=False), predictions_on(crops, truth))


def test_what_matters_to_the_model_is_found_and_what_does_not_is_not(found: Robustness) -> None:
    kinds = {kind.perturbation.name: kind for kind in found.tolerances}
    assert found.n == found.available == 40 and found.unchanged.value == 1
    for name in ("Rotation", "Zoom out", "Shift", "Contrast", "Blur", "Low resolution"):
        assert kinds[name].limit is None, "plain images stay as they are"
        assert [figure.value for figure in kinds[name].differences] == [0] * 5
    # At 80 % the eight happy images up to 113 are answered sad: 20 points. A quarter of that is lost at 95 %.
    darker = kinds["Darker"]
    assert darker.accuracy[0].value == pytest.approx(0.8)
    assert darker.limit == pytest.approx(95)
    assert darker.accuracy[4].value == 0.5
    brighter = kinds["Brighter"]
    assert brighter.limit is not None and 100 < brighter.limit < 125
    assert kinds["Occlusion"].differences[4].value < 0 and kinds["Occlusion"].differences[4].high < 0


def test_intervals_contain_the_values_and_the_range_holds_the_limit(found: Robustness) -> None:
    for kind in found.tolerances:
        for figure in (*kind.accuracy, *kind.differences):
            assert figure.low <= figure.value <= figure.high
        if kind.limit is not None:
            assert kind.earliest is not None
            ends = [kind.perturbation.neutral, kind.earliest, kind.limit]
            ends += [kind.latest] if kind.latest is not None else []
            assert ends == sorted(ends, reverse=kind.perturbation.strengths[0] < kind.perturbation.neutral)


def test_it_is_plain_json(found: Robustness) -> None:
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert len(plain["perturbations"]) == 13 and plain["images"] == 40
    assert all(len(kind["difference"]) == len(kind["strengths"]) == 5 for kind in plain["perturbations"])


def test_the_section_says_what_to_conclude(found: Robustness) -> None:
    section = robustness_section(found)
    assert "unperturbed images is 100 %" in section.conclusion
    assert (
        "95 % of the brightness" in section.conclusion
        and "No such drop is shown within the range tried for rotation" in section.conclusion
    )
    chart, limits, losses, untested = section.parts
    assert isinstance(chart, Chart) and isinstance(limits, Table) and isinstance(losses, Table)
    assert isinstance(untested, Note) and "40 of 40 crops" in untested.text
    assert "detector" not in untested.text, "these images were used whole"
    of_faces = robustness_section(replace(found, detected=True)).parts[-1]
    assert isinstance(of_faces, Note) and "detector still finds" in of_faces.text
    assert "Images are taken as independent" in losses.caption
    assert all(f">{kind.perturbation.name}<" in chart.svg for kind in found.tolerances)
    by_name = {row[0]: row for row in limits.rows}
    assert by_name["Rotation"][3] == "not within the range" and by_name["Darker"][3] == "95"
    assert all(len(row) == len(table.columns) for table in (limits, losses) for row in table.rows)


def test_a_model_that_guesses_is_not_called_robust(make_bundle: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (60, 16, 16, 3)).astype(np.uint8)
    found = measure_robustness(load(make_bundle(), detect=False), predictions_on(crops, rng.integers(0, 2, 60)))
    note = robustness_section(found).parts[0]
    assert isinstance(note, Note) and note.kind == "warning" and "chance" in note.text


def test_a_limit_takes_some_images_and_the_seed_says_which(make_bundle: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    crops, truth = rng.integers(0, 256, (50, 16, 16, 3)).astype(np.uint8), rng.integers(0, 2, 50)
    reader = load(make_bundle(), detect=False)
    shares: list[float] = []
    first, again, other = (
        measure_robustness(reader, predictions_on(crops, truth, seed), 20, shares.append).to_dict()
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert (first["images"], first["of"]) == (20, 50)
    assert shares[:65] == sorted(shares[:65]) and shares[64] == 1


@pytest.mark.parametrize("classes", [("happy", "sad"), ("happy", "sad", "neutral")])
def test_unchanged_crops_are_answered_as_the_evaluation_did(
    three_way: Path, tmp_path: Path, classes: tuple[str, ...]
) -> None:
    write_dataset(tmp_path / "data", 8, size=48, classes=classes)
    reader = load(three_way, detect=False)
    scored = score(reader, read_manifest(tmp_path / "data"))
    assert scored.crops is not None
    assert (predict_crops(reader, scored.crops, scored.classes, scored.answer_field) == scored.answers).all()


@pytest.mark.parametrize(("by", "classes"), [
    ("two_way", ("sad", "happy")), ("expressions", EXPRESSIONS[::-1]), ("answer", ("neither", "sad", "happy")),
    ("probabilities", ("neither", "happy")),
])  # fmt: skip
def test_crops_are_judged_by_each_field_of_a_face(three_way: Path, by: Any, classes: tuple[str, ...]) -> None:
    reader = load(three_way, detect=False)
    crops = np.random.default_rng(0).integers(0, 256, (30, 48, 48, 1)).astype(np.uint8)
    found = [classes[code] for code in predict_crops(reader, crops, classes, by)]
    faces = [reader.predict(np.repeat(crop, 3, axis=2)).face for crop in crops]
    wanted = [face.answer if by == "answer" else _best(getattr(face, by), classes) for face in faces]
    assert found == wanted and len(set(found)) > 1


def _best(field: dict[str, float], classes: tuple[str, ...]) -> str:
    return max(classes, key=lambda name: field[name])


def test_nothing_to_measure_is_refused_in_one_line(make_bundle: Callable[..., Path]) -> None:
    reader = load(make_bundle(), detect=False)
    crops = np.zeros((2, 16, 16, 3), np.uint8)
    for some, truth in ((crops[:0], np.zeros(0, int)), (crops, np.zeros(3, int))):
        with pytest.raises(InputError, match="give at least one each"):
            measure_robustness(reader, predictions_on(some, truth))


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6), st.floats(0.01, 0.9))
def test_the_first_place_at_which_a_goal_is_reached(values: list[float], goal: float) -> None:
    values[0] = 0.0
    places = list(range(10, 10 + len(values)))
    found = first_crossing(places, values, goal)
    if found is None:
        assert max(values) < goal
        return
    assert np.interp(found, places, values) == pytest.approx(goal, abs=1e-6)
    assert all(value < goal for place, value in zip(places, values, strict=True) if place < found - 1e-9)
