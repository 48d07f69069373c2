"""A reader meets labelled data: what it answered for every picture, and the figures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien import calibrate
from mien.dataset import Manifest
from mien.errors import DataError, ImageError
from mien.metrics import Evaluation, evaluate
from mien.reader import Reader


@dataclass(frozen=True)
class Scored:
    """What a model said of labelled pictures.

    names (N), truth int64 (N,) and answers int64 (N,) as indices into `classes`, probabilities float64
    (N, K), rows summing to 1; `skipped` are pictures that could not be read, with the reason.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]
    skipped: tuple[tuple[str, str], ...] = ()

    def evaluation(self) -> Evaluation:
        """Return every figure with its interval."""
        return evaluate(self.truth, self.probabilities, self.classes, self.answers)


def score(reader: Reader, manifest: Manifest, on_progress: Callable[[float], None] | None = None) -> Scored:
    """Read every sample of a manifest and set the answers beside the labels.

    Where the data has only some of the model's labels, probabilities are taken among these (happy
    against sad, for a model of seven). Raises DataError where the data has a class that the model
    does not know, or fewer than two classes, or nothing could be read.
    """
    labels = reader.config.labels
    unknown = [name for name in manifest.classes if name not in labels]
    if unknown:
        raise DataError(
            f"{manifest.path}: the model does not know the class '{unknown[0]}' (it knows {', '.join(labels)}); "
            f"use --map {unknown[0]}={labels[0]} or --classes"
        )
    if len(manifest.classes) < 2:
        raise DataError(f"{manifest.path}: has only the class '{manifest.classes[0]}'; figures need at least two")
    names: list[str] = []
    truth: list[int] = []
    rows: list[list[float]] = []
    skipped: list[tuple[str, str]] = []
    found = reader.predict_named((sample.name, _picture(manifest, sample.name)) for sample in manifest.samples)
    for number, (sample, result) in enumerate(zip(manifest.samples, found, strict=True)):
        if result.status == "ok":
            names.append(sample.name)
            truth.append(manifest.classes.index(sample.label))
            rows.append([result.face.probabilities[name] for name in manifest.classes])
        else:
            skipped.append((sample.name, result.reason or result.status))
        if on_progress:
            on_progress((number + 1) / len(manifest.samples))
    if not rows:
        raise DataError(f"{manifest.path}: none of the {len(skipped)} pictures could be read")
    shares = np.maximum(np.array(rows), 1e-12)
    shares /= shares.sum(axis=1, keepdims=True)
    answers = _answers(shares, manifest.classes, reader)
    return Scored(manifest.classes, tuple(names), np.array(truth), answers, shares, tuple(skipped))


def pool(parts: Sequence[Scored]) -> Scored:
    """Join the scores of several folds, each made by the model that had not seen them."""
    return Scored(
        parts[0].classes,
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.answers for part in parts]),
        np.concatenate([part.probabilities for part in parts]),
        tuple(skip for part in parts for skip in part.skipped),
    )


def _picture(manifest: Manifest, name: str) -> bytes | ImageError:
    try:
        return manifest.read(name)
    except ImageError as error:
        return error


def _answers(shares: npt.NDArray[np.float64], classes: tuple[str, ...], reader: Reader) -> npt.NDArray[np.int64]:
    """Apply the model's threshold where the data has exactly the model's two classes, in its own order."""
    if classes == reader.config.labels:
        return calibrate.answers(shares, reader.threshold)
    if len(classes) == 2 and set(classes) == set(reader.config.labels):
        return 1 - calibrate.answers(shares[:, ::-1], reader.threshold)
    best: npt.NDArray[np.int64] = shares.argmax(axis=1)
    return best


def rows(scored: Scored) -> Iterator[dict[str, Any]]:
    """Yield one row per picture: file, truth, answer, and the probability of every class."""
    for index, name in enumerate(scored.names):
        probabilities = zip(scored.classes, scored.probabilities[index], strict=True)
        yield {
            "file": name,
            "truth": scored.classes[scored.truth[index]],
            "answer": scored.classes[scored.answers[index]],
            **{f"p_{label}": round(float(value), 6) for label, value in probabilities},
        }
