"""Choose the images that a model is evaluated on: the held-out part of a dataset or of a run. Loads no Keras."""

import csv
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.data.dataset import Manifest, Sample, read_manifest
from mien.data.split import PARTS
from mien.errors import DataError, MienError
from mien.evaluation.run_file import read_source
from mien.faces.crop import Region
from mien.io.archives import MAX_LARGE_BYTES
from mien.io.bounded import read_bytes, read_object
from mien.io.cells import read_csv
from mien.io.layout import METRICS, RUN, SPLIT, is_run
from mien.text import pluralize

_REGION = ("x", "y", "side", "angle")


@dataclass(frozen=True)
class HeldOut:
    """The samples to evaluate on, and `part`, which says in words which these are.

    `whole` is the data that they come from: all of a dataset; of a run, the held-out part alone. `groups` are the
    run's own groups of samples that count as one draw, by file name; None for a dataset, whose groups are to be found.
    """

    manifest: Manifest
    part: str
    whole: Manifest
    groups: Mapping[str, int] | None = None


@dataclass(frozen=True)
class SplitRow:
    """One row of `split.csv`: a file, its label, the part it is in, and its group.

    Files of one group are never in two parts. `region` is the square of the image that is used, in its pixels; None
    is the whole image. `digest` is that of its sample when the run began; empty if that was not stored.
    """

    file: str
    label: str
    part: str
    group: int
    region: Region | None = None
    digest: str = ""


def held_out(manifest: Manifest) -> HeldOut:
    """Return the test part of a dataset, its validation part if there is no test part, or all of it without parts."""
    parts = {sample.split for sample in manifest.samples}
    for part in ("test", "validation"):
        if part in parts:
            kept = tuple(sample for sample in manifest.samples if sample.split == part)
            return HeldOut(replace(manifest, samples=kept), f"{part} part of {manifest.path.name}", manifest)
    return HeldOut(manifest, f"all of {manifest.path.name}", manifest)


def held_out_of_run(folder: Path) -> HeldOut:
    """Return the test part of a run, or its validation part if it has no test part.

    Raises DataError if the folder is not a run, the run was cross-validated, or its files are missing or damaged.
    """
    if not is_run(folder):
        raise DataError(f"{folder}: is no run folder, so it has no data of its own; give DATA")
    about = _read_about(folder)
    if about.get("folds"):
        raise DataError(f"{folder}: cross-validated metrics are in {folder / METRICS}; give DATA to evaluate on")
    rows = read_split(folder)
    part = held_out_part(row.part for row in rows)
    try:
        source = read_source(about.get("source"))
    except ValueError:
        raise DataError(f"{folder / RUN}: does not name its data; give DATA to evaluate on") from None
    manifest = read_manifest(*source)
    samples = find_samples(manifest, rows)
    kept = tuple(sample for sample, row in zip(samples, rows, strict=True) if row.part == part)
    manifest = replace(manifest, samples=kept)
    return HeldOut(manifest, describe_part(part), manifest, {row.file: row.group for row in rows if row.part == part})


def held_out_part(parts: Iterable[str]) -> str:
    """Return which part of a run is evaluated: test, or validation if there is no test part."""
    return "test" if "test" in set(parts) else "validation"


def describe_part(part: str) -> str:
    """Return a part in words; a validation part also chose the kept epoch, so its metrics are optimistic."""
    return part if part == "test" else f"{part} (no test part; it also chose the kept epoch)"


def read_split(folder: Path) -> tuple[SplitRow, ...]:
    """Read `split.csv` of a run; DataError if it is missing or damaged."""
    path = folder / SPLIT
    try:
        text = read_bytes(path, MAX_LARGE_BYTES).decode("utf-8")
        found = tuple(map(_split_row, read_csv(text)))
        if not {row.part for row in found} <= set(PARTS) or not found:
            raise ValueError("it names no parts")
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    return found


def find_samples(manifest: Manifest, rows: Collection[SplitRow]) -> tuple[Sample, ...]:
    """Return the sample of each row of a split; DataError if a file has gone, or has another label."""
    by_key = {(sample.name, sample.label): sample for sample in manifest.samples}
    lost = [row for row in rows if (row.file, row.label) not in by_key]
    if lost:
        there = {sample.name for sample in manifest.samples}
        gone = [row.file for row in lost if row.file not in there]
        changed = f"{lost[0].file} of this run has no longer the label '{lost[0].label}' ({_others(lost)})"
        missing = f"{gone[0]} of this run is no longer there ({_others(gone)})" if gone else ""
        raise DataError(f"{manifest.path}: {missing or changed}; put back what it was, or train anew")
    return tuple(by_key[row.file, row.label] for row in rows)


def _others(lost: Collection[Any]) -> str:
    return f"{pluralize(len(lost), 'file')} in all"


def count_trained_on(run: Path, data: Manifest, names: Collection[str]) -> int:
    """Return how many of these files of a dataset a run was trained on; 0 if that is not known.

    In other data than the run's own, a file counts that is a byte-for-byte copy of one that it was trained on.

    Args:
        run: a run folder; any other folder gives 0.
        data: the dataset.
        names: files of the dataset.
    """
    try:
        path, _, _, fixes = read_source(_read_about(run).get("source"))
        trained = {row.file for row in read_split(run) if row.part == "train"}
        if path == data.path.resolve():
            return len(trained.intersection(names))
        own = read_manifest(path, None, {}, fixes)
    except (MienError, ValueError):
        return 0
    return _count_copies(data, names, own, trained.intersection(sample.name for sample in own.samples))


def _count_copies(data: Manifest, names: Iterable[str], own: Manifest, trained: Iterable[str]) -> int:
    """Count the files of `data` with the bytes of a trained one; only files of equal size are read."""
    by_size: dict[int, list[str]] = {}
    for name in trained:
        by_size.setdefault(own.stamp(name)[0], []).append(name)
    hashes: dict[int, set[bytes]] = {}
    found = 0
    for name in set(names):
        size = data.stamp(name)[0]
        if size not in by_size:
            continue
        if size not in hashes:
            hashes[size] = {_hash(own, other) for other in by_size[size]} - {b""}
        found += _hash(data, name) in hashes[size]
    return found


def _hash(manifest: Manifest, name: str) -> bytes:
    """Return the SHA-256 of a file; empty if it cannot be read."""
    try:
        return hashlib.sha256(manifest.read(name)).digest()
    except MienError:
        return b""


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        return read_object(folder / RUN)
    except (OSError, ValueError):
        raise DataError(f"{folder}: is not a run folder ({RUN} is missing or damaged)") from None


def _split_row(row: Mapping[str, str]) -> SplitRow:
    region = Region(*(float(row[name]) for name in _REGION)) if "side" in row else None
    return SplitRow(row["file"], row["label"], row["part"], int(row["group"]), region, row.get("sha256") or "")
