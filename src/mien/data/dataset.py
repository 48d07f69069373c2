"""Any labelled source in, one Manifest out.

Known layouts, in a folder or a zip archive: class folders (`happy/`, `sad/`), split folders
(`train/happy/`, `validation/happy/`), a folder with a `labels.csv`, and a CSV file by itself
(`file,label[,split][,group]` with optional votes per class, or `fer2013.csv` as Kaggle ships it).
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from mien.data.tables import SPLIT_NAMES, LabelTable, read_table
from mien.errors import DataError, ImageError
from mien.io.image import IMAGE_SUFFIXES, RGB, decode, read_file
from mien.io.sources import FileSource, FolderSource, is_folder, open_source

TABLE_NAME = "labels.csv"


@dataclass(frozen=True)
class Sample:
    """One labelled file: its name in the source, class, and, where given, split, group and soft label.

    `target` holds one share per class of the manifest, summing to 1; None is the hard label.
    """

    name: str
    label: str
    split: str | None = None
    group: str | None = None
    target: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Problem:
    """A part of the source that gave no sample, and why (a bad row, an unsafe member)."""

    name: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """A labelled source: ordered class names, samples sorted by name, and what could not be used."""

    path: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    source: FileSource
    problems: tuple[Problem, ...] = ()
    empty_classes: tuple[str, ...] = ()
    pixels: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def read(self, name: str) -> bytes:
        """Return the bytes of one sample's file; ImageError says why it cannot be read."""
        if name in self.pixels:
            return self.pixels[name]
        if Path(name).is_absolute():
            return read_file(Path(name))
        return self.source.read(name)

    def stamp(self, name: str) -> tuple[int, int]:
        """Return two numbers that change when the sample's file does, without reading it where possible."""
        if name in self.pixels:
            return (len(self.pixels[name]), zlib.crc32(self.pixels[name]))
        return self.source.stamp(name)

    @property
    def has_splits(self) -> bool:
        """Whether the source itself says which samples are for training and which are held out."""
        return any(sample.split is not None for sample in self.samples)

    def counts(self) -> dict[str, int]:
        """Return the number of samples per class, in class order."""
        found = Counter(sample.label for sample in self.samples)
        return {name: found[name] for name in self.classes}


def read_manifest(
    path: Path, classes: Sequence[str] | None = None, rename: Mapping[str, str] | None = None
) -> Manifest:
    """Read a labelled source.

    `rename` maps the source's class names to wanted ones; `classes` keeps only these, in this order
    (else all, sorted). Raises DataError where nothing labelled is found or a named class is absent.
    """
    rename = rename or {}
    if path.suffix.lower() in (".csv", ".tsv") and not is_folder(path):
        source: FileSource = FolderSource(path.parent, listed=False)  # the table says which of its files count
        found = _from_table(read_table(_table_bytes(path), str(path)), source, PurePosixPath())
    else:
        source = open_source(path)
        found = _from_source(source, path)
    return _finish(path, source, found, classes, rename)


@dataclass
class _Found:
    """What a layout gave, before renaming and selecting classes."""

    samples: list[tuple[str, str | None, str | None, str | None, tuple[float, ...] | None]]
    vote_names: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    pixels: dict[str, bytes] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)


def draw_pictures(manifest: Manifest, names: Sequence[str], count: int, seed: int) -> Iterator[RGB]:
    """Decode up to `count` of the named samples, drawn by `seed`: upright RGB uint8 (H, W, 3), [0, 255].

    Files that cannot be read are passed over.
    """
    for index in np.random.default_rng(seed).permutation(len(names)):
        if count <= 0:
            return
        try:
            picture = decode(manifest.read(names[index]), names[index])
        except ImageError:
            continue
        count -= 1
        yield picture


def _table_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _from_source(source: FileSource, path: Path) -> _Found:
    root = _root(source)
    prefix = "" if root == PurePosixPath() else f"{root}/"
    top_files = [name for name in source.names if name.startswith(prefix) and "/" not in name[len(prefix) :]]
    tables = [name for name in top_files if name.lower().endswith(".csv")]
    preferred = [name for name in tables if PurePosixPath(name).name == TABLE_NAME]
    found = _Found([]) if preferred else _from_folders(source, prefix)
    if not found.samples and tables:
        if len(tables) > 1 and not preferred:
            raise DataError(f"{path}: has {len(tables)} CSV files and no class folders; give one of the CSV files")
        table = (preferred or tables)[0]
        try:
            data = source.read(table)
        except ImageError as error:
            raise DataError(str(error)) from None
        found = _from_table(read_table(data, f"{path}/{table}"), source, root)
    found.problems += [Problem(refused.name, refused.reason) for refused in source.refused]
    return found


def _root(source: FileSource) -> PurePosixPath:
    """Step into folders that only wrap one other folder (`data.zip/data/happy/…`)."""
    root = PurePosixPath()
    while True:
        files = [name for name in source.names if PurePosixPath(name).parent == root]
        inner = [PurePosixPath(name) for name in source.folders if PurePosixPath(name).parent == root]
        if files or len(inner) != 1:
            return root
        below = inner[0]
        if not any(PurePosixPath(name).parent == below for name in source.folders) and not any(
            PurePosixPath(name).parent == below and name.lower().endswith(".csv") for name in source.names
        ):
            return root
        if below.name.lower() in SPLIT_NAMES:
            return root
        root = below


def _from_folders(source: FileSource, prefix: str) -> _Found:
    """Read class folders or split folders; files directly in the root belong to no class."""
    folders = [name[len(prefix) :] for name in source.folders if name.startswith(prefix) and name != prefix]
    split_folders = {name for name in folders if "/" not in name and name.lower() in SPLIT_NAMES}
    with_splits = {name for name in split_folders if any(other.startswith(f"{name}/") for other in folders)}
    depth = 2 if with_splits else 1
    found = _Found([])
    images: set[str] = set()
    filled: set[str] = set()
    for name in source.names:
        parts = name[len(prefix) :].split("/") if name.startswith(prefix) else []
        if len(parts) <= depth or (with_splits and parts[0] not in with_splits):
            continue
        label = parts[depth - 1]
        filled.add(label)
        found.samples.append((name, label, SPLIT_NAMES[parts[0].lower()] if with_splits else None, None, None))
        if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
            images.add(label)
    # A folder without a single image name (docs/, scripts/) stands beside the classes and is none.
    found.samples = [sample for sample in found.samples if sample[1] in images]
    paths = [name.split("/") for name in folders]
    found.empty = {p[-1] for p in paths if len(p) == depth and (not with_splits or p[0] in with_splits)}
    found.empty -= filled if len(images) > 1 else images  # with one class, it may have been meant as the other
    return found


def _from_table(table: LabelTable, source: FileSource, root: PurePosixPath) -> _Found:
    found = _Found([], table.vote_names)
    found.problems = [Problem(f"row {bad.number}", bad.reason) for bad in table.bad]
    known = set(source.names)
    for row in table.rows:
        name = row.file if row.image is not None or Path(row.file).is_absolute() else _inside(root, row.file)
        if row.image is not None:
            found.pixels[name] = row.image
        elif name not in known and not _outside_file(name, source):
            found.problems.append(Problem(f"row {row.number}", f"file '{row.file}' does not exist"))
            continue
        found.samples.append((name, row.label, row.split, row.group, row.votes))
    return found


def _inside(root: PurePosixPath, name: str) -> str:
    return (root / name.replace("\\", "/")).as_posix()


def _outside_file(name: str, source: FileSource) -> bool:
    """A folder's table may point outside the folder (`../pictures/a.jpg`); an archive's may not."""
    try:
        return source.path.is_dir() and (source.path / name).is_file()
    except OSError:  # out of reach, or no possible name
        return False


def _most_voted(names: Sequence[str], votes: Sequence[float]) -> str:
    totals: dict[str, float] = defaultdict(float)
    for name, vote in zip(names, votes, strict=True):
        totals[name] += vote
    return max(totals, key=totals.__getitem__)


def _finish(
    path: Path, source: FileSource, found: _Found, classes: Sequence[str] | None, rename: Mapping[str, str]
) -> Manifest:
    unknown = sorted(set(rename) - {s[1] for s in found.samples if s[1]} - set(found.vote_names) - found.empty)
    if unknown:
        raise DataError(f"{path}: has no class '{unknown[0]}' to map; {_listing(found)}")
    votes = [rename.get(name, name) for name in found.vote_names]
    labels = [
        rename.get(raw, raw) if raw else _most_voted(votes, shares or ()) for _, raw, _, _, shares in found.samples
    ]
    names = set(labels)
    selected = classes is not None
    if classes is None:
        classes = sorted(names)
    empty = {rename.get(name, name) for name in found.empty} - names
    absent = [name for name in classes if name not in names]
    if absent and absent[0] in empty:
        raise DataError(f"{path}: class '{absent[0]}' has no images; {_listing(found)}")
    if absent:
        raise DataError(f"{path}: has no class '{absent[0]}'; {_listing(found)}")
    samples = []
    for label, (name, _, split, group, shares) in zip(labels, found.samples, strict=True):
        if label in classes:
            target = _target(votes, shares, classes) if shares is not None else None
            samples.append(Sample(name, label, split, group, target))
    if not samples:
        raise DataError(f"{path}: no labelled images found; expected class folders like happy/ and sad/, or a CSV")
    unfilled = () if selected else tuple(sorted(empty))
    samples.sort(key=lambda sample: sample.name)
    return Manifest(path, tuple(classes), tuple(samples), source, tuple(found.problems), unfilled, found.pixels)


def _target(names: list[str], votes: tuple[float, ...], classes: Sequence[str]) -> tuple[float, ...] | None:
    """Sum votes per kept class and scale to 1; None where no vote falls on a kept class."""
    totals = [sum(vote for name, vote in zip(names, votes, strict=True) if name == kept) for kept in classes]
    whole = sum(totals)
    return tuple(value / whole for value in totals) if whole > 0 else None


def _listing(found: _Found) -> str:
    names = sorted({sample[1] for sample in found.samples if sample[1]} | set(found.vote_names))
    return f"it has {', '.join(names)}" if names else "no class was found in it"


def require_trainable(manifest: Manifest, minimum: int = 3) -> None:
    """Raise DataError, in one line, unless there are two classes with at least `minimum` samples each."""
    counts = manifest.counts()
    if len(counts) < 2:
        also = f" (empty folders: {', '.join(manifest.empty_classes)})" if manifest.empty_classes else ""
        raise DataError(f"{manifest.path}: only one class, '{manifest.classes[0]}'{also}; give at least two")
    small = {name: count for name, count in counts.items() if count < minimum}
    if small:
        name, count = next(iter(small.items()))
        raise DataError(
            f"{manifest.path}: class '{name}' has {count} usable image{'s' * (count != 1)}; it needs at least {minimum}"
        )
    if manifest.has_splits:
        _require_split_labels(manifest)


def _require_split_labels(manifest: Manifest) -> None:
    present = {(sample.split or "train", sample.label) for sample in manifest.samples}
    splits = {split for split, _ in present}
    for split in sorted(splits):
        for label in manifest.classes:
            if (split, label) not in present:
                raise DataError(
                    f"{manifest.path}: class '{label}' has no image in the {split} part; "
                    "add some, or use --classes to leave it out"
                )
    if "train" not in splits:
        raise DataError(f"{manifest.path}: has no train part; name one folder train")
