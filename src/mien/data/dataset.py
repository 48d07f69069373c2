"""Read any labelled source into a Manifest: its samples, with classes renamed and selected.

Known layouts, in a folder or a zip archive: class folders (`happy/`, `sad/`), split folders (`train/happy/`, or
`happy/train/`), a folder with a `labels.csv`, tables inside parts (`train/_classes.csv`), and a CSV file by itself
(`file,label[,split][,group]` with optional votes per class, or `fer2013.csv` as Kaggle ships it).
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter
from os.path import isabs
from pathlib import Path
from sys import intern

import numpy as np

from mien.arrays import RGB
from mien.data.class_notes import class_notes
from mien.data.fixes.applied import AppliedFixes, apply_fixes
from mien.data.fixes.decisions import Fixes, chosen_fixes
from mien.data.layouts.found import BadEntry, FoundData, FoundSample, plain
from mien.data.layouts.reading import one_class_hint, read_layout, read_unsorted
from mien.errors import ConfigError, DataError, ImageError
from mien.io.images.decoding import decode
from mien.io.images.source import read_file
from mien.io.sources import FileSource
from mien.text import did_you_mean


@dataclass(frozen=True, slots=True)  # there may be a million
class Sample:
    """One labelled file.

    Attributes:
        name: its name in the source.
        label: its class.
        split: train, validation or test, if the source says so.
        group: a person or a video, if the source names one; equal groups belong in one part.
        target: the soft label, one weight per class of the manifest, summing to 1; None for the hard label.
    """

    name: str
    label: str
    split: str | None = None
    group: str | None = None
    target: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Manifest:
    """A labelled source, ready to be read.

    Attributes:
        path: the source as it was named.
        classes: class names in order.
        samples: labelled files, sorted by name.
        source: where the files are read from.
        bad_entries: rows and archive members that gave no sample.
        empty_classes: class folders without images.
        pixels: the encoded images that a table contains itself, by name.
        nested: files in a folder inside a class folder that is named like a class or a part itself.
        notes: what was guessed about the layout, and what changes it; which decisions of people are used.
        fixes: what these decisions changed; None if there are none, or they were not wanted.
    """

    path: Path
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    source: FileSource
    bad_entries: tuple[BadEntry, ...] = ()
    empty_classes: tuple[str, ...] = ()
    pixels: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    nested: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    fixes: AppliedFixes | None = None

    def read(self, name: str) -> bytes:
        """Return the bytes of one sample's file; ImageError if it cannot be read."""
        if name in self.pixels:
            return self.pixels[name]
        if isabs(name):  # noqa: PTH117 - a path takes five times as long to make
            return read_file(Path(name))
        return self.source.read(name)

    def stamp(self, name: str) -> tuple[int, int]:
        """Return two numbers that change if the sample's file does, without reading it if possible."""
        if name in self.pixels:
            return (len(self.pixels[name]), zlib.crc32(self.pixels[name]))
        return self.source.stamp(name)

    def say_notes(self, say: Callable[[str], None] | None) -> "Manifest":
        """Say what was guessed about the layout, and return the manifest itself."""
        if say is not None:
            for note in self.notes:
                say(note)
        return self

    @property
    def has_splits(self) -> bool:
        """Whether the source itself names training and held-out samples."""
        return any(sample.split is not None for sample in self.samples)

    def counts(self) -> dict[str, int]:
        """Return the number of samples per class, in class order."""
        found = Counter(sample.label for sample in self.samples)
        return {name: found[name] for name in self.classes}


def rows_by_name(samples: Iterable[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """Yield each file once with its rows, sorted by name; a table may name a file several times."""
    name = attrgetter("name")
    return ((one, list(rows)) for one, rows in groupby(sorted(samples, key=name), key=name))


def read_manifest(
    path: Path, classes: Sequence[str] | None = None, rename: Mapping[str, str] | None = None,
    fixes: bool | str | Path | Fixes = True, foreign: Collection[str] = (),
) -> Manifest:  # fmt: skip
    """Read a labelled source. An unsorted folder is one, too, as far as people decided the labels with `mien fix`.

    Args:
        path: a folder, a zip archive or a CSV (layouts: see the module).
        classes: keep only these classes, in this order. Default: all, sorted by name.
        rename: maps class names of the source to the names to use, before `classes` selects.
        fixes: use the decisions in the source's `mien-fixes.csv` (True), no decisions (False), or these.
        foreign: names that `rename` may map although the source has no such class.

    Raises:
        DataError: nothing labelled is found, a named class is absent, or the file of decisions cannot be read.
        ConfigError: `classes` is one string.
    """
    if isinstance(classes, str):
        raise ConfigError(f"classes {classes!r:.40}: give a list of names, such as ['happy', 'sad']")
    chosen = chosen_fixes(path, fixes)
    return _select(path, _read_layout(path, chosen), classes, rename or {}, chosen, foreign)


def sample_images(manifest: Manifest, names: Sequence[str], count: int, seed: int) -> Iterator[tuple[str, RGB]]:
    """Decode up to `count` of the named samples, in random order; unreadable files are skipped.

    Args:
        manifest: the dataset.
        names: the samples to choose among.
        count: how many images to yield at most.
        seed: of the random order.

    Yields:
        The name of a sample and its upright RGB image, uint8 (H, W, 3), [0, 255].
    """
    for index in np.random.default_rng(seed).permutation(len(names)):
        if count <= 0:
            return
        try:
            image = decode(manifest.read(names[index]), names[index])
        except ImageError:
            continue
        count -= 1
        yield names[index], image


def _read_layout(path: Path, fixes: Fixes | None) -> FoundData:
    """Read the layout; of an unsorted folder whose labels were decided, all images."""
    if fixes is None or not fixes.labels_unsorted:
        return read_layout(path)
    try:
        found = read_layout(path)
    except DataError:
        return read_unsorted(path)
    return found if found.classes.intersection(fix.label for fix in fixes) else read_unsorted(path)


def _most_voted(names: Sequence[str], votes: Sequence[float]) -> str:
    totals: dict[str, float] = defaultdict(float)
    for name, vote in zip(names, votes, strict=True):
        totals[name] += vote
    return max(totals, key=totals.__getitem__)


def _select(
    path: Path, found: FoundData, classes: Sequence[str] | None, rename: Mapping[str, str], fixes: Fixes | None,
    foreign: Collection[str] = (),
) -> Manifest:  # fmt: skip
    """Use what people decided, rename classes, keep the wanted ones, and turn votes into soft labels."""
    rename = {plain(old): new for old, new in rename.items()}
    classes = None if classes is None else [plain(name) for name in classes]
    if not found.samples and found.bad_entries:
        raise DataError(f"{path}: {_all_refused(found)}")
    rename = dict(_at_right_sign(old, new, found.classes | found.empty) for old, new in rename.items())
    unknown = sorted(set(rename) - found.classes - found.empty - set(map(plain, foreign)))
    if unknown:
        near = did_you_mean(unknown[0], found.classes | found.empty)
        raise DataError(f"{path}: has no class '{unknown[0]}' to map; {_listing(found)}{near}")
    found_samples, used = found.samples, None
    if fixes is not None:
        everything = Manifest(path, (), (), found.source, pixels=found.pixels)
        found_samples, used = apply_fixes(fixes, found.samples, everything.read, everything.stamp, rename)
        found_samples, unlabelled = _labelled(found_samples)
        used = replace(used, unlabelled=unlabelled)
    votes = [rename.get(name, name) for name in found.vote_names]
    labels = [
        rename.get(one.label, one.label) if one.label else _most_voted(votes, one.votes or ()) for one in found_samples
    ]
    names = set(labels)
    kept = sorted(names) if classes is None else classes
    empty = {rename.get(name, name) for name in found.empty} - names
    absent = [name for name in kept if name not in names]
    if absent and absent[0] in empty:
        raise DataError(f"{path}: class '{absent[0]}' has no images; {_listing(found)}")
    if absent:
        raise DataError(f"{path}: has no class '{absent[0]}'; {_listing(found)}{did_you_mean(absent[0], names)}")
    samples, found.samples = [], found_samples
    while found_samples:  # each is let go once it is selected: there may be a million
        label, one = labels.pop(), found_samples.pop()
        if label in kept:
            target = _target(votes, one.votes, kept) if one.votes is not None else None
            group = one.group and intern(one.group)  # one object for all of a million files, not one each
            samples.append(Sample(one.name, intern(label), one.split, group, target))
    if not samples:
        fix = used.sentence if used else "expected class folders like happy/ and sad/, or a CSV"
        raise DataError(f"{path}: no labelled images found; {fix}")
    samples.reverse()
    samples.sort(key=attrgetter("name"))
    unfilled = tuple(sorted(empty)) if classes is None else ()
    return Manifest(
        path, tuple(kept), tuple(samples), found.source, tuple(found.bad_entries), unfilled, found.pixels,
        frozenset(found.nested), (*found.notes, *class_notes(kept), *([used.sentence] if used else [])), used,
    )  # fmt: skip


def _labelled(samples: Sequence[FoundSample]) -> tuple[list[FoundSample], int]:
    """Return the samples that have a label or votes, and how many have none."""
    kept = [one for one in samples if one.label or one.votes is not None]
    return kept, len(samples) - len(kept)


def _at_right_sign(old: str, new: str, classes: Collection[str]) -> tuple[str, str]:
    """Return a renaming, split at another equals sign if the class name has one itself (`happy=1=happy`)."""
    pieces = f"{old}={new}".split("=")
    both = [("=".join(pieces[:place]), "=".join(pieces[place:])) for place in range(1, len(pieces))]
    return next((one for one in both if one[0] in classes and one[1]), (old, new)) if old not in classes else (old, new)


def _all_refused(found: FoundData) -> str:
    first, count = found.bad_entries[0], len(found.bad_entries)
    if count == 1:
        return f"nothing labelled can be used; {first.name}: {first.reason}"
    return f"none of its {count:,} labelled entries can be used; the first is {first.name}: {first.reason}"


def _target(names: list[str], votes: tuple[float, ...], classes: Sequence[str]) -> tuple[float, ...] | None:
    """Sum votes per kept class and scale them to 1; None if no vote is for a kept class."""
    totals = [sum(vote for name, vote in zip(names, votes, strict=True) if name == kept) for kept in classes]
    whole = sum(totals)
    return tuple(value / whole for value in totals) if whole > 0 else None


def _listing(found: FoundData) -> str:
    names = sorted(found.classes)
    return f"it has {', '.join(names)}" if names else "no class was found in it"


def require_trainable(manifest: Manifest, minimum: int = 3) -> None:
    """Raise DataError unless there are two classes with at least `minimum` samples each."""
    counts = manifest.counts()
    if len(counts) < 2:
        also = f" (empty folders: {', '.join(manifest.empty_classes)})" if manifest.empty_classes else ""
        fix = one_class_hint(manifest.path) or "give at least two, as folders or in a CSV file,label"
        raise DataError(f"{manifest.path}: only one class, '{manifest.classes[0]}'{also}; {fix}")
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
                    "add some, or use `classes=` to leave it out"
                )
    if "train" not in splits:
        raise DataError(f"{manifest.path}: has no train part; name one folder train")
