"""Turn network outputs into heatmaps: class activation maps, occlusion and log-odds. Arithmetic only.

The evidence for a label is measured on its *score*: its logit, as in CAM and Grad-CAM, or, if there are only two
labels, its logit minus the other's. (One of two logits may always be 0: a sigmoid unit z is exported as [0, z].)

A heatmap is float32 in [0, 1]: 0 is no evidence or evidence against the label, 1 the strongest evidence for it (as in
Grad-CAM). Without any evidence for the label it is 0 everywhere.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.arrays import Float32, Int64, UInt8

#: Side of the occluding patch and its stride, as fractions of the crop's side and of its own (Zeiler and Fergus, 2014).
PATCH, STRIDE = 1 / 4, 1 / 3


def log_odds(logits: npt.NDArray[np.floating], labels: Int64) -> Float32:
    """Return the log-odds log(p / (1 - p)) of a label in each row, float32 (N,), in nats.

    `logits` are float (N, K), `labels` int (N,) in [0, K).

    Examples:
        >>> log_odds(np.array([[0.0, 3.0]]), np.array([1]))
        array([3.], dtype=float32)
    """
    rows = np.arange(len(logits))
    others = np.asarray(logits, np.float64).copy()
    others[rows, labels] = -np.inf
    top = others.max(axis=1, keepdims=True)
    rest = top[:, 0] + np.log(np.exp(others - top).sum(axis=1))
    return np.asarray(logits[rows, labels] - rest, np.float32)


def class_activation(maps: Float32, labels: Int64) -> Float32:
    """Return class activation maps, float32 (N, h, w); the mean of each is the score of its label, exactly.

    `maps` are float (N, h, w, K), whose mean over h and w is the logits; `labels` int (N,) in [0, K) (Zhou et al.,
    "Learning Deep Features for Discriminative Localization", CVPR 2016).
    """
    rows = np.arange(len(maps))
    chosen = maps[rows, :, :, labels]
    return np.asarray(chosen - maps[rows, :, :, 1 - labels] if maps.shape[-1] == 2 else chosen, np.float32)


def resize_maps(maps: Float32, size: int) -> Float32:
    """Resize maps (N, h, w) bilinearly, as CAM and Grad-CAM do: float32 (N, size, size)."""
    if maps.shape[1:] == (size, size):
        return np.asarray(maps, np.float32)
    found = [Image.fromarray(one.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR) for one in maps]
    return np.stack([np.asarray(one) for one in found]) if found else np.empty((0, size, size), np.float32)


def heatmaps(maps: Float32, size: int) -> Float32:
    """Turn maps of evidence (N, h, w), in any unit, into heatmaps, float32 (N, size, size), [0, 1].

    Negative values become 0, and each map is divided by its own maximum if that is above 0.
    """
    positive = np.maximum(resize_maps(maps, size), 0)
    peaks = positive.max(axis=(1, 2), keepdims=True, initial=0)
    return np.asarray(positive / np.where(peaks > 0, peaks, 1), np.float32)


def occlusion_squares(size: int) -> Int64:
    """Return the squares that are occluded in turn, int64 (P, 4): top, left, bottom, right, in pixels.

    Together they contain every pixel. The first is in the upper left corner, the last in the lower right one.
    """
    side = max(round(size * PATCH), 1)
    count = max(round((size - side) / max(side * STRIDE, 1)), 1) + 1
    starts = np.linspace(0, size - side, count).round().astype(np.int64)
    tops, lefts = (part.ravel() for part in np.meshgrid(starts, starts, indexing="ij"))
    return np.stack([tops, lefts, tops + side, lefts + side], axis=1)


def occlude(crop: UInt8, squares: Int64) -> UInt8:
    """Return copies (P, S, S, C) of a crop uint8 (S, S, C), each with one square in the crop's mean colour."""
    found = np.repeat(crop[np.newaxis], len(squares), axis=0)
    mean = crop.mean(axis=(0, 1)).round().astype(np.uint8)
    for one, (top, left, bottom, right) in zip(found, squares, strict=True):
        one[top:bottom, left:right] = mean
    return found


def occlusion_map(drops: npt.NDArray[np.floating], squares: Int64, size: int) -> Float32:
    """Return the occlusion sensitivity of each pixel, float32 (size, size).

    It is the mean decrease of the log-odds over the squares that contain the pixel (Zeiler and Fergus, "Visualizing and
    Understanding Convolutional Networks", ECCV 2014).

    Args:
        drops: float (P,), by how much the log-odds decrease if each square is occluded.
        squares: int64 (P, 4), from `occlusion_squares`.
        size: side of the map, in pixels.
    """
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for drop, (top, left, bottom, right) in zip(drops, squares, strict=True):
        total[top:bottom, left:right] += drop
        count[top:bottom, left:right] += 1
    return np.asarray(total / count, np.float32)
