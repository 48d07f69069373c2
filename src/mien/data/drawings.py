"""Photograph or drawing: what the pixels of a face say about how the picture was made.

On a photographed face the light changes everywhere a little. Drawings, emoji and clip art have areas of one tone
between lines, often in colours that skin does not have beside each other, and the face finder, which learnt on
photographs, is less sure of them. Five such measures are weighed by a logistic regression, fitted on clip art and
emoji against photographs (docs/lab-log.md); 0.5 is where it is undecided. A sixth, set by hand, is for statues: a
face of stone is grey in a picture that is not. Paintings, wax figures and drawings as smooth as a photograph pass,
and so does half of what was made from a photograph by a filter. How well drawings of a kind left out of the fit are
told is measured by benchmarks/left_out_drawings.py.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mien.arrays import Float32, UInt8
from mien.results import Box

#: From this score on a picture is taken for a drawing.
DRAWN = 0.5

_FINE, _MIDDLE, _COARSE = 128, 48, 24  # sides in pixels to which a face is reduced
_TONES = 32  # levels of grey that are told apart in the coarse face
#: What each of the measures counts in the sum, and what is added to it; refitted by benchmarks/left_out_drawings.py.
WEIGHTS = {"doubt": 1.6, "one_tone": 1.1, "flat": 3.7, "motley": 0.9, "lines": 1.3, "stone": 6.0}
BIAS = -5.2


@dataclass(frozen=True)
class Measures:
    """How a face is drawn: each is near 0 for most photographs and grows with what drawings have more of.

    `doubt`: how far below 0.9 the finder's score is. `one_tone`: how much of the face its most frequent grey
    level takes, in doublings of 10 %. `flat`: from the share of pixels that equal their neighbours. `motley`: the
    spread of colourfulness (largest less smallest channel). `lines`: how much of all change stands at few places,
    in doublings. `stone`: 1 where the face is grey and the picture colourful, 0 where either is not so.
    """

    doubt: float
    one_tone: float
    flat: float
    motley: float
    lines: float
    stone: float


def drawn_score(rgb: UInt8, box: Box, finder_score: float) -> float:
    """Return how much a face looks drawn, in [0, 1]; `rgb` is uint8 (H, W, 3), `box` in its pixels.

    `finder_score` is how sure the face finder was, in [0, 1].
    """
    found = measure_face(rgb, box, finder_score)
    total = BIAS + sum(weight * getattr(found, name) for name, weight in WEIGHTS.items())
    return float(1 / (1 + np.exp(-total)))


def measure_face(rgb: UInt8, box: Box, finder_score: float) -> Measures:
    """Take the measures of a face, arguments as in `drawn_score`."""
    face = Image.fromarray(np.ascontiguousarray(rgb[box.y : box.y + box.height, box.x : box.x + box.width]))
    coarse = face.resize((_COARSE, _COARSE), Image.Resampling.BILINEAR)
    tones = np.bincount(np.asarray(coarse.convert("L")).ravel() // (256 // _TONES), minlength=_TONES)
    vivid = _colourfulness(coarse)
    steps = _steps(np.asarray(face.resize((_MIDDLE, _MIDDLE), Image.Resampling.BILINEAR), np.float32))
    return Measures(
        doubt=float(np.clip((0.9 - finder_score) * 10, 0, 2.5)),
        one_tone=float(np.log2(tones.max() / tones.sum() / 0.1)),
        flat=3 * float(np.sqrt((_steps(_fine(face)) == 0).mean())),
        motley=min(float(np.std(vivid)), 80.0) / 25,
        lines=float(np.log2(np.clip(np.percentile(steps, 90) / (np.median(steps) + 1) / 3.2, 1, 4))),
        stone=_stone(vivid, rgb),
    )


def _colourfulness(image: Image.Image) -> Float32:
    """Return the largest less the smallest channel of every pixel, float32 (h, w)."""
    values = np.asarray(image, np.float32)
    return np.asarray(values.max(axis=2) - values.min(axis=2))


def _stone(vivid: Float32, rgb: UInt8) -> float:
    skin = np.median(vivid[_COARSE // 4 : -_COARSE // 6, _COARSE // 6 : -_COARSE // 6])
    whole = Image.fromarray(rgb).resize((_COARSE, _COARSE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    around = np.percentile(_colourfulness(whole), 90)
    return float(np.clip((around - 50) / 20, 0, 1) * np.clip((18 - skin) / 6, 0, 1))


def _fine(face: Image.Image) -> Float32:
    """Return a face's grey values, float32 (h, w, 1), in its own pixels or reduced to 128 on its longer side."""
    grey, scale = face.convert("L"), _FINE / max(face.size)
    if scale < 1:
        size = (max(round(face.width * scale), 1), max(round(face.height * scale), 1))
        grey = grey.resize(size, Image.Resampling.BOX)
    return np.asarray(grey, np.float32)[..., np.newaxis]


def _steps(values: Float32) -> Float32:
    """Return how much each pixel of (h, w, c) differs at most from its right and lower neighbour, in any channel."""
    if min(values.shape[:2]) < 2:
        return np.zeros(1, np.float32)
    across = np.abs(np.diff(values, axis=1)).max(axis=2)[:-1]
    down = np.abs(np.diff(values, axis=0)).max(axis=2)[:, :-1]
    return np.asarray(np.maximum(across, down))
