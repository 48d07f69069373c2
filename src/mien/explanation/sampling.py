"""Choose what to explain in a labelled dataset: faces, as many of each class, and their labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mien.arrays import Int64, UInt8
from mien.data.dataset import Manifest
from mien.errors import DataError, ImageError
from mien.inference.reader import Reader
from mien.results import Detection


@dataclass(frozen=True, eq=False)
class SampledCrops:
    """Faces of a labelled dataset.

    Attributes:
        crops: uint8 (N, S, S, C), [0, 255].
        truth: int64 (N,), indices of the dataset's classes.
        detections: the face of each crop; None if faces are not searched for.
    """

    crops: UInt8
    truth: Int64
    detections: tuple[Detection | None, ...]

    def __len__(self) -> int:
        """Return the number of crops."""
        return len(self.crops)


def sample_crops(
    reader: Reader,
    manifest: Manifest,
    limit: int,
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
) -> SampledCrops:
    """Sample up to `limit` images of a dataset, as many of each class, and crop the largest face of each.

    Images that cannot be read or show no face are skipped.

    Args:
        reader: finds and crops the faces.
        manifest: the dataset.
        limit: the number of images.
        seed: of the sample.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        DataError: no image is left.
    """
    rng = np.random.default_rng(seed)
    each = max(limit // len(manifest.classes), 1)
    samples = []
    for name in manifest.classes:
        of_class = [sample for sample in manifest.samples if sample.label == name]
        samples += [of_class[index] for index in rng.permutation(len(of_class))[:each]]
    found = reader.predict_prepared((sample.name, _bytes(manifest, sample.name)) for sample in samples)
    crops, truth, detections = [], [], []
    for number, (sample, (prepared, _)) in enumerate(zip(samples, found, strict=True)):
        if prepared.crops:
            crops.append(prepared.crops[0])
            truth.append(manifest.classes.index(sample.label))
            detections.append(prepared.detections[0])
        if on_progress:
            on_progress((number + 1) / len(samples))
    if not crops:
        raise DataError(
            f"{manifest.path}: no face was found in any of {len(samples)} images; "
            "read cropped faces with `detect=False`"
        )
    return SampledCrops(np.stack(crops), np.array(truth, np.int64), tuple(detections))


def _bytes(manifest: Manifest, name: str) -> bytes | ImageError:
    try:
        return manifest.read(name)
    except ImageError as error:
        return error


def label_indices(reader: Reader, crops: UInt8, names: Sequence[str]) -> Int64:
    """Return the label index for which each crop of a named class is explained, int64 (N,).

    For a class that is not a label of the model (neither), this is the most probable label that is not an answer of
    its own.
    """
    labels = reader.config.labels
    if set(names) <= set(labels):
        return np.array([labels.index(name) for name in names], np.int64)
    answered = [labels.index(name) for name in reader.config.answer_from or ()]
    others = reader.probabilities(crops)
    others[:, answered] = -1
    return np.array(
        [labels.index(name) if name in labels else int(row.argmax()) for name, row in zip(names, others, strict=True)],
        np.int64,
    )


def predicted_indices(reader: Reader, crops: UInt8, candidates: Int64) -> Int64:
    """Return the most probable label index of each crop, int64 (N,), among the `candidates`, int64 (M,)."""
    among = np.unique(candidates)
    return np.asarray(among[reader.probabilities(crops)[:, among].argmax(axis=1)])
