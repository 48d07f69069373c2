"""RGB in, faces out: which looks at a picture the network gets, and what is made of its answers.

One look at the whole picture is the usual case. It leaves three kinds of faces unfound, and each gets a look
of its own, only where the first gave reason for it: faces that fill the frame, faces in a picture that lies on
its side or upside down, and small faces in a large picture.
"""

import threading
from collections.abc import Sequence

from mien.arrays import UInt8
from mien.errors import ConfigError
from mien.faces.tiling import View, closer_views, paint, turned_views, whole_view
from mien.faces.yunet import Candidates, YuNet, join, suppress
from mien.results import Box, Detection

#: Width and height in pixels.
Size = tuple[int, int]

#: Below this score a face may be one that is turned: the network finds those too, but scores them lower and
#: places their eyes as if they were upright.
SURE = 0.9
#: By how much a face must score higher in a turned picture than upright before the picture counts as turned.
TURN_GAIN = 0.03
#: By how much more than the threshold a face must score in a turned, and in a closer look.
TURNED_DOUBT, CLOSER_DOUBT = 0.2, 0.1
#: A face whose longer side is shorter than this in the network's input (640 pixels) is tiny.
TINY = 20.0


class Detector:
    """Finds faces with YuNet (Wu, Peng and Yu, 2023); several threads may call it at the same time.

    `threads` is how many threads one call may use; None is one per core this process may use. `threshold` is
    the least score, in (0, 1), of a face. The network is loaded at the first call. Raises ConfigError for a
    threshold out of range and, at that call, FinderError where the weights are missing or damaged.
    """

    def __init__(self, threads: int | None = None, threshold: float = 0.65) -> None:
        if not 0 < threshold < 1:
            raise ConfigError(f"a threshold of {threshold} for faces: give a number between 0 and 1, 0.65 say")
        self._threads = threads
        self._threshold = threshold
        self._loading = threading.Lock()
        self._net: YuNet | None = None

    def __call__(self, rgb: UInt8, /, *, closer: bool = True) -> list[Detection]:
        """Find the faces of a picture, largest first.

        `rgb` is uint8 (H, W, 3), RGB, [0, 255]. Boxes lie inside it and, like landmarks, are in its pixels,
        also where a face was found in a turned copy (its `roll` is then near 90, -90 or 180). `closer` says whether
        to look at parts of a large picture where no face or only tiny ones are found (`only_tiny`).
        """
        size = (rgb.shape[1], rgb.shape[0])
        turns, found = self._turn(rgb, size)
        faces = detections(found, size)
        if not closer or turns or not only_tiny(faces, rgb.shape):
            return faces
        parts = [self._look(rgb, [view], CLOSER_DOUBT)[0] for view in closer_views(size)]
        return detections(suppress(join([found, *parts])), size)

    def _look(self, rgb: UInt8, views: list[View], doubt: float = 0.0) -> list[Candidates]:
        """Run the network once over an input that shows all of `views`; the candidates of each, in the picture."""
        found = self._network()(paint(rgb, views), self._raised(doubt))
        return [view.in_picture(found) for view in views]

    def _turn(self, rgb: UInt8, size: Size) -> tuple[int, Candidates]:
        """Return by how many quarter turns the picture has to be turned, and its faces; one look, if that is sure."""
        first = self._look(rgb, [whole_view(size)])[0]
        if _best(first) >= SURE:
            return 0, first
        four = self._four(rgb, size, first)
        if _scale(size) < 1 and max(map(_best, four)) < SURE:
            # It may have been the wrong piece that was turned, or one whose faces are too small: look for another.
            sideways = join([self._look(rgb, [whole_view(size, turns)])[0] for turns in (1, 2, 3)])
            if len(sideways):
                four = [join(pair) for pair in zip(four, self._four(rgb, size, sideways), strict=True)]
        upright = suppress(join([first, four[0]]))
        turns = max((1, 2, 3), key=lambda turns: _best(four[turns]))
        if _best(four[turns]) < max(self._raised(TURNED_DOUBT), _best(upright) + TURN_GAIN):
            return 0, upright
        again = self._look(rgb, [whole_view(size, turns)])[0]
        return turns, suppress(join([four[turns], again]))

    def _four(self, rgb: UInt8, size: Size, found: Candidates) -> list[Candidates]:
        """Look at the best face found, or else at the whole picture, in 0, 1, 2 and 3 quarter turns."""
        best = found.boxes[found.scores.argmax()].tolist() if len(found) else None
        return self._look(rgb, turned_views(size, best))

    def _raised(self, doubt: float) -> float:
        """Return the threshold plus `doubt`, but never so much that no face could pass."""
        return max(self._threshold, min(self._threshold + doubt, SURE))

    def _network(self) -> YuNet:
        with self._loading:
            if self._net is None:
                self._net = YuNet(self._threads)
            return self._net


def detections(found: Candidates, size: Size) -> list[Detection]:
    """Return candidates in a picture of `size` (width, height) as detections, largest first, boxes clipped to it."""
    faces = [
        Detection(box, tuple((float(x), float(y)) for x, y in landmarks), float(score))
        for corners, landmarks, score in zip(found.boxes, found.landmarks, found.scores, strict=True)
        if (box := clip(corners.tolist(), size)) is not None
    ]
    return sorted(faces, key=lambda face: face.box.width * face.box.height, reverse=True)


def only_tiny(faces: Sequence[Detection], shape: tuple[int, ...]) -> bool:
    """Whether a picture of `shape` (H, W, ...) has no face, or only such as its first look shows tiny."""
    largest = max((max(face.box.width, face.box.height) for face in faces), default=0)
    return largest * _scale((shape[1], shape[0])) < TINY


def clip(corners: list[float], size: Size) -> Box | None:
    """Return left, top, right and bottom as whole pixels of a picture of `size`; None where none lie in it."""
    left, top = (max(round(value), 0) for value in corners[:2])
    right, bottom = (min(round(value), limit) for value, limit in zip(corners[2:], size, strict=True))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None


def _best(found: Candidates) -> float:
    return float(found.scores.max(initial=0.0))


def _scale(size: Size) -> float:
    """Return how many pixels of the network's input one pixel of the picture is in the first look."""
    view = whole_view(size)
    return max(view.columns, view.rows) / max(size)
