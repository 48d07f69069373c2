"""Audit a labelled dataset: list all issues, worst first, and decide which files training leaves out."""

from array import array
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any

from mien.data.dataset import Manifest, Sample, rows_by_name
from mien.data.detection import DetectionChoice
from mien.data.duplicates import near_duplicate_groups
from mien.data.facts import FactTable
from mien.data.fingerprint import Fingerprint, Fingerprints, fingerprints
from mien.data.fixes.queue import Findings, Item, rank
from mien.data.inspection import FileFacts, inspect_file
from mien.data.issue_collector import (
    Collector,
    class_issues,
    judge_copies,
    judge_rows,
    make_issue,
    usable_rows,
)
from mien.data.issues import ISSUE_KINDS, Finding, Issue, Severity, kind_of
from mien.data.label_issues import LabelCheck
from mien.data.look import Look
from mien.errors import ImageError
from mien.markup import element, table, to_html
from mien.results import Box
from mien.runtime.cores import available_cores
from mien.runtime.threads import map_in_order
from mien.text import one_line, pluralize

Progress = Callable[[float], None]

_Inspected = list[tuple[FileFacts, Fingerprint | None]]

#: Files that a thread takes at a time: handing over one by one takes as long as reading a small one.
_BLOCK = 16


@dataclass(frozen=True)
class Audit:
    """The issues of a dataset, and what they mean for training.

    Attributes:
        manifest: the dataset as read.
        issues: one per kind of issue, most severe first.
        left_out: the files that `mien train` does not use, each with the kind of issue that is the reason.
        copies: groups of names that show the same image and belong in one part.
        facts: what `inspect_file` found, by name.
        detection: whether faces are found first, and why; None if only the files were checked.
        looks: what the detector and the model saw, by name, of the images that they looked at.
        labels: whether a model could check the labels, and how often it agrees; None if none was asked.
        remarks: what was taken for what the dataset shows rather than for an issue, as sentences.
    """

    manifest: Manifest
    issues: tuple[Issue, ...]
    left_out: dict[str, str]
    copies: tuple[tuple[str, ...], ...]
    facts: Mapping[str, FileFacts] = field(repr=False)
    detection: DetectionChoice | None = None
    looks: Mapping[str, Look] = field(default_factory=dict, repr=False)
    labels: LabelCheck | None = None
    remarks: tuple[str, ...] = ()

    @property
    def usable(self) -> Manifest:
        """The manifest without the files that are left out."""
        return replace(self.manifest, samples=usable_rows(self.manifest, self.left_out))

    @property
    def faces(self) -> dict[str, Box]:
        """The box of the face that training uses, or would use, by name, of the images in which one was found."""
        return {name: look.faces[0] for name, look in self.looks.items() if look.faces}

    @property
    def counts(self) -> dict[str, int]:
        """The number of kinds of issue that were found, by severity: error, warning and note."""
        return {str(level): sum(issue.severity is level for issue in self.issues) for level in Severity}

    @cached_property
    def ranked(self) -> tuple[Item, ...]:
        """The images in the order in which a look at them pays most, each with the reason."""
        digests = {name: facts.digest for name, facts in self.facts.items()}
        classes, samples = self.manifest.classes, self.manifest.samples
        found = Findings(classes, samples, self.issues, self.left_out, self.looks, digests, self.copies)
        return tuple(rank(found))

    def named(self, kinds: Iterable[str]) -> set[str]:
        """Return the files that have an issue of one of these kinds."""
        wanted = set(kinds)
        return {name for issue in self.issues if issue.kind in wanted for name in issue.files}

    def note(self, issue: Issue, name: str) -> str:
        """Return what was seen in one file of an issue; empty if its title says it all."""
        return issue.notes.get(name) or (self.facts[name].reason if name in self.facts else None) or ""

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict: what `mien check --json` writes."""
        return {
            "files": len(self.manifest.samples),
            "classes": self.manifest.counts(),
            "notes": list(self.manifest.notes),
            "fixes": self.manifest.fixes.to_dict() if self.manifest.fixes else None,
            "usable": len(self.usable.samples),
            "detection": self.detection.to_dict() if self.detection else None,
            "labels": self.labels.to_dict() if self.labels else None,
            "remarks": list(self.remarks),
            "issues": [issue.to_dict() for issue in self.issues],
        }

    @property
    def sentences(self) -> list[str]:
        """What was decided about faces, and whether labels could be checked."""
        return [*(one.sentence for one in (self.detection, self.labels) if one is not None), *self.remarks]

    def __repr__(self) -> str:
        """Count the files and the kinds of issue, in one line."""
        kinds = ", ".join(pluralize(count, level) for level, count in self.counts.items() if count) or "no issues"
        files = f"{len(self.usable.samples)} of {pluralize(len(self.manifest.samples), 'file')} usable"
        return one_line(f"<mien.Audit of {self.manifest.path}: {files}; {kinds}>")

    def _repr_html_(self) -> str:
        """Return a table of the issues for a notebook."""
        columns, rows = ("severity", "issue", "files", "example", "fix"), [_cells(issue) for issue in self.issues]
        files = f": {len(self.usable.samples)} of {len(self.manifest.samples)} files usable for training"
        return to_html(
            element("p", element("b", str(self.manifest.path)), files),
            table(columns, rows) if rows else element("p", "no issues found"),
            *(element("p", sentence) for sentence in self.sentences),
        )


def _cells(issue: Issue) -> tuple[str, ...]:
    example = ": ".join(text for text in (*issue.files[:1], issue.detail) if text)
    return str(issue.severity), issue.title, str(len(issue.files) or ""), example, issue.fix


def audit(manifest: Manifest, *, strict_extensions: bool = False, on_progress: Progress | None = None) -> Audit:
    """Read every file of a dataset once and list its issues; nothing is written or changed.

    Args:
        manifest: the dataset.
        strict_extensions: report files that do not end in .jpg, .jpeg, .png or .bmp as errors.
        on_progress: called with the fraction done, in [0, 1].
    """
    report = on_progress or (lambda fraction: None)
    facts, prints, printed = FactTable(), Fingerprints(), array("Q")
    names = [name for name, _ in rows_by_name(manifest.samples)]
    with closing(_inspect_all(manifest, names, strict_extensions)) as blocks:
        for found, mark in chain.from_iterable(blocks):
            if mark is not None:
                printed.append(len(facts))
                prints.append(mark)
            facts.append(found)
            report(0.9 * len(facts) / len(names))
    groups = near_duplicate_groups(prints, lambda fraction: report(0.9 + 0.1 * fraction))
    copies = sorted(tuple(names[printed[index]] for index in group) for group in groups)
    report(1.0)
    return _conclude(manifest, facts, copies)


def with_findings(known: Audit, findings: Sequence[Finding]) -> Audit:
    """Return the audit with these findings, given worst first; decides again what is left out."""
    found = _conclude(known.manifest, known.facts, known.copies, findings)
    return replace(found, detection=known.detection, looks=known.looks, labels=known.labels)


def _inspect_all(manifest: Manifest, names: list[str], strict: bool) -> Generator[_Inspected, None, None]:
    def inspect(name: str) -> FileFacts:
        try:
            data = manifest.read(name)
        except ImageError as error:
            return FileFacts(name, (kind_of(error.code, "unreadable"),), error.reason)
        return inspect_file(name, data, strict)

    def inspect_block(start: int) -> _Inspected:
        facts = [inspect(name) for name in names[start : start + _BLOCK]]
        greys = [one.grey if one.usable else None for one in facts]
        marks = iter(fingerprints([grey for grey in greys if grey is not None]))
        found = zip(facts, greys, strict=True)
        return [(replace(one, grey=None), None if grey is None else next(marks)) for one, grey in found]

    return map_in_order(inspect_block, range(0, len(names), _BLOCK), available_cores())


def _conclude(
    manifest: Manifest, facts: Mapping[str, FileFacts], copies: Sequence[tuple[str, ...]],
    findings: Sequence[Finding] = (),
) -> Audit:  # fmt: skip
    paired = {name for group in copies for name in group}
    samples, several = _rows_of(manifest, paired)
    found = Collector(manifest.fixes.confirmed if manifest.fixes else ())
    for one in facts.unusual() if isinstance(facts, FactTable) else facts.values():
        for kind in one.kinds:
            if one.usable:
                found.files[kind].append(one.name)
        if not one.usable:
            found.leave_out(one.kinds[0], [one.name])
    repeated = [name for name in several if name not in found.left_out]
    for group in [*copies, *((name,) for name in repeated if name not in paired)]:
        judge_copies(group, samples, facts, found)
    for name in repeated:
        judge_rows(name, samples[name], found)
    found.files["nested-folder"] += sorted(manifest.nested.intersection(sample.name for sample in manifest.samples))
    for finding in findings:
        found.notes[finding.kind][finding.name] = finding.note
        if ISSUE_KINDS[finding.kind].severity is Severity.ERROR:
            found.leave_out(finding.kind, [finding.name])
        else:
            found.files[finding.kind].append(finding.name)
    issues = [
        make_issue(kind, names, found.groups[kind], facts, notes=found.notes[kind])
        for kind, names in found.files.items()
        if names
    ]
    issues += class_issues(manifest, found.left_out)
    if manifest.bad_entries:
        reasons = "; ".join(f"{entry.name} {entry.reason}" for entry in manifest.bad_entries[:3])
        issues.append(make_issue("bad-entry", [entry.name for entry in manifest.bad_entries], [], {}, reasons))
    issues.sort(key=lambda issue: (issue.severity.rank, -len(issue.files), issue.kind))
    return Audit(manifest, tuple(issues), found.left_out, tuple(copies), facts)


def _rows_of(manifest: Manifest, paired: Collection[str]) -> tuple[dict[str, list[Sample]], list[str]]:
    """Return the rows of files that have copies or several rows, by name, and the names of those with several.

    Of a million files these are few: the others are not kept by name.
    """
    samples, several = dict[str, list[Sample]](), list[str]()
    for name, rows in rows_by_name(manifest.samples):
        if len(rows) > 1:
            several.append(name)
        if len(rows) > 1 or name in paired:
            samples[name] = rows
    return samples, several
