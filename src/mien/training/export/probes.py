"""Images to try a model of unknown origin on: photographs that come with scikit-learn, and drawn faces."""

import numpy as np

from mien.arrays import RGB, UInt8
from mien.data.synthetic.faces import EXPRESSIONS, draw_face
from mien.faces.crop import crop

_CUTS, _DRAWN = 8, 16


def probe_images() -> list[RGB]:
    """Return photographs, cut at different places, and drawn faces, uint8 (H, W, 3); always the same.

    Without scikit-learn there are only drawn faces.
    """
    faces = [draw_face(EXPRESSIONS[seed % 2], seed) for seed in range(_DRAWN)]
    try:
        from sklearn.datasets import load_sample_images
    except ImportError:
        return faces
    rng = np.random.default_rng(0)
    cuts = []
    for photo in load_sample_images().images:
        height, width, _ = photo.shape
        for _ in range(_CUTS):
            side = int(rng.integers(120, min(height, width)))
            top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
            cuts.append(np.ascontiguousarray(photo[top : top + side, left : left + side]))
    return [image for pair in zip(cuts, faces, strict=True) for image in pair]


def probe_crops(size: int, channels: int) -> UInt8:
    """Return the probe images as crops, uint8 (N, S, S, C)."""
    return np.stack([crop(image, size, channels) for image in probe_images()])
