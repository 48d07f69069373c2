"""Open the images of a dataset with their faces, the one that a person chose first; find the region to train on."""

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from mien.data.audit import Audit, with_findings
from mien.data.dataset import Sample
from mien.data.issues import Finding, kind_of
from mien.errors import ImageError
from mien.faces.crop import Region, face_region
from mien.faces.detector import Detector
from mien.inference.detection import DecodedImage, open_and_detect
from mien.runtime.cores import available_cores
from mien.runtime.threads import map_in_order

Found = TypeVar("Found")


def find_faces(
    known: Audit, detector: Detector, on_progress: Callable[[float], None] | None = None
) -> tuple[Audit, dict[str, Region]]:
    """Find the face to use in every usable image of an audit, framed as the reader frames it.

    It is the one that a person chose, or else the largest.

    Args:
        known: the audit of the files.
        detector: finds the faces.
        on_progress: called with the fraction done, in [0, 1].

    Returns:
        The audit that also leaves out images without a face, and the region of every other image by name, in pixels
        of the upright image.
    """
    report = on_progress or (lambda fraction: None)
    samples = known.usable.samples
    regions: dict[str, Region] = {}
    findings: list[Finding] = []

    def find(sample: Sample) -> tuple[str, Region | Finding]:
        return sample.name, open_sample(
            known, sample, detector, lambda seen: face_region(seen.full_size_faces()[0]), whole=_middle, max_faces=1
        )

    with closing(map_in_order(find, samples, available_cores())) as found:
        for number, (name, seen) in enumerate(found):
            if isinstance(seen, Finding):
                findings.append(seen)
            else:
                regions[name] = seen
            report((number + 1) / len(samples))
    return with_findings(known, findings), regions


def _middle(seen: DecodedImage) -> Region:
    """Return the largest square in the middle of an image: of one that somebody kept, though no face was found."""
    return Region(seen.width / 2, seen.height / 2, max(min(seen.width, seen.height), 1))


def open_sample(
    known: Audit, sample: Sample, detector: Detector, use: Callable[[DecodedImage], Found], side: int = 0,
    whole: Callable[[DecodedImage], Found] | None = None, max_faces: int | None = None,
) -> Found | Finding:  # fmt: skip
    """Open an image and `use` it; a finding if it has no face or can no longer be read.

    The face that a person chose is the first; `max_faces` as in `open_and_detect`. An image without a face that
    somebody kept is used `whole`.
    """
    name, fixes = sample.name, known.manifest.fixes
    try:
        data, chosen = known.manifest.read(name), fixes.faces.get(name) if fixes else None
        with open_and_detect(data, name, detector, side, max_faces, isolated="costly", chosen=chosen) as seen:
            if seen.faces:
                return use(seen)
            if whole is None or fixes is None or name not in fixes.confirmed:
                return Finding(name, "no-face", f"{seen.width}x{seen.height} pixels")
            return whole(seen)
    except ImageError as error:
        return Finding(name, kind_of(error.code, "unreadable"), error.reason)
