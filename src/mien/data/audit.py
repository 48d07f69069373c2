"""What is wrong with a dataset: every fault at once, worst first, each with its fix."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from mien.data.dataset import Manifest, Sample
from mien.data.duplicates import Fingerprint, fingerprint, near_duplicate_groups
from mien.data.inspection import FileFacts, inspect_file
from mien.data.issues import CATALOGUE, Finding, Issue, Severity
from mien.errors import ImageError
from mien.runtime import available_cores

Progress = Callable[[float], None]

#: Of copies that stand in several given parts, the one in the part named last here is kept.
_PART_RANK = {None: 0, "train": 0, "validation": 1, "test": 2}
_BLOCK = 512


@dataclass(frozen=True)
class Audit:
    """The faults of a source, and what they mean for training.

    `left_out` maps the names that `mien train` does not use to the fault kind that says why;
    `copies` are groups of names that show the same picture and belong in one part.
    """

    manifest: Manifest
    faults: tuple[Issue, ...]
    left_out: dict[str, str]
    copies: tuple[tuple[str, ...], ...]
    facts: dict[str, FileFacts]

    @property
    def usable(self) -> Manifest:
        """The manifest without what is left out."""
        return replace(self.manifest, samples=_usable_rows(self.manifest, self.left_out))

    def named(self, kinds: Iterable[str]) -> set[str]:
        """Return the files that have a fault of one of these kinds."""
        wanted = set(kinds)
        return {name for fault in self.faults if fault.kind in wanted for name in fault.files}

    def to_dict(self) -> dict[str, Any]:
        """Return `{"files", "classes", "usable", "faults"}`, JSON-ready."""
        return {
            "files": len(self.manifest.samples),
            "classes": self.manifest.counts(),
            "usable": len(self.usable.samples),
            "faults": [fault.to_dict() for fault in self.faults],
        }


def audit(manifest: Manifest, *, strict_extensions: bool = False, on_progress: Progress | None = None) -> Audit:
    """Read every file of a source once and list what is wrong.

    `on_progress` is called with the share done, in [0, 1]. Nothing is written or changed.
    """
    report = on_progress or (lambda share: None)
    facts: dict[str, FileFacts] = {}
    prints: dict[str, Fingerprint] = {}
    names = list(dict.fromkeys(sample.name for sample in manifest.samples))
    for found, mark in _inspect_all(manifest, names, strict_extensions):
        facts[found.name] = found
        if mark is not None:
            prints[found.name] = mark
        report(0.9 * len(facts) / len(names))
    copies = _same_pictures(facts, prints, lambda share: report(0.9 + 0.1 * share))
    report(1.0)
    return _conclude(manifest, facts, copies)


def with_findings(known: Audit, findings: Sequence[Finding]) -> Audit:
    """Return an audit that also has these findings, given worst first; what is left out is judged anew."""
    return _conclude(known.manifest, known.facts, known.copies, findings)


def _inspect_all(manifest: Manifest, names: list[str], strict: bool) -> Iterator[tuple[FileFacts, Fingerprint | None]]:
    def inspect(name: str) -> tuple[FileFacts, Fingerprint | None]:
        try:
            data = manifest.read(name)
        except ImageError as error:
            return FileFacts(name, ("unreadable",), error.reason), None
        found = inspect_file(name, data, strict)
        mark = fingerprint(found.grey) if found.grey is not None and found.usable else None
        return replace(found, grey=None), mark

    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(names), _BLOCK):
            yield from pool.map(inspect, names[start : start + _BLOCK])


def _same_pictures(
    facts: dict[str, FileFacts], prints: dict[str, Fingerprint], report: Progress
) -> list[tuple[str, ...]]:
    """Group the names of identical and near-identical pictures; identical bytes are compared once."""
    same_bytes: dict[str, list[str]] = defaultdict(list)
    for name in prints:
        same_bytes[facts[name].digest].append(name)
    first = [names[0] for names in same_bytes.values()]
    groups = near_duplicate_groups([prints[name] for name in first], report)
    near = {first[index]: number for number, group in enumerate(groups) for index in group}
    merged: dict[object, list[str]] = defaultdict(list)
    for names in same_bytes.values():
        merged[near.get(names[0], names[0])] += names
    return sorted(tuple(sorted(names)) for names in merged.values() if len(names) > 1)


def _conclude(
    manifest: Manifest, facts: dict[str, FileFacts], copies: Sequence[tuple[str, ...]], findings: Sequence[Finding] = ()
) -> Audit:
    samples: dict[str, list[Sample]] = defaultdict(list)
    for sample in manifest.samples:
        samples[sample.name].append(sample)
    files: dict[str, list[str]] = defaultdict(list)
    groups: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    notes: dict[str, dict[str, str]] = defaultdict(dict)
    left_out: dict[str, str] = {}

    def leave_out(kind: str, names: Iterable[str]) -> None:
        for name in names:
            files[kind].append(name)
            left_out.setdefault(name, kind)

    for found in facts.values():
        for kind in found.kinds:
            if found.usable:
                files[kind].append(found.name)
        if not found.usable:
            leave_out(found.kinds[0], [found.name])
    twice_labelled = [name for name, rows in samples.items() if len(rows) > 1 and name not in left_out]
    paired = {name for group in copies for name in group}
    for group in [*copies, *((name,) for name in twice_labelled if name not in paired)]:
        _judge_copies(group, samples, facts, leave_out, files, groups)
    for name in twice_labelled:
        _judge_rows(name, samples[name], left_out, files)
    for finding in findings:
        notes[finding.kind][finding.name] = finding.note
        if CATALOGUE[finding.kind].severity is Severity.ERROR:
            leave_out(finding.kind, [finding.name])
        else:
            files[finding.kind].append(finding.name)
    faults = [_fault(kind, names, groups[kind], facts, notes=notes[kind]) for kind, names in files.items()]
    faults += _class_faults(manifest, left_out)
    if manifest.problems:
        reasons = "; ".join(f"{p.name} {p.reason}" for p in manifest.problems[:3])
        faults.append(_fault("bad-entry", [p.name for p in manifest.problems], [], {}, reasons))
    faults.sort(key=lambda fault: (fault.severity.rank, -len(fault.files), fault.kind))
    return Audit(manifest, tuple(faults), left_out, tuple(copies), facts)


def _judge_copies(
    group: tuple[str, ...],
    samples: dict[str, list[Sample]],
    facts: dict[str, FileFacts],
    leave_out: Callable[[str, Iterable[str]], None],
    files: dict[str, list[str]],
    groups: dict[str, list[tuple[str, ...]]],
) -> None:
    """Decide which copies of one picture are kept, and under which fault the others are listed."""
    if len({sample.label for name in group for sample in samples[name]}) > 1:
        leave_out("label-conflict", group)
        groups["label-conflict"].append(group)
        return
    parts = {name: max(_PART_RANK[sample.split] for sample in samples[name]) for name in group}
    highest = max(parts.values())
    leaked = [name for name in group if parts[name] < highest]
    if leaked:
        leave_out("split-leak", leaked)
        groups["split-leak"].append(group)
    rest = [name for name in group if name not in leaked]
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name in rest:
        by_digest[facts[name].digest].append(name)
    for same in by_digest.values():
        if len(same) > 1:
            leave_out("exact-duplicate", same[1:])
            groups["exact-duplicate"].append(tuple(same))
    different = [same[0] for same in by_digest.values()]
    if len(different) > 1:
        best = max(different, key=lambda name: (facts[name].width * facts[name].height, facts[name].size))
        files["near-duplicate"] += [name for name in different if name != best]
        groups["near-duplicate"].append(tuple(different))


def _judge_rows(name: str, rows: list[Sample], left_out: dict[str, str], files: dict[str, list[str]]) -> None:
    """List a file that a table names more than once under one label; one of its rows is used."""
    if name in left_out:
        return
    if len({_PART_RANK[row.split] for row in rows}) > 1:
        files["split-leak"].append(name)
    else:
        files["exact-duplicate"].append(name)


def _usable_rows(manifest: Manifest, left_out: dict[str, str]) -> tuple[Sample, ...]:
    """Return one sample per file that is not left out: of several rows the one in the held-out part."""
    best: dict[str, Sample] = {}
    for sample in manifest.samples:
        known = best.get(sample.name)
        if sample.name not in left_out and (known is None or _PART_RANK[sample.split] > _PART_RANK[known.split]):
            best[sample.name] = sample
    return tuple(best.values())


def _fault(
    kind: str,
    names: list[str],
    groups: list[tuple[str, ...]],
    facts: dict[str, FileFacts],
    detail: str = "",
    notes: Mapping[str, str] | None = None,
) -> Issue:
    entry = CATALOGUE[kind]
    notes = notes or {}
    files = names if notes else sorted(names)
    first = facts.get(names[0]) if names else None
    reason = first.reason or "" if first and first.kinds[:1] == (kind,) else ""
    detail = detail or notes.get(files[0] if files else "", reason)
    return Issue(kind, entry.severity, entry.title, entry.fix, tuple(files), tuple(groups), detail, notes)


def _class_faults(manifest: Manifest, left_out: dict[str, str]) -> list[Issue]:
    """Judge the classes by what is left of them."""
    kept = _usable_rows(manifest, left_out)
    counts = {name: sum(sample.label == name for sample in kept) for name in manifest.classes}
    listing = ", ".join(f"{name} {count}" for name, count in counts.items())
    faults = []
    if len(counts) < 2:
        faults.append(_fault("one-class", [], [], {}, f"only '{manifest.classes[0]}'"))
    if manifest.empty_classes:
        faults.append(_fault("empty-class", [], [], {}, ", ".join(manifest.empty_classes)))
    few = [name for name, count in counts.items() if count < 20]
    if few:
        faults.append(_fault("few-images", [], [], {}, listing))
    elif len(counts) > 1 and max(counts.values()) >= 1.5 * min(counts.values()):
        faults.append(_fault("class-imbalance", [], [], {}, listing))
    if manifest.has_splits:
        present = {(sample.split or "train", sample.label) for sample in kept}
        absent = [
            f"{label} in {part}" for part in {p for p, _ in present} for label in counts if (part, label) not in present
        ]
        if absent:
            faults.append(_fault("missing-in-part", [], [], {}, ", ".join(sorted(absent))))
    return faults


def severities(audit_result: Audit) -> dict[Severity, int]:
    """Count faults by severity."""
    counts = dict.fromkeys(Severity, 0)
    for fault in audit_result.faults:
        counts[fault.severity] += 1
    return counts
