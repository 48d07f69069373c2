"""How pieces of a picture lie in the face finder's input, and back: pure geometry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.arrays import Float32, UInt8
from mien.faces.yunet import SIDE, STEP, Candidates

#: Width and height in pixels.
Size = tuple[int, int]
#: Left, top, width and height, in pixels.
Rectangle = tuple[int, int, int, int]

#: A picture smaller than this is scaled up to it: more makes a face that fills the frame too large to be found.
LEAST = 320
#: Least side of an input: a face that fills a small picture needs something around it.
FRAME = 384
#: Longer side of each of four copies in one input, in cells of half the longest side.
COPY = 256
#: What surrounds a picture in the input.
GREY = 128
#: A closer look is worth while from this gain in scale on, and takes about this many looks at most.
GAIN, LOOKS = 1.4, 24
#: Closer looks overlap by this share of their side, so that a face at a seam is whole in one of them.
OVERLAP = 0.2


@dataclass(frozen=True)
class View:
    """A rectangle of the picture, resized, turned, and laid into the network's input.

    `left`, `top`, `width` and `height` are in the picture's pixels, `columns` and `rows` its size in the
    input before it is turned by `turns` quarter turns counter-clockwise; `x` and `y` is where its upper left
    corner then lies in the input.
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
        """Return points (..., 2), each (x, y) in the input, in the picture's pixels."""
        x, y = points[..., 0] - self.x, points[..., 1] - self.y
        if self.turns == 1:
            x, y = self.columns - y, x
        elif self.turns == 2:
            x, y = self.columns - x, self.rows - y
        elif self.turns == 3:
            x, y = y, self.rows - x
        return np.stack([self.left + x * self.width / self.columns, self.top + y * self.height / self.rows], axis=-1)

    def in_picture(self, found: Candidates) -> Candidates:
        """Return those of the network's candidates whose middle lies in this view, in the picture's pixels."""
        width, height = self.extent
        middle = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2 - (self.x, self.y)
        ours = found[((middle >= 0) & (middle < (width, height))).all(axis=1)]
        corners = self.points(ours.boxes.reshape(-1, 2, 2))
        boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return Candidates(boxes.astype(np.float32), self.points(ours.landmarks).astype(np.float32), ours.scores)


def whole_view(size: Size, turns: int = 0) -> View:
    """Show the whole picture of `size` (width, height) in one input.

    As large as it is, but its longer side scaled to no less than 320 and no more than 640 pixels.
    """
    columns, rows = _scaled(size, min(max(*size, LEAST), SIDE))
    width, height = (rows, columns) if turns % 2 else (columns, rows)
    x, y = (max(FRAME - length, 0) // 2 for length in (width, height))
    return View(0, 0, *size, columns, rows, x, y, turns)


def turned_views(size: Size, around: Sequence[float] | None = None) -> list[View]:
    """Show one piece four times in one input, small, in 0, 1, 2 and 3 quarter turns counter-clockwise.

    The piece is the surroundings of a face whose box is `around` (left, top, right, bottom), or the whole picture.
    """
    piece = (0, 0, *size) if around is None else _surroundings(size, around)
    half = SIDE // 2
    return [_copy(piece, turns, half * (turns % 2), half * (turns // 2)) for turns in range(4)]


def closer_views(size: Size) -> list[View]:
    """Show a large picture in overlapping squares, each an input of its own; none where that gains too little."""
    side = max(SIDE, math.ceil(math.sqrt(size[0] * size[1] / (LOOKS * (1 - OVERLAP) ** 2))))
    if max(size) < GAIN * side:
        return []
    width, height = min(side, size[0]), min(side, size[1])
    columns, rows = (max(round(length * SIDE / side), 1) for length in (width, height))
    return [
        View(left, top, width, height, columns, rows)
        for top in _starts(size[1], height)
        for left in _starts(size[0], width)
    ]


def paint(rgb: UInt8, views: Sequence[View]) -> Float32:
    """Lay views of an RGB picture, uint8 (H, W, 3), into one input: float32 (1, 3, H', W'), BGR, [0, 255].

    The network's time goes with its pixels, so it is as small as the views allow, but no smaller than `FRAME`; H'
    and W' are multiples of 32.
    """
    ends = ((view.y + view.extent[1], view.x + view.extent[0]) for view in views)
    height, width = (max(math.ceil(max(axis) / STEP) * STEP, FRAME) for axis in zip(*ends, strict=True))
    canvas = np.full((height, width, 3), GREY, np.uint8)
    for view in views:
        width, height = view.extent
        canvas[view.y : view.y + height, view.x : view.x + width] = np.rot90(_resized(rgb, view), view.turns)
    return canvas[np.newaxis, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32, order="C")


def _resized(rgb: UInt8, view: View) -> UInt8:
    """Return the view's piece of the picture at its size in the input, not yet turned: uint8 (rows, columns, 3)."""
    # Of a very large picture every n-th pixel is enough: what is left is still averaged over twice and more.
    step = max(min(view.width // view.columns, view.height // view.rows) // 2, 1)
    piece = rgb[view.top : view.top + view.height : step, view.left : view.left + view.width : step]
    if piece.shape[:2] == (view.rows, view.columns):
        return piece
    image = Image.fromarray(np.ascontiguousarray(piece))
    return np.asarray(image.resize((view.columns, view.rows), Image.Resampling.BILINEAR, reducing_gap=2.0))


def _copy(piece: Rectangle, turns: int, x: int, y: int) -> View:
    """Show a piece of the picture, small and turned, in the middle of a square of side `COPY` at (x, y)."""
    columns, rows = _scaled(piece[2:], COPY)
    width, height = (rows, columns) if turns % 2 else (columns, rows)
    return View(*piece, columns, rows, x + (COPY - width) // 2, y + (COPY - height) // 2, turns)


def _scaled(size: Size, longer: int) -> Size:
    """Return a width and height in the same proportions, the longer one `longer`, neither less than 1."""
    columns, rows = (max(round(length * longer / max(size)), 1) for length in size)
    return columns, rows


def _surroundings(size: Size, box: Sequence[float]) -> Rectangle:
    """Return what lies in the picture of a square of twice the box's longer side around its middle."""
    reach = max(box[2] - box[0], box[3] - box[1])
    low, high = [], []
    for start, end, length in zip(box[:2], box[2:], size, strict=True):
        low.append(min(max(math.floor((start + end) / 2 - reach), 0), length - 1))
        high.append(max(min(math.ceil((start + end) / 2 + reach), length), low[-1] + 1))
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


def _starts(length: int, side: int) -> list[int]:
    """Return where pieces of `side` begin that cover `length` evenly and overlap by at least `OVERLAP`."""
    count = 1 + math.ceil((length - side) / (side * (1 - OVERLAP)))
    return [round(index * (length - side) / max(count - 1, 1)) for index in range(count)]
