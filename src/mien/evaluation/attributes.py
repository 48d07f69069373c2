"""Measure image properties that need no labels: brightness, sharpness, face size, pose."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mien.arrays import Float64, UInt8
from mien.results import Detection

_CHUNK = 256  # crops measured at a time


@dataclass(frozen=True)
class Attribute:
    """A number of each image: its name, its meaning, and its bins.

    Args:
        key: its name in `metrics.json`.
        name: its name in a report.
        meaning: how it is computed, with its unit.
        edges: where bins end. Default: at the quartiles.
        form: how a number is written.
    """

    key: str
    name: str
    meaning: str
    edges: tuple[float, ...] | None = None
    form: str = "{:.0f}"


_CROP_ATTRIBUTES = (
    Attribute("brightness", "Brightness", "mean of the crop, 0 to 255"),
    Attribute("contrast", "Contrast", "standard deviation of the crop, in values of 255"),
    Attribute(
        "sharpness",
        "Sharpness",
        "variance of the Laplacian over that of the crop; noise counts as sharp too",
        form="{:.2f}",
    ),
    Attribute(
        "asymmetry",
        "Asymmetry",
        "1 less the correlation of the crop with its mirror image: light from a side, a turned head, one half covered",
        form="{:.2f}",
    ),
)
# Why the detector's score estimates occlusion: a square over 20 % of the face's box lowers it. It tells occluded faces
# from the same faces better (area under the ROC curve 0.77 to 0.96, by what covers them) than the asymmetry of the crop
# does (0.62 to 0.74), on the first 110 images of a scraped folder; see the lab log.
_FACE_ATTRIBUTES = (
    Attribute("face_size", "Face size", "side of the face's box in the image, in pixels", (32, 64, 128, 256)),
    Attribute("roll", "Head roll", "angle of the line between the eyes from level, in degrees", (5, 10, 20)),
    Attribute(
        "turn",
        "Turn of the head",
        "how far the tip of the nose is from midway between the eyes, in distances "
        "between the eyes; a profile has no such distance and may count as turned too little or too much",
        (0.1, 0.2, 0.4),
        "{:.1f}",
    ),
    Attribute(
        "doubt",
        "Detector uncertainty",
        "1 less the score of the face detector: rises if a face is partly occluded, the best "
        "estimate of occlusion here, but also if it is blurred, cut off or turned",
        form="{:.2f}",
    ),
)


def crop_attributes(crops: UInt8) -> Iterator[tuple[Attribute, Float64]]:
    """Measure crops: brightness, contrast, sharpness and asymmetry.

    Args:
        crops: uint8 (N, S, S, C), [0, 255], RGB or grey.

    Yields:
        Each attribute with its values, float64 (N,).

    Examples:
        >>> white = np.full((1, 8, 8, 1), 255, np.uint8)
        >>> {attribute.key: values.round(2).tolist() for attribute, values in crop_attributes(white)}["brightness"]
        [255.0]
    """
    parts = [_measure(crops[start : start + _CHUNK]) for start in range(0, len(crops), _CHUNK)]
    yield from zip(_CROP_ATTRIBUTES, np.concatenate(parts, axis=1), strict=True)


def _measure(crops: UInt8) -> Float64:
    """Return the crop attributes, float64 (4, N), of crops (N, S, S, C)."""
    weights = np.array([0.299, 0.587, 0.114] if crops.shape[3] == 3 else [1.0], np.float32)
    luma = crops.astype(np.float32) @ weights
    mean, spread = luma.mean(axis=(1, 2)), luma.std(axis=(1, 2))
    variance = np.maximum(spread**2, 1e-6)
    middle = luma[:, 1:-1, 1:-1]
    around = luma[:, :-2, 1:-1] + luma[:, 2:, 1:-1] + luma[:, 1:-1, :-2] + luma[:, 1:-1, 2:]
    centred = luma - mean[:, None, None]
    mirrored = (centred * centred[:, :, ::-1]).mean(axis=(1, 2))
    return np.stack([mean, spread, (around - 4 * middle).var(axis=(1, 2)) / variance, 1 - mirrored / variance]).astype(
        np.float64
    )


def face_attributes(detections: Sequence[Detection | None]) -> Iterator[tuple[Attribute, Float64]]:
    """Measure detected faces: size, roll, turn of the head, detector uncertainty.

    Args:
        detections: the face of each of N images; None is a whole image.

    Yields:
        Each attribute with its values, float64 (N,), NaN for whole images; nothing if there is no face at all.
    """
    if not any(detections):
        return
    measures: tuple[Callable[[Detection], float], ...] = (
        lambda face: float(np.sqrt(face.box.width * face.box.height)),
        lambda face: abs(face.roll),
        head_turn,
        lambda face: 1 - face.score,
    )
    for attribute, measure in zip(_FACE_ATTRIBUTES, measures, strict=True):
        yield attribute, np.array([measure(face) if face else np.nan for face in detections])


def head_turn(face: Detection) -> float:
    """Return how far the nose tip is from midway between the eyes, along their line, in distances between the eyes."""
    right, left, nose = (np.array(point) for point in face.landmarks[:3])
    line = left - right
    return float(abs((nose - (right + left) / 2) @ line) / max(line @ line, 1e-6))
