"""Slices find gaps in accuracy, call chance not significant, and expose border marks that predict a label."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.arrays import UInt8
from mien.data.synthetic.faces import draw_face
from mien.errors import InputError
from mien.evaluation.attributes import crop_attributes, face_attributes, head_turn
from mien.evaluation.scoring import Predictions
from mien.evaluation.shortcuts import GRID, find_shortcuts
from mien.evaluation.slices import Slices, measure_slices, permutation_p_value
from mien.report.document import Note, Table
from mien.report.sections.slices import slices_section
from mien.results import Box, Detection
from mien.viz.charts import Chart

CLASSES = ("happy", "sad")


@pytest.fixture(scope="module")
def drawn() -> UInt8:
    """Two hundred drawn faces, colour, of 32 pixels: happy and sad in turn."""
    return np.stack([draw_face(CLASSES[seed % 2], seed, 32) for seed in range(200)])


def scored_as(answers: npt.ArrayLike, truth: npt.ArrayLike, classes: tuple[str, ...] = CLASSES) -> Predictions:
    codes = np.asarray(answers)
    shares = np.full((len(codes), len(classes)), 0.1)
    shares[np.arange(len(codes)), codes] = 0.9
    return Predictions(classes, tuple(f"{n}.png" for n in range(len(codes))), np.asarray(truth), codes, shares)


def measured(crops: UInt8, detections: Sequence[Detection] | None, scored: Predictions) -> Slices:
    found = None if detections is None else tuple(detections)
    return measure_slices(replace(scored, crops=crops, detections=found))


def face(roll: float = 0.0, nose: float = 0.0, side: int = 80, score: float = 0.9) -> Detection:
    """A face whose eyes are 40 pixels apart; `nose` is how far its tip is off their middle, in such distances."""
    along = np.array([np.cos(np.radians(roll)), np.sin(np.radians(roll))])
    down = np.array([-along[1], along[0]])
    points = [-20 * along, 20 * along, 40 * nose * along + 25 * down, -15 * along + 45 * down, 15 * along + 45 * down]
    return Detection(Box(60, 60, side, side), tuple((100 + float(x), 90 + float(y)) for x, y in points), score)


def by_key(found: Slices) -> dict[str, Any]:
    return {one.attribute.key: one for one in found.slices}


def values_of(crops: UInt8) -> dict[str, npt.NDArray[np.float64]]:
    return {attribute.key: values for attribute, values in crop_attributes(crops)}


# What is measured


def test_crops_are_measured_as_their_names_say() -> None:
    rng = np.random.default_rng(0)
    half = rng.integers(0, 256, (12, 6))
    mirrored = np.concatenate([half, half[:, ::-1]], axis=1).astype(np.uint8)
    opposite = np.concatenate([half, 255 - half[:, ::-1]], axis=1).astype(np.uint8)
    ramp = np.broadcast_to(np.arange(0, 240, 20, dtype=np.uint8), (12, 12))
    found = values_of(np.stack([mirrored, opposite, ramp, np.full((12, 12), 77, np.uint8)])[..., None])
    assert found["brightness"][3] == pytest.approx(77) and found["contrast"][3] == pytest.approx(0)
    assert found["brightness"][2] == pytest.approx(110) and found["contrast"][2] == pytest.approx(ramp.std(), rel=1e-5)
    assert found["sharpness"][2] == pytest.approx(0, abs=1e-6) and found["sharpness"][0] > 1
    assert found["asymmetry"][:3] == pytest.approx([0, 2, 2], abs=0.1)


def test_grey_crops_and_the_same_in_colour_look_alike(drawn: UInt8) -> None:
    grey = drawn[:5].mean(axis=3, keepdims=True).round().astype(np.uint8)
    one, three = values_of(grey), values_of(np.repeat(grey, 3, axis=3))
    assert all(one[key] == pytest.approx(three[key], rel=1e-3, abs=1e-3) for key in one)


@given(st.floats(-80, 80), st.floats(-0.8, 0.8))
def test_pose_is_read_from_the_landmarks(roll: float, nose: float) -> None:
    seen = face(roll, nose)
    assert head_turn(seen) == pytest.approx(abs(nose), abs=1e-6)
    values = {attribute.key: numbers for attribute, numbers in face_attributes([seen, None])}
    assert values["roll"][0] == pytest.approx(abs(roll), abs=1e-6)
    assert values["face_size"][0] == 80 and values["doubt"][0] == pytest.approx(0.1)
    assert all(np.isnan(numbers[1]) for numbers in values.values())


def test_no_faces_no_attributes_of_faces() -> None:
    assert list(face_attributes([])) == [] == list(face_attributes([None, None]))


# Gaps


def test_a_model_that_fails_in_the_dark_is_said_to(drawn: UInt8) -> None:
    truth = np.arange(200) % 2
    brightness = drawn.mean(axis=(1, 2, 3))
    answers = np.where(brightness < np.quantile(brightness, 0.25), 1 - truth, truth)
    found = measured(drawn, None, scored_as(answers, truth))
    dark = by_key(found)["brightness"]
    assert dark.significant and dark.gap > 0.9
    assert dark.worst is dark.bins[0] and dark.worst.accuracy.value < 0.1
    assert found.slices[0] is dark, "the surest gap comes first"
    section = slices_section(found)
    assert "significantly with brightness" in section.conclusion
    table = next(part for part in section.parts if isinstance(part, Table))
    assert table.rows[0][0].startswith("Brightness") and table.rows[0][-1] == "significant"
    chart = next(part for part in section.parts if isinstance(part, Chart))
    assert "Brightness *" in chart.svg
    json.dumps(found.to_dict(), allow_nan=False)


def test_copies_of_images_do_not_narrow_the_intervals(drawn: UInt8) -> None:
    truth = np.arange(200) % 2
    answers = np.where(np.arange(200) % 7 == 0, 1 - truth, truth)
    often = scored_as(answers.repeat(5), truth.repeat(5))
    once, blind, heeded = (
        measured(crops, None, scored)
        for crops, scored in (
            (drawn, scored_as(answers, truth)),
            (drawn.repeat(5, axis=0), often),
            (drawn.repeat(5, axis=0), replace(often, groups=np.arange(200).repeat(5))),
        )
    )

    def widths(found: Slices) -> list[float]:
        bins = by_key(found)["brightness"].bins
        return [one.accuracy.high - one.accuracy.low for one in bins]

    assert widths(heeded) == pytest.approx(widths(once), rel=0.25)
    assert max(widths(blind)) < 0.7 * min(widths(heeded))
    assert heeded.accuracy.high - heeded.accuracy.low == pytest.approx(once.accuracy.high - once.accuracy.low, rel=0.1)
    captions = " ".join(part.caption for part in slices_section(heeded).parts if isinstance(part, Table))
    assert "assumes independent images" in captions


def test_faces_turned_away_that_are_misread_are_found_by_their_landmarks(drawn: UInt8) -> None:
    truth = np.arange(200) % 2
    away = np.arange(200) % 5 == 0
    detections = [face(nose=0.6 if one else 0.02, side=50 + number) for number, one in enumerate(away)]
    found = measured(drawn, detections, scored_as(np.where(away, 1 - truth, truth), truth))
    assert found.slices[0].attribute.key == "turn" and found.slices[0].significant
    assert {"face_size", "roll", "turn", "doubt"} - by_key(found).keys() <= {"roll", "doubt"}, "those have one bin"


def test_an_attribute_that_only_goes_with_a_harder_class_is_no_gap(drawn: UInt8) -> None:
    """Sad is darker and harder here, but not harder because it is darker."""
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 2
    crops = (drawn * np.where(truth == 1, 0.3, 1.0)[:, None, None, None]).astype(np.uint8)
    answers = np.where((truth == 1) & (rng.random(200) < 0.4), 0, truth)
    dark = by_key(measured(crops, None, scored_as(answers, truth)))["brightness"]
    assert dark.gap > 0.25 and not dark.significant


def test_chance_is_called_significant_as_seldom_as_stated() -> None:
    """With no gap at all, p below 0.05 comes in about one of twenty."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        truth, bins = rng.integers(0, 2, 150), rng.integers(0, 4, 150)
        wrong = rng.random(150) < np.where(truth == 1, 0.3, 0.05)
        found.append(permutation_p_value(bins, wrong, truth, rng))
    assert 0.02 <= np.mean(np.array(found) <= 0.05) <= 0.08
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_a_model_without_mistakes_has_no_gap(drawn: UInt8) -> None:
    truth = np.arange(200) % 2
    found = measured(drawn, None, scored_as(truth, truth))
    assert all(one.gap == 0 and one.p_value == 1 for one in found.slices)
    assert "no gap" in slices_section(found).conclusion.lower()


def test_a_handful_of_images_is_too_few_to_compare(drawn: UInt8) -> None:
    found = measured(drawn[:9], None, scored_as([0] * 9, [0, 1, 0] * 3))
    assert found.slices == () == found.label_shortcuts
    section = slices_section(found)
    assert section.conclusion == "Too few images to compare any." and section.parts == ()


@settings(max_examples=15)
@given(st.integers(1, 60), st.integers(2, 4), st.sampled_from([1, 3]), st.integers(GRID, 20), st.integers(0, 99))
def test_any_predictions_have_numbers(n: int, k: int, channels: int, side: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    crops = rng.integers(0, 256, (n, side, side, channels)).astype(np.uint8)
    if seed % 3 == 0:
        crops[:] = 9
    found = measured(crops, None, scored_as(rng.integers(0, k, n), rng.integers(0, k, n), tuple("abcd"[:k])))
    json.dumps(found.to_dict(), allow_nan=False)
    for one in found.slices:
        assert sum(each.n for each in one.bins) == n and 0 < one.p_value <= 1 and 0 <= one.gap <= 1


def test_one_crop_for_each_answer(drawn: UInt8) -> None:
    with pytest.raises(InputError, match="3 crops for 2 answers"):
        measured(drawn[:3], None, scored_as([0, 1], [0, 1]))


# Shortcuts: marks at the border


@pytest.mark.parametrize(("mark", "corner"), [
    ((255, 255, 255), (0, 0)), ((0, 0, 0), (0, 7)), ((255, 0, 0), (7, 0)), ((255, 255, 255), (7, 7)),
])  # fmt: skip
def test_a_mark_in_a_corner_that_goes_with_a_label_is_exposed(
    drawn: UInt8, mark: tuple[int, int, int], corner: tuple[int, int]
) -> None:
    truth = np.arange(200) % 2
    marked = drawn.copy()
    top, left = (0 if place == 0 else 29 for place in corner)
    marked[truth == 1, top : top + 3, left : left + 3] = mark
    found = measured(marked, None, scored_as(truth, truth))
    worst = found.label_shortcuts[0]
    assert (worst.row, worst.column) == corner and worst.is_strong and worst.auc.value > 0.85
    section = slices_section(found)
    place = f"{'upper' if top == 0 else 'lower'} {'left' if left == 0 else 'right'} corner"
    assert place in section.conclusion and "sad" in section.conclusion
    note = section.parts[0]
    assert isinstance(note, Note) and note.kind == "warning" and "watermark" in note.text


def test_drawn_faces_without_a_mark_are_not_accused(drawn: UInt8) -> None:
    truth = np.arange(200) % 2
    found = measured(drawn, None, scored_as(truth, truth))
    assert found.label_shortcuts and not any(one.is_strong for one in (*found.label_shortcuts, *found.answer_shortcuts))
    assert not any(isinstance(part, Note) for part in slices_section(found).parts)


def test_a_model_that_answers_by_a_mark_which_no_longer_goes_with_the_label_is_exposed_by_its_answers(
    drawn: UInt8,
) -> None:
    truth, has_mark = np.arange(200) % 2, np.arange(200) // 2 % 2 == 1
    marked = drawn.copy()
    marked[has_mark, :4, -4:] = 255
    found = measured(marked, None, scored_as(has_mark.astype(int), truth))
    assert not found.label_shortcuts[0].is_strong
    assert found.answer_shortcuts[0].is_strong and found.answer_shortcuts[0].place == "upper right corner"
    assert "the model answers sad" in found.answer_shortcuts[0].warning()
    section = slices_section(found)
    assert "predicts which images the model answers sad" in section.conclusion
    border = next(part for part in section.parts if isinstance(part, Chart))
    assert border.name == "border" and "upper right corner" in border.alt


def test_every_block_of_the_border_is_examined_once(drawn: UInt8) -> None:
    found = find_shortcuts(drawn, CLASSES, np.arange(200) % 2, "label")
    assert len(found) == 4 * (GRID - 1) == len({one.place for one in found})
    assert all(one.label == "sad" for one in found), "what predicts one of two classes predicts the other"
    assert [one.auc.low for one in found] == sorted((one.auc.low for one in found), reverse=True)
    assert all(one.auc.low <= one.auc.value <= one.auc.high and one.auc.value >= 0.5 for one in found)


def test_of_several_classes_the_one_with_the_mark_is_named(drawn: UInt8) -> None:
    truth = np.arange(200) % 4
    marked = drawn.copy()
    marked[truth == 2, :4, :4] = 0
    best = find_shortcuts(marked, ("a", "b", "c", "d"), truth, "label")[0]
    assert (best.label, best.place, best.is_strong) == ("c", "upper left corner", True)
