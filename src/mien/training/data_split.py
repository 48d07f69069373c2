"""Assign samples to the train, validation and test splits, in groups, and store the assignment."""

import contextlib
import csv
import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mien.arrays import Float32, Int64, UInt8
from mien.data.dataset import Manifest, Sample, require_trainable
from mien.data.detection import DetectionChoice
from mien.data.split import PARTS, folds, merge_groups, split
from mien.errors import DataError, ImageError, TrainingError
from mien.evaluation import held_out
from mien.faces.crop import Region
from mien.io.archives import MAX_LARGE_BYTES
from mien.io.bounded import read_bytes
from mien.io.cells import csv_line, read_csv
from mien.io.layout import LEFT_OUT
from mien.runtime.cores import available_cores
from mien.text import pluralize
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays
from mien.training.source import AuditedSource

_HEADER = ("file", "label", "part", "group", "sha256")
_LEFT_OUT_HEADER = ("file", "reason")
_REGION = ("x", "y", "side", "angle")
_BLOCK = 256


@dataclass(frozen=True)
class DataSplit:
    """Usable samples and the split of each.

    Attributes:
        manifest: the N samples.
        splits: N names among train, validation, test.
        groups: N numbers. Samples of one group (near-duplicates, one person) are in one split.
        left_out: the files that are not used, and the kind of data issue that is the reason.
        regions: by file name, the square to crop, in pixels of the image. Others are used whole.
        detection: whether these squares are faces that were found first, and why.
        digests: by file name, the sha256 of the sample when it was audited.
    """

    manifest: Manifest
    splits: tuple[str, ...]
    groups: tuple[int, ...]
    left_out: Mapping[str, str]
    regions: Mapping[str, Region] = field(default_factory=dict)
    detection: DetectionChoice = DetectionChoice(False)
    digests: Mapping[str, str] = field(default_factory=dict, repr=False)

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
            lines.append(csv_line((sample.name, sample.label, name, group, self.digests.get(sample.name), *region)))
        return "".join(lines)

    def added(self, manifest: Manifest) -> list[str]:
        """Return the files of a manifest that are neither in a part nor left out."""
        known = {sample.name for sample in self.manifest.samples} | self.left_out.keys()
        return [sample.name for sample in manifest.samples if sample.name not in known]

    def left_out_csv(self) -> str:
        """Return the text of `left-out.csv`."""
        return "".join(map(csv_line, [_LEFT_OUT_HEADER, *self.left_out.items()]))

    def require_unchanged(self, report: Callable[[float], None] = lambda fraction: None) -> None:
        """Read all files, and raise TrainingError if one is not as it was when the run began.

        `report` is called with the fraction done, in [0, 1].
        """
        samples = [sample for sample in self.manifest.samples if self.digests.get(sample.name)]
        changed: list[str] = []

        def differs(sample: Sample) -> bool:
            return _digest(sample, _file_digest(self.manifest, sample.name)) != self.digests[sample.name]

        with ThreadPoolExecutor(available_cores()) as pool:
            for start in range(0, len(samples), _BLOCK):
                block = samples[start : start + _BLOCK]
                changed += [one.name for one, is_other in zip(block, pool.map(differs, block), strict=True) if is_other]
                report(min(1.0, (start + _BLOCK) / len(samples)))
        if changed:
            raise TrainingError(
                f"{self.manifest.path}: {changed[0]} has changed since this run began "
                f"({pluralize(len(changed), 'file')} changed); put back what it was, or train anew"
            )


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
    return replace(_undivided(source, manifest, groups), splits=tuple(splits))


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
    base = _undivided(source, manifest, groups)
    return [replace(base, splits=_fold_splits(fold_of, i, k)) for i in range(k)]


def _undivided(source: AuditedSource, manifest: Manifest, groups: Iterable[int]) -> DataSplit:
    digests = {sample.name: _digest(sample, source.audit.facts[sample.name].digest) for sample in manifest.samples}
    left_out = source.audit.left_out
    return DataSplit(manifest, (), tuple(groups), left_out, source.regions, source.detection, digests)


def final_split(fold: DataSplit) -> DataSplit:
    """Return a fold's split with its test samples moved to train: the final model of a cross-validation uses it."""
    return replace(fold, splits=tuple("train" if name == "test" else name for name in fold.splits))


def read_split(folder: Path, manifest: Manifest, detection: DetectionChoice) -> DataSplit:
    """Read `split.csv` of a run that chose this `detection`.

    Raises TrainingError if a file of the run is damaged, or a file that it names is no longer in the source.
    """
    try:
        rows = held_out.read_split(folder)
        samples = held_out.find_samples(manifest, rows)
        left_out = _read_left_out(folder / LEFT_OUT)
    except DataError as error:
        raise TrainingError(str(error)) from None
    regions = {row.file: row.region for row in rows if row.region is not None}
    splits, groups = tuple(row.part for row in rows), tuple(row.group for row in rows)
    digests = {row.file: row.digest for row in rows}
    return DataSplit(replace(manifest, samples=samples), splits, groups, left_out, regions, detection, digests)


@contextlib.contextmanager
def _images_without_face_named(source: AuditedSource) -> Iterator[None]:
    """Add to an error about too few images how many had no face, and the flag that uses these, too."""
    try:
        yield
    except DataError as error:
        without = list(source.audit.left_out.values()).count("no-face")
        files = len(source.audit.manifest.samples)
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


def _read_left_out(path: Path) -> dict[str, str]:
    """Return the files that a run leaves out, and why; DataError if their list is damaged."""
    try:
        text = read_bytes(path, MAX_LARGE_BYTES).decode("utf-8")
        return {row["file"]: row["reason"] for row in read_csv(text)}
    except FileNotFoundError:
        return {}
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def _file_digest(manifest: Manifest, name: str) -> str:
    """Return the sha256 of a file; empty if it cannot be read."""
    try:
        return hashlib.sha256(manifest.read(name)).hexdigest()
    except ImageError:
        return ""


def _digest(sample: Sample, digest: str) -> str:
    """Return the sha256 of a sample: that of its file, and of its soft label if it has one."""
    return digest if sample.target is None else hashlib.sha256(f"{digest} {sample.target}".encode()).hexdigest()


def _targets(samples: Iterable[Sample], classes: tuple[str, ...]) -> Float32:
    hard = np.eye(len(classes), dtype=np.float32)
    return np.stack(
        [hard[classes.index(s.label)] if s.target is None else np.array(s.target, np.float32) for s in samples]
    )
