"""Read with facex (PyPI), as its README does: `PoolManager().predict(image)`, and `detect_emotion(face)` for a crop."""

from collections.abc import Sequence
from typing import Any

import cv2
import facex

from rivals.adapters.protocol import Answer, serve


class Facex:
    """A pool of one classifier: it reads one image at a time."""

    def __init__(self) -> None:
        self._pool = facex.PoolManager(pool_size=1)
        self._classifier = facex.EmotionClassifier(self._pool.model_path)

    def read_photo(self, file: str) -> Answer:
        faces = self._pool.predict(cv2.imread(file))
        return max(faces, key=lambda face: face["bbox"][2] * face["bbox"][3])["emot"] if faces else None

    def open_crop(self, file: str) -> Any:
        return cv2.imread(file, cv2.IMREAD_GRAYSCALE)  # what its own `predict` hands to `detect_emotion`

    def read_crop(self, crop: Any) -> Answer:
        answer: Answer = self._classifier.detect_emotion(crop)
        return answer

    def read_batch(self, crops: Sequence[Any]) -> Sequence[Answer]:
        return [self.read_crop(crop) for crop in crops]


if __name__ == "__main__":
    serve(Facex)
