"""Assign samples to the train, validation and test splits, in groups, and store the assignment."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mien.arrays import Float32, Int64, UInt8
from mien.data.dataset import Manifest, Sample, require_trainable
from mien.data.detection import DetectionChoice
from mien.data.split import PARTS, folds, merge_groups, split
from mien.errors import DataError, TrainingError
from mien.evaluation import held_out
from mien.faces.crop import Region
from mien.io.cells import csv_line
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays
from mien.training.source import AuditedSource

_HEADER = ("file", "label", "part", "group")
_REGION = ("x", "y", "side", "angle")


@dataclass(frozen=True)
class DataSplit:
    """Usable samples and the split of each.

    Attributes:
        manifest: the N samples.
        splits: N names among train, validation, test.
        groups: N numbers. Samples of one group (near-duplicates, one person) are in one split.
        left_out: number of unused files by kind of data issue.
        regions: by file name, the square to crop, in pixels of the image. Others are used whole.
        detection: whether these squares are faces that were found first, and why.
    """

    manifest: Manifest
    splits: tuple[str, ...]
    groups: tuple[int, ...]
    left_out: Mapping[str, int]
    regions: Mapping[str, Region] = field(default_factory=dict)
    detection: DetectionChoice = DetectionChoice(False)

    def subset(self, name: str) -> Manifest:
        """Return the samples of one split."""
        kept = tuple(s for s, split in zip(self.manifest.samples, self.splits, strict=True) if split == name)
        return replace(self.manifest, samples=kept)

    @property
    def evaluated(self) -> str:
        """The split to evaluate on: test, or validation if there is no test split."""
        return held_out.held_out_part(self.splits)

    def arrays(self, crops: UInt8, name: str, balanced: bool = False) -> TrainingArrays:
        """Return one split as arrays.

        Args:
            crops: uint8 (N, S, S, C), [0, 255], the crops of all samples.
            name: train, validation or test.
            balanced: weight samples so that all classes weigh the same in the loss.
        """
        rows = np.flatnonzero(np.array(self.splits) == name)
        samples = [self.manifest.samples[row] for row in rows]
        targets = _targets(samples, self.manifest.classes)
        weights = np.ones(len(rows), np.float32)
        if balanced:
            from sklearn.utils.class_weight import compute_sample_weight

            weights = compute_sample_weight("balanced", targets.argmax(axis=1)).astype(np.float32)
        return TrainingArrays(crops, rows, targets, weights)

    def to_csv(self) -> str:
        """Return the text of `split.csv`, with a column per coordinate if there are regions."""
        lines = [csv_line(_HEADER + (_REGION if self.regions else ()))]
        for sample, name, group in zip(self.manifest.samples, self.splits, self.groups, strict=True):
            region = dataclasses.astuple(self.regions[sample.name]) if self.regions else ()
            lines.append(csv_line((sample.name, sample.label, name, group, *region)))
        return "".join(lines)


def split_data(source: AuditedSource, config: TrainConfig) -> DataSplit:
    """Split the usable samples by group: as the source says, or 70/20/10 (see `validation_share`, `test_share`).

    Raises DataError if a class is missing or too small.
    """
    with _images_without_face_named(source):
        return _split(source, config)


def _split(source: AuditedSource, config: TrainConfig) -> DataSplit:
    manifest, groups = _usable(source)
    labels = [sample.label for sample in manifest.samples]
    if manifest.has_splits:
        splits = np.array([sample.split or "train" for sample in manifest.samples], dtype=object)
        if "validation" not in splits:
            inner = np.flatnonzero(splits == "train")
            share = config.validation_share
            chosen = split([labels[i] for i in inner], [groups[i] for i in inner], config.seed, [1 - share, share])
            splits[inner[chosen == 1]] = "validation"
    else:
        rest = config.validation_share + config.test_share
        shares = [1 - rest, config.validation_share, config.test_share]
        splits = np.array(PARTS, dtype=object)[split(labels, groups, config.seed, shares)]
    return DataSplit(manifest, tuple(splits), tuple(groups), _left_out(source), source.regions, source.detection)


def split_folds(source: AuditedSource, config: TrainConfig, k: int) -> list[DataSplit]:
    """Return one split per fold: fold i is the test split, fold i + 1 the validation split.

    Splits given by the source are ignored: cross-validation uses every sample.

    Args:
        source: the audited data.
        config: its seed decides the folds.
        k: number of folds, at least 3.
    """
    with _images_without_face_named(source):
        manifest, groups = _usable(source)
        fold_of = folds([sample.label for sample in manifest.samples], groups, config.seed, k)
    base = DataSplit(manifest, (), tuple(groups), _left_out(source), source.regions, source.detection)
    return [replace(base, splits=_fold_splits(fold_of, i, k)) for i in range(k)]


def final_split(fold: DataSplit) -> DataSplit:
    """Return a fold's split with its test samples moved to train: the final model of a cross-validation uses it."""
    return replace(fold, splits=tuple("train" if name == "test" else name for name in fold.splits))


def read_split(folder: Path, manifest: Manifest, detection: DetectionChoice) -> DataSplit:
    """Read `split.csv` of a run that chose this `detection`.

    Raises TrainingError if the file is damaged, or a file that it names is no longer in the source.
    """
    try:
        rows = held_out.read_split(folder)
        samples = held_out.find_samples(manifest, rows)
    except DataError as error:
        raise TrainingError(f"{error}; the run cannot be continued") from None
    regions = {row.file: row.region for row in rows if row.region is not None}
    splits, groups = tuple(row.part for row in rows), tuple(row.group for row in rows)
    return DataSplit(replace(manifest, samples=samples), splits, groups, {}, regions, detection)


@contextlib.contextmanager
def _images_without_face_named(source: AuditedSource) -> Iterator[None]:
    """Add to an error about too few images how many had no face, and the flag that uses these, too."""
    try:
        yield
    except DataError as error:
        without, files = _left_out(source).get("no-face", 0), len(source.audit.manifest.samples)
        if not without:
            raise
        raise DataError(
            f"{error}. No face was found in {without} of {files} images; `detect=False` uses each image whole"
        ) from None


def _fold_splits(fold_of: Int64, i: int, k: int) -> tuple[str, ...]:
    names = {i: "test", (i + 1) % k: "validation"}
    return tuple(names.get(int(fold), "train") for fold in fold_of)


def _usable(source: AuditedSource) -> tuple[Manifest, list[int]]:
    """Return the usable samples and the group of each."""
    audit = source.audit
    manifest = audit.usable
    require_trainable(replace(manifest, empty_classes=audit.manifest.empty_classes))
    given = {sample.name: sample.group for sample in manifest.samples if sample.group}
    return manifest, merge_groups([sample.name for sample in manifest.samples], given, audit.copies)


def _left_out(source: AuditedSource) -> dict[str, int]:
    return dict(Counter(source.audit.left_out.values()))


def _targets(samples: Iterable[Sample], classes: tuple[str, ...]) -> Float32:
    hard = np.eye(len(classes), dtype=np.float32)
    return np.stack(
        [hard[classes.index(s.label)] if s.target is None else np.array(s.target, np.float32) for s in samples]
    )
