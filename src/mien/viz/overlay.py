"""Overlay heatmaps on images: their colours, one face, all faces, and a transparent layer."""

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
#: Rows of an image that are coloured at a time.
_STRIP_ROWS = 256
_TABLE = np.array([list(bytes.fromhex(colour)) for colour in _ANCHORS.split()], np.float64)


def colours(heat: npt.NDArray[np.floating]) -> UInt8:
    """Return the colour of each value in [0, 1], uint8 (..., 3), RGB: dark violet is 0, bright yellow is 1.

    Values outside are clipped; NaN counts as 0.

    Examples:
        >>> colours(np.array([0.0, 1.0])).tolist()
        [[68, 1, 84], [253, 231, 37]]
    """
    place = np.clip(np.nan_to_num(np.asarray(heat, np.float64), nan=0.0), 0, 1) * (len(_TABLE) - 1)
    lower = np.minimum(place.astype(np.int64), len(_TABLE) - 2)
    share = (place - lower)[..., np.newaxis]
    return np.asarray(((1 - share) * _TABLE[lower] + share * _TABLE[lower + 1]).round(), np.uint8)


def overlay(rgb: UInt8, heat: Float32, corners: Float64, strength: float = 0.5) -> UInt8:
    """Overlay the heatmap of one face on an image; returns uint8 (H, W, 3), RGB.

    Args:
        rgb: uint8 (H, W, 3), RGB.
        heat: float (S, S), in [0, 1].
        corners: float (4, 2), where the heatmap lies in the image, as in `mien.results.FaceHeat`.
        strength: opacity of the colour at heat 1, in [0, 1]; less heat is more transparent, so the face stays visible.
    """
    return _blended(rgb, place_heatmap(rgb.shape[:2], heat, corners), strength)


def overlay_faces(rgb: UInt8, faces: Sequence[FaceHeat], strength: float = 0.5) -> UInt8:
    """Overlay the heatmaps of several faces on an image; where two faces overlap, the stronger one shows.

    Args:
        rgb: uint8 (H, W, 3), RGB.
        faces: heatmaps with their places.
        strength: as in `overlay`.
    """
    return _blended(rgb, _together(rgb.shape[:2], faces), strength)


def heat_layer(shape: tuple[int, ...], faces: Sequence[FaceHeat]) -> UInt8:
    """Return the heatmaps alone as a layer for an image of `shape` (H, W, ...): RGBA uint8 (H, W, 4).

    It is transparent outside the faces, and more transparent with less heat.
    """
    field = _together(shape[:2], faces)
    alpha = _opacity(field) * 255
    return np.concatenate([colours(field), alpha.round().astype(np.uint8)[..., np.newaxis]], axis=-1)


def place_heatmap(shape: tuple[int, ...], heat: Float32, corners: Float64) -> Float32:
    """Return a heatmap at its place in an image: float32 (H, W), NaN outside the face.

    Args:
        shape: (H, W) of the image.
        heat: float (S, S), in [0, 1].
        corners: float (4, 2), as in `mien.results.FaceHeat`.
    """
    found = np.full(shape[:2], np.nan, np.float32)
    _lay(found, heat, corners)
    return found


def _lay(field: Float32, heat: Float32, corners: Float64) -> None:
    """Lay a heatmap on others in an image, (H, W), NaN outside them; the stronger one shows."""
    left, top = np.floor(corners.min(axis=0)).astype(np.int64).clip(0)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(np.int64), field.shape[::-1])
    if right <= left or bottom <= top:
        return
    size = heat.shape[0]
    edges = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1) / size  # in image pixels
    inverse = np.linalg.inv(edges)
    start = inverse @ (np.array([left, top]) - corners[0])
    matrix = (inverse[0, 0], inverse[0, 1], start[0], inverse[1, 0], inverse[1, 1], start[1])
    part = (int(right - left), int(bottom - top))
    # The edge is repeated outward. Otherwise it would fade to 0 over half a pixel of the heatmap.
    rim = np.pad(heat.astype(np.float32), 1, mode="edge")
    shifted = (*matrix[:2], matrix[2] + 1, *matrix[3:5], matrix[5] + 1)
    values = Image.fromarray(rim).transform(part, Image.Transform.AFFINE, shifted, Image.Resampling.BICUBIC)
    inside = Image.new("L", (size, size), 255).transform(part, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
    placed = np.where(np.asarray(inside) > 0, np.clip(np.asarray(values), 0, 1), np.nan)
    field[top:bottom, left:right] = np.fmax(field[top:bottom, left:right], placed)


def _together(shape: tuple[int, ...], faces: Sequence[FaceHeat]) -> Float32:
    found = np.full(shape[:2], np.nan, np.float32)
    for face in faces:
        _lay(found, face.heat, face.corners)
    return found


def _opacity(field: Float32) -> Float32:
    """Return the opacity of the colour, in [0, 1]: 0 outside faces, 0.2 at no heat, 1 at the strongest."""
    return np.asarray(np.where(np.isnan(field), 0, 0.2 + 0.8 * np.nan_to_num(field)), np.float32)


def _blended(rgb: UInt8, field: Float32, strength: float) -> UInt8:
    """Colour the pixels that have heat, in strips: others are left alone, and large images have few faces."""
    found = rgb.copy()
    for top in range(0, len(field), _STRIP_ROWS):
        strip, values = found[top : top + _STRIP_ROWS], field[top : top + _STRIP_ROWS]
        inside = ~np.isnan(values)
        share = (strength * _opacity(values[inside]))[:, np.newaxis]
        strip[inside] = ((1 - share) * strip[inside] + share * colours(values[inside])).round()
    return found
