"""Near duplicates: copies of an image are found, different images are not."""

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from mien.data.duplicates import near_duplicate_groups
from mien.data.fingerprint import Fingerprint, Fingerprints, fingerprint, fingerprints
from mien.errors import InputError

Grey = npt.NDArray[np.uint8]

seeds = st.integers(0, 10_000)
few = settings(max_examples=25)


def image(seed: int, side: int = 128) -> Grey:
    """A seeded texture with soft-edged shapes on it, between grey 20 and 200."""
    rng = np.random.default_rng(seed)
    texture = Image.fromarray(rng.integers(20, 200, (6, 6), dtype=np.uint8))
    image = texture.resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.uniform(0, side, 2)
        rx, ry = rng.uniform(0.05 * side, 0.2 * side, 2)
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=int(rng.integers(20, 200)))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(1)))


def are_one(a: Grey, b: Grey) -> bool:
    return near_duplicate_groups([fingerprint(a), fingerprint(b)]) == [[0, 1]]


def recompressed(grey: Grey, quality: int) -> Grey:
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def resized(grey: Grey, height: int, width: int) -> Grey:
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC))


def lit(grey: Grey, factor: float) -> Grey:
    return np.asarray(np.clip(np.rint(grey * factor), 0, 255), dtype=np.uint8)


def cropped(grey: Grey, shares: tuple[float, float, float, float]) -> Grey:
    height, width = grey.shape
    left, top, right, bottom = shares
    rows = slice(round(top * height), height - round(bottom * height))
    return grey[rows, round(left * width) : width - round(right * width)]


# --- what stays the same image


@few
@given(seeds, st.integers(30, 90))
def test_recompression_is_the_same_image(seed: int, quality: int) -> None:
    grey = image(seed)
    assert are_one(grey, recompressed(grey, quality))


@few
@given(seeds, st.floats(0.5, 1.5), st.floats(0.5, 1.5))
def test_resizing_is_the_same_image(seed: int, tall: float, wide: float) -> None:
    grey = image(seed)
    assert are_one(grey, resized(grey, round(128 * tall), round(128 * wide)))


@few
@given(seeds, st.floats(0.7, 1.4))
def test_brightening_and_darkening_is_the_same_image(seed: int, factor: float) -> None:
    grey = image(seed)
    assert are_one(grey, lit(grey, factor))


@few
@given(seeds, st.floats(0.75, 1.25))
def test_a_mild_change_of_contrast_is_the_same_image(seed: int, factor: float) -> None:
    grey = image(seed)
    changed = np.clip(np.rint(110 + (grey.astype(float) - 110) * factor), 0, 255).astype(np.uint8)
    assert are_one(grey, changed)


def test_most_crops_of_up_to_five_percent_a_side_are_found() -> None:
    """Not every one: an image made of few large shapes can change more than the first gate allows."""
    rng = np.random.default_rng(0)
    found = 0
    for seed in range(200):
        left, top, right, bottom = rng.uniform(0.01, 0.05, 4).tolist()
        grey = image(seed)
        found += are_one(grey, cropped(grey, (left, top, right, bottom)))
    assert found >= 190


def test_a_crop_that_was_darkened_and_recompressed_is_found() -> None:
    grey = image(3)
    assert are_one(grey, recompressed(lit(cropped(grey, (0.04, 0.01, 0.03, 0.05)), 0.8), 60))


# --- what does not


def test_different_images_do_not_match() -> None:
    assert near_duplicate_groups([fingerprint(image(seed)) for seed in range(400)]) == []


def face(smiles: bool, eye: int) -> Grey:
    """One dark silhouette on white; the mouth bends up or down, `eye` is the height of the eyes."""
    image = Image.new("L", (128, 128), 255)
    draw = ImageDraw.Draw(image)
    draw.ellipse((24, 10, 104, 122), fill=90)
    for x in (50, 78):
        draw.ellipse((x - 7, eye - 5, x + 7, eye + 5), fill=170)
    start, end = (20, 160) if smiles else (200, 340)
    draw.arc((46, 74, 82, 106), start, end, fill=170, width=6)
    return np.asarray(image)


def test_one_silhouette_with_another_face_does_not_match() -> None:
    assert not are_one(face(True, 48), face(False, 60))
    assert are_one(face(True, 48), recompressed(face(True, 48), 50))


def test_mirrored_and_inverted_images_do_not_match() -> None:
    grey = image(5)
    assert not are_one(grey, np.ascontiguousarray(grey[:, ::-1]))
    assert not are_one(grey, 255 - grey)


def test_flat_images_match_only_if_their_thumbs_are_equal() -> None:
    rng = np.random.default_rng(0)
    noisy = [np.clip(rng.normal(120, 3, (64, 64)), 0, 255).astype(np.uint8) for _ in range(50)]
    flat = [np.full((40, 40), level, np.uint8) for level in (0, 120, 255, 120)]
    assert near_duplicate_groups([fingerprint(grey) for grey in [*flat, *noisy]]) == [[1, 3]]


def test_one_faint_shade_over_flat_images_does_not_match_them() -> None:
    """The shadows on an empty wall are in every image taken of it."""
    shade = image(0).astype(float) - 110
    walls = [np.rint(level + shade / 14).astype(np.uint8) for level in (90, 120, 150)]
    assert near_duplicate_groups([fingerprint(wall) for wall in walls]) == []


def test_a_checkerboard_without_low_frequencies_is_no_trouble() -> None:
    board = (np.indices((32, 32)).sum(axis=0) % 2 * 200).astype(np.uint8)
    prints = [fingerprint(board), fingerprint(255 - board), fingerprint(board)]
    assert near_duplicate_groups(prints) == [[0, 2]]


# --- groups


def planted() -> tuple[list[Fingerprint], list[list[int]]]:
    """Thirty images, and behind them copies of the third, the eighth (twice) and the first."""
    images = [image(seed) for seed in range(30)]
    copies = [lit(images[2], 0.8), recompressed(images[7], 50), images[7], resized(images[0], 70, 80)]
    return [fingerprint(grey) for grey in images + copies], [[0, 33], [2, 30], [7, 31, 32]]


def test_groups_are_sorted_and_hold_exactly_the_copies() -> None:
    prints, expected = planted()
    assert near_duplicate_groups(prints) == expected


@few
@given(st.permutations(range(34)))
def test_the_order_of_the_images_changes_nothing(order: list[int]) -> None:
    prints, expected = planted()
    groups = near_duplicate_groups([prints[index] for index in order])
    assert sorted(sorted(order[index] for index in group) for group in groups) == expected
    assert groups == sorted(sorted(group) for group in groups)


def test_equal_prints_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three thousand copies of two images are compared as two."""
    sizes = []
    original = np.bitwise_count

    def counted(x: npt.NDArray[np.uint64], **options: Any) -> npt.NDArray[np.uint8]:
        sizes.append(x.size)
        return np.asarray(original(x, **options), dtype=np.uint8)

    monkeypatch.setattr(np, "bitwise_count", counted)
    prints = [fingerprint(image(0)), fingerprint(image(1))] * 1500
    groups = near_duplicate_groups(prints)
    assert groups == [list(range(0, 3000, 2)), list(range(1, 3000, 2))]
    assert sum(sizes) <= 4


def test_flat_images_between_copies_change_nothing() -> None:
    flat = [np.full((40, 40), level, np.uint8) for level in (0, 60, 120, 180, 255)]
    copies = [image(0), *flat[:3], image(1), *flat[3:], recompressed(image(1), 60), lit(image(0), 0.9)]
    assert near_duplicate_groups([fingerprint(grey) for grey in copies]) == [[0, 8], [4, 7]]


def test_an_image_takes_some_tens_of_bytes() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6000, 8, 8), np.uint8)
    peaks = []
    for count in (3000, 6000):
        tracemalloc.start()
        near_duplicate_groups(Fingerprints(map(fingerprint, coarse[:count])))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 3000 < 200


def test_without_room_for_files_the_groups_are_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    coarse = [*rng.integers(0, 256, (3000, 8, 8), np.uint8)]
    grey = [*coarse, *(lit(one, 0.9) for one in coarse[:40])]
    expected = near_duplicate_groups(Fingerprints(map(fingerprint, grey)))
    assert len(expected) == 40
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    assert near_duplicate_groups(Fingerprints(map(fingerprint, grey))) == expected


def test_many_copies_that_all_differ_form_one_group() -> None:
    rng = np.random.default_rng(0)
    grey = image(4).astype(float)
    noisy = [np.clip(grey + rng.normal(0, 6, grey.shape), 0, 255).astype(np.uint8) for _ in range(300)]
    prints = [fingerprint(copy) for copy in noisy]
    assert len({item.thumb.tobytes() for item in prints}) > 250
    assert near_duplicate_groups(prints) == [list(range(300))]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_make_no_group(count: int) -> None:
    assert near_duplicate_groups([fingerprint(image(0))] * count) == []


def test_progress_rises_to_one_and_only_then() -> None:
    shares: list[float] = []
    near_duplicate_groups([fingerprint(image(seed, 32)) for seed in range(600)], shares.append)
    assert len(shares) >= 3
    assert shares == sorted(shares)
    assert shares[0] >= 0 and shares[-1] == 1.0
    assert shares[-2] < 1.0


# --- fingerprints


def test_a_fingerprint_holds_a_64_bit_hash_and_a_small_grey_thumb() -> None:
    item = fingerprint(image(0))
    assert 0 < item.hash < 2**64
    assert item.thumb.shape == (32, 32) and item.thumb.dtype == np.uint8
    assert abs(float(item.thumb.mean()) - float(image(0).mean())) < 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (3, 2), (900, 700)])
def test_any_size_has_a_fingerprint(shape: tuple[int, int]) -> None:
    assert fingerprint(np.full(shape, 7, np.uint8)).thumb.tolist() == [[7] * 32] * 32


def test_prints_of_several_images_are_those_of_each() -> None:
    greys = [image(seed, side) for seed, side in enumerate((24, 32, 128, 47, 300))]
    alone = [fingerprint(grey) for grey in greys]
    together = fingerprints(greys)
    assert [one.hash for one in together] == [one.hash for one in alone]
    assert all(np.array_equal(one.thumb, other.thumb) for one, other in zip(together, alone, strict=True))
    assert fingerprints([]) == []


def test_copies_have_close_hashes_and_different_images_have_not() -> None:
    one, copy, other = (fingerprint(grey).hash for grey in (image(0), recompressed(image(0), 60), image(1)))
    assert (one ^ copy).bit_count() <= 4
    assert (one ^ other).bit_count() > 18


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32), np.zeros((0, 4), np.uint8)]
)
def test_only_grey_images_are_accepted(wrong: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="grey uint8"):
        fingerprint(wrong)


def test_a_thumb_of_another_size_is_refused_by_its_place() -> None:
    prints = [fingerprint(image(0)), Fingerprint(0, np.zeros((8, 8), np.uint8))]
    with pytest.raises(InputError, match="print 1"):
        near_duplicate_groups(prints)
