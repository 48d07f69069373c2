"""Read with fer (PyPI), as its README does: `FER().detect_emotions(cv2.imread(file))`.

The box of a face that is known goes in as `face_rectangles`. FER then adds `offsets`, by default 10 pixels on each
side, and fills what lies outside the image with one grey: a crop is framed too widely by that. `padded=False` passes
`offsets=(0, 0)`. Several faces of one image are one batch of the Keras network, so a batch of crops is one tall image.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from fer.fer import FER

from rivals.adapters.protocol import Answer, serve


class Fer:
    """FER with its default network (TensorFlow Lite, quantised), or with its Keras network."""

    def __init__(self, keras: bool = False, padded: bool = True) -> None:
        offsets = {} if padded else {"offsets": (0, 0)}
        self._detector = FER(use_tflite=not keras, **offsets)

    def read_photo(self, file: str) -> Answer:
        faces = self._detector.detect_emotions(cv2.imread(file))
        return max(faces, key=lambda face: face["box"][2] * face["box"][3])["emotions"] if faces else None

    def open_crop(self, file: str) -> Any:
        return cv2.imread(file)

    def read_crop(self, crop: Any) -> Answer:
        return self.read_batch([crop])[0]

    def read_batch(self, crops: Sequence[Any]) -> Sequence[Answer]:
        tops = np.cumsum([0, *(len(crop) for crop in crops)])
        boxes = [(0, int(top), crop.shape[1], len(crop)) for top, crop in zip(tops, crops, strict=False)]
        image = crops[0] if len(crops) == 1 else np.vstack(crops)
        return [face["emotions"] for face in self._detector.detect_emotions(image, face_rectangles=boxes)]


if __name__ == "__main__":
    serve(Fer)
