"""Resize as Keras, Pillow or OpenCV do, so that a model sees the pixels that it was trained on.

Names without a prefix are those of Keras and TensorFlow (`image_dataset_from_directory(interpolation=...)`,
`tf.image.resize`). They do not smooth before they shrink, and their values are not whole numbers. `pil-nearest` is
what `keras.utils.load_img(target_size=...)` and `ImageDataGenerator` do by default. `pil-bilinear` smooths; mien's own
models use it.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from mien.arrays import Float32, Float64, Int64, UInt8

ResizeMethod = Literal[
    "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic",
    "pil-nearest", "pil-bilinear", "pil-bicubic", "pil-lanczos", "pil-box", "pil-hamming",
    "cv2-nearest", "cv2-linear", "cv2-cubic", "cv2-area",
]  # fmt: skip
#: How an image that is not square fits into the square: `squash` it, `crop` its middle (`crop_to_aspect_ratio` and
#: `keep_aspect_ratio` of Keras), or `pad` it with black (`pad_to_aspect_ratio`).
Fit = Literal["squash", "crop", "pad"]

Taps = tuple[Int64, Float64]  # for each output pixel, the input pixels (N, K) and their weights (N, K)
_TABLE = 1024  # TensorFlow reads the weights of `bicubic` from a table of this many steps


def resize(image: UInt8, size: int, method: ResizeMethod = "pil-bilinear", fit: Fit = "squash") -> UInt8 | Float32:
    """Resize an image to a square.

    Args:
        image: uint8 (H, W, C), [0, 255].
        size: pixels on a side of the result.
        method: how.
        fit: what becomes of an image that is not square.

    Returns:
        (size, size, C). The methods of Keras give float32, which may leave [0, 255] a little (`bicubic`, `lanczos`);
        the others, and an image that has this size, uint8.

    Examples:
        >>> resize(np.full((2, 4, 1), 9, np.uint8), 2, "bilinear").ravel().tolist()
        [9.0, 9.0, 9.0, 9.0]
    """
    height, width = image.shape[:2]
    if height == width or fit == "squash":
        return _resized(image, (size, size), method)
    if fit == "pad":
        return _padded(image, size, method)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return _resized(image, (size, size), method, (left, top, left + side, top + side))


def resize_many(images: UInt8, size: int, method: ResizeMethod = "pil-bilinear") -> UInt8 | Float32:
    """Resize square images of one size, each as `resize` does, in few calls.

    Both axes are resized one after the other, and each only looks along itself. So images below each other are resized
    across like one, and images beside each other down. Of an image that is higher than wide, Pillow 13 resizes
    whichever axis costs less first, and rounds in between: such images are not taken.

    Args:
        images: uint8 (N, H, H, C), [0, 255].
        size: pixels on a side of the results.
        method: how, as in `resize`.

    Returns:
        (N, size, size, C), as `resize` gives each.

    Examples:
        >>> resize_many(np.full((5, 4, 4, 1), 9, np.uint8), 2).shape
        (5, 2, 2, 1)
    """
    count, height, width, channels = images.shape
    if (height, width) == (size, size):
        return images
    if method.startswith("pil-"):
        across = rounded(_resized(images.reshape(count * height, width, channels), (count * height, size), method))
        by_row = across.reshape(count, height, size, channels).transpose(1, 0, 2, 3)
        beside = by_row.reshape(height, count * size, channels)
        down = _resized(beside, (size, count * size), method).reshape(size, count, size, channels)
        return down.transpose(1, 0, 2, 3)
    together = images.transpose(1, 2, 0, 3).reshape(height, width, count * channels)
    found = _resized(together, (size, size), method).reshape(size, size, count, channels)
    return found.transpose(2, 0, 1, 3)


def _padded(image: UInt8, size: int, method: ResizeMethod) -> UInt8 | Float32:
    """Resize the longer side to `size` and add black, as `tf.image.resize_with_pad` does."""
    ratio = np.float32(max(image.shape[:2])) / np.float32(size)
    exact = [np.float32(length) / ratio for length in image.shape[:2]]
    rows, columns = (max(math.floor(length), 1) for length in exact)
    top, left = (max(math.floor((size - length) / 2), 0) for length in exact)
    small = _resized(image, (rows, columns), method)
    found = np.zeros((size, size, image.shape[2]), small.dtype)
    found[top : top + rows, left : left + columns] = small
    return found


def _resized(
    image: UInt8, shape: tuple[int, int], method: ResizeMethod, box: tuple[int, int, int, int] | None = None
) -> UInt8 | Float32:  # fmt: skip
    """Resize a box (left, top, right, bottom) of an image to rows and columns."""
    library, _, name = method.rpartition("-")
    if library == "pil":
        # Pillow smooths over the edges of the box, so that it is not cut out before.
        flat = Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image))
        return np.asarray(flat.resize(shape[::-1], Image.Resampling[name.upper()], box)).reshape(*shape, image.shape[2])
    if box is not None:
        image = image[box[1] : box[3], box[0] : box[2]]
    if image.shape[:2] == shape:
        return image
    name = _OPENCV.get(method, name)
    if library == "cv2" and name == "area" and (image.shape[0] < shape[0] or image.shape[1] < shape[1]):
        name = "stretch"
    rows, columns = (_TAPS[name](length, size) for length, size in zip(image.shape[:2], shape, strict=True))
    values = _along_rows(_along_rows(image, rows).transpose(1, 0, 2), columns).transpose(1, 0, 2)
    return rounded(values) if library == "cv2" else values


def rounded(values: UInt8 | Float32) -> UInt8:
    """Return values as uint8, rounded and cut off at 0 and 255.

    Examples:
        >>> rounded(np.array([-3.0, 0.6, 260.0], np.float32)).tolist()
        [0, 1, 255]
    """
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _along_rows(values: UInt8 | Float32, taps: Taps) -> Float32:
    """Return weighted sums of rows, float32 (N, W, C), of an array (H, W, C)."""
    places, weights = taps
    found = np.zeros((len(places), *values.shape[1:]), np.float32)
    for place, weight in zip(places.T, weights.T.astype(np.float32), strict=True):
        found += values[place] * weight[:, np.newaxis, np.newaxis]
    return found


def _nearest(length: int, size: int) -> Taps:
    # In single precision, as TensorFlow computes it: a centre may fall exactly between two pixels.
    centres = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * (np.float32(length) / np.float32(size))
    return _single(np.floor(centres), length)


def _cv2_nearest(length: int, size: int) -> Taps:
    return _single(np.floor(np.arange(size) * _cv2_scale(length, size)), length)


def _cv2_scale(length: int, size: int) -> float:
    """Return the step as OpenCV rounds it; a product may be a whole number or just below one."""
    return 1.0 / (size / length)


def _single(places: Float64 | Float32, length: int) -> Taps:
    found = np.minimum(places, length - 1).astype(np.int64)[:, np.newaxis]
    return found, np.ones(found.shape)


def _centres(length: int, size: int) -> Float64:
    """Return the centre of each output pixel, counted in input pixels from the centre of the first."""
    return np.asarray((np.arange(size) + 0.5) * (length / size) - 0.5)


def _between(low: Float64, share: Float64, length: int) -> Taps:
    places = np.stack([low, low + 1], axis=1).astype(np.int64)
    return np.clip(places, 0, length - 1), np.stack([1 - share, share], axis=1)


def _linear(length: int, size: int) -> Taps:
    centres = _centres(length, size)
    low = np.floor(centres)
    return _between(low, centres - low, length)


def _stretch(length: int, size: int) -> Taps:
    """Enlarge as OpenCV's `INTER_AREA` does: pixels stay flat, and only their borders are mixed."""
    place = np.arange(size)
    low = np.floor(place * _cv2_scale(length, size))
    share = (place + 1) - (low + 1) * (size / length)
    return _between(low, np.where(share <= 0, 0, share - np.floor(share)), length)


def _area(length: int, size: int) -> Taps:
    scale = length / size
    start = np.arange(size) * scale
    places = np.floor(start)[:, np.newaxis] + np.arange(math.ceil(scale) + 1)
    ends = np.minimum(places + 1, (start + scale)[:, np.newaxis])
    weights = np.maximum(ends - np.maximum(places, start[:, np.newaxis]), 0) / scale
    return np.minimum(places, length - 1).astype(np.int64), weights


def _bicubic(length: int, size: int) -> Taps:
    centres = _centres(length, size)
    low = np.floor(centres)
    share = np.rint((centres - low) * _TABLE) / _TABLE
    places = low[:, np.newaxis] + np.arange(-1.0, 3.0)
    weights = _keys(np.abs(share[:, np.newaxis] - np.arange(-1, 3)), -0.5)
    return _inside(places, weights, length)


def _cv2_cubic(length: int, size: int) -> Taps:
    centres = _centres(length, size)
    low = np.floor(centres)
    places = low[:, np.newaxis] + np.arange(-1.0, 3.0)
    weights = _keys(np.abs((centres - low)[:, np.newaxis] - np.arange(-1, 3)), -0.75)
    return np.clip(places, 0, length - 1).astype(np.int64), weights


def _keys(x: Float64, a: float) -> Float64:
    """Return the cubic kernel of Keys (1981) at distances of 0 to 2."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0.0)))


def _kernel(radius: float, kernel: Callable[[Float64], Float64]) -> Callable[[int, int], Taps]:
    """Return the taps of a kernel that is not widened when an image shrinks, as TensorFlow's without antialiasing."""

    def taps(length: int, size: int) -> Taps:
        # In single precision, as TensorFlow computes it: a pixel may lie just at the end of the kernel.
        half, scale = np.float32(0.5), np.float32(1) / (np.float32(size) / np.float32(length))
        centres = (np.arange(size, dtype=np.float32) + half) * scale
        first = np.ceil(centres - np.float32(radius) - half)[:, np.newaxis]
        places = first + np.arange(2 * math.ceil(radius) + 1, dtype=np.float32)
        distances = np.abs(places + half - centres[:, np.newaxis]).astype(np.float64)
        return _inside(places.astype(np.float64), np.where(distances <= radius, kernel(distances), 0.0), length)

    return taps


def _lanczos(radius: float) -> Callable[[int, int], Taps]:
    return _kernel(radius, lambda x: np.asarray(np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0.0)))


def _gaussian(x: Float64) -> Float64:
    return np.asarray(np.where(x < 1.5, np.exp(-2 * x * x), 0.0))


def _mitchell(x: Float64) -> Float64:
    near = ((7 / 6 * x - 2) * x) * x + 8 / 9
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0.0)))


def _inside(places: Float64, weights: Float64, length: int) -> Taps:
    """Leave out what lies beyond the image, and let the other weights add up to 1."""
    weights = np.where((places >= 0) & (places < length), weights, 0.0)
    return np.clip(places, 0, length - 1).astype(np.int64), weights / weights.sum(axis=1, keepdims=True)


_TAPS: dict[str, Callable[[int, int], Taps]] = {
    "bilinear": _linear, "nearest": _nearest, "bicubic": _bicubic, "area": _area, "lanczos3": _lanczos(3.0),
    "lanczos5": _lanczos(5.0), "gaussian": _kernel(1.5, _gaussian), "mitchellcubic": _kernel(2.0, _mitchell),
    "cv2-nearest": _cv2_nearest, "cv2-cubic": _cv2_cubic, "stretch": _stretch,
}  # fmt: skip
_OPENCV = {"cv2-nearest": "cv2-nearest", "cv2-linear": "bilinear", "cv2-cubic": "cv2-cubic"}
