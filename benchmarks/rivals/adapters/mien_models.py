"""Read with mien: `mien.load(model).predict(file)`, and `detect=False` for crops."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

import mien
from rivals.adapters.protocol import Answer, serve


class Mien:
    """A shipped model, with the largest face of a photograph."""

    def __init__(self, model: str) -> None:
        self._model = model

    @cached_property
    def _photos(self) -> mien.Reader:
        return mien.load(self._model, faces="largest")

    @cached_property
    def _crops(self) -> mien.Reader:
        return mien.load(self._model, detect=False)

    def read_photo(self, file: str) -> Answer:
        result = self._photos.predict(file)
        return result.face.expressions if result.status == "ok" else None

    def open_crop(self, file: str) -> Any:
        return np.asarray(Image.open(file).convert("RGB"))

    def read_crop(self, crop: Any) -> Answer:
        return self._crops.predict(crop).face.expressions

    def read_batch(self, crops: Sequence[Any]) -> Sequence[Answer]:
        return [one.face.expressions for one in self._crops.predict_many(crops, batch_size=len(crops))]


if __name__ == "__main__":
    serve(Mien)
