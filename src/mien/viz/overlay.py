"""Heatmaps laid on pictures: colours, one face, and a layer of all faces."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.arrays import Float32, Float64, UInt8
from mien.results import FaceHeat

#: Viridis (van der Walt and Smith, 2015) at 17 even steps: even to the eye, also in grey and with colour blindness.
_ANCHORS = (
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219"
    " fde725"
)
_TABLE = np.array([list(bytes.fromhex(colour)) for colour in _ANCHORS.split()], np.float64)


def colours(heat: npt.NDArray[np.floating]) -> UInt8:
    """Return the colour of each value in [0, 1], uint8 (..., 3), RGB: dark violet is 0, bright yellow is 1.

    Values outside are taken as the nearest end, and what is no number as 0.
    """
    place = np.clip(np.nan_to_num(np.asarray(heat, np.float64), nan=0.0), 0, 1) * (len(_TABLE) - 1)
    lower = np.minimum(place.astype(np.int64), len(_TABLE) - 2)
    share = (place - lower)[..., np.newaxis]
    return np.asarray(((1 - share) * _TABLE[lower] + share * _TABLE[lower + 1]).round(), np.uint8)


def overlay(rgb: UInt8, heat: Float32, corners: Float64, strength: float = 0.5) -> UInt8:
    """Lay one face's heatmap on a picture: uint8 (H, W, 3), RGB.

    `rgb` is uint8 (H, W, 3); `heat` float (S, S) in [0, 1]; `corners` as in FaceHeat. `strength` in [0, 1] is how
    much of the colour is seen where the heat is 1; with less heat less of it is seen, so that the face stays clear.
    """
    return _blended(rgb, placed(rgb.shape[:2], heat, corners), strength)


def overlay_faces(rgb: UInt8, faces: Sequence[FaceHeat], strength: float = 0.5) -> UInt8:
    """Lay the heatmaps of several faces on a picture; where two faces overlap, the stronger is seen."""
    return _blended(rgb, _together(rgb.shape[:2], faces), strength)


def heat_layer(shape: tuple[int, ...], faces: Sequence[FaceHeat]) -> UInt8:
    """Return the heatmaps alone, to be laid on a picture of `shape` (H, W, ...): RGBA uint8 (H, W, 4).

    Outside the faces it is transparent, and the less heat the more so.
    """
    field = _together(shape[:2], faces)
    alpha = _seen(field) * 255
    return np.concatenate([colours(field), alpha.round().astype(np.uint8)[..., np.newaxis]], axis=-1)


def placed(shape: tuple[int, ...], heat: Float32, corners: Float64) -> Float32:
    """Return a heatmap where it lies in a picture of `shape` (H, W): float32 (H, W), NaN outside the face."""
    found = np.full(shape[:2], np.nan, np.float32)
    left, top = np.floor(corners.min(axis=0)).astype(np.int64).clip(0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(np.int64), (shape[1], shape[0]))
    if right <= left or bottom <= top:
        return found
    size = heat.shape[0]
    edges = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1) / size  # picture pixels per heat pixel
    inverse = np.linalg.inv(edges)
    start = inverse @ (np.array([left, top]) - corners[0])
    matrix = (inverse[0, 0], inverse[0, 1], start[0], inverse[1, 0], inverse[1, 1], start[1])
    part = (int(right - left), int(bottom - top))
    # UInt8 of the rim are repeated outward, or else it would fade to 0 over half a pixel of the heatmap.
    rim = np.pad(heat.astype(np.float32), 1, mode="edge")
    shifted = (*matrix[:2], matrix[2] + 1, *matrix[3:5], matrix[5] + 1)
    values = Image.fromarray(rim).transform(part, Image.Transform.AFFINE, shifted, Image.Resampling.BICUBIC)
    inside = Image.new("L", (size, size), 255).transform(part, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
    found[top:bottom, left:right] = np.where(np.asarray(inside) > 0, np.clip(np.asarray(values), 0, 1), np.nan)
    return found


def _together(shape: tuple[int, ...], faces: Sequence[FaceHeat]) -> Float32:
    found = np.full(shape[:2], np.nan, np.float32)
    for face in faces:
        found = np.fmax(found, placed(shape, face.heat, face.corners))
    return found


def _seen(field: Float32) -> Float32:
    """How much of the colour is seen, in [0, 1]: nothing outside faces, a hint at no heat, all at the strongest."""
    return np.asarray(np.where(np.isnan(field), 0, 0.2 + 0.8 * np.nan_to_num(field)), np.float32)


def _blended(rgb: UInt8, field: Float32, strength: float) -> UInt8:
    share = (strength * _seen(field))[..., np.newaxis]
    return np.asarray(((1 - share) * rgb + share * colours(field)).round(), np.uint8)
