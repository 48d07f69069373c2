"""Random layers keep to their limits: geometry, degradation, erasing."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.training.augmentation.degradation import RandomDegradation
from mien.training.augmentation.erasing import RandomErasing
from mien.training.augmentation.geometry import RandomAffine

Images = npt.NDArray[np.float32]


def faces(count: int = 8, side: int = 48) -> Images:
    found = [
        Image.fromarray(draw_face(("happy", "sad")[seed % 2], seed)).convert("L").resize((side, side))
        for seed in range(count)
    ]
    return np.stack([np.asarray(face, np.float32) for face in found])[..., None]


def applied(layer: Any, images: Images) -> Images:
    return np.asarray(layer(images, training=True))


LAYERS: list[Callable[[], Any]] = [
    lambda: RandomAffine(True, 20, 0.4, 0.1, seed=1),
    lambda: RandomDegradation(1.0, seed=1),
    lambda: RandomErasing(1.0, seed=1),
]


@pytest.mark.parametrize("make", LAYERS)
@pytest.mark.parametrize(("side", "channels"), [(48, 1), (50, 3)])
def test_images_change_each_in_its_own_way_and_stay_images(make: Callable[[], Any], side: int, channels: int) -> None:
    one = np.repeat(faces(1, side), channels, axis=3)
    seen = applied(make(), np.repeat(one, 6, axis=0))
    assert seen.shape == (6, side, side, channels)
    assert seen.min() >= 0
    assert seen.max() <= 255
    assert len({image.tobytes() for image in seen}) == 6
    np.testing.assert_array_equal(np.asarray(make()(one, training=False)), one)


def test_the_same_seed_draws_the_same() -> None:
    x = faces()
    np.testing.assert_array_equal(
        applied(RandomAffine(True, 20, 0.4, 0.1, seed=3), x), applied(RandomAffine(True, 20, 0.4, 0.1, seed=3), x)
    )


def test_translation_moves_a_dot_within_its_reach() -> None:
    x = np.zeros((64, 40, 40, 1), np.float32)
    x[:, 20, 20] = 255
    seen = applied(RandomAffine(translation=0.2, seed=0), x)[..., 0]
    # A random tone fills new ground at the rim; the dot stays inside it.
    peaks = np.array([np.unravel_index(image[9:32, 9:32].argmax(), (23, 23)) for image in seen]) + 9
    assert np.abs(peaks - 20).max() <= 9
    assert np.abs(peaks - 20).max() >= 5


def test_zoom_changes_size_within_its_factor_and_both_ways() -> None:
    x = np.zeros((64, 60, 60, 1), np.float32)
    x[:, 20:40, 20:40] = 255  # does not reach the rim, so the ground stays black or gets a tone
    areas = []
    for image in applied(RandomAffine(zoom=0.4, seed=0), x)[..., 0]:
        row = image[30, 10:50] > 127
        areas.append(row.sum() / 20)
    assert 1 / 1.4 - 0.1 <= min(areas) < 0.85
    assert 1.2 < max(areas) <= 1.4 + 0.1


def test_rotation_turns_about_the_middle() -> None:
    x = np.zeros((64, 41, 41, 1), np.float32)
    x[:, 20, 4:37] = 255
    seen = applied(RandomAffine(rotation=30, seed=0), x)[..., 0]
    assert (seen[:, 20, 20] > 120).all()
    # Within 12 pixels of the middle no new ground can show, which may be brighter than the line.
    right = seen[:, 12:29, 28].argmax(axis=1) - 8
    angles = np.degrees(np.arctan2(right, 8))
    assert np.abs(angles).max() <= 33
    assert angles.min() < -15
    assert angles.max() > 15


def test_blur_and_low_resolution_take_detail_away() -> None:
    x = faces()
    layer = RandomDegradation(1.0, seed=0)
    for degrade in (layer._blur, layer._low_resolution):
        seen = np.asarray(degrade(x, len(x)))
        before, after = (np.abs(np.diff(p, axis=2)).mean(axis=(1, 2, 3)) for p in (x, seen))
        assert (after < before).all()
        np.testing.assert_allclose(seen.mean(axis=(1, 2, 3)), x.mean(axis=(1, 2, 3)), atol=3)


def test_degradation_hits_the_given_fraction_of_images() -> None:
    """Five kinds, each with the same probability: 1 - (1 - rate) ** 5 of the images change, in small batches too."""
    for count, batches, rate in ((400, 3, 0.15), (4, 100, 0.1)):
        layer, x = RandomDegradation(rate, seed=0), faces(count)
        changed = [(np.abs(np.asarray(layer(x, training=True)) - x) > 0.01).any(axis=(1, 2, 3)) for _ in range(batches)]
        assert abs(np.mean(changed) - (1 - (1 - rate) ** 5)) < 0.06


def test_jpeg_degradation_is_like_a_real_jpeg_file() -> None:
    """As far from the original as Pillow's JPEG of the same qualities, within a factor of 1.5."""
    x = faces(32)
    ours = np.abs(np.asarray(RandomDegradation(1.0, seed=0)._jpeg(x, len(x))) - x).mean()
    distances = []
    for image in x[..., 0].astype(np.uint8):
        for quality in (15, 25, 35, 45, 55, 65):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "JPEG", quality=quality)
            distances.append(np.abs(np.asarray(Image.open(buffer), np.float32) - image).mean())
    assert np.mean(distances) / 1.5 < ours < np.mean(distances) * 1.5


def test_erasing_occludes_the_given_fraction() -> None:
    x = np.random.default_rng(0).uniform(0, 255, (400, 48, 48, 1)).astype(np.float32)
    covered = applied(RandomErasing(1.0, seed=0), x) != x
    shares = covered.mean(axis=(1, 2, 3))
    assert 0.01 <= shares.min() < 0.05
    assert 0.2 < shares.max() <= 0.27
    for image in covered[..., 0]:  # a rectangle, whatever it holds
        rows, columns = image.any(axis=1), image.any(axis=0)
        assert (image == rows[:, None] & columns).all()
    hit = (applied(RandomErasing(0.3, seed=0), x) != x).any(axis=(1, 2, 3)).mean()
    assert 0.2 < hit < 0.4


def test_erased_rectangles_hold_tones_or_patterns_or_noise() -> None:
    """Half are of one tone, three tenths a piece of the image before, upside down, two tenths have grain."""
    x = np.random.default_rng(0).uniform(0, 255, (1000, 24, 24, 1)).astype(np.float32)
    seen = applied(RandomErasing(1.0, seed=0), x)
    before = np.roll(x, 1, axis=0)[:, ::-1]
    covered = seen != x
    plain = np.mean([np.ptp(image[where]) == 0 for image, where in zip(seen, covered, strict=True)])
    taken = np.mean([(a[w] == b[w]).all() for a, b, w in zip(seen, before, covered, strict=True)])
    assert abs(plain - 0.5) < 0.05
    assert abs(taken - 0.3) < 0.05
