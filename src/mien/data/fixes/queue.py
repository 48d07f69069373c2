"""Order the images of a dataset so that those in which a look pays most come first, each with the reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mien.data.dataset import Sample
from mien.data.issues import ISSUE_KINDS, Issue
from mien.data.look import Look
from mien.results import Box

#: What the model doubts comes before copies, images without a face, drawings and cut faces; then whatever is least
#: certain. Kinds that are not here are no question for a person: files that cannot be read, for instance.
ORDER = (
    "label-conflict", "label-issue", "near-duplicate", "no-face", "not-a-photograph", "face-cut-off", "several-faces",
    "face-too-small", "nested-folder",
)  # fmt: skip
#: A label that the model gives a probability below this is uncertain.
_CERTAIN = 0.9
#: A label issue is sure if the model gives the label a probability below this. Most of the others turn out right: they
#: come after drawings.
_SURE = 0.01
#: An answer that the model gives a probability below this is hardly more than a toss of a coin.
LEANS = 0.6


@dataclass(frozen=True)
class Item:
    """An image to look at.

    Attributes:
        name: its name in the dataset.
        kind: why a look pays: a kind of data issue, or `uncertain`, `certain` (the model agrees), `unseen` (the model
            does not know the classes), `unlabelled`, `conflict` (people disagree), `changed` (since it was decided).
        reason: all that speaks for a look, in words, the most telling first.
        label: its present label; empty if it has none.
        suggestion: the class that the model would rather give; None if it is the label, or not known.
        probabilities: of the classes, most probable first; empty if the model does not know them all.
        faces: the boxes of the faces, in pixels of the upright image; the first is the one that is used.
        group: near copies of it, itself among them, to look at side by side; empty if there are none.
        copies: the other files with the same bytes, for which its decision counts, too.
        left_out: the kind of issue for which training leaves it out already; None if training uses it.
        sampled: whether it stands here by chance, for the estimate of what is left.
        notes: the kinds of data issue that were seen beside the label, the most telling first, each with what was seen.
        detail: the reason without what the kind is called, for a page on which that is the title.
    """

    name: str
    kind: str
    reason: str
    label: str = ""
    suggestion: str | None = None
    probabilities: tuple[tuple[str, float], ...] = ()
    faces: tuple[Box, ...] = ()
    group: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    left_out: str | None = None
    sampled: bool = False
    notes: tuple[tuple[str, str], ...] = ()
    detail: str = ""

    @property
    def doubtful(self) -> bool:
        """Whether there is a data issue, or people disagree, or its file has changed."""
        return self.kind in ORDER or self.kind in ("conflict", "changed")

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict."""
        return {
            "file": self.name, "kind": self.kind, "reason": self.reason, "label": self.label,
            "suggestion": self.suggestion, "probabilities": dict(self.probabilities),
            "faces": [box.to_dict() for box in self.faces], "group": list(self.group), "copies": list(self.copies),
            "left_out": self.left_out, "sampled": self.sampled, "notes": dict(self.notes),
        }  # fmt: skip


@dataclass(frozen=True)
class Findings:
    """What an audit found, as far as the order depends on it; the fields are those of `mien.data.audit.Audit`."""

    classes: tuple[str, ...]
    samples: Sequence[Sample]
    issues: Sequence[Issue]
    left_out: Mapping[str, str]
    looks: Mapping[str, Look]
    digests: Mapping[str, str]
    copies: Sequence[tuple[str, ...]] = ()


def rank(found: Findings) -> list[Item]:
    """Return every image that a person can judge, those in which a look pays most first.

    Copies under two labels come first, then label issues of which the model is sure, the most confident before the
    others, then copies side by side, images without a face, drawings, the other label issues, cut faces, and then all
    others, the least certain first. An image that has near copies has them beside it, whatever it is shown for. Of
    files with equal bytes the first stands for all. Files that cannot be read are left out.
    """
    copies = _copies(found)
    shown = {sample.name: sample for sample in found.samples}
    shown = {name: sample for name, sample in shown.items() if name in copies}
    groups = _groups(found, copies)
    items: dict[str, Item] = {}
    for kind, name, note in _questions(found, groups):
        if name not in shown:
            continue
        item = items.get(name) or replace(_item(found, shown[name], copies[name], groups), kind=kind)
        # Of a label issue the label and the answer tell all.
        items[name] = item if kind == "label-issue" else replace(item, notes=(*item.notes, (kind, note)))
    asked = [_worded(item) for item in items.values()]
    rest = [_item(found, sample, copies[name], groups) for name, sample in shown.items() if name not in items]
    return [*sorted(asked, key=turn), *sorted(rest, key=doubt, reverse=True)]


def turn(item: Item) -> float:
    """Return when an item has its turn, by its kind: the smaller the earlier.

    Examples:
        >>> sure, unsure = (Item("a.jpg", "label-issue", "", "sad", probabilities=(("sad", p),)) for p in (0.001, 0.2))
        >>> turn(sure) < turn(Item("b.jpg", "no-face", "")) < turn(unsure) < turn(Item("c.jpg", "certain", ""))
        True
    """
    if item.kind not in ORDER:
        return len(ORDER)
    unsure = item.kind == "label-issue" and 1 - doubt(item) >= _SURE
    return ORDER.index("not-a-photograph") + 0.5 if unsure else ORDER.index(item.kind)


def doubt(item: Item) -> float:
    """Return how unsure the model is of a label, in [0, 1]: 1 minus its probability; 0.5 if it does not know it.

    Examples:
        >>> doubt(Item("a.jpg", "uncertain", "", "sad", probabilities=(("happy", 0.75), ("sad", 0.25))))
        0.75
    """
    if not item.probabilities:
        return 0.5
    by_class = dict(item.probabilities)
    return 1 - by_class.get(item.label, item.probabilities[0][1])


def answered(item: Item, probabilities: Mapping[str, float], *, label_issue: bool = False) -> Item:
    """Return an item with the probabilities of a model, and what follows from them.

    Args:
        item: what was seen beside the label stays.
        probabilities: of each class.
        label_issue: whether the label is probably wrong by them.
    """
    ranked = tuple(sorted(probabilities.items(), key=lambda pair: -pair[1]))
    suggestion = ranked[0][0] if ranked and ranked[0][0] != item.label else None
    item = replace(item, probabilities=ranked, suggestion=suggestion)
    kind = "label-issue" if label_issue else next((kind for kind, _ in item.notes), None) or _kind(item)
    return _worded(replace(item, kind=kind))


def _copies(found: Findings) -> dict[str, tuple[str, ...]]:
    """Return the files to show, each with the others of the same bytes: the first that training uses stands for all."""
    of_content: dict[str, list[str]] = {}
    for name in dict.fromkeys(sample.name for sample in found.samples):
        if found.left_out.get(name) in (None, *ORDER, "exact-duplicate", "split-leak"):
            of_content.setdefault(found.digests.get(name) or name, []).append(name)
    chosen = {}
    for names in of_content.values():
        first = min(names, key=lambda name: name in found.left_out)
        chosen[first] = tuple(name for name in names if name != first)
    return chosen


def _groups(found: Findings, copies: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the near copies to show side by side, by the name of each of them."""
    shown = ([name for name in names if name in copies] for names in found.copies)
    return {name: tuple(group) for group in shown if len(group) > 1 for name in group}


def _questions(found: Findings, groups: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, name, what was seen), best first."""
    by_kind = {issue.kind: issue for issue in found.issues}
    labels = {sample.name: sample.label for sample in found.samples}
    for kind in ORDER:
        if kind == "near-duplicate":
            yield from ((kind, name, "") for name in _near_copies(by_kind, groups))
        elif (issue := by_kind.get(kind)) is None:
            continue
        elif kind == "label-conflict":
            for names in issue.groups:
                note = " and ".join(sorted({labels[name] for name in names}))
                yield from ((kind, name, note) for name in names)
        else:
            yield from ((kind, name, issue.notes.get(name, "")) for name in issue.files)


def _near_copies(by_kind: Mapping[str, Issue], groups: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return the images that have near copies under the same label, also in another part of the data."""
    issues = [by_kind[kind] for kind in ("near-duplicate", "split-leak") if kind in by_kind]
    alike = dict.fromkeys(name for issue in issues for names in issue.groups for name in names)
    conflict = by_kind.get("label-conflict")
    asked = {name for names in conflict.groups for name in names} if conflict else set[str]()
    return [name for name in alike if name in groups and name not in asked]


def _item(found: Findings, sample: Sample, copies: tuple[str, ...], groups: Mapping[str, tuple[str, ...]]) -> Item:
    look = found.looks.get(sample.name, Look())
    item = Item(
        sample.name, "", "", sample.label, faces=look.faces, group=groups.get(sample.name, ()), copies=copies,
        left_out=found.left_out.get(sample.name),
    )  # fmt: skip
    return answered(item, dict(zip(found.classes, look.classes, strict=True)) if look.classes else {})


def _kind(item: Item) -> str:
    if not item.label:
        return "unlabelled"
    if not item.probabilities:
        return "unseen"
    return "certain" if doubt(item) <= 1 - _CERTAIN else "uncertain"


def _worded(item: Item) -> Item:
    """Return an item with its reason in words: what its kind says, then the label, then what else was seen."""
    notes = dict(item.notes)
    own = notes.pop(item.kind, "")
    labels = own if item.kind == "label-conflict" else item.label
    first = "" if item.kind == "label-conflict" else own
    others = (_said(item, kind, note) for kind, note in notes.items())
    detail = "; ".join(filter(None, [first, _verdict(item, labels), *others]))
    unsaid = item.kind in ISSUE_KINDS and item.kind != "label-issue" and not first
    return replace(item, reason=f"{_said(item, item.kind)}; {detail}" if unsaid else detail, detail=detail)


def _said(item: Item, kind: str, note: str = "") -> str:
    """Return an issue of an item in words: what was seen, or what the kind is called."""
    title = ISSUE_KINDS[kind].title
    if kind == "near-duplicate":
        others = [name for name in item.group if name != item.name]
        return f"{title} of {others[0] if len(others) == 1 else f'{len(others)} others'}"
    if kind == "label-conflict" and note:
        return f"{title} ({note})"
    return note or title


def _verdict(item: Item, labels: str) -> str:
    """Say which label an item has, and what the model answers."""
    labelled = f"labelled {labels}" if labels else "not labelled yet"
    if not item.probabilities:
        return labelled
    answer, probability = item.probabilities[0]
    if probability < LEANS:
        return f"{labelled}; model not sure ({answer} {probability:.2f})"
    if answer != labels:
        return f"{labelled}, looks {answer} ({probability:.2f})"
    return f"{labelled}, and the model says so too ({probability:.2f})"
