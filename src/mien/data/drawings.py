"""Tell drawings from photos by the pixels of a face.

In a photo, light changes a little everywhere. Drawings, emoji and clip art have areas of one tone between lines,
often in colours that skin does not have side by side, and the face detector, which was trained on photos, is less
sure of them. A logistic regression weighs five such features; it was fitted on clip art and emoji against photos
(docs/lab-log.md). A sixth feature, set by hand, is for statues: a grey face in a colourful image. Paintings, wax
figures, drawings shaded as smoothly as a photo and half of all filtered photos pass.
benchmarks/heldout_drawings.py measures the accuracy on kinds of drawing that were left out of the fit.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.arrays import Float32, UInt8
from mien.results import Box

#: Threshold: an image whose face has at least this score is taken for a drawing.
DRAWING_THRESHOLD = 0.5

_FINE, _MIDDLE, _COARSE = 128, 48, 24  # sides in pixels to which a face is resized
_TONES = 32  # bins of the grey histogram of the coarse face
#: Coefficients and intercept of the logistic regression; refitted by benchmarks/heldout_drawings.py.
WEIGHTS = {"doubt": 1.6, "one_tone": 1.1, "flat": 3.7, "motley": 0.9, "lines": 1.3, "stone": 6.0}
BIAS = -5.2


@dataclass(frozen=True)
class DrawingFeatures:
    """Features of a face, each near 0 for most photos and larger for drawings.

    Attributes:
        doubt: how far the detector's score is below 0.9.
        one_tone: the fraction of the face that has its most frequent grey level, in doublings of 10 %.
        flat: 3 times the square root of the fraction of pixels that equal their neighbours.
        motley: the standard deviation of colourfulness (largest minus smallest channel).
        lines: how concentrated the gradients are, in doublings.
        stone: 1 if the face is grey and the image colourful, 0 if either is not.
    """

    doubt: float
    one_tone: float
    flat: float
    motley: float
    lines: float
    stone: float


def drawing_score(rgb: UInt8, box: Box, detector_score: float) -> float:
    """Return the probability that a face is drawn, in [0, 1].

    Args:
        rgb: uint8 (H, W, 3), the upright image.
        box: the face, in its pixels.
        detector_score: the detector's confidence, in [0, 1].
    """
    found = measure_face(rgb, box, detector_score)
    total = BIAS + sum(weight * getattr(found, name) for name, weight in WEIGHTS.items())
    return float(1 / (1 + np.exp(-total)))


def measure_face(rgb: UInt8, box: Box, detector_score: float) -> DrawingFeatures:
    """Return the features of a face; arguments as in `drawing_score`."""
    face = Image.fromarray(np.ascontiguousarray(rgb[box.y : box.y + box.height, box.x : box.x + box.width]))
    coarse = face.resize((_COARSE, _COARSE), Image.Resampling.BILINEAR)
    tones = np.bincount(np.asarray(coarse.convert("L")).ravel() // (256 // _TONES), minlength=_TONES)
    vivid = _colourfulness(coarse)
    steps = _steps(np.asarray(face.resize((_MIDDLE, _MIDDLE), Image.Resampling.BILINEAR), np.float32))
    return DrawingFeatures(
        doubt=float(np.clip((0.9 - detector_score) * 10, 0, 2.5)),
        one_tone=float(np.log2(tones.max() / tones.sum() / 0.1)),
        flat=3 * float(np.sqrt((_steps(_fine(face)) == 0).mean())),
        motley=min(float(np.std(vivid)), 80.0) / 25,
        lines=float(np.log2(np.clip(np.percentile(steps, 90) / (np.median(steps) + 1) / 3.2, 1, 4))),
        stone=_stone(vivid, rgb),
    )


def _colourfulness(image: Image.Image) -> Float32:
    """Return the largest minus the smallest channel of every pixel, float32 (h, w)."""
    values = np.asarray(image, np.float32)
    return np.asarray(values.max(axis=2) - values.min(axis=2))


def _stone(vivid: Float32, rgb: UInt8) -> float:
    skin = np.median(vivid[_COARSE // 4 : -_COARSE // 6, _COARSE // 6 : -_COARSE // 6])
    whole = Image.fromarray(rgb).resize((_COARSE, _COARSE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    around = np.percentile(_colourfulness(whole), 90)
    return float(np.clip((around - 50) / 20, 0, 1) * np.clip((18 - skin) / 6, 0, 1))


def _fine(face: Image.Image) -> Float32:
    """Return a face's grey values, float32 (h, w, 1), with at most 128 pixels on its longer side."""
    grey, scale = face.convert("L"), _FINE / max(face.size)
    if scale < 1:
        size = (max(round(face.width * scale), 1), max(round(face.height * scale), 1))
        grey = grey.resize(size, Image.Resampling.BOX)
    return np.asarray(grey, np.float32)[..., np.newaxis]


def _steps(values: Float32) -> Float32:
    """Return the largest difference, over channels, of each pixel of (h, w, c) to its right and lower neighbour."""
    if min(values.shape[:2]) < 2:
        return np.zeros(1, np.float32)
    across = np.abs(np.diff(values, axis=1)).max(axis=2)[:-1]
    down = np.abs(np.diff(values, axis=0)).max(axis=2)[:, :-1]
    return np.asarray(np.maximum(across, down))
