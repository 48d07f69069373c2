"""Resizing by hand-computed examples; against TensorFlow and Keras: `tests/training/export/test_resize.py`."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.faces.crop import crop, exact_crop, exact_crops
from mien.faces.resize import Fit, ResizeMethod, resize, resize_many, rounded

RAMP = np.repeat(np.arange(0, 160, 10, dtype=np.uint8)[:, np.newaxis], 16, axis=1)[..., np.newaxis]


@given(
    st.sampled_from(get_args(ResizeMethod)), st.sampled_from(get_args(Fit)),
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.sampled_from([1, 3]),
)  # fmt: skip
def test_a_flat_image_stays_flat(
    method: ResizeMethod, fit: Fit, height: int, width: int, size: int, channels: int
) -> None:
    image = np.full((height, width, channels), 77, np.uint8)
    found = resize(image, size, method, "crop" if fit == "pad" else fit)
    assert found.shape == (size, size, channels)
    np.testing.assert_allclose(found, 77, atol=1e-3)
    padded = rounded(resize(image, size, "nearest", "pad"))
    assert set(np.unique(padded)) <= {0, 77}


def test_keras_does_not_smooth_and_pillow_does() -> None:
    stripes = np.zeros((64, 64, 1), np.uint8)
    stripes[:, ::4] = 255
    assert np.unique(resize(stripes, 16, "nearest")).tolist() == [0]  # each output pixel is one input pixel
    assert np.unique(rounded(resize(stripes, 16, "area"))).tolist() == [64]
    assert 40 < resize(stripes, 16, "pil-bilinear")[8, 8, 0] < 90


@pytest.mark.parametrize(("method", "first"), [("bilinear", 5.0), ("nearest", 10.0), ("cv2-nearest", 0), ("area", 5.0)])
def test_half_the_size_takes_the_pixels_that_it_should(method: ResizeMethod, first: float) -> None:
    assert resize(RAMP, 8, method)[0, 0, 0] == first


def test_the_names_of_pillow_are_pillow() -> None:
    image = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(image).resize((20, 20), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(resize(image, 20, "pil-lanczos"), theirs)
    np.testing.assert_array_equal(crop(image, 20, 3), resize(image, 20))


def test_fits() -> None:
    image = np.zeros((10, 20, 1), np.uint8)
    image[:, 5:15] = 200
    assert (resize(image, 10, "nearest", "crop") == 200).all()
    padded = resize(image, 20, "nearest", "pad")[..., 0]
    assert (padded[5:15, 5:15] == 200).all() and padded[:5].max() == 0
    assert resize(image, 10, "nearest")[0].ravel().tolist() == [0] * 2 + [200] * 5 + [0] * 3


@given(
    st.sampled_from(get_args(ResizeMethod)), st.integers(1, 5), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from([1, 3]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_square_images_of_one_size_are_resized_as_each_is_alone(
    method: ResizeMethod, count: int, side: int, size: int, channels: int, seed: int
) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)
    grey_or_rgb = images[..., :channels]
    found = resize_many(grey_or_rgb, size, method)
    alone = np.stack([resize(one, size, method) for one in grey_or_rgb])
    assert found.dtype == alone.dtype
    np.testing.assert_array_equal(found, alone)
    whole = np.stack([exact_crop(one, size, channels, method=method) for one in images])
    np.testing.assert_array_equal(exact_crops(images, size, channels, method), whole)
