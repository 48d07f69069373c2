"""The one crop that training and inference share: RGB and a box or region in, a square model input out."""

import math
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from mien.arrays import RGB, Float32, Float64, UInt8
from mien.errors import InputError
from mien.faces.resize import Fit, ResizeMethod, resize, resize_many, rounded
from mien.results import Box, Detection

#: Side of the square around a face, as a multiple of the mean side of YuNet's box. With it a crop shows, on average,
#: what a frame of FER2013 shows (48 pixels, centred on the box).
FACE_MARGIN = 1.1

#: A face rolled by at most this from upright, or from a quarter turn, is not turned, in degrees. The networks have
#: seen as much in training, and turning such faces by their eyes brought no clear gain (lab log).
MAX_UNCORRECTED_ROLL = 20.0

#: Largest coordinate of a region, in pixels from the image's corner; far beyond any image that is decoded.
MAX_COORDINATE = 1e8


@dataclass(frozen=True)
class Region:
    """A square in an image. It may reach beyond the image.

    Args:
        x: the centre, in pixels from the left.
        y: the centre, in pixels from the top.
        side: pixels, at least 1.
        angle: roll in degrees, clockwise as the image is seen. A face rolled by as much is upright in the crop.

    Raises:
        InputError: a number is not finite or above `MAX_COORDINATE`, or the side is below 1.

    Examples:
        >>> Region(10, 10, side=4).corners.tolist()
        [[8.0, 8.0], [12.0, 8.0], [12.0, 12.0], [8.0, 12.0]]
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no square."""
        values = (self.x, self.y, self.side, self.angle)
        if not all(abs(value) <= MAX_COORDINATE for value in values) or self.side < 1:
            raise InputError(f"{self}: give finite numbers and a side of at least 1 pixel")

    @property
    def corners(self) -> Float64:
        """The corners of the crop in the image, (4, 2): x and y, clockwise from the crop's upper left."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        across, down = np.array([cos, sin]), np.array([-sin, cos])
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * self.side / 2
        found: Float64 = np.array([self.x, self.y]) + signs[:, :1] * across + signs[:, 1:] * down
        return found

    def scaled(self, factor: float) -> "Region":
        """Return the same square in an image of `factor` times the size; its side is at least 1 pixel.

        Examples:
            >>> Region(10, 20, side=4).scaled(0.5)
            Region(x=5.0, y=10.0, side=2.0, angle=0.0)
        """
        if factor == 1:
            return self
        return replace(self, x=self.x * factor, y=self.y * factor, side=max(self.side * factor, 1.0))


def face_region(detection: Detection) -> Region:
    """Return the square to crop around a face, framed as the faces of FER2013 are, from which mien's networks learn.

    Its angle is a quarter turn if the face was detected in an image on its side or upside down, and the face's own
    roll if that is more than `MAX_UNCORRECTED_ROLL` away from a quarter turn.

    Examples:
        >>> eyes, rest = ((60, 50), (90, 50)), ((75, 60), (62, 80), (88, 80))
        >>> face_region(Detection(Box(50, 20, 50, 80), eyes + rest, 0.9)).angle
        0.0
    """
    box = detection.box
    quarter = 90.0 * round(detection.roll / 90.0)
    angle = quarter if abs(detection.roll - quarter) <= MAX_UNCORRECTED_ROLL else detection.roll
    side = FACE_MARGIN * math.sqrt(box.width * box.height)
    return Region(box.x + box.width / 2, box.y + box.height / 2, side, angle)


def crop(
    rgb: RGB, size: int, channels: int, region: Box | Region | None = None, method: ResizeMethod = "pil-bilinear",
    fit: Fit = "squash",
) -> UInt8:  # fmt: skip
    """Cut a box or a region out of an image and resize it to a square, by default bilinear with antialiasing.

    Memory is bounded by that of the image and 16 times that of the crop.

    Args:
        rgb: uint8 (H, W, 3), RGB, [0, 255].
        size: pixels on a side of the crop.
        channels: 3 (RGB) or 1 (grey, ITU-R 601-2 luma).
        region: a Box lies inside the image; None is the whole image. Neither keeps its aspect ratio (the default of
            `image_dataset_from_directory`). A Region is turned upright, and beyond the image its edge pixels repeat.
        method: how to resize.
        fit: what becomes of a whole image or Box that is not square.

    Returns:
        uint8 (size, size, channels), [0, 255].

    Examples:
        >>> crop(np.zeros((60, 80, 3), np.uint8), 48, 1, Region(0, 0, side=30)).shape
        (48, 48, 1)
    """
    return rounded(exact_crop(rgb, size, channels, region, method, fit))


def exact_crop(
    rgb: RGB, size: int, channels: int, region: Box | Region | None = None, method: ResizeMethod = "pil-bilinear",
    fit: Fit = "squash",
) -> UInt8 | Float32:  # fmt: skip
    """Crop as `crop` does, without rounding the values of methods that give float32 (see `resize`)."""
    if isinstance(region, Region):
        image = _upright(rgb, size, channels, region)
    else:
        if region is not None:
            rgb = rgb[region.y : region.y + region.height, region.x : region.x + region.width]
        image = _to_image(rgb, channels)
    pixels = np.asarray(image)
    return resize(pixels.reshape(*pixels.shape[:2], channels), size, method, fit)


def exact_crops(images: UInt8, size: int, channels: int, method: ResizeMethod = "pil-bilinear") -> UInt8 | Float32:
    """Crop whole square images of one size, each as `exact_crop` does, in few calls.

    Args:
        images: uint8 (N, H, H, 3), RGB, or (N, H, H, 1) if the crops are grey, [0, 255].
        size: pixels on a side of the crops.
        channels: 3 (RGB) or 1 (grey).
        method: how to resize.

    Returns:
        (N, size, size, channels).
    """
    count, height, width, given = images.shape
    if given != channels:
        grey = np.asarray(_to_image(images.reshape(count * height, width, given), channels))
        images = grey.reshape(count, height, width, channels)
    return resize_many(images, size, method)


def _to_image(rgb: UInt8, channels: int) -> Image.Image:
    image = Image.fromarray(np.ascontiguousarray(rgb))
    return image.convert("L") if channels == 1 else image


def _upright(rgb: UInt8, size: int, channels: int, region: Region) -> Image.Image:
    """Cut a square out of an image and turn it upright, in about the image's own pixels.

    A quarter turn has its edges at whole pixels and is exact. Anything else is cut with one more pixel around it,
    which the interpolation needs.
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
    """Return the part of [start, start + length) in [0, limit), or the nearest pixel there.

    Also return the index, in steps of `factor` from the start of that part, at which the whole range starts.
    """
    low = min(max(start, 0), limit - 1)
    return slice(low, max(min(start + length, limit), low + 1)), (start - low) // factor


def _turned(patch: Image.Image, x: float, y: float, side: float, cos: float, sin: float) -> Image.Image:
    """Cut the square of `side` pixels around (x, y) whose upper edge points along (cos, sin)."""
    count = max(round(side), 1)
    a, b, middle = cos * side / count, sin * side / count, count / 2
    matrix = (a, -b, x - (a - b) * middle, b, a, y - (a + b) * middle)
    return patch.transform((count, count), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
