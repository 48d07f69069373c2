"""From a labelled source to the parts of a run: check, leave out, group, split, and write it down."""

import csv
import dataclasses
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mien.arrays import Float32, Int64, UInt8
from mien.data.audit import Audit
from mien.data.dataset import Manifest, Sample, require_trainable
from mien.data.split import PARTS, folds, merge_groups, split
from mien.errors import TrainingError
from mien.faces.crop import Region
from mien.io.layout import SPLIT
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays

_HEADER = ("file", "label", "part", "group")
_REGION = ("x", "y", "side", "angle")


@dataclass(frozen=True)
class Plan:
    """A manifest of usable samples and which part each one is in.

    `parts` has one name of PARTS per sample; `groups` one number: equal ones stay together.
    `left_out` counts what is not used, by fault kind. `regions` says by file name which square of a picture
    is taken, in its pixels; of others it is the whole picture.
    """

    manifest: Manifest
    parts: tuple[str, ...]
    groups: tuple[int, ...]
    left_out: Mapping[str, int]
    regions: Mapping[str, Region] = field(default_factory=dict)

    def part(self, name: str) -> Manifest:
        """Return the samples of one part."""
        kept = tuple(s for s, part in zip(self.manifest.samples, self.parts, strict=True) if part == name)
        return replace(self.manifest, samples=kept)

    @property
    def judged_part(self) -> str:
        """The part that figures come from: test, or validation where there is no test part."""
        return "test" if "test" in self.parts else "validation"

    def to_csv(self) -> str:
        """Return the text of `split.csv`; where faces are taken, their regions stand in it."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(_HEADER + (_REGION if self.regions else ()))
        for sample, part, group in zip(self.manifest.samples, self.parts, self.groups, strict=True):
            region = dataclasses.astuple(self.regions[sample.name]) if self.regions else ()
            writer.writerow((sample.name, sample.label, part, group, *region))
        return buffer.getvalue()


def plan_split(audit: Audit, config: TrainConfig, regions: Mapping[str, Region] | None = None) -> Plan:
    """Split what an audit found usable: given parts as given, the rest 70/20/10 by group.

    `regions` has the face of every usable picture, where faces are taken. Raises DataError when a class is
    missing or too small.
    """
    manifest, numbers = _usable(audit)
    labels = [sample.label for sample in manifest.samples]
    if manifest.has_splits:
        parts = np.array([sample.split or "train" for sample in manifest.samples], dtype=object)
        if "validation" not in parts:
            inner = np.flatnonzero(parts == "train")
            share = config.validation_share
            chosen = split([labels[i] for i in inner], [numbers[i] for i in inner], config.seed, [1 - share, share])
            parts[inner[chosen == 1]] = "validation"
    else:
        rest = config.validation_share + config.test_share
        shares = [1 - rest, config.validation_share, config.test_share]
        parts = np.array(PARTS, dtype=object)[split(labels, numbers, config.seed, shares)]
    return Plan(manifest, tuple(parts), tuple(numbers), dict(Counter(audit.left_out.values())), regions or {})


def plan_folds(audit: Audit, config: TrainConfig, k: int, regions: Mapping[str, Region] | None = None) -> list[Plan]:
    """Return one plan per fold: fold i is the test part, the next fold the validation part.

    `regions` as in `plan_split`. Parts that the source gives are ignored: cross-validation needs every sample.
    """
    manifest, numbers = _usable(audit)
    which = folds([sample.label for sample in manifest.samples], numbers, config.seed, k)
    base = Plan(manifest, (), tuple(numbers), dict(Counter(audit.left_out.values())), regions or {})
    return [replace(base, parts=_fold_parts(which, i, k)) for i in range(k)]


def plan_final(fold_plan: Plan) -> Plan:
    """Return the plan of the model to keep after cross-validation: its test fold joins the training part."""
    return replace(fold_plan, parts=tuple("train" if part == "test" else part for part in fold_plan.parts))


def _fold_parts(which: Int64, i: int, k: int) -> tuple[str, ...]:
    names = {i: "test", (i + 1) % k: "validation"}
    return tuple(names.get(int(fold), "train") for fold in which)


def _usable(audit: Audit) -> tuple[Manifest, list[int]]:
    manifest = audit.usable
    require_trainable(replace(manifest, empty_classes=audit.manifest.empty_classes))
    given = {sample.name: sample.group for sample in manifest.samples if sample.group}
    return manifest, merge_groups([sample.name for sample in manifest.samples], given, audit.copies)


def read_plan(folder: Path, manifest: Manifest) -> Plan:
    """Read `split.csv` of a run back against its source; TrainingError where a file has gone."""
    path = folder / SPLIT
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = list(csv.DictReader(stream))
        rows = [(row["file"], row["label"], row["part"], int(row["group"])) for row in table]
        regions = {row["file"]: Region(*(float(row[name]) for name in _REGION)) for row in table if "side" in row}
        if not {part for _, _, part, _ in rows} <= set(PARTS) or not rows:
            raise ValueError("it names no parts")
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise TrainingError(f"{path}: cannot be read ({error}); the run cannot be continued") from None
    by_key = {(sample.name, sample.label): sample for sample in manifest.samples}
    gone = [name for name, label, *_ in rows if (name, label) not in by_key]
    if gone:
        raise TrainingError(
            f"{manifest.path}: {gone[0]} of this run is no longer there ({len(gone)} files are missing)"
        )
    samples: tuple[Sample, ...] = tuple(by_key[name, label] for name, label, *_ in rows)
    return Plan(replace(manifest, samples=samples), tuple(r[2] for r in rows), tuple(r[3] for r in rows), {}, regions)


def make_part(plan: Plan, crops: UInt8, name: str, balanced: bool = False) -> TrainingArrays:
    """Return one part of a plan as arrays; `balanced` makes every class weigh the same in the loss."""
    rows = np.flatnonzero(np.array(plan.parts) == name)
    samples = [plan.manifest.samples[row] for row in rows]
    targets = _targets(samples, plan.manifest.classes)
    weights = np.ones(len(rows), np.float32)
    if balanced:
        codes = targets.argmax(axis=1)
        per_class = np.bincount(codes, minlength=targets.shape[1])
        weights = (len(codes) / (targets.shape[1] * np.maximum(per_class, 1)))[codes].astype(np.float32)
    return TrainingArrays(crops, rows, targets, weights)


def _targets(samples: Iterable[Sample], classes: tuple[str, ...]) -> Float32:
    hard = np.eye(len(classes), dtype=np.float32)
    return np.stack(
        [hard[classes.index(s.label)] if s.target is None else np.array(s.target, np.float32) for s in samples]
    )
