"""Lay views of an image into the detector's input, and map points back: pure geometry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from mien.arrays import Float32, UInt8
from mien.faces.yunet import INPUT_MULTIPLE, INPUT_SIDE, Candidates

#: Width and height in pixels.
Size = tuple[int, int]
#: Left, top, width and height, in pixels.
Rectangle = tuple[int, int, int, int]

#: A smaller image is enlarged until its longer side has this many pixels. More would make a face that fills the frame
#: too large to be detected.
MIN_LONG_SIDE = 320
#: Least side of an input: a face that fills a small image needs something around it.
MIN_INPUT_SIDE = 384
#: Longer side of each of four copies in one input; each copy has a cell of half the longest side.
COPY_SIDE = 256
#: Longer side of the image in a quick look, at most.
QUICK_SIDE = 256
#: Side of a close look, in longer sides of the face: the network judges a face by what is around it, too.
CLOSE_REACH = 1.6
#: Grey value around an image in the input.
BACKGROUND = 128
#: Tiles are used if they gain at least this factor in scale. There are about `USUAL_TILES` of a very large image, and
#: never more than `MAX_TILES`, whatever its shape: those of a long strip are as large as that needs.
MIN_TILE_GAIN, USUAL_TILES, MAX_TILES = 1.4, 24, 48
#: Tiles overlap by this fraction of their side, so that a face at a seam is whole in one of them.
TILE_OVERLAP = 0.2


@dataclass(frozen=True)
class View:
    """A rectangle of the image, resized, turned, and laid into the network's input.

    Args:
        left: in the image's pixels.
        top: in the image's pixels.
        width: in the image's pixels.
        height: in the image's pixels.
        columns: width in the input before turning.
        rows: height in the input before turning.
        x: column of its upper left corner in the input after turning.
        y: row of its upper left corner in the input after turning.
        turns: quarter turns counter-clockwise.

    Examples:
        >>> View(0, 0, 200, 100, columns=100, rows=50).points(np.float32([[10, 20]])).tolist()
        [[20.0, 40.0]]
    """

    left: int
    top: int
    width: int
    height: int
    columns: int
    rows: int
    x: int = 0
    y: int = 0
    turns: int = 0

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height in the input, after turning."""
        return (self.rows, self.columns) if self.turns % 2 else (self.columns, self.rows)

    def points(self, points: Float32) -> Float32:
        """Return points (..., 2), each (x, y) in the input, in the image's pixels."""
        x, y = points[..., 0] - self.x, points[..., 1] - self.y
        if self.turns == 1:
            x, y = self.columns - y, x
        elif self.turns == 2:
            x, y = self.columns - x, self.rows - y
        elif self.turns == 3:
            x, y = y, self.rows - x
        return np.stack([self.left + x * self.width / self.columns, self.top + y * self.height / self.rows], axis=-1)

    def to_image(self, found: Candidates) -> Candidates:
        """Return the network's candidates with their centre in this view, in the image's pixels."""
        width, height = self.extent
        middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - (self.x, self.y)
        ours = found[((middle >= 0) & (middle < (width, height))).all(axis=1)]
        corners = self.points(ours.boxes.reshape(-1, 2, 2))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Candidates(boxes.astype(np.float32), self.points(ours.landmarks).astype(np.float32), ours.scores)


def whole_view(size: Size, turns: int = 0) -> View:
    """Show the whole image of `size` (width, height) in one input, its longer side scaled to 320 to 640 pixels."""
    columns, rows = _scaled(size, min(max(*size, MIN_LONG_SIDE), INPUT_SIDE))
    width, height = (rows, columns) if turns % 2 else (columns, rows)
    x, y = (max(MIN_INPUT_SIDE - length, 0) // 2 for length in (width, height))
    return View(0, 0, *size, columns, rows, x, y, turns)


def close_window(view: View, box: Sequence[float]) -> Rectangle:
    """Return the part of a view's input around a face: left, top, width and height, multiples of 32.

    Args:
        view: not turned.
        box: left, top, right and bottom of the face, in the image's pixels.
    """
    across, down = view.columns / view.width, view.rows / view.height
    reach = CLOSE_REACH * max((box[2] - box[0]) * across, (box[3] - box[1]) * down) / 2
    x = min(max((box[0] + box[2]) / 2 - view.left, 0) * across, view.columns - 1) + view.x
    y = min(max((box[1] + box[3]) / 2 - view.top, 0) * down, view.rows - 1) + view.y
    starts, lengths = [], []
    for middle, length in zip((x, y), _input_size([view]), strict=True):
        start = min(max(math.floor((middle - reach) / INPUT_MULTIPLE), 0), length // INPUT_MULTIPLE - 1)
        end = max(min(math.ceil((middle + reach) / INPUT_MULTIPLE), length // INPUT_MULTIPLE), start + 1)
        starts.append(start * INPUT_MULTIPLE)
        lengths.append((end - start) * INPUT_MULTIPLE)
    return starts[0], starts[1], lengths[0], lengths[1]


def turned_views(size: Size, around: Sequence[float] | None = None) -> list[View]:
    """Show one piece four times in one input, small, in 0, 1, 2 and 3 quarter turns counter-clockwise.

    The piece is the surroundings of a face with the box `around` (left, top, right, bottom), or the whole image.
    """
    piece = (0, 0, *size) if around is None else _surroundings(size, around)
    half = INPUT_SIDE // 2
    return [_copy(piece, turns, half * (turns % 2), half * (turns // 2)) for turns in range(4)]


def tile_views(size: Size) -> list[View]:
    """Show a large image in overlapping squares, each an input of its own; none if that gains too little."""
    usual = math.sqrt(size[0] * size[1] / (USUAL_TILES * (1 - TILE_OVERLAP) ** 2))
    in_a_row = max(size) / (1 + (MAX_TILES - 1) * (1 - TILE_OVERLAP))
    side = max(INPUT_SIDE, math.ceil(usual), math.ceil(in_a_row))
    if max(size) < MIN_TILE_GAIN * side:
        return []
    width, height = min(side, size[0]), min(side, size[1])
    columns, rows = (max(round(length * INPUT_SIDE / side), 1) for length in (width, height))
    return [
        View(left, top, width, height, columns, rows)
        for top in _starts(size[1], height)
        for left in _starts(size[0], width)
    ]


def render(rgb: UInt8, views: Sequence[View]) -> Float32:
    """Lay views of an RGB image, uint8 (H, W, 3), into one input: float32 (1, 3, H', W'), BGR, [0, 255].

    H' and W' are multiples of 32, at least `MIN_INPUT_SIDE`, and as small as the views allow: the network's time
    grows with its pixels.
    """
    width, height = _input_size(views)
    canvas = np.full((height, width, 3), BACKGROUND, np.uint8)
    for view in views:
        width, height = view.extent
        canvas[view.y : view.y + height, view.x : view.x + width] = np.rot90(_resized(rgb, view), view.turns)
    return _to_input(canvas)


def render_quick(rgb: UInt8) -> tuple[Float32, View]:
    """Show the whole image small, reduced by a whole number; return the input, as `render` does, and the view."""
    height, width = rgb.shape[:2]
    factor = math.ceil(max(width, height) / QUICK_SIDE)
    factor += factor % 2 if factor > 3 else 0
    # Of a very large image, the means of 2 x 2 pixels are enough.
    step = factor // 2 if factor > 3 else 1
    image = Image.fromarray(np.ascontiguousarray(rgb[::step, ::step])).reduce(factor // step)
    view = View(0, 0, image.width * factor, image.height * factor, image.width, image.height)
    canvas = np.full((*_input_size([view], INPUT_MULTIPLE)[::-1], 3), BACKGROUND, np.uint8)
    canvas[: image.height, : image.width] = np.asarray(image)
    return _to_input(canvas), view


def render_window(rgb: UInt8, view: View, window: Rectangle) -> tuple[Float32, View]:
    """Return a part of what `render` makes of a view that is not turned, and the view in that part."""
    left, top, width, height = window
    canvas = np.full((height, width, 3), BACKGROUND, np.uint8)
    x, y = max(view.x, left), max(view.y, top)
    right, bottom = min(view.x + view.columns, left + width), min(view.y + view.rows, top + height)
    part = (x - view.x, y - view.y, right - view.x, bottom - view.y)
    canvas[y - top : bottom - top, x - left : right - left] = _resized(rgb, view, part)
    return _to_input(canvas), replace(view, x=view.x - left, y=view.y - top)


def _input_size(views: Sequence[View], min_side: int = MIN_INPUT_SIDE) -> Size:
    """Return width and height of the smallest input that holds the views."""
    ends = ((view.x + view.extent[0], view.y + view.extent[1]) for view in views)
    width, height = (
        max(math.ceil(max(axis) / INPUT_MULTIPLE) * INPUT_MULTIPLE, min_side) for axis in zip(*ends, strict=True)
    )
    return width, height


def _to_input(canvas: UInt8) -> Float32:
    return canvas[np.newaxis, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32, order="C")


def _resized(rgb: UInt8, view: View, part: tuple[int, int, int, int] | None = None) -> UInt8:
    """Return the view's piece of the image at its size in the input, not yet turned: uint8 (rows, columns, 3).

    `part` is what is wanted of that: left, top, right and bottom.
    """
    # Every n-th pixel of a very large image is enough: the rest is still averaged over at least two pixels. The sides
    # of a view of a strip are not scaled alike, since the short one is at least a pixel.
    along = [max(length // shown // 2, 1) for length, shown in ((view.height, view.rows), (view.width, view.columns))]
    down, across = (step if step > 2 * min(along) else min(along) for step in along)
    piece = rgb[view.top : view.top + view.height : down, view.left : view.left + view.width : across]
    if part is not None:
        return _resized_part(piece, (view.columns, view.rows), part)
    if piece.shape[:2] == (view.rows, view.columns):
        return piece
    image = Image.fromarray(np.ascontiguousarray(piece))
    return np.asarray(image.resize((view.columns, view.rows), Image.Resampling.BILINEAR, reducing_gap=2.0))


def _resized_part(piece: UInt8, size: Size, part: tuple[int, int, int, int]) -> UInt8:
    """Resize an image to `size`, but only a part of the result: left, top, right and bottom."""
    left, top, right, bottom = part
    across, down = piece.shape[1] / size[0], piece.shape[0] / size[1]
    # So many pixels more than the part shows have a weight in its pixels.
    x, y = (max(math.floor(start * scale - scale) - 1, 0) for start, scale in ((left, across), (top, down)))
    ends = (math.ceil(end * scale + scale) + 1 for end, scale in ((bottom, down), (right, across)))
    image = Image.fromarray(np.ascontiguousarray(piece[tuple(map(slice, (y, x), ends))]))
    box = (left * across - x, top * down - y, right * across - x, bottom * down - y)
    box = (*box[:2], min(box[2], image.width), min(box[3], image.height))  # rounding
    return np.asarray(image.resize((right - left, bottom - top), Image.Resampling.BILINEAR, box))


def _copy(piece: Rectangle, turns: int, x: int, y: int) -> View:
    """Show a piece of the image, small and turned, in the middle of a square of side `COPY_SIDE` at (x, y)."""
    columns, rows = _scaled(piece[2:], COPY_SIDE)
    width, height = (rows, columns) if turns % 2 else (columns, rows)
    return View(*piece, columns, rows, x + (COPY_SIDE - width) // 2, y + (COPY_SIDE - height) // 2, turns)


def _scaled(size: Size, longer: int) -> Size:
    """Return a width and height in the same proportions, the longer one `longer`, neither less than 1."""
    columns, rows = (max(round(length * longer / max(size)), 1) for length in size)
    return columns, rows


def _surroundings(size: Size, box: Sequence[float]) -> Rectangle:
    """Return the part inside the image of a square around the box's centre, twice its longer side."""
    reach = max(box[2] - box[0], box[3] - box[1])
    low, high = [], []
    for start, end, length in zip(box[:2], box[2:], size, strict=True):
        low.append(min(max(math.floor((start + end) / 2 - reach), 0), length - 1))
        high.append(max(min(math.ceil((start + end) / 2 + reach), length), low[-1] + 1))
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


def _starts(length: int, side: int) -> list[int]:
    """Return the starts of pieces of `side` that cover `length` evenly and overlap by at least `TILE_OVERLAP`."""
    count = 1 + math.ceil((length - side) / (side * (1 - TILE_OVERLAP)))
    return [round(index * (length - side) / max(count - 1, 1)) for index in range(count)]
