"""The one crop that training and reading share: RGB and a box or region in, a square model input out."""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.arrays import Float64, UInt8
from mien.errors import InputError
from mien.results import Box, Detection

#: Side of the square that frames a face, over the mean side of the box in which YuNet finds it: on average
#: a frame of FER2013 (48 pixels, middle on the box's) lies so around its face.
MARGIN = 1.1

#: A face rolled by less than this from upright, or from a quarter turn, is left as it is, in degrees. The networks
#: have seen as much in training, and turning such faces by their eyes brought no clear gain (lab log).
LEFT_ROLLED = 20.0

#: Where a region may lie, in pixels from the picture's corner; far beyond any picture that is decoded.
FARTHEST = 1e8


@dataclass(frozen=True)
class Region:
    """A square in a picture, its middle at (`x`, `y`) and its sides `side` long, in pixels.

    `angle` is how far it is rolled, in degrees clockwise as pictures are seen: of a face rolled by as much
    the crop is upright. It may reach beyond the picture. Raises InputError for numbers that are not finite,
    beyond `FARTHEST`, or a side below 1 pixel.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no square."""
        if not all(abs(value) <= FARTHEST for value in (self.x, self.y, self.side, self.angle)) or self.side < 1:
            raise InputError(f"{self}: give finite numbers and a side of at least 1 pixel")

    @property
    def corners(self) -> Float64:
        """Where the corners of its crop lie in the picture, (4, 2): x and y, clockwise from the crop's upper left."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        across, down = np.array([cos, sin]), np.array([-sin, cos])
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * self.side / 2
        found: Float64 = np.array([self.x, self.y]) + signs[:, :1] * across + signs[:, 1:] * down
        return found


def face_region(detection: Detection) -> Region:
    """Return the square that frames a face as the faces of FER2013 are framed, by which mien's networks learn.

    Its angle is a quarter turn for a face found in a picture on its side or upside down, and the face's own
    roll where that is more than `LEFT_ROLLED` away from a quarter turn.
    """
    box = detection.box
    quarter = 90.0 * round(detection.roll / 90.0)
    angle = quarter if abs(detection.roll - quarter) <= LEFT_ROLLED else detection.roll
    side = MARGIN * math.sqrt(box.width * box.height)
    return Region(box.x + box.width / 2, box.y + box.height / 2, side, angle)


def crop(rgb: UInt8, size: int, channels: int, region: Box | Region | None = None) -> UInt8:
    """Cut a box or a region out of a picture and resize it to a square.

    `rgb` is uint8 (H, W, 3), RGB, [0, 255]. A Box is in its pixels and must lie inside it; None is the
    whole picture. Of both the aspect ratio is not kept (what `image_dataset_from_directory` does by
    default). A Region is turned upright, and the picture's edge pixels repeat where it reaches beyond.
    `channels` is 3 (RGB) or 1 (grey, ITU-R 601-2 luma). Bilinear with antialiasing.

    Returns uint8 (size, size, channels), [0, 255]. Memory is bounded by that of the picture and 16 times
    that of the crop.
    """
    if isinstance(region, Region):
        image = _upright(rgb, size, channels, region)
    else:
        if region is not None:
            rgb = rgb[region.y : region.y + region.height, region.x : region.x + region.width]
        image = _to_image(rgb, channels)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size, size, channels)


def _to_image(rgb: UInt8, channels: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return image.convert("L") if channels == 1 else image


def _upright(rgb: UInt8, size: int, channels: int, region: Region) -> Image.Image:
    """Cut a square out of a picture and turn it upright, in about the picture's own pixels.

    A quarter turn has its edges at whole pixels and is exact. Anything else is cut with a pixel more around
    it, which the interpolation needs.
    """
    quarter = region.angle % 90 == 0
    cos, sin = math.cos(math.radians(region.angle)), math.sin(math.radians(region.angle))
    side = max(round(region.side if quarter else region.side * (abs(cos) + abs(sin)) + 2), 1)
    left, top = round(region.x - side / 2), round(region.y - side / 2)
    if quarter and 0 <= left <= rgb.shape[1] - side and 0 <= top <= rgb.shape[0] - side:
        return _to_image(np.rot90(rgb[top : top + side, left : left + side], round(region.angle / 90)), channels)
    factor = math.ceil(region.side / (4 * size))
    rows, first_row = _reduced_range(top, side, factor, rgb.shape[0])
    columns, first_column = _reduced_range(left, side, factor, rgb.shape[1])
    part = _to_image(rgb[rows, columns], channels)
    small = np.asarray(part.reduce(factor) if factor > 1 else part)
    steps = np.arange(math.ceil(side / factor))
    lines = np.clip(first_row + steps, 0, small.shape[0] - 1)
    patch = small[lines[:, np.newaxis], np.clip(first_column + steps, 0, small.shape[1] - 1)]
    if quarter:
        return Image.fromarray(np.ascontiguousarray(np.rot90(patch, round(region.angle / 90))))
    x = (region.x - columns.start) / factor - first_column
    y = (region.y - rows.start) / factor - first_row
    return _turned(Image.fromarray(patch), x, y, region.side / factor, cos, sin)


def _reduced_range(start: int, length: int, factor: int, limit: int) -> tuple[slice, int]:
    """Return what of [start, start + length) lies in [0, limit), or the pixel there that is nearest.

    And the index, in steps of `factor` from where that begins, at which the whole range begins.
    """
    low = min(max(start, 0), limit - 1)
    return slice(low, max(min(start + length, limit), low + 1)), (start - low) // factor


def _turned(patch: Image.Image, x: float, y: float, side: float, cos: float, sin: float) -> Image.Image:
    """Cut the square of `side` pixels around (x, y) whose upper edge points along (cos, sin)."""
    count = max(round(side), 1)
    a, b, middle = cos * side / count, sin * side / count, count / 2
    matrix = (a, -b, x - (a - b) * middle, b, a, y - (a + b) * middle)
    return patch.transform((count, count), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
