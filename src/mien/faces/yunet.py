"""YuNet: an image of at most 640x640 pixels in, boxes, landmarks and scores out.

The network is that of Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence
Research 2023; the weights are `face_detection_yunet_2023mar.onnx` of OpenCV's model zoo (MIT licence), whose
declared sizes `hatch_build.py` has freed. Its outputs are decoded here as OpenCV's `FaceDetectorYN` decodes them,
without OpenCV.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Float32
from mien.errors import ConfigError, DetectorError
from mien.runtime.providers import Device
from mien.runtime.sessions import open_session

#: Longest side of the network's input, in pixels; each side is a multiple of the second.
INPUT_SIDE, INPUT_MULTIPLE = 640, 32
#: The network divides the input into square cells of these sides; each cell may hold one face.
STRIDES = (8, 16, 32)
#: Two boxes with a larger intersection over union are one face.
IOU_THRESHOLD = 0.3

WEIGHTS = Path(__file__).parent / "weights" / "yunet_2023mar.onnx"
LICENCE = WEIGHTS.with_name("LICENSE-YuNet.txt")
SHA256 = "40b4e3b3e647493b422620cacb6cecfef77ec53584337701f441d2ebd8a59b9b"


@dataclass(frozen=True)
class Candidates:
    """Possible faces, best first.

    `boxes` is float32 (N, 4): left, top, right, bottom; `landmarks` is float32 (N, 5, 2): the person's right
    eye, left eye, tip of the nose, right and left corner of the mouth, each (x, y); `scores` is float32 (N,)
    in [0, 1].
    """

    boxes: Float32
    landmarks: Float32
    scores: Float32

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, keep: Any) -> "Candidates":
        """Return the candidates of a numpy index, in its order."""
        return Candidates(self.boxes[keep], self.landmarks[keep], self.scores[keep])


class YuNet:
    """The network in one onnxruntime session; several threads may call it at the same time.

    Args:
        threads: how many threads one call may use; None is one per core this process may use.
        device: where it runs, anything but `auto`.

    Raises:
        DetectorError: the weights are missing, are not the ones that mien was measured with, or cannot be run.
        ConfigError: the device cannot be used.
    """

    def __init__(self, threads: int | None = None, device: Device = "cpu") -> None:
        model = load_weights(WEIGHTS)
        try:
            self._session = open_session(model, threads, device)
        except ConfigError:
            raise
        except Exception as error:  # onnxruntime has no public exception tree
            raise DetectorError(f"{WEIGHTS}: cannot be run ({error}); install onnxruntime and mien again") from None
        self.device = device
        self._outputs = [f"{part}_{stride}" for part in ("cls", "obj", "bbox", "kps") for stride in STRIDES]

    def __call__(self, bgr: Float32, threshold: float) -> Candidates:
        """Detect faces.

        Args:
            bgr: float32 (1, 3, H, W), channels BGR, [0, 255]; H and W are multiples of 32.
            threshold: least score of a candidate, in [0, 1].

        Returns:
            One candidate per face, best first, in pixels of the input.
        """
        outputs: Sequence[Float32] = self._session.run(self._outputs, {"input": bgr})
        return non_max_suppression(decode_outputs(outputs, threshold, bgr.shape[3]))


def load_weights(path: Path) -> bytes:
    """Return the bytes of YuNet's file; DetectorError if it is missing or is another one."""
    try:
        data = path.read_bytes()
    except OSError:
        raise DetectorError(
            f"{path}: the face detector's weights are missing; install mien again (pip install)"
        ) from None
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise DetectorError(f"{path}: is not the face detector's weights file; install mien again (pip install)")
    return data


def decode_outputs(outputs: Sequence[Float32], threshold: float, width: int) -> Candidates:
    """Decode the network's raw outputs into candidates, best first.

    Each cell gives two probabilities, whose geometric mean is the score. It gives the centre of the box and the
    landmarks from its own corner, in its sides, and the logarithm of the box's width and height in its sides.

    Args:
        outputs: `cls`, `obj`, `bbox` and `kps`, each for strides 8, 16 and 32.
        threshold: least score of a candidate, in [0, 1].
        width: of the input, in pixels.
    """
    cls, obj, bbox, kps = (
        np.concatenate([output[0] for output in outputs[first : first + 3]]) for first in range(0, 12, 3)
    )
    scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
    found = np.flatnonzero(scores >= threshold)
    found = found[np.argsort(-scores[found], kind="stable")]
    corner, stride = _cells(found, [output.shape[1] for output in outputs[:3]], width)
    middle, half = (corner + bbox[found, :2]) * stride, np.exp(bbox[found, 2:]) * stride / 2
    landmarks = (kps[found].reshape(-1, 5, 2) + corner[:, np.newaxis]) * stride[:, np.newaxis]
    return Candidates(np.concatenate([middle - half, middle + half], axis=1), landmarks, scores[found])


def non_max_suppression(candidates: Candidates) -> Candidates:
    """Keep the best of the boxes that iou by more than `IOU_THRESHOLD`."""
    left = np.argsort(-candidates.scores, kind="stable")
    keep = []
    while len(left):
        best, left = left[0], left[1:]
        keep.append(best)
        left = left[iou(candidates.boxes[best], candidates.boxes[left]) <= IOU_THRESHOLD]
    return candidates[np.array(keep, dtype=np.intp)]


def concatenate(parts: Sequence[Candidates]) -> Candidates:
    """Return all candidates of all `parts`."""
    parts = [*parts, _NONE]
    return Candidates(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))


def iou(box: Float32, boxes: Float32) -> Float32:
    """Return the intersection over union of one box (4,) with each of boxes (N, 4): float32 (N,) in [0, 1].

    Examples:
        >>> iou(np.float32([0, 0, 2, 2]), np.float32([[0, 0, 2, 2], [0, 0, 1, 1]])).tolist()
        [1.0, 0.25]
    """
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    quotient: Float32 = shared / np.maximum(union, np.finfo(np.float32).tiny)
    return quotient


def _cells(found: npt.NDArray[np.intp], counts: Sequence[int], width: int) -> tuple[Float32, Float32]:
    """Return column and row (N, 2) and side (N, 1) of the cells `found` among all, stride by stride."""
    level = np.searchsorted(np.cumsum(counts), found, side="right")
    side = np.array(STRIDES)[level]
    row, column = np.divmod(found - np.cumsum([0, *counts])[level], width // side)
    return np.stack([column, row], axis=1).astype(np.float32), side[:, np.newaxis].astype(np.float32)


_FIELDS = ("boxes", "landmarks", "scores")
_NONE = Candidates(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32))
