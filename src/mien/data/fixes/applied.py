"""Apply decisions to the samples of a dataset: other labels, files left out, the face that counts."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from mien.data.fixes.decisions import Fixes, counts_in_words
from mien.data.fixes.records import Fix
from mien.data.layouts.found import FoundSample
from mien.errors import ImageError
from mien.results import Box
from mien.runtime.cores import available_cores
from mien.text import join_words, pluralize


@dataclass(frozen=True)
class AppliedFixes:
    """What decisions changed in a dataset.

    Attributes:
        fixes: the decisions.
        confirmed: the files that somebody looked at and kept, under their label or another.
        relabelled: the number of these with another label than before.
        left_out: the files that are left out.
        faces: the face that counts, in pixels of the upright image, of files with a chosen one.
        changed: the files that are not as they were when they were decided: their decisions do not count.
        conflicts: the files about which people do not agree: their decisions do not count.
        unlabelled: the number of files of an unsorted folder that have no label yet, and are left out.
    """

    fixes: Fixes
    confirmed: frozenset[str] = frozenset()
    relabelled: int = 0
    left_out: tuple[str, ...] = ()
    faces: Mapping[str, Box] = field(default_factory=dict, repr=False)
    changed: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    unlabelled: int = 0

    @property
    def used(self) -> int:
        """The number of files with a decision that counts."""
        return len(self.confirmed) + len(self.left_out)

    def carried(self, name: str, sha256: str, place: str, content: bytes, label: str) -> Fix | None:
        """Return the decision about a file as one about a copy of it; None if nobody kept the file.

        Args:
            name: of the file.
            sha256: of its bytes.
            place: the name of the copy.
            content: its bytes; it is of the same size in pixels.
            label: the label of the copy.
        """
        fix = self.fixes.decision(sha256, name) if name in self.confirmed else None
        if fix is None:
            return None
        digest = hashlib.sha256(content).hexdigest()
        return replace(fix, sha256=digest, path=place, decision="keep", label=label, was=label, settles=False)

    @property
    def sentence(self) -> str:
        """How many decisions are used, how many are not and why, and what does without them."""
        kept = len(self.confirmed) - self.relabelled
        said = f"uses {pluralize(self.used, 'decision')} of {self.fixes.path.name}"
        said += f" ({counts_in_words(kept, self.relabelled, len(self.left_out))})" if self.used else ""
        for names, reason in (
            (self.changed, "changed since: their decisions do not count"),
            (self.conflicts, "decided differently by several people: none of these decisions counts"),
        ):
            if names:
                said += f"; {pluralize(len(names), 'file')} {reason} ({names[0]}{', …' * (len(names) > 1)})"
        if self.unlabelled:
            said += f"; {pluralize(self.unlabelled, 'file')} without a label yet"
        if self.fixes.bad_rows:
            first = self.fixes.bad_rows[0]
            said += f"; {pluralize(len(self.fixes.bad_rows), 'row')} cannot be read (line {first.line}: {first.reason})"
        if self.fixes.cut_short:
            said += "; a last row that was cut short is dropped"
        again = [name for name, found in (("changed files", self.changed), ("conflicts", self.conflicts)) if found]
        said += f"; mien fix asks about {join_words(again)} again" if again else ""
        return f"{said}; `fixes=False` ignores them"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "file": str(self.fixes.path), "used": self.used, "kept": len(self.confirmed) - self.relabelled,
            "relabelled": self.relabelled, "left_out": list(self.left_out), "changed": list(self.changed),
            "conflicts": list(self.conflicts), "unlabelled": self.unlabelled,
        }  # fmt: skip


def apply_fixes(
    fixes: Fixes,
    samples: Sequence[FoundSample],
    read: Callable[[str], bytes],
    stamp: Callable[[str], tuple[int, int]],
    rename: Mapping[str, str],
) -> tuple[list[FoundSample], AppliedFixes]:
    """Return the samples with the labels that people decided, without those that they left out.

    Files that were decided are read, to see that they are as they were; other files only if one of them may be a copy
    of a decided one, or a decided one under another name.

    Args:
        fixes: the decisions.
        samples: all samples of the source.
        read: returns the bytes of a file.
        stamp: returns the size of a file, and what changes when it does.
        rename: classes to rename; decisions may be about the old names or the new.
    """
    digests = _digests(fixes, {sample.name for sample in samples}, read, stamp)
    there = {(sha256, name) for name, sha256 in digests.items()}
    decided: dict[str, Fix] = {}
    changed, conflicts = [], []
    for sample in {sample.name: sample for sample in samples}.values():
        sha256 = digests.get(sample.name, "")
        found = fixes.decision(sha256, sample.name)
        if found is not None and _counts(found, sample, sha256, there, rename):
            decided[sample.name] = found
        elif fixes.disagreement(sha256, sample.name):
            conflicts.append(sample.name)
        elif found is not None or _was_decided(fixes, sample.name):
            changed.append(sample.name)
    kept: list[FoundSample] = []
    relabelled = set()
    for sample in samples:
        fix = decided.get(sample.name)
        if fix is None:
            kept.append(sample)
        elif fix.decision != "leave-out":
            if sample.label is not None and _renamed(sample.label, rename) == _renamed(fix.label, rename):
                kept.append(sample)
            else:
                relabelled.add(sample.name)
                kept.append(replace(sample, label=fix.label, votes=None))
    confirmed = frozenset(name for name, fix in decided.items() if fix.decision != "leave-out")
    left_out = tuple(name for name, fix in decided.items() if fix.decision == "leave-out")
    faces = {name: fix.face for name, fix in decided.items() if fix.face is not None}
    return kept, AppliedFixes(
        fixes, confirmed, len(relabelled), left_out, faces, tuple(changed), tuple(conflicts)
    )  # fmt: skip


def _digests(
    fixes: Fixes, names: Collection[str], read: Callable[[str], bytes], stamp: Callable[[str], tuple[int, int]]
) -> dict[str, str]:
    """Return the sha256 of every file that was decided, or that may hold a content that was."""

    def digest(name: str) -> str:
        try:
            return hashlib.sha256(read(name)).hexdigest()
        except ImageError:
            return ""

    found: dict[str, str] = {}
    with ThreadPoolExecutor(available_cores()) as pool:
        known = sorted(fixes.paths.intersection(names))
        found.update(zip(known, pool.map(digest, known), strict=True))
        as_decided = [name for name, sha256 in found.items() if sha256 in fixes.contents(name)]
        others = [name for name in names if name not in found]
        reached = {found[name] for name in as_decided}
        if all(fix.sha256 in reached for fix in fixes.rows):  # only copies are missing: they are as large
            sizes = {stamp(name)[0] for name in as_decided}
            others = [name for name in others if stamp(name)[0] in sizes]
        found.update(zip(others, pool.map(digest, others), strict=True))
    return found


def _counts(
    fix: Fix, sample: FoundSample, sha256: str, there: Collection[tuple[str, str]], rename: Mapping[str, str]
) -> bool:
    """Whether a decision about this content counts for this file.

    It does for the file itself and its copies. If the decided file is gone, this may be it, moved: then its label must
    be the one that was asked about or the one decided. Else somebody moved it to a third class since.
    """
    if fix.path == sample.name or (sha256, fix.path) in there or fix.decision == "leave-out" or sample.label is None:
        return True
    return _renamed(sample.label, rename) in {_renamed(fix.was, rename), _renamed(fix.label, rename)}


def _renamed(label: str, rename: Mapping[str, str]) -> str:
    return rename.get(label, label)


def _was_decided(fixes: Fixes, name: str) -> bool:
    """Whether a decision about an earlier content of a file would count."""
    return any(fixes.decision(sha256, name) for sha256 in fixes.contents(name))
