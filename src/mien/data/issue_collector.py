"""Collect the issues of files, of copies and of classes, and the files that training leaves out."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from mien.data.dataset import Manifest, Sample, rows_by_name
from mien.data.inspection import FileFacts
from mien.data.issues import ISSUE_KINDS, Issue
from mien.data.layouts.reading import one_class_hint

#: If copies are in several given parts, the one in the part with the highest rank is kept.
_PART_RANK = {None: 0, "train": 0, "validation": 1, "test": 2}


class Collector:
    """Collect the files and groups of each kind of issue, and the files that are left out.

    `confirmed` are files that somebody looked at and kept.
    """

    def __init__(self, confirmed: Collection[str] = ()) -> None:
        self.confirmed = confirmed
        self.files: dict[str, list[str]] = defaultdict(list)
        self.groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        self.notes: dict[str, dict[str, str]] = defaultdict(dict)
        self.left_out: dict[str, str] = {}

    def leave_out(self, kind: str, names: Iterable[str]) -> None:
        """Add files to a kind of issue and leave them out; the first kind of a file is its reason."""
        for name in names:
            self.files[kind].append(name)
            self.left_out.setdefault(name, kind)


def judge_copies(
    group: tuple[str, ...], samples: Mapping[str, list[Sample]], facts: Mapping[str, FileFacts], found: Collector
) -> None:
    """Decide which copies of one image are kept, and which issue the others have."""
    doubtful = _in_conflict(group, samples, facts, found.confirmed)
    if doubtful:
        found.leave_out("label-conflict", doubtful)
        found.groups["label-conflict"].append(group)
        group = tuple(name for name in group if name not in doubtful)
    if not group:
        return
    parts = {name: max(_PART_RANK[sample.split] for sample in samples[name]) for name in group}
    highest = max(parts.values())
    leaked = [name for name in group if parts[name] < highest]
    if leaked:
        found.leave_out("split-leak", leaked)
        found.groups["split-leak"].append(group)
    rest = [name for name in group if name not in leaked]
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name in rest:
        by_digest[facts[name].digest].append(name)
    for same in by_digest.values():
        if len(same) > 1:
            found.leave_out("exact-duplicate", same[1:])
            found.groups["exact-duplicate"].append(tuple(same))
    different = [same[0] for same in by_digest.values()]
    if len(different) > 1:
        best = max(different, key=lambda name: (facts[name].width * facts[name].height, facts[name].size))
        others = [name for name in different if name != best and name not in found.confirmed]
        if others:
            found.files["near-duplicate"] += others
            found.groups["near-duplicate"].append(tuple(different))


def _in_conflict(
    group: tuple[str, ...],
    samples: Mapping[str, list[Sample]],
    facts: Mapping[str, FileFacts],
    confirmed: Collection[str],
) -> list[str]:
    """Return the copies whose label cannot be trusted, because others have another that nobody doubts.

    If somebody looked at some of them, those of other labels are left out. Images that are only alike may show two
    expressions, if somebody says so of both; files that are equal may not.
    """
    labels = {name: {sample.label for sample in samples[name]} for name in group}
    if len(set().union(*labels.values())) < 2:
        return []
    sure = set().union(*(labels[name] for name in group if name in confirmed))
    of_content: dict[str, set[str]] = defaultdict(set)
    for name in group:
        if not sure or name in confirmed:
            of_content[facts[name].digest] |= labels[name]
    return [
        name for name in group
        if not labels[name] <= sure or len(of_content[facts[name].digest]) > 1
    ]  # fmt: skip


def judge_rows(name: str, rows: list[Sample], found: Collector) -> None:
    """List a file that a table names several times under one label; one of its rows is used."""
    if name in found.left_out:
        return
    if len({_PART_RANK[row.split] for row in rows}) > 1:
        found.files["split-leak"].append(name)
    else:
        found.files["exact-duplicate"].append(name)


def usable_rows(manifest: Manifest, left_out: dict[str, str]) -> tuple[Sample, ...]:
    """Return one sample per file that is not left out; if it has several rows, the one in the held-out part."""
    return tuple(
        max(rows, key=lambda row: _PART_RANK[row.split])
        for name, rows in rows_by_name(manifest.samples) if name not in left_out
    )  # fmt: skip


def make_issue(
    kind: str,
    names: list[str],
    groups: list[tuple[str, ...]],
    facts: Mapping[str, FileFacts],
    detail: str = "",
    notes: Mapping[str, str] | None = None,
) -> Issue:
    """Return an issue of this kind in these files; its detail is, unless given, what is known of the first."""
    known = ISSUE_KINDS[kind]
    notes = notes or {}
    files = names if notes else sorted(names)
    first = facts.get(names[0]) if names else None
    reason = first.reason or "" if first and first.kinds[:1] == (kind,) else ""
    detail = detail or notes.get(files[0] if files else "", reason)
    return Issue(kind, known.severity, known.title, known.fix, tuple(files), tuple(groups), detail, notes)


def class_issues(manifest: Manifest, left_out: dict[str, str]) -> list[Issue]:
    """List issues of whole classes, judged by the usable files."""
    kept = usable_rows(manifest, left_out)
    counts = {name: sum(sample.label == name for sample in kept) for name in manifest.classes}
    listing = ", ".join(f"{name} {count}" for name, count in counts.items())
    details = {}
    if len(counts) < 2:
        hint = one_class_hint(manifest.path)
        details["one-class"] = f"only '{manifest.classes[0]}'" + (f"; {hint}" if hint else "")
    if manifest.empty_classes:
        details["empty-class"] = ", ".join(manifest.empty_classes)
    if any(count < 20 for count in counts.values()):
        details["few-images"] = listing
    elif len(counts) > 1 and max(counts.values()) >= 1.5 * min(counts.values()):
        details["class-imbalance"] = listing
    if manifest.has_splits:
        present = {(sample.split or "train", sample.label) for sample in kept}
        parts = {part for part, _ in present}
        absent = [f"{label} in {part}" for part in parts for label in counts if (part, label) not in present]
        if absent:
            details["missing-in-part"] = ", ".join(sorted(absent))
    return [make_issue(kind, [], [], {}, detail) for kind, detail in details.items()]
