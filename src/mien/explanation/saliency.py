"""From what a network says, over the places of its input, to heatmaps of a label's evidence: pure arithmetic.

What speaks for a label is measured on its *score*: its logit, as CAM and Grad-CAM have it, and of two labels its
logit minus the other's, since one of the two may be 0 always (a sigmoid unit z is exported as [0, z]).

A heatmap is float32 in [0, 1]: what speaks against the label is 0, and the strongest evidence for it is 1 (as
in Grad-CAM); where nothing speaks for it, the map is 0 everywhere.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.arrays import Float32, Int64, UInt8

#: A covering patch is this share of the crop's side, and moves by this share of its own (Zeiler and Fergus, 2014).
PATCH, STEP = 1 / 4, 1 / 3


def log_odds(logits: npt.NDArray[np.floating], labels: Int64) -> Float32:
    """Return the log-odds log(p / (1 - p)) of a label for each row, float32 (N,), in nats.

    `logits` are float (N, K) and `labels` int (N,), indices in [0, K).
    """
    rows = np.arange(len(logits))
    others = np.asarray(logits, np.float64).copy()
    others[rows, labels] = -np.inf
    top = others.max(axis=1, keepdims=True)
    rest = top[:, 0] + np.log(np.exp(others - top).sum(axis=1))
    return np.asarray(logits[rows, labels] - rest, np.float32)


def class_activation(maps: Float32, labels: Int64) -> Float32:
    """Return class activation maps float32 (N, h, w), whose means are the labels' scores: exact, no gradients.

    `maps` are float (N, h, w, K), of which the mean over h and w is the logits (Zhou et al., "Learning Deep
    Features for Discriminative Localization", CVPR 2016).
    """
    rows = np.arange(len(maps))
    chosen = maps[rows, :, :, labels]
    return np.asarray(chosen - maps[rows, :, :, 1 - labels] if maps.shape[-1] == 2 else chosen, np.float32)


def enlarged(maps: Float32, size: int) -> Float32:
    """Return maps (N, h, w) at `size` pixels a side, float32 (N, size, size), bilinear as CAM and Grad-CAM do it."""
    if maps.shape[1:] == (size, size):
        return np.asarray(maps, np.float32)
    found = [Image.fromarray(one.astype(np.float32)).resize((size, size), Image.Resampling.BILINEAR) for one in maps]
    return np.stack([np.asarray(one) for one in found]) if found else np.empty((0, size, size), np.float32)


def heats(maps: Float32, size: int) -> Float32:
    """Turn maps of evidence (N, h, w), in any unit, into heatmaps float32 (N, size, size) in [0, 1].

    Negative values become 0, and each map is divided by its own greatest value, if it has one above 0.
    """
    positive = np.maximum(enlarged(maps, size), 0)
    peaks = positive.max(axis=(1, 2), keepdims=True, initial=0)
    return np.asarray(positive / np.where(peaks > 0, peaks, 1), np.float32)


def occlusion_masks(size: int) -> Int64:
    """Return the squares with which a crop is covered in turn, int64 (P, 4): top, left, bottom, right, in pixels.

    Together they cover every pixel. The first lies in the upper left corner, the last in the lower right one.
    """
    side = max(round(size * PATCH), 1)
    count = max(round((size - side) / max(side * STEP, 1)), 1) + 1
    starts = np.linspace(0, size - side, count).round().astype(np.int64)
    tops, lefts = (part.ravel() for part in np.meshgrid(starts, starts, indexing="ij"))
    return np.stack([tops, lefts, tops + side, lefts + side], axis=1)


def occlude(crop: UInt8, squares: Int64) -> UInt8:
    """Return copies (P, S, S, C) of a crop uint8 (S, S, C), in each of which a square has the crop's mean colour."""
    found = np.repeat(crop[np.newaxis], len(squares), axis=0)
    mean = crop.mean(axis=(0, 1)).round().astype(np.uint8)
    for one, (top, left, bottom, right) in zip(found, squares, strict=True):
        one[top:bottom, left:right] = mean
    return found


def occlusion(drops: npt.NDArray[np.floating], squares: Int64, size: int) -> Float32:
    """Return a map float32 (size, size): by how much the log-odds fell, on average over the squares on a pixel.

    `drops` (P,) is by how much they fell with each of the `squares` of `covers` filled (occlusion sensitivity, Zeiler
    and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014).
    """
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for drop, (top, left, bottom, right) in zip(drops, squares, strict=True):
        total[top:bottom, left:right] += drop
        count[top:bottom, left:right] += 1
    return np.asarray(total / count, np.float32)
