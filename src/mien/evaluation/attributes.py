"""How pictures of faces look, in numbers that need no labels: light, sharpness, and the size and pose of the face."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mien.arrays import Float64, UInt8
from mien.results import Detection

_CHUNK = 256  # crops measured together


@dataclass(frozen=True)
class Attribute:
    """A number of each picture: what it is called, what it means, and where its bins end; None: at its quartiles."""

    key: str
    name: str
    meaning: str
    edges: tuple[float, ...] | None = None
    form: str = "{:.0f}"


_OF_CROPS = (
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
        "1 less the correlation of the crop with its mirror image: light from a side, a "
        "turned head, something before one half",
        form="{:.2f}",
    ),
)
# Why the score stands for occlusion: with a square over 20 % of the face's box it tells covered faces from the same
# ones uncovered better (area under the ROC curve 0.77 to 0.96, by what covers them) than the asymmetry of the crop
# does (0.62 to 0.74), on the 110 first pictures of a scraped folder; see the lab log.
_OF_FACES = (
    Attribute("face_size", "Face size", "side of the face's box in the picture, in pixels", (32, 64, 128, 256)),
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
        "Finder's doubt",
        "1 less the face finder's score: rises where a face is partly hidden, the best "
        "estimate of occlusion here, but also where it is blurred, cut off or turned",
        form="{:.2f}",
    ),
)


def of_crops(crops: UInt8) -> Iterator[tuple[Attribute, Float64]]:
    """Measure the crops uint8 (N, S, S, C), [0, 255], alone: each measure with its values, float64 (N,)."""
    parts = [_looks(crops[start : start + _CHUNK]) for start in range(0, len(crops), _CHUNK)]
    yield from zip(_OF_CROPS, np.concatenate(parts, axis=1), strict=True)


def _looks(crops: UInt8) -> Float64:
    """Brightness, contrast, sharpness and asymmetry of crops (N, S, S, C): float64 (4, N)."""
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


def of_faces(detections: Sequence[Detection | None]) -> Iterator[tuple[Attribute, Float64]]:
    """Measure the faces found: each measure with its values, float64 (N,), nan where the whole picture was taken."""
    if not any(detections):
        return
    of: tuple[Callable[[Detection], float], ...] = (
        lambda face: float(np.sqrt(face.box.width * face.box.height)),
        lambda face: abs(face.roll),
        turn,
        lambda face: 1 - face.score,
    )
    for kind, number in zip(_OF_FACES, of, strict=True):
        yield kind, np.array([number(face) if face else np.nan for face in detections])


def turn(face: Detection) -> float:
    """Return how far the tip of the nose lies from midway between the eyes, along their line, in their distance."""
    right, left, nose = (np.array(point) for point in face.landmarks[:3])
    line = left - right
    return float(abs((nose - (right + left) / 2) @ line) / max(line @ line, 1e-6))
