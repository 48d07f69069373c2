"""Put the face that a person chose before the others of an image."""

from collections.abc import Sequence

import numpy as np

from mien.arrays import Float32
from mien.faces.yunet import iou
from mien.results import Box, Detection

#: Two boxes show the same face if they share at least this fraction of what both cover.
SAME_FACE = 0.5
#: Where eyes, nose and mouth lie in a box of YuNet around an upright face, as fractions of its sides.
_LANDMARKS = ((0.31, 0.4), (0.69, 0.4), (0.5, 0.6), (0.35, 0.78), (0.65, 0.78))


def same_face(one: Box, other: Box) -> bool:
    """Whether two boxes are around the same face.

    Examples:
        >>> same_face(Box(0, 0, 10, 10), Box(1, 0, 10, 10)), same_face(Box(0, 0, 10, 10), Box(8, 0, 10, 10))
        (True, False)
    """
    return bool(iou(_corners(one), _corners(other)[np.newaxis])[0] >= SAME_FACE)


def chosen_first(faces: Sequence[Detection], box: Box) -> list[Detection]:
    """Return the faces of an image, the one in this box first.

    If none of them is, one is made of the box: somebody saw a face that the detector does not find, or no longer. It is
    taken for upright.

    Args:
        faces: in any order.
        box: in the pixels of the faces.
    """
    shares = iou(_corners(box), np.array([_corners(face.box) for face in faces]).reshape(-1, 4))
    best = int(shares.argmax()) if len(faces) else -1
    if best < 0 or shares[best] < SAME_FACE:
        marks = tuple((box.x + x * box.width, box.y + y * box.height) for x, y in _LANDMARKS)
        return [Detection(box, marks, 1.0), *faces]
    return [faces[best], *(face for number, face in enumerate(faces) if number != best)]


def _corners(box: Box) -> Float32:
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height], np.float32)
