"""Every perturbation does what its name says at the given strength, and nothing at its neutral strength."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.arrays import UInt8
from mien.data.synthetic.faces import draw_face
from mien.evaluation.perturbations import (
    PERTURBATIONS,
    Perturbation,
    add_noise,
    adjust_brightness,
    adjust_contrast,
    blur,
    occlude,
    recompress,
    reduce_resolution,
    rescale,
    rotate,
    shift,
)

BY_NAME = {perturbation.name: perturbation for perturbation in PERTURBATIONS}


@pytest.fixture(scope="module")
def drawn() -> UInt8:
    """Six drawn faces, colour, of 48 pixels."""
    return np.stack([draw_face(name, seed, 48) for name in ("happy", "sad") for seed in range(3)])


def images() -> st.SearchStrategy[Any]:
    shapes = st.tuples(st.integers(1, 3), st.integers(8, 40), st.sampled_from([1, 3]))
    return shapes.flatmap(lambda shape: arrays(np.uint8, (shape[0], shape[1], shape[1], shape[2])))


@pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda perturbation: perturbation.name)
@settings(max_examples=20)
@given(crops=images(), which=st.integers(0, 4), seed=st.integers(0, 9))
def test_every_strength_keeps_shape_and_type_and_the_neutral_one_every_value(
    perturbation: Perturbation, crops: UInt8, which: int, seed: int
) -> None:
    before = crops.copy()
    same = perturbation.apply(crops, perturbation.neutral, seed)
    assert (same == crops).all() and same is not crops
    changed = perturbation.apply(crops, perturbation.strengths[which], seed)
    assert changed.shape == crops.shape and changed.dtype == np.uint8
    assert (changed == perturbation.apply(crops, perturbation.strengths[which], seed)).all()
    assert (crops == before).all(), "the images given must stay as they are"


@pytest.mark.parametrize("perturbation", PERTURBATIONS, ids=lambda perturbation: perturbation.name)
def test_five_strengths_leave_ever_less_of_a_face(perturbation: Perturbation, drawn: UInt8) -> None:
    assert len(perturbation.strengths) == 5
    steps = np.diff([perturbation.neutral, *perturbation.strengths])
    assert (steps > 0).all() or (steps < 0).all()
    apart = [np.abs(perturbation.apply(drawn, s) - drawn.astype(float)).mean() for s in perturbation.strengths]
    assert apart[0] > 0
    assert apart[-1] > 1.5 * apart[0]


@pytest.mark.parametrize("name", ["Rotation", "Shift", "Noise", "Occlusion", "Striped occlusion"])
def test_what_is_random_follows_the_seed_and_differs_between_images(name: str, drawn: UInt8) -> None:
    perturbation = BY_NAME[name]
    twice = np.stack([drawn[0]] * 12)
    changed = perturbation.apply(twice, perturbation.strengths[2], 1)
    assert (changed != perturbation.apply(twice, perturbation.strengths[2], 2)).any()
    assert len(np.unique(changed.reshape(12, -1), axis=0)) > 1


def test_grain_and_direction_are_the_same_at_every_strength() -> None:
    grey = np.full((4, 20, 20, 1), 128, np.uint8)
    weak, strong = (BY_NAME["Noise"].apply(grey, s).astype(float) - 128 for s in (10, 20))
    assert np.abs(strong - 2 * weak).max() <= 2  # rounding
    assert strong.std() == pytest.approx(20, rel=0.1)


def test_rotation_goes_counter_clockwise_about_the_middle_and_back() -> None:
    image = np.zeros((41, 41), np.uint8)
    image[17:24, 30:37] = 255  # on the right
    turned = rotate(image, 90)
    assert turned[4:11, 17:24].mean() > 240  # on top
    assert np.abs(rotate(turned, -90).astype(float) - image).max() <= 1


@given(st.floats(0.4, 2.0))
def test_a_face_of_another_size_keeps_its_middle_and_changes_its_area(size: float) -> None:
    image = np.zeros((60, 60), np.uint8)
    image[20:40, 20:40] = 255
    found = rescale(image, size) / 255
    assert found.sum() == pytest.approx(400 * size**2, rel=0.05)
    places = np.mgrid[:60, :60] + 0.5
    assert (places * found).sum(axis=(1, 2)) / found.sum() == pytest.approx([30, 30], abs=0.2)


@given(st.integers(-9, 9), st.integers(-9, 9))
def test_shift_moves_by_whole_pixels_and_repeats_the_edge(right: int, down: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (10, 10, 3)).astype(np.uint8)
    places = np.arange(10)
    rows, columns = np.clip(places - down, 0, 9), np.clip(places - right, 0, 9)
    assert (shift(image, right, down) == image[rows[:, None], columns]).all()


def test_padding_is_black_if_asked_for() -> None:
    white = np.full((30, 30), 255, np.uint8)
    assert (rescale(white, 0.5) == 255).all() and (rotate(white, 45) == 255).all()
    assert rescale(white, 0.5, black=True)[0, 0] == 0 and rotate(white, 45, black=True)[0, 0] == 0


@given(arrays(np.uint8, (6, 6)), st.floats(0, 4))
def test_brightness_and_contrast_are_what_they_are_called(image: UInt8, factor: float) -> None:
    assert np.abs(adjust_brightness(image, factor) - np.minimum(image * factor, 255)).max() <= 0.5
    changed = adjust_contrast(image, min(factor, 1.0))
    assert changed.mean() == pytest.approx(image.mean(), abs=0.51)
    assert changed.std() == pytest.approx(image.std() * min(factor, 1.0), abs=0.6)


@given(st.floats(0.02, 0.6), st.integers(10, 96), st.integers(0, 99))
def test_one_square_of_the_share_is_occluded(share: float, side: int, seed: int) -> None:
    occluded = occlude(np.full((side, side), 200, np.uint8), share, np.random.default_rng(seed)) == 0
    assert abs(occluded.sum() - share * side * side) <= side / 2 + 1
    rows, columns = np.nonzero(occluded)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert height * width == occluded.sum()
    assert abs(height - width) <= (2 if height > 1 else 3)


def test_a_grey_square_has_the_mean_of_its_image(drawn: UInt8) -> None:
    occluded = occlude(drawn[0], 0.2, np.random.default_rng(0), "grey")
    values, counts = np.unique(occluded[(occluded != drawn[0]).any(axis=-1)], return_counts=True)
    assert values[counts.argmax()] == round(drawn[0].mean())


def test_a_striped_square_has_two_tones_that_alternate_and_occludes_as_much_as_a_black_one() -> None:
    white = np.full((48, 48), 255, np.uint8)
    tones, changes = [], []
    for seed in range(40):
        striped, black = (occlude(white, 0.2, np.random.default_rng(seed), fill) for fill in ("stripes", "black"))
        assert (striped[black == 255] == 255).all(), "the square lies where the black one does"
        inside = striped[black == 0].reshape(21, 22)
        tones.append(len(np.unique(inside)))
        changes.append(sum((np.diff(inside.astype(int), axis=axis) != 0).sum() for axis in (0, 1)))
    assert max(tones) == 2
    # Stripes of 1 to 4 pixels: some 5 to 22 edges across the square, each as long as a side of it.
    assert 21 * 4 < np.median(changes) < 21 * 30


def test_occluding_squares_lie_anywhere() -> None:
    white = np.full((20, 20), 255, np.uint8)
    rng = np.random.default_rng(0)
    occluded = np.sum([occlude(white, 0.2, rng) == 0 for _ in range(400)], axis=0)
    assert (occluded > 0).all()


def test_blur_keeps_the_mean_and_takes_the_detail(drawn: UInt8) -> None:
    image = drawn[0]
    assert blur(image, 2).mean() == pytest.approx(image.mean(), abs=1)
    assert np.diff(blur(image, 2).astype(float), axis=0).std() < np.diff(image.astype(float), axis=0).std() / 1.5


def test_low_resolution_leaves_only_so_many_pixels() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 48)).astype(np.uint8)
    assert np.linalg.matrix_rank(reduce_resolution(image, 6).astype(float), tol=48) <= 6
    assert reduce_resolution(image, 1).std() == 0


def test_jpeg_of_lower_quality_is_further_away(drawn: UInt8) -> None:
    apart = [np.abs(recompress(drawn[0], q) - drawn[0].astype(float)).mean() for q in (95, 50, 10)]
    assert 0 < apart[0] < apart[1] < apart[2]


def test_noise_stays_in_range_at_both_ends() -> None:
    rng = np.random.default_rng(0)
    for value in (0, 255):
        noisy = add_noise(np.full((20, 20), value, np.uint8), 50, rng)
        assert (noisy == value).mean() == pytest.approx(0.5, abs=0.1)  # the half beyond the end is cut off
