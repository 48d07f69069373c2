"""Labelled data as the user names it, audited before training. Needs no Keras."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mien.data.audit import Audit, audit
from mien.data.dataset import Manifest, read_manifest
from mien.data.detection import DetectionChoice, choose_detection
from mien.data.face_regions import find_faces
from mien.data.fixes.decisions import Fixes
from mien.errors import DataError, OutputError
from mien.evaluation.run_file import read_source
from mien.faces.crop import Region
from mien.faces.detector import Detector
from mien.training.reporter import Reporter


@dataclass(frozen=True)
class TrainingSource:
    """Labelled data: a path, the classes to use (None: all), classes to rename, and the decisions of people to use.

    `fixes` are as in `read_manifest`. `manifest` is read on first use, and raises DataError if the data cannot be used.
    Make a new source if the data changed.
    """

    path: Path
    classes: tuple[str, ...] | None = None
    rename: Mapping[str, str] | None = None
    fixes: bool | str | Path | Fixes = True

    @cached_property
    def manifest(self) -> Manifest:
        """Files and labels of the source."""
        return read_manifest(self.path, self.classes, self.rename, self.fixes)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict, with an absolute path and the decisions that count now.

        So a run is continued and evaluated as it began, whatever is decided since.
        """
        classes = list(self.classes) if self.classes else None
        used = self.manifest.fixes
        return {
            "path": str(self.path.resolve()), "classes": classes, "rename": dict(self.rename or {}),
            "fixes": used.fixes.to_rows() if used else [],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "TrainingSource":
        """Return the source that `to_dict` described."""
        return cls(*read_source(row))


def stored_detection(path: Path, stored: Mapping[str, Any]) -> DetectionChoice:
    """Return the choice in a search's own JSON file; OutputError if it is damaged."""
    try:
        return DetectionChoice.from_dict(stored.get("detection"))
    except DataError as error:
        raise OutputError(f"{path}: is damaged ({error}); give another `out=`, or remove its folder") from None


@dataclass(frozen=True)
class AuditedSource:
    """An audit of a source, whether faces are found first, and if so the region of the largest face by file name."""

    audit: Audit
    detection: DetectionChoice
    regions: Mapping[str, Region]


def audit_source(
    source: TrainingSource, reporter: Reporter, detect: bool | None = None, *, again: bool = False
) -> AuditedSource:  # fmt: skip
    """Audit a source and report the files that will not be used.

    Args:
        source: the labelled data.
        reporter: receives progress, counts, and what was decided.
        detect: find the largest face in each image, and leave out images without one (True), or use images whole
            (False); None decides by a sample of the images.
        again: do not say again what was guessed about the layout.
    """
    manifest = source.manifest.say_notes(None if again else reporter.say)
    with reporter.progress("checking the images") as report:
        checked = audit(manifest, on_progress=report)
    regions: dict[str, Region] = {}
    choice = choose(checked.usable, reporter, detect)
    if choice.detect:
        with reporter.progress("detecting faces") as report:
            checked, regions = find_faces(checked, Detector(threads=1), report)
    if checked.left_out:
        counts = Counter(checked.left_out.values()).most_common()
        listing = ", ".join(f"{kind} {count}" for kind, count in counts)
        reporter.say(f"left out {len(checked.left_out)} of {len(manifest.samples)} files: {listing}")
    return AuditedSource(checked, choice, regions)


def choose(manifest: Manifest, reporter: Reporter, detect: bool | None) -> DetectionChoice:
    """Decide whether to find faces first, and say so; a `detect` that is given decides in silence."""
    if detect is not None:
        return DetectionChoice(detect)
    with reporter.progress("looking at some images") as report:
        choice = choose_detection(manifest, on_progress=report)
    reporter.say(choice.sentence)
    return choice
