"""Where the parts of a face lie in a crop, and how a crop is brought so that they lie there.

Positions are shares of the crop's side, x to the right and y down, from its upper left corner.

Canonical are the mean places of the five landmarks that the finder gives for 441 faces of FER2013, made symmetric:
so framed, mien's networks see faces. In the crops that `mien.faces.crop.face_region` frames the means lie within 0.015.
"""

from collections.abc import Mapping

import numpy as np
from PIL import Image

from mien.arrays import Bool, Float32, Float64
from mien.results import Landmarks

#: The person's right eye, left eye, tip of the nose, right and left corner of the mouth, as in `Detection`.
CANONICAL = np.array([[0.312, 0.368], [0.688, 0.368], [0.5, 0.589], [0.347, 0.764], [0.653, 0.764]])

#: Ellipses (x, y, half width, half height) of each region. A pixel belongs to the first region that has it.
ELLIPSES: Mapping[str, tuple[tuple[float, float, float, float], ...]] = {
    "mouth": ((0.5, 0.775, 0.22, 0.115),),
    "eyes": ((0.312, 0.368, 0.125, 0.065), (0.688, 0.368, 0.125, 0.065)),
    "brows": ((0.312, 0.26, 0.155, 0.07), (0.688, 0.26, 0.155, 0.07)),
    "nose": ((0.5, 0.52, 0.1, 0.14),),
    "rest of the face": ((0.5, 0.5, 0.43, 0.52),),
}
#: All regions; what no ellipse has is background: hair, neck, and what stands behind.
REGIONS = (*ELLIPSES, "background")


def region_masks(size: int) -> dict[str, Bool]:
    """Return each region of REGIONS in a canonical crop as a mask bool (size, size); every pixel is in exactly one."""
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


def in_crop(landmarks: Landmarks, corners: Float64) -> Float64:
    """Return landmarks of a picture as shares of a crop's side (5, 2); `corners` (4, 2) as in FaceHeat."""
    edges = np.stack([corners[1] - corners[0], corners[3] - corners[0]], axis=1)
    return np.asarray(np.linalg.solve(edges, (np.array(landmarks) - corners[0]).T).T)


def to_canonical(points: Float64) -> tuple[float, float, float, float]:
    """Return the turn, scale and shift that bring points (5, 2) nearest to CANONICAL: a, b, x, y.

    A point (u, v) goes to (a·u - b·v + x, b·u + a·v + y); least squares (Umeyama, 1991).
    """
    middle, goal = points.mean(axis=0), CANONICAL.mean(axis=0)
    one, other = points - middle, CANONICAL - goal
    spread = max(float((one**2).sum()), 1e-9)
    a = float((one * other).sum()) / spread
    b = float((one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]).sum()) / spread
    x, y = goal - np.array([a * middle[0] - b * middle[1], b * middle[0] + a * middle[1]])
    return a, b, float(x), float(y)


def aligned(values: Float32, points: Float64, fill: float = 0.0) -> Float32:
    """Return a crop's values (S, S) so moved that its landmarks, shares of its side (5, 2), are canonical.

    Where the crop does not reach stands `fill`. Landmarks of which no face can be made (all on one spot) move nothing.
    """
    a, b, x, y = to_canonical(points)
    size, square = values.shape[0], a * a + b * b
    if square < 0.05:
        return values
    # Pillow wants the way back: from the new place to the old.
    p, q = a / square, b / square
    matrix = (p, q, -(p * x + q * y) * size, -q, p, (q * x - p * y) * size)
    image = Image.fromarray(values.astype(np.float32))
    moved = image.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill)
    return np.asarray(moved, np.float32)
