"""Labelled data as a user names it, checked and ready to be split, and who is told about it; needs no Keras."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from mien.data.audit import Audit, audit
from mien.data.dataset import Manifest, read_manifest
from mien.data.face_audit import find_faces
from mien.faces.crop import Region
from mien.faces.detector import Detector
from mien.training.loop.schedule import Listener, Quiet


class Reporter(Listener, Protocol):
    """Who hears what a run is doing."""

    def say(self, text: str) -> None:
        """Hear one line of plain news."""

    def progress(self, what: str) -> AbstractContextManager[Callable[[float], None]]:
        """Give a function to call with the share done, in [0, 1], while `what` goes on."""


class QuietReporter(Quiet):
    """A reporter that says nothing."""

    def say(self, text: str) -> None:
        """Ignore the news."""

    def progress(self, what: str) -> AbstractContextManager[Callable[[float], None]]:
        """Ignore the progress."""
        return nullcontext(lambda share: None)


@dataclass(frozen=True)
class TrainingSource:
    """Labelled data as a user names it: a path, the classes to use, and names to map.

    `manifest` is what is there, read when first asked for (make a new Source after the data changed); it raises
    DataError where that cannot be used.
    """

    path: Path
    classes: tuple[str, ...] | None = None
    rename: Mapping[str, str] | None = None

    @cached_property
    def manifest(self) -> Manifest:
        """The files and labels of the source."""
        return read_manifest(self.path, self.classes, self.rename)

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready, with an absolute path."""
        classes = list(self.classes) if self.classes else None
        return {"path": str(self.path.resolve()), "classes": classes, "rename": dict(self.rename or {})}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "TrainingSource":
        """Read back what `to_dict` gave."""
        return cls(Path(row["path"]), tuple(row["classes"]) if row["classes"] else None, row["rename"])


def check_source(source: TrainingSource, reporter: Reporter, faces: bool = False) -> tuple[Audit, dict[str, Region]]:
    """Read and check a labelled source, find its `faces` where these are wanted, and say what will not be used."""
    manifest = source.manifest
    with reporter.progress("checking the pictures") as report:
        checked = audit(manifest, on_progress=report)
    regions: dict[str, Region] = {}
    if faces:
        with reporter.progress("finding the faces") as report:
            checked, regions = find_faces(checked, Detector(threads=1), report)
    if checked.left_out:
        counts = Counter(checked.left_out.values()).most_common()
        listing = ", ".join(f"{kind} {count}" for kind, count in counts)
        reporter.say(f"left out {len(checked.left_out)} of {len(manifest.samples)} files: {listing}")
    return checked, regions
