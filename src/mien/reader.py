"""The reading rail: the only file that knows the order image → crop → classify → calibrate → result."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt

from mien.bundle import Bundle, load_bundle
from mien.calibrate import answer_probabilities, decide, possible_answers, probabilities, two_way
from mien.classify import Classifier
from mien.crop import crop
from mien.errors import BundleError, ConfigError, ImageError, InputError
from mien.image import ImageSource, load_image
from mien.labels import EXPRESSIONS
from mien.result import Box, Face, ImageResult


class Reader:
    """Answers from pictures with one bundle; build it once and use it for many pictures.

    `threads` is how many threads one call may use; None is one per available core. `threshold`
    overrides the bundle's own (two classes: the second label is answered from that probability on).
    `answers` are all that this model may answer: its labels, or some of them and `neither`. Raises
    ConfigError for a threshold outside (0, 1), or for a model of more than two labels or with a rule of
    its own, and BundleError for a graph that does not fit the config.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None, threshold: float | None = None) -> None:
        self.config = bundle.config
        if threshold is not None and not 0 < threshold < 1:
            raise ConfigError(f"threshold {threshold}: give a number between 0 and 1")
        if threshold is not None and len(bundle.config.labels) != 2:
            raise ConfigError(
                f"threshold {threshold}: is for models of two labels, this one has {len(bundle.config.labels)}"
            )
        if threshold is not None and bundle.config.answer_from is not None:
            raise ConfigError(f"threshold {threshold}: this model has a rule of its own for what it answers")
        self.threshold = bundle.config.threshold if threshold is None else threshold
        self.answers = possible_answers(bundle.config.labels, bundle.config.answer_from)
        self._classifier = Classifier(bundle, threads)

    def predict(self, source: ImageSource) -> ImageResult:
        """Read one picture: a path, the bytes of an image file, or a uint8 RGB array (H, W, 3).

        A file that cannot be read is a result with status `unreadable`. Raises InputError for an
        object that is no picture at all.
        """
        return next(self.predict_many([source]))

    def predict_many(self, sources: Iterable[ImageSource], batch_size: int = 32) -> Iterator[ImageResult]:
        """Read pictures one batch at a time, in order; one bad file never stops the others.

        Memory does not grow with the number of sources.
        """
        return self.predict_named(((_name(source), source) for source in sources), batch_size)

    def predict_named(
        self, sources: Iterable[tuple[str, ImageSource | ImageError]], batch_size: int = 32
    ) -> Iterator[ImageResult]:
        """Read pictures as `predict_many` does, each under the name given with it.

        An ImageError in place of a picture (its bytes could not be had) becomes an `unreadable` row.
        """
        iterator = iter(sources)
        while batch := list(islice(iterator, batch_size)):
            yield from self._read_batch(batch)

    def probabilities(self, crops: npt.NDArray[np.uint8], batch_size: int = 32) -> npt.NDArray[np.float64]:
        """Return calibrated probabilities float64 (N, K) for crops uint8 (N, S, S, C), [0, 255]."""
        return probabilities(self.logits(crops, batch_size), self.config.temperature)

    def logits(self, crops: npt.NDArray[np.uint8], batch_size: int = 32) -> npt.NDArray[np.float32]:
        """Return what the network says, float32 (N, K), for crops uint8 (N, S, S, C), [0, 255]."""
        parts = [self._classifier(crops[i : i + batch_size])[0] for i in range(0, len(crops), batch_size)]
        found = np.concatenate(parts) if parts else np.empty((0, len(self.config.labels)), np.float32)
        if not np.isfinite(found).all():
            raise BundleError(f"{self.config.name}: the network gives logits that are not numbers; train it again")
        return found

    def _read_batch(self, batch: list[tuple[str, ImageSource | ImageError]]) -> Iterator[ImageResult]:
        size, channels = self.config.input_size, self.config.input_channels
        failed: dict[int, str] = {}
        crops: list[npt.NDArray[np.uint8]] = []
        boxes: list[Box] = []
        for number, (_, source) in enumerate(batch):
            try:
                if isinstance(source, ImageError):
                    raise source
                rgb = load_image(source)
            except ImageError as error:
                failed[number] = error.reason
                continue
            boxes.append(Box(0, 0, rgb.shape[1], rgb.shape[0]))
            crops.append(crop(rgb, size, channels))
        rows = iter(zip(boxes, self.probabilities(np.stack(crops)), strict=True)) if crops else iter(())
        for number, (name, _) in enumerate(batch):
            if number in failed:
                yield ImageResult(name, "unreadable", failed[number], None, None, self.config.name)
            else:
                yield self._result(name, *next(rows))

    def _result(self, name: str, box: Box, row: npt.NDArray[np.float64]) -> ImageResult:
        labels, rule = self.config.labels, self.config.answer_from
        by_label = {label: float(value) for label, value in zip(labels, row, strict=True)}
        answer = decide(row, labels, self.threshold, rule)
        face = Face(
            box=box,
            score=None,
            answer=answer.label,
            probability=answer.probability,
            why=answer.why,
            probabilities=answer_probabilities(by_label, rule),
            two_way=two_way(by_label),
            expressions=dict(by_label) if set(labels) == set(EXPRESSIONS) else None,
        )
        return ImageResult(name, "ok", None, box.width, box.height, self.config.name, (face,))


def load(
    model: str | os.PathLike[str] | None = None, *, threads: int | None = None, threshold: float | None = None
) -> Reader:
    """Open a model for reading pictures: the shipped one, or a bundle, a run folder or a shipped model by its name.

    Raises BundleError when there is no such model or it is not sound, ConfigError for a threshold that
    does not fit. `threads` and `threshold` as in Reader.
    """
    return Reader(load_bundle(model), threads, threshold)


def _name(source: ImageSource) -> str:
    if isinstance(source, bytes):
        return "<bytes>"
    if isinstance(source, np.ndarray):
        return "<array>"
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    raise InputError(f"a picture is a path, bytes or a uint8 array, not {type(source).__name__}")
