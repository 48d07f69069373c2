"""Data issues: what each kind is called, how severe it is, and how to fix it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mien.errors import ImageErrorCode


class Severity(StrEnum):
    """error: left out of training; warning: used, but look at it; note: converted when read."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 is the most severe."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class IssueKind:
    """Describe one kind of issue: its severity, title and fix."""

    severity: Severity
    title: str
    fix: str


@dataclass(frozen=True)
class Finding:
    """One issue of one file, found in what the image shows; `note` says what was seen."""

    name: str
    kind: str
    note: str


@dataclass(frozen=True)
class Issue:
    """All files of a dataset that have one kind of issue.

    Attributes:
        kind: a key of `ISSUE_KINDS`.
        severity: as in `ISSUE_KINDS`, like `title` and `fix`.
        files: the affected files only: of duplicates, those that are left out. Empty if a whole class is affected.
        groups: each set of copies, complete.
        detail: what was found, in a few words.
        notes: what was seen in single files, empty if the title says all. If there are any, `files` is sorted worst
            first.
    """

    kind: str
    severity: Severity
    title: str
    fix: str
    files: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    detail: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict; `groups` and `notes` are absent if empty."""
        row: dict[str, Any] = {
            "kind": self.kind,
            "severity": str(self.severity),
            "title": self.title,
            "detail": self.detail,
            "fix": self.fix,
            "files": list(self.files),
        }
        if self.groups:
            row["groups"] = [list(group) for group in self.groups]
        if notes := {name: note for name, note in self.notes.items() if note}:
            row["notes"] = notes
        return row


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

#: Every kind of issue by its key, which is what `mien check --json` and `--leave-out` name.
ISSUE_KINDS = {
    "one-class": IssueKind(_E, "only one class", "add a folder with images of a second class"),
    "empty-class": IssueKind(_E, "class folder without images", "put images into it or remove the folder"),
    "missing-in-part": IssueKind(
        _E, "class absent from a part", "add images there, or leave the class out with --classes"
    ),
    "label-conflict": IssueKind(
        _E, "same image under two labels", "keep the copy whose label is right, delete the other"
    ),
    "split-leak": IssueKind(_E, "same image in train and held-out part", "left out of training; delete the train copy"),
    "unreadable": IssueKind(_E, "file cannot be read", "make it readable (chmod u+r), pack it again, or remove it"),
    "zero-bytes": IssueKind(_E, "empty file", "download it again or delete it"),
    "lfs-pointer": IssueKind(_E, "Git LFS pointer", "run git lfs pull in the dataset's repository"),
    "html": IssueKind(_E, "web page under an image name", "delete it; the download was refused or redirected"),
    "text": IssueKind(_E, "text under an image name", "delete it"),
    "not-an-image": IssueKind(_E, "not an image", "delete it"),
    "truncated": IssueKind(_E, "truncated or damaged image", "download it again or delete it"),
    "unsupported-type": IssueKind(_E, "unsupported type", "convert it to JPEG or PNG"),
    "strict-extension": IssueKind(_E, "not jpg, jpeg, png or bmp", "convert it, or drop --strict-extensions"),
    "too-small": IssueKind(_E, "too small", "find a larger copy or delete it"),
    "absurd-size": IssueKind(_E, "absurd dimensions", "crop it to the face or delete it"),
    "too-large": IssueKind(_E, "file too large", "save it again as JPEG, or delete it"),
    "too-slow": IssueKind(_E, "takes too long to decode", "save it again as JPEG or PNG, or delete it"),
    "too-much-memory": IssueKind(_E, "takes too much memory to decode", "shrink it, or save it again as JPEG"),
    "no-face": IssueKind(_E, "no face found", "delete it, or crop it closer to a visible face"),
    "bad-entry": IssueKind(_E, "bad row or archive member", "correct the row, or remove the member from the archive"),
    "exact-duplicate": IssueKind(_W, "exact duplicate", "the first copy is used; delete the others"),
    "near-duplicate": IssueKind(_W, "near duplicate", "copies stay in one part; --write-clean keeps the largest"),
    "wrong-extension": IssueKind(_W, "extension does not match the type", "read by content; --write-clean renames it"),
    "not-a-photograph": IssueKind(
        _W, "drawing, emoji or statue?", "look at it; --write-clean leaves it out without --keep not-a-photograph"
    ),
    "label-issue": IssueKind(_W, "label probably wrong", "look at it; move it to the other class or delete it"),
    "several-faces": IssueKind(_W, "several faces of similar size", "the largest is used; crop it to the right one"),
    "face-cut-off": IssueKind(_W, "face cut off by the border", "find a copy that shows the whole face"),
    "face-too-small": IssueKind(_W, "face too small", "find a larger copy"),
    "nested-folder": IssueKind(
        _W, "class or part inside a class folder", "counted as the outer class; move these files to where they belong"
    ),
    "few-images": IssueKind(_W, "very few images", "collect more, and evaluate by cross-validation (--folds 5)"),
    "class-imbalance": IssueKind(_W, "classes of unequal size", "train with --class-weight balanced"),
    "cmyk": IssueKind(_N, "CMYK colours", "converted to RGB when read"),
    "palette": IssueKind(_N, "palette colours", "converted to RGB when read"),
    "sixteen-bit": IssueKind(_N, "16-bit values", "scaled to 8 bits when read"),
    "alpha": IssueKind(_N, "transparency", "laid on white when read"),
    "cut-short": IssueKind(_N, "JPEG without its last bytes", "read; all pixels are there"),
    "exif-rotated": IssueKind(_N, "rotated by EXIF", "turned upright when read"),
}

#: Kinds of issue by `ImageError.code`, of the codes that say what is wrong with the file.
_KINDS_BY_CODE: Mapping[ImageErrorCode, str] = {
    "too-many-pixels": "absurd-size",
    "unsupported": "unsupported-type",
    "too-large": "too-large",
    "too-slow": "too-slow",
    "too-much-memory": "too-much-memory",
}


def kind_of(code: ImageErrorCode, default: str) -> str:
    """Return the kind of issue of a file that cannot be read, `default` if its code does not say.

    Examples:
        >>> kind_of("too-slow", "not-an-image"), kind_of("damaged", "truncated")
        ('too-slow', 'truncated')
    """
    return _KINDS_BY_CODE.get(code, default)
