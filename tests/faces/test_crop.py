"""The one crop: right pixels, right shape, right kind of grey, and a rolled face comes out upright."""

import math
import tracemalloc

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from mien.data.synthetic.faces import draw_face
from mien.errors import InputError
from mien.faces.crop import MAX_COORDINATE, MAX_UNCORRECTED_ROLL, Region, crop, face_region
from mien.results import Box, Detection

RGB = draw_face("sad", 5, 96)


@pytest.mark.parametrize("size", [1, 48, 96, 200])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_type(size: int, channels: int) -> None:
    found = crop(RGB, size, channels)
    assert found.shape == (size, size, channels)
    assert found.dtype == np.uint8


def test_the_same_size_is_the_same_image() -> None:
    assert np.array_equal(crop(RGB, 96, 3), RGB)
    assert np.array_equal(crop(RGB, 96, 1)[..., 0], np.asarray(Image.fromarray(RGB).convert("L")))


def test_a_box_is_cut_where_it_says() -> None:
    found = crop(RGB, 30, 3, Box(x=10, y=40, width=30, height=30))
    assert np.array_equal(found, RGB[40:70, 10:40])


def test_downscaling_averages_instead_of_picking() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(crop(stripes, 16, 3).astype(int) - 127)[2:-2, 2:-2].max() <= 8


def test_the_whole_image_is_squeezed_whatever_its_shape() -> None:
    wide = np.zeros((20, 80, 3), np.uint8)
    wide[:, 40:] = 200
    found = crop(wide, 20, 1)[..., 0]
    assert found[:, :8].max() == 0
    assert found[:, 12:].min() == 200


def test_the_image_is_not_changed_and_may_be_a_view() -> None:
    before = RGB.copy()
    flipped = RGB[:, ::-1]
    assert np.array_equal(crop(flipped, 96, 3), before[:, ::-1])
    assert np.array_equal(RGB, before)


# Regions

SIDE = RGB.shape[0]
ANYWHERE = st.floats(-MAX_COORDINATE, MAX_COORDINATE)
CHANNELS = st.sampled_from([1, 3])


def padded(by: int) -> npt.NDArray[np.uint8]:
    """The image with its edge pixels repeated."""
    return np.pad(RGB, ((by, by), (by, by), (0, 0)), mode="edge")


def smooth(side: int) -> npt.NDArray[np.uint8]:
    """An image without fine detail, which every way of resampling shows alike."""
    small = np.random.default_rng(3).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


def difference(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).max())


@given(data=st.data(), size=st.integers(1, 120), channels=CHANNELS)
def test_a_straight_region_inside_is_the_plain_box(data: st.DataObject, size: int, channels: int) -> None:
    side = data.draw(st.integers(1, SIDE))
    x, y = (data.draw(st.integers(0, SIDE - side)) for _ in range(2))
    region = Region(x + side / 2, y + side / 2, side)
    np.testing.assert_array_equal(crop(RGB, size, channels, region), crop(RGB, size, channels, Box(x, y, side, side)))


@given(
    x=st.integers(-60, 160), y=st.integers(-60, 160), half=st.integers(2, 40), channels=CHANNELS,
    angle=st.sampled_from([0.0, 90.0, -90.0, 180.0, 33.0, -7.5, 250.0]),
)  # fmt: skip
def test_beyond_the_edge_its_pixels_repeat(x: int, y: int, half: int, channels: int, angle: float) -> None:
    found = crop(RGB, 24, channels, Region(x, y, 2 * half, angle))
    expected = crop(padded(200), 24, channels, Region(x + 200, y + 200, 2 * half, angle))
    assert difference(found, expected) <= 1  # rounding


@given(x=ANYWHERE, y=ANYWHERE, side=st.floats(1, MAX_COORDINATE), angle=st.floats(-720, 720), channels=CHANNELS)
def test_any_region_gives_a_crop(x: float, y: float, side: float, angle: float, channels: int) -> None:
    found = crop(RGB, 16, channels, Region(x, y, side, angle))
    assert found.shape == (16, 16, channels)
    assert found.dtype == np.uint8
    for channel in range(channels):
        source = RGB if channels == 3 else crop(RGB, SIDE, 1)
        assert source[..., channel].min() <= found[..., channel].min()
        assert found[..., channel].max() <= source[..., channel].max()


@given(angle=st.floats(-180, 180), side=st.floats(150, 280))
def test_a_rolled_image_comes_out_upright(angle: float, side: float) -> None:
    upright = smooth(400)
    rolled = np.asarray(Image.fromarray(upright).rotate(-angle, Image.Resampling.BICUBIC))  # clockwise
    found = crop(rolled, 48, 3, Region(200, 200, side, angle))
    assert difference(found, crop(upright, 48, 3, Region(200, 200, side))) <= 8


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_exact(quarters: int) -> None:
    turned = np.rot90(RGB, -quarters)  # clockwise
    for angle in (90.0 * quarters, 90.0 * quarters - 360):
        np.testing.assert_array_equal(
            crop(turned, 30, 3, Region(48, 48, 60, angle)), crop(RGB, 30, 3, Region(48, 48, 60))
        )


def test_a_large_region_is_averaged_not_picked() -> None:
    stripes = np.zeros((640, 640, 3), np.uint8)
    stripes[:, ::2] = 255
    for angle in (0.0, 30.0, 90.0):
        found = crop(stripes, 16, 1, Region(320, 320, 400, angle)).astype(int)
        assert np.abs(found - 127).max() <= 8


@pytest.mark.parametrize("angle", [0.0, 20.0])
@pytest.mark.parametrize("side", [5_000.0, MAX_COORDINATE])
def test_a_silly_region_takes_little_memory(angle: float, side: float) -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    tracemalloc.start()
    try:
        crop(image, 48, 3, Region(100, 300, side, angle))
        assert tracemalloc.get_traced_memory()[1] < 3 * image.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "numbers",
    [(0, 0, 0.5), (0, 0, -3), (math.nan, 0, 5), (0, math.inf, 5), (0, 0, math.inf), (0, 0, 5, math.nan), (1e300, 0, 5)],
)
def test_what_is_no_square_is_refused(numbers: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="a side of at least 1 pixel"):
        Region(*numbers)


# Faces


def face(roll: float, x: float = 200, y: float = 150, width: int = 80, height: int = 100) -> Detection:
    """A face around (x, y) whose eyes lie on a line rolled by `roll` degrees."""
    radians = math.radians(roll)
    eyes = [(x + s * 20 * math.cos(radians), y + s * 20 * math.sin(radians)) for s in (-1, 1)]
    box = Box(round(x - width / 2), round(y - height / 2), width, height)
    return Detection(box, (*eyes, (x, y), (x, y), (x, y)), 0.9)


def test_a_face_is_framed_around_its_box() -> None:
    region = face_region(face(0))
    assert (region.x, region.y, region.angle) == (200, 150, 0)
    assert 80 < region.side < 120


@pytest.mark.parametrize("roll", [-180, -91, -90, -85, -60, -30, -5, 0, 3, 40, 88, 92, 135, 176, 180])
def test_a_face_comes_out_nearly_upright(roll: float) -> None:
    left = roll - face_region(face(roll)).angle
    assert abs((left + 180) % 360 - 180) <= 25


def test_a_tiny_face_has_a_region() -> None:
    assert face_region(face(0, 1, 1, 1, 1)).side >= 1


@given(roll=st.floats(-180, 180))
def test_framing_does_not_depend_on_the_size_of_the_image(roll: float) -> None:
    assume(abs(abs(roll - 90 * round(roll / 90)) - MAX_UNCORRECTED_ROLL) > 1e-6)
    small, large = face(roll), face(roll, 2000, 1500, 800, 1000)
    one, ten = face_region(small), face_region(large)
    assert (one.x * 10, one.y * 10, one.side * 10) == pytest.approx((ten.x, ten.y, ten.side), rel=1e-3)
    assert one.angle == pytest.approx(ten.angle, abs=1e-6)
