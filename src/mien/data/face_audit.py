"""What the pictures of a dataset show: a face or none, whole and large enough, photographed, and rightly labelled."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mien.arrays import Float64, UInt8
from mien.data.audit import Audit, with_findings
from mien.data.dataset import Sample
from mien.data.drawings import DRAWN, drawn_score
from mien.data.issues import Finding
from mien.data.label_issues import find_label_issues
from mien.errors import ImageError
from mien.faces.crop import Region, crop, face_region
from mien.faces.detector import Detector
from mien.inference.decision import choose_field, renormalise
from mien.inference.preprocess import Opened, in_order, opened
from mien.inference.reader import Reader
from mien.results import Detection
from mien.runtime import available_cores

#: A face whose box is less than this many pixels wide and high, on average, shows too little of its expression.
LEAST_SIDE = 32
#: Another face counts beside the largest from this share of its area on, if the finder is about as sure of it.
LIKE_SIZE, LIKE_SCORE = 0.5, 0.8
#: A face is cut off where one of its landmarks is nearer to the border than this share of the distance from eyes
#: to mouth: the chin, or the outer half of an eye, is then missing.
BORDER = 0.15
_BATCH = 64

Judged = TypeVar("Judged")


@dataclass(frozen=True)
class FaceAudit:
    """An audit that also judges what the pictures show; `unchecked` says why labels were not judged, if so."""

    audit: Audit
    unchecked: str | None


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one picture shows: findings, each with how bad it is, and the largest face as the model takes it."""

    sample: Sample
    findings: tuple[tuple[Finding, float], ...]
    crop: UInt8 | None = None


def audit_faces(known: Audit, reader: Reader, on_progress: Callable[[float], None] | None = None) -> FaceAudit:
    """Look at every usable picture of an audit and add what is wrong with what it shows.

    `reader` finds the faces and, where its model knows the data's classes, says which labels are probably
    wrong: it should not have been trained on these pictures. `on_progress` is called with the share done.
    Memory does not grow with the size of the pictures.
    """
    report = on_progress or (lambda share: None)
    samples = known.usable.samples
    unchecked = _why_unchecked(known, reader)
    findings: list[tuple[Finding, float]] = []
    judged: list[Sample] = []
    rows: list[Float64] = []
    block: list[_Seen] = []

    def classify() -> None:
        if block:
            judged.extend(seen.sample for seen in block)
            rows.append(_shares(reader, np.stack([seen.crop for seen in block if seen.crop is not None]), known))
            block.clear()

    with closing(in_order(lambda sample: _look(known, reader, sample), samples, available_cores())) as found:
        for number, seen in enumerate(found):
            findings += seen.findings
            if unchecked is None and seen.crop is not None:
                block.append(seen)
            if len(block) == _BATCH:
                classify()
            report((number + 1) / len(samples))
    classify()
    if rows:
        findings += _suspects(judged, np.concatenate(rows), known.manifest.classes)
    worst_first = sorted(findings, key=lambda pair: -pair[1])
    return FaceAudit(with_findings(known, [finding for finding, _ in worst_first]), unchecked)


def _why_unchecked(known: Audit, reader: Reader) -> str | None:
    if len(known.manifest.classes) < 2:
        return "there is only one class"
    if choose_field(reader.config.labels, reader.answers, known.manifest.classes) is None:
        return f"the model '{reader.config.name}' does not know all of {', '.join(known.manifest.classes)}"
    return None


def find_faces(
    known: Audit, detector: Detector, on_progress: Callable[[float], None] | None = None
) -> tuple[Audit, dict[str, Region]]:
    """Find the largest face in every usable picture of an audit, framed as the reader frames it.

    Returns the audit that also leaves out the pictures without a face, and a region for each of the others,
    in pixels of the upright picture.
    """
    report = on_progress or (lambda share: None)
    samples = known.usable.samples
    regions: dict[str, Region] = {}
    findings: list[Finding] = []

    def look(sample: Sample) -> tuple[str, Region | Finding]:
        return sample.name, _opened(known, sample, detector, lambda seen: face_region(seen.in_full()[0]))

    with closing(in_order(look, samples, available_cores())) as found:
        for number, (name, seen) in enumerate(found):
            if isinstance(seen, Finding):
                findings.append(seen)
            else:
                regions[name] = seen
            report((number + 1) / len(samples))
    return with_findings(known, findings), regions


def _opened(
    known: Audit, sample: Sample, detector: Detector, judge: Callable[[Opened], Judged], side: int = 0
) -> Judged | Finding:  # fmt: skip
    """Open a picture and `judge` it; a finding where it has no face, or can no longer be read."""
    name = sample.name
    try:
        with opened(known.manifest.read(name), name, detector, side) as seen:
            return judge(seen) if seen.faces else Finding(name, "no_face", f"{seen.width}x{seen.height} pixels")
    except ImageError as error:
        return Finding(name, "unreadable", error.reason)


def _look(known: Audit, reader: Reader, sample: Sample) -> _Seen:
    seen = _opened(known, sample, reader.detector, lambda seen: _judged(reader, sample, seen), reader.config.input_size)
    return _Seen(sample, ((seen, 0.0),)) if isinstance(seen, Finding) else seen


def _judged(reader: Reader, sample: Sample, seen: Opened) -> _Seen:
    drawn = drawn_score(seen.rgb, seen.faces[0].box, seen.faces[0].score)
    if drawn >= DRAWN:
        return _Seen(sample, ((Finding(sample.name, "not_a_photograph", f"looks drawn ({drawn:.2f})"), drawn),))
    place = face_region(seen.faces[0]) if reader.detect else None
    taken = crop(seen.rgb, reader.config.input_size, reader.config.input_channels, place)
    faults = face_faults(seen.in_full(), seen.width, seen.height)
    return _Seen(sample, tuple((Finding(sample.name, kind, note), badness) for kind, note, badness in faults), taken)


def face_faults(faces: Sequence[Detection], width: int, height: int) -> list[tuple[str, str, float]]:
    """Return what is wrong with the faces of a picture of `width` × `height`, largest first: (kind, note, badness)."""
    found = []
    largest = faces[0]
    side = _side(largest)
    if side < LEAST_SIDE:
        found.append(("face_too_small", f"its face is {side:.0f} pixels wide", -side))
    share = _beyond(largest, width, height)
    if share > 0:
        found.append(("face_cut_off", "its face reaches beyond the border", share))
    others = [
        face for face in faces[1:]
        if _side(face) ** 2 >= LIKE_SIZE * side**2 and face.score >= LIKE_SCORE * largest.score
    ]  # fmt: skip
    if others:
        found.append(("several_faces", f"has {1 + len(others)} faces of like size", _side(others[0]) / side))
    return found


def _side(face: Detection) -> float:
    return float(np.sqrt(face.box.width * face.box.height))


def _beyond(face: Detection, width: int, height: int) -> float:
    """Return by how much too near the border a landmark lies, in distances from eyes to mouth; 0 where none does."""
    points = np.array(face.landmarks)
    unit = max(float(np.linalg.norm(points[3:].mean(axis=0) - points[:2].mean(axis=0))), 1.0)
    room = np.minimum(points, np.array([width, height]) - points).min() / unit
    return max(0.0, BORDER - float(room))


def _shares(reader: Reader, crops: UInt8, known: Audit) -> Float64:
    """Return the probabilities among the data's classes, float64 (N, K), rows summing to 1."""
    return renormalise(reader.rule.probabilities_of(reader.probabilities(crops), known.manifest.classes))


def _suspects(judged: Sequence[Sample], shares: Float64, classes: tuple[str, ...]) -> list[tuple[Finding, float]]:
    labels = [classes.index(sample.label) for sample in judged]
    return [
        (
            Finding(
                judged[doubt.index].name,
                "label_suspect",
                f"labelled {classes[labels[doubt.index]]}, looks {classes[doubt.other]} "
                f"({shares[doubt.index, doubt.other]:.2f})",
            ),
            doubt.margin,
        )
        for doubt in find_label_issues(shares, labels)
    ]
