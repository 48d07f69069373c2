"""Detect faces with YuNet: whole image first, then turned copies and tiles if needed; or the largest face alone.

One run on the whole image is the usual case. It misses three kinds of faces. Each gets a run of its own, if the
first run gave reason for it: faces that fill the frame, faces in an image on its side or upside down, and small
faces in a large image.

The largest face alone is usually seen in a quick look, at a sixth of the cost. A close look at its neighbourhood, in
the pixels of the run on the whole image, then gives the box that this run would give.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mien.arrays import RGB
from mien.errors import ConfigError
from mien.faces.choice import SAME_FACE
from mien.faces.tiling import (
    QUICK_SIDE,
    View,
    close_window,
    render,
    render_quick,
    render_window,
    tile_views,
    turned_views,
    whole_view,
)
from mien.faces.yunet import Candidates, YuNet, concatenate, iou, non_max_suppression
from mien.results import Box, Detection
from mien.runtime.providers import Device

#: Width and height in pixels.
Size = tuple[int, int]

#: Below this score a face may be turned: the network detects those too, but scores them lower and places their
#: eyes as if they were upright.
CONFIDENT_SCORE = 0.9
#: An image counts as turned if a face scores higher by at least this in a turned copy than upright.
MIN_TURN_GAIN = 0.03
#: Scores in a turned copy, and in a tile, must exceed the threshold by this.
TURNED_MARGIN, TILE_MARGIN = 0.2, 0.1
#: A face is tiny if its longer side is shorter than this in the network's input, in pixels.
TINY_SIDE = 20.0
#: A quick look saves time if the first run's input is at least so many times as wide and high.
MIN_QUICK_GAIN = 2.0
#: In a quick look, all that scores as much may be a face, or less if the threshold is lower.
QUICK_SCORE = 0.4
#: The largest face is certain in a quick look if it is `CONFIDENT_SCORE` sure, its longer side would have at least
#: so many pixels at `QUICK_SIDE`, and whatever else may be a face has at most this fraction of its area.
MIN_QUICK_FACE, MAX_OTHER_AREA = 28.0, 0.6
#: A face whose longer side is this fraction of the image's is too large for the first run, or may be: that scores it
#: lower, and the box comes from a copy as small as the quick look (lab log).
TOO_LARGE, PERHAPS_TOO_LARGE = 0.8, 0.5
#: Such a face must score as much in the quick look: upside down it scores up to 0.912 (lab log).
TOO_LARGE_SCORE = 0.92


class Detector:
    """Detects faces with YuNet (Wu, Peng and Yu, 2023); several threads may call it at the same time.

    The network is loaded at the first call.

    Args:
        threads: how many threads one call may use; None is one per core this process may use.
        threshold: least score of a face, in (0, 1).
        network: a loaded one to use, such as one on another device; None loads one on the CPU.

    Raises:
        ConfigError: the threshold is out of range.
        DetectorError: at the first call, if the weights are missing or damaged.
    """

    def __init__(self, threads: int | None = None, threshold: float = 0.65, network: YuNet | None = None) -> None:
        if not 0 < threshold < 1:
            raise ConfigError(f"a threshold of {threshold} for faces: give a number between 0 and 1, 0.65 say")
        self._threads = threads
        self._threshold = threshold
        self._loading = threading.Lock()
        self._net = network

    def __call__(self, rgb: RGB, /, *, tiles: bool = True) -> list[Detection]:
        """Detect the faces of an image, largest first.

        Boxes and landmarks are in pixels of the original image. Boxes lie inside it. If a face was detected in a
        turned copy, its `roll` is near 90, -90 or 180 degrees.

        Args:
            rgb: uint8 (H, W, 3), RGB, [0, 255].
            tiles: search a large image in tiles too if no face or only tiny ones are detected (`only_tiny`).
        """
        size = (rgb.shape[1], rgb.shape[0])
        turns, found = self._detect_turned(rgb, size)
        faces = to_detections(found, size)
        if not tiles or turns or not only_tiny(faces, rgb.shape):
            return faces
        parts = [self._run(rgb, [view], TILE_MARGIN)[0] for view in tile_views(size)]
        return to_detections(non_max_suppression(concatenate([found, *parts])), size)

    def find_largest(self, rgb: RGB, /, full: Size | None = None) -> Detection | None:
        """Return the largest face of an image if a quick look shows it for certain; if not, None: detect all faces.

        Args:
            rgb: uint8 (H, W, 3), RGB, [0, 255].
            full: width and height of the image in full, if `rgb` is that image decoded smaller. The face is in pixels
                of `rgb`, but looked at as closely as in the image in full.
        """
        size = (rgb.shape[1], rgb.shape[0])
        whole = replace(whole_view(full or size), width=size[0], height=size[1])
        if max(whole.columns, whole.rows) < MIN_QUICK_GAIN * QUICK_SIDE:
            return None
        certain = max(CONFIDENT_SCORE, self._threshold)
        shown, view = render_quick(rgb)
        found = view.to_image(self._network()(shown, min(QUICK_SCORE, self._threshold)))
        face = _clearly_largest(found, certain, MIN_QUICK_FACE * max(size) / QUICK_SIDE)
        if face is None:
            return None
        side = float((face.boxes[0, 2:] - face.boxes[0, :2]).max()) / max(size)
        enough = face if face.scores[0] >= max(TOO_LARGE_SCORE, self._threshold) else face[:0]
        if side >= TOO_LARGE:
            return next(iter(to_detections(enough, size)), None)
        shown, view = render_window(rgb, whole, close_window(whole, face.boxes[0].tolist()))
        close = view.to_image(self._network()(shown, certain))
        same = close[iou(face.boxes[0], close.boxes) >= SAME_FACE]
        if not len(same) and side >= PERHAPS_TOO_LARGE:
            same = enough
        return next(iter(to_detections(same, size)), None)

    @property
    def device(self) -> Device:
        """Where the network runs."""
        return "cpu" if self._net is None else self._net.device

    def _run(self, rgb: RGB, views: list[View], margin: float = 0.0) -> list[Candidates]:
        """Run the network once over an input that shows all of `views`; the candidates of each, in the image."""
        found = self._network()(render(rgb, views), self._raised(margin))
        return [view.to_image(found) for view in views]

    def _detect_turned(self, rgb: RGB, size: Size) -> tuple[int, Candidates]:
        """Return the quarter turns that bring the image upright, and its faces; in one run if that is confident."""
        first = self._run(rgb, [whole_view(size)])[0]
        if _best(first) >= CONFIDENT_SCORE:
            return 0, first
        four = self._run_four_turns(rgb, size, first)
        if _scale(size) < 1 and max(map(_best, four)) < CONFIDENT_SCORE:
            # The wrong piece may have been turned, or one whose faces are too small: try another.
            sideways = concatenate([self._run(rgb, [whole_view(size, turns)])[0] for turns in (1, 2, 3)])
            if len(sideways):
                others = self._run_four_turns(rgb, size, sideways)
                four = [concatenate(pair) for pair in zip(four, others, strict=True)]
        upright = non_max_suppression(concatenate([first, four[0]]))
        turns = max((1, 2, 3), key=lambda turns: _best(four[turns]))
        if _best(four[turns]) < max(self._raised(TURNED_MARGIN), _best(upright) + MIN_TURN_GAIN):
            return 0, upright
        again = self._run(rgb, [whole_view(size, turns)])[0]
        return turns, non_max_suppression(concatenate([four[turns], again]))

    def _run_four_turns(self, rgb: RGB, size: Size, found: Candidates) -> list[Candidates]:
        """Run on the surroundings of the best candidate, or else the whole image, in 0, 1, 2 and 3 quarter turns."""
        best = found.boxes[found.scores.argmax()].tolist() if len(found) else None
        return self._run(rgb, turned_views(size, best))

    def _raised(self, margin: float) -> float:
        """Return the threshold raised by `margin`, capped so that a confident face still passes."""
        return max(self._threshold, min(self._threshold + margin, CONFIDENT_SCORE))

    def _network(self) -> YuNet:
        with self._loading:
            if self._net is None:
                self._net = YuNet(self._threads)
            return self._net


def to_detections(found: Candidates, size: Size) -> list[Detection]:
    """Return candidates in an image of `size` (width, height) as detections, largest first, boxes clipped to it."""
    faces = [
        Detection(box, tuple((float(x), float(y)) for x, y in landmarks), float(score))
        for corners, landmarks, score in zip(found.boxes, found.landmarks, found.scores, strict=True)
        if (box := clip_box(corners.tolist(), size)) is not None
    ]
    return sorted(faces, key=lambda face: face.box.width * face.box.height, reverse=True)


def _clearly_largest(found: Candidates, score: float, min_side: float) -> Candidates | None:
    """Return the largest candidate alone if it scores as much, is not small, and no other is nearly as large."""
    sides = found.boxes[:, 2:] - found.boxes[:, :2]
    areas = sides.prod(axis=1)
    order = np.argsort(-areas, kind="stable")
    if not len(order) or found.scores[order[0]] < score or sides[order[0]].max() < min_side:
        return None
    if len(order) > 1 and areas[order[1]] > MAX_OTHER_AREA * areas[order[0]]:
        return None
    return found[order[:1]]


def only_tiny(faces: Sequence[Detection], shape: tuple[int, ...]) -> bool:
    """Return whether an image of `shape` (H, W, ...) has no face, or only faces that are tiny in its first run.

    Examples:
        >>> only_tiny([], (480, 640, 3))
        True
    """
    largest = max((max(face.box.width, face.box.height) for face in faces), default=0)
    return largest * _scale((shape[1], shape[0])) < TINY_SIDE


def clip_box(corners: list[float], size: Size) -> Box | None:
    """Return left, top, right and bottom as whole pixels of an image of `size`; None if none lie in it.

    Examples:
        >>> clip_box([-3.2, 4.0, 10.4, 99.0], (640, 50))
        Box(x=0, y=4, width=10, height=46)
    """
    left, top = (max(round(value), 0) for value in corners[:2])
    right, bottom = (min(round(value), limit) for value, limit in zip(corners[2:], size, strict=True))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None


def _best(found: Candidates) -> float:
    return float(found.scores.max(initial=0.0))


def _scale(size: Size) -> float:
    """Return how many pixels of the network's input one pixel of the image is in the first run."""
    view = whole_view(size)
    return max(view.columns, view.rows) / max(size)
