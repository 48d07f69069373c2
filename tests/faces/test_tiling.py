"""What the face detector is shown of an image, and where that lies in it: there and back."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.faces.tiling import (
    BACKGROUND,
    MAX_TILES,
    MIN_INPUT_SIDE,
    MIN_LONG_SIDE,
    QUICK_SIDE,
    View,
    close_window,
    render,
    render_quick,
    render_window,
    tile_views,
    turned_views,
    whole_view,
)
from mien.faces.yunet import INPUT_MULTIPLE, INPUT_SIDE, Candidates

SIZES = st.tuples(st.integers(1, 12000), st.integers(1, 12000))


@st.composite
def views(draw: st.DrawFn) -> View:
    left, top = draw(st.integers(0, 50)), draw(st.integers(0, 50))
    width, height, columns, rows = (draw(st.integers(20, 150)) for _ in range(4))
    x, y = draw(st.integers(0, 300)), draw(st.integers(0, 300))
    return View(left, top, width, height, columns, rows, x, y, draw(st.integers(0, 3)))


def in_input(view: View, x: float, y: float) -> tuple[float, float]:
    """Where a point of the image lies in the input: scale, then turn counter-clockwise step by step, then move."""
    x, y = (x - view.left) * view.columns / view.width, (y - view.top) * view.rows / view.height
    width, height = view.columns, view.rows
    for _ in range(view.turns):
        x, y = y, width - x
        width, height = height, width
    return view.x + x, view.y + y


@given(view=views(), across=st.floats(0, 1), down=st.floats(0, 1))
def test_points_go_there_and_back(view: View, across: float, down: float) -> None:
    x, y = view.left + across * view.width, view.top + down * view.height
    there = np.array(in_input(view, x, y), np.float32)
    assert (there >= (view.x - 0.01, view.y - 0.01)).all()
    assert (there <= np.add((view.x, view.y), view.extent) + 0.01).all()
    assert view.points(there) == pytest.approx((x, y), abs=0.01)


@settings(max_examples=40)
@given(view=views(), across=st.floats(0.1, 0.9), down=st.floats(0.1, 0.9))
def test_what_is_painted_lies_where_the_view_says(view: View, across: float, down: float) -> None:
    x, y = view.left + round(across * view.width), view.top + round(down * view.height)
    image = np.zeros((200, 200, 3), np.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    bright = render(image, [view])[0, 0]
    width, height = view.extent
    bright = bright[view.y : view.y + height, view.x : view.x + width]
    rows, columns = np.mgrid[: bright.shape[0], : bright.shape[1]] + 0.5
    middle = np.array([(columns * bright).sum(), (rows * bright).sum()]) / bright.sum()
    assert view.points(np.add(middle, (view.x, view.y))) == pytest.approx((x + 0.5, y + 0.5), abs=2.5)


@given(view=views(), box=st.tuples(*[st.floats(0.05, 0.95)] * 4))
def test_boxes_go_there_and_back(view: View, box: tuple[float, ...]) -> None:
    xs, ys = (view.left + np.sort(box[:2]) * view.width), (view.top + np.sort(box[2:]) * view.height)
    there = np.sort([in_input(view, x, y) for x, y in zip(xs, ys, strict=True)], axis=0).reshape(1, 4)
    found = Candidates(there.astype(np.float32), np.zeros((1, 5, 2), np.float32), np.ones(1, np.float32))
    (back,) = view.to_image(found).boxes
    assert back == pytest.approx([xs[0], ys[0], xs[1], ys[1]], abs=0.02)


@given(size=SIZES, turns=st.integers(0, 3))
def test_the_whole_image_is_shown_in_its_proportions(size: tuple[int, int], turns: int) -> None:
    view = whole_view(size, turns)
    assert (view.left, view.top, view.width, view.height) == (0, 0, *size)
    assert max(view.columns, view.rows) == min(max(*size, MIN_LONG_SIDE), INPUT_SIDE)
    scale = max(view.columns, view.rows) / max(size)
    assert (view.columns, view.rows) == pytest.approx((size[0] * scale, size[1] * scale), abs=1)
    assert_inside([view])


@given(size=SIZES, corners=st.none() | st.lists(st.floats(-500, 13000), min_size=4, max_size=4))
def test_four_turns_lie_apart_and_within_the_image(size: tuple[int, int], corners: list[float] | None) -> None:
    if corners is not None:
        corners = [*sorted(corners[::2]), *sorted(corners[1::2])]
        corners = [corners[0], corners[2], corners[1], corners[3]]
    shown = turned_views(size, corners)
    assert [view.turns for view in shown] == [0, 1, 2, 3]
    assert_inside(shown)
    half = INPUT_SIDE // 2
    assert len({(view.x // half, view.y // half) for view in shown}) == 4
    for view in shown:
        assert view.x % half + view.extent[0] <= half
        assert view.y % half + view.extent[1] <= half
        assert 0 <= view.left < view.left + view.width <= size[0]
        assert 0 <= view.top < view.top + view.height <= size[1]


def test_the_surroundings_of_a_face_are_shown() -> None:
    view = turned_views((1000, 800), (400, 300, 460, 380))[0]
    assert (view.left, view.top, view.width, view.height) == (350, 260, 160, 160)
    cut = turned_views((1000, 800), (0, 10, 60, 90))[0]
    assert (cut.left, cut.top, cut.width, cut.height) == (0, 0, 110, 130)


@settings(max_examples=300)
@given(size=SIZES)
def test_tiles_cover_a_large_image_and_are_few(size: tuple[int, int]) -> None:
    shown = tile_views(size)
    assert len(shown) <= MAX_TILES
    assert_inside(shown)
    if not shown:
        assert max(size) <= 1.4 * INPUT_SIDE or max(size) ** 2 < 2.5 * size[0] * size[1]
        return
    across, down = (
        {(getattr(view, low), getattr(view, low) + getattr(view, length)) for view in shown}
        for low, length in (("left", "width"), ("top", "height"))
    )
    for spans, length in ((sorted(across), size[0]), (sorted(down), size[1])):
        assert (spans[0][0], spans[-1][1]) == (0, length)
        assert all(later[0] < sooner[1] for sooner, later in pairwise(spans))
    assert len(shown) == len(across) * len(down)


@given(side=st.integers(1, 2000), length=st.integers(1, 200_000_000), lying=st.booleans())
def test_a_strip_of_any_length_has_few_tiles(side: int, length: int, lying: bool) -> None:
    size = (length, side) if lying else (side, length)
    shown = tile_views(size)
    assert len(shown) <= MAX_TILES
    assert_inside([*shown, whole_view(size), *turned_views(size)])
    if shown:
        assert {(view.left, view.top) for view in shown} >= {(0, 0)}
        assert max(view.left + view.width for view in shown) == size[0]
        assert max(view.top + view.height for view in shown) == size[1]


@given(side=st.integers(1, 2000), length=st.integers(1, 200_000_000), lying=st.booleans())
def test_of_a_strip_few_pixels_are_rendered(side: int, length: int, lying: bool) -> None:
    """With the step of its short side, the long side of a strip kept millions of pixels."""
    size = (length, side) if lying else (side, length)
    strip = np.broadcast_to(np.array([10, 100, 200], np.uint8), (*size[::-1], 3))
    given_size, rendered = Image.fromarray, list[tuple[int, int]]()

    def noted(pixels: npt.NDArray[np.uint8]) -> Image.Image:
        rendered.append(pixels.shape[1::-1])
        return given_size(pixels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "fromarray", noted)
        for view in [*tile_views(size), whole_view(size), *turned_views(size)]:
            rendered.clear()
            middle = view.x + view.extent[0] // 2, view.y + view.extent[1] // 2
            assert render(strip, [view])[0, :, middle[1], middle[0]].tolist() == [200, 100, 10]
            assert all(one[0] <= 6 * view.columns and one[1] <= 6 * view.rows for one in rendered)


def test_an_image_that_gains_little_has_no_tiles() -> None:
    assert tile_views((640, 480)) == []
    assert tile_views((800, 600)) == []
    assert len(tile_views((1280, 720))) > 1


def assert_inside(shown: list[View]) -> None:
    """Every view lies wholly in the input."""
    for view in shown:
        assert min(view.x, view.y) >= 0
        assert view.x + view.extent[0] <= INPUT_SIDE
        assert view.y + view.extent[1] <= INPUT_SIDE


def test_the_input_is_blue_first_and_grey_around() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[..., 0], image[..., 1] = 200, 20
    painted = render(image, [whole_view((200, 100))])
    assert painted.dtype == np.float32
    assert painted.shape == (1, 3, MIN_INPUT_SIDE, MIN_INPUT_SIDE)
    assert painted[0, :, MIN_INPUT_SIDE // 2, MIN_INPUT_SIDE // 2].tolist() == [0, 20, 200]
    for corner in ((2, 2), (-2, -2)):
        assert painted[0, :, *corner].tolist() == [BACKGROUND] * 3


@pytest.mark.parametrize(
    ("size", "height", "width"),
    [
        ((512, 512), 512, 512),
        ((1024, 768), 480, 640),
        ((500, 436), 448, 512),
        ((48, 48), 384, 384),
        ((9000, 90), 384, 640),
    ],
)
def test_the_input_is_as_small_as_the_image_allows(size: tuple[int, int], height: int, width: int) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    assert render(image, [whole_view(size)]).shape == (1, 3, height, width)
    assert render(image, [whole_view(size, 1)]).shape == (1, 3, width, height)


@settings(max_examples=50)
@given(size=st.tuples(st.integers(1, 2000), st.integers(1, 2000)))
def test_every_input_has_whole_steps_and_holds_its_views(size: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for shown in ([whole_view(size)], turned_views(size), *([view] for view in tile_views(size)[:1])):
        _, _, height, width = render(image, shown).shape
        assert height % INPUT_MULTIPLE == width % INPUT_MULTIPLE == 0
        assert max(height, width) <= INPUT_SIDE
        assert all(view.x + view.extent[0] <= width and view.y + view.extent[1] <= height for view in shown)


@pytest.mark.parametrize("turns", [0, 1])
def test_a_very_large_image_is_averaged_not_sampled(turns: int) -> None:
    """Single bright lines of a fine raster must not decide what a small copy looks like."""
    image: npt.NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (3200, 3200, 3), dtype=np.uint8)
    painted = render(image, [whole_view((3200, 3200), turns)])
    assert painted.std() < 45
    assert painted.mean() == pytest.approx(127.5, abs=2)


@settings(max_examples=60)
@given(size=st.tuples(st.integers(1, 1500), st.integers(1, 1500)), data=st.data())
def test_a_window_shows_what_the_whole_input_shows_there(size: tuple[int, int], data: st.DataObject) -> None:
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    view = whole_view(size)
    whole = render(image, [view])
    left, right = sorted(data.draw(st.tuples(*2 * [st.floats(-9, size[0] + 9)])))
    top, bottom = sorted(data.draw(st.tuples(*2 * [st.floats(-9, size[1] + 9)])))
    x, y, width, height = window = close_window(view, (left, top, right, bottom))
    assert all(value % INPUT_MULTIPLE == 0 for value in window)
    assert 0 <= x < x + width <= whole.shape[3]
    assert 0 <= y < y + height <= whole.shape[2]
    shown, part = render_window(image, view, window)
    assert shown.shape[2:] == (height, width)
    # Pillow takes the edges of a box in single precision, and rounds after each of two passes.
    assert np.abs(shown - whole[:, :, y : y + height, x : x + width]).max() <= 2
    point = np.array([[width / 2, height / 2]], np.float32)
    assert part.points(point) == pytest.approx(view.points(point + np.array([x, y], np.float32)), abs=0.01)


@settings(max_examples=40)
@given(size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)))
def test_a_quick_look_shows_the_whole_image_small(size: tuple[int, int]) -> None:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[-1, -1] = image[size[1] // 2, size[0] // 2] = 255
    shown, view = render_quick(image)
    assert all(side % INPUT_MULTIPLE == 0 for side in shown.shape[2:])
    assert max(view.extent) <= QUICK_SIDE
    assert max(view.extent) > 2 / 3 * QUICK_SIDE or max(size) < 2 * QUICK_SIDE
    assert view.width - size[0] < view.width / view.columns
    assert view.height - size[1] < view.height / view.rows
    assert (shown[0, :, view.rows :] == BACKGROUND).all()
    assert (shown[0, :, :, view.columns :] == BACKGROUND).all()


def test_what_a_quick_look_shows_lies_where_its_view_says() -> None:
    for side, factor in ((200, 1), (512, 2), (700, 3), (1000, 4), (1100, 6), (3000, 12)):
        image = np.zeros((side, side, 3), np.uint8)
        image[side // 4 : side // 2, side // 2 : side * 3 // 4] = 200
        shown, view = render_quick(image)
        assert view.width / view.columns == factor
        rows, columns = np.nonzero(shown[0, 0, : view.rows, : view.columns] > 100)
        corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]], np.float32)
        expected = np.array([[side // 2, side // 4], [side * 3 // 4, side // 2]], np.float32)
        assert view.points(corners) == pytest.approx(expected, abs=factor)
