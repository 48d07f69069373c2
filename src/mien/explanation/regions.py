"""Locate facial regions in a crop, and align a crop so that they lie there.

Positions are fractions of the crop's side, x to the right and y down, from its upper left corner.

CANONICAL has the mean positions of the five landmarks that the detector finds in 441 faces of FER2013, made symmetric:
mien's networks see faces framed like this. In crops by `mien.faces.crop.face_region` the means differ by at most 0.015.
"""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from mien.arrays import Bool, Float32, Float64
from mien.results import Landmarks

#: The person's right eye, left eye, nose tip, right and left mouth corner, as in `Detection`.
CANONICAL = np.array([[0.312, 0.368], [0.688, 0.368], [0.5, 0.589], [0.347, 0.764], [0.653, 0.764]])

#: Ellipses (x, y, half width, half height) of each region. A pixel belongs to the first region that contains it.
ELLIPSES: Mapping[str, tuple[tuple[float, float, float, float], ...]] = {
    "mouth": ((0.5, 0.775, 0.22, 0.115),),
    "eyes": ((0.312, 0.368, 0.125, 0.065), (0.688, 0.368, 0.125, 0.065)),
    "brows": ((0.312, 0.26, 0.155, 0.07), (0.688, 0.26, 0.155, 0.07)),
    "nose": ((0.5, 0.52, 0.1, 0.14),),
    "rest of the face": ((0.5, 0.5, 0.43, 0.52),),
}
#: All regions. Pixels outside all ellipses are background: hair, neck, and what is behind.
REGIONS = (*ELLIPSES, "background")


#: The border of a crop is divided into cells, this many along each side.
BORDER_CELLS = 6


def region_masks(size: int) -> dict[str, Bool]:
    """Return the mask of each region of REGIONS in a canonical crop, bool (size, size).

    Every pixel is in exactly one.

    Examples:
        >>> {name: int(mask.sum()) for name, mask in region_masks(48).items()}["mouth"]
        184
    """
    place = (np.arange(size) + 0.5) / size
    free = np.ones((size, size), np.bool_)
    found = {}
    for name, ellipses in ELLIPSES.items():
        inside = np.zeros_like(free)
        for x, y, wide, high in ellipses:
            inside |= ((place[np.newaxis] - x) / wide) ** 2 + ((place[:, np.newaxis] - y) / high) ** 2 <= 1
        found[name] = inside & free
        free &= ~inside
    found["background"] = free
    return found


def border_cells(size: int) -> dict[str, Bool]:
    """Return the cells along the border of a crop, BORDER_CELLS per side, as masks bool (size, size) by name.

    Only the part of a cell beside the face counts. Cells with less than a third beside the face are left out: the
    chin reaches the lower edge.
    """
    cell, beside = (np.arange(size) * BORDER_CELLS) // size, region_masks(size)["background"]
    found = {}
    for row in range(BORDER_CELLS):
        for column in range(BORDER_CELLS):
            mask = (cell[:, np.newaxis] == row) & (cell[np.newaxis] == column)
            if {row, column} & {0, BORDER_CELLS - 1} and (mask & beside).sum() >= mask.sum() / 3:
                found[_cell_name(row, column)] = mask & beside
    return found


def _cell_name(row: int, column: int) -> str:
    ends = {0: ("upper", "left"), BORDER_CELLS - 1: ("lower", "right")}
    if row in ends and column in ends:
        return f"{ends[row][0]} {ends[column][1]} corner"
    if row in ends:
        return f"{ends[row][0]} edge, {column} of {BORDER_CELLS - 2}"
    return f"{ends[column][1]} edge, {row} of {BORDER_CELLS - 2}"


def landmarks_in_crop(landmarks: Landmarks, corners: Float64) -> Float64:
    """Return an image's landmarks as fractions of a crop's side, (5, 2); `corners` (4, 2) are those of FaceHeat."""
    edges = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1)
    return np.asarray(np.linalg.solve(edges, (np.array(landmarks) - corners[0]).T).T)


def similarity_to_canonical(points: Float64) -> tuple[float, float, float, float]:
    """Return the similarity transform a, b, x, y that brings points (5, 2) nearest to CANONICAL.

    It maps (u, v) to (a·u - b·v + x, b·u + a·v + y); least squares (Umeyama, 1991).
    """
    middle, goal = points.mean(axis=0), CANONICAL.mean(axis=0)
    one, other = points - middle, CANONICAL - goal
    spread = max(float((one**2).sum()), 1e-9)
    a = float((one * other).sum()) / spread
    b = float((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()) / spread
    x, y = goal - np.array([a * middle[0] - b * middle[1], b * middle[0] + a * middle[1]])
    return a, b, float(x), float(y)


def align(values: Float32, points: Float64, fill: float = 0.0) -> Float32:
    """Align a crop's values, (S, S), so that its landmarks are canonical; float32 (S, S).

    Args:
        values: float (S, S).
        points: the landmarks as fractions of the crop's side, (5, 2). If all are at one point, nothing is moved.
        fill: the value outside the crop.
    """
    a, b, x, y = similarity_to_canonical(points)
    size, square = values.shape[0], a * a + b * b
    if square < 0.05:
        return values
    # Pillow takes the inverse: from the new position to the old.
    p, q = a / square, b / square
    matrix = (p, q, -(p * x + q * y) * size, -q, p, (q * x - p * y) * size)
    image = Image.fromarray(values.astype(np.float32))
    moved = image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill)
    return np.asarray(moved, np.float32)
