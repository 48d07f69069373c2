"""Audit what the images of a dataset show: faces, their size, drawings, and label issues."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from mien.arrays import Float64, UInt8
from mien.data.audit import Audit, with_findings
from mien.data.dataset import Sample
from mien.data.drawings import DRAWING_THRESHOLD, drawing_score
from mien.data.face_regions import open_sample
from mien.data.issues import Finding
from mien.data.label_issues import LabelCheck, find_label_issues, measure_agreement
from mien.data.look import Look
from mien.errors import ImageError
from mien.faces.crop import crop, face_region
from mien.inference.answer_fields import choose_field, renormalise
from mien.inference.detection import DecodedImage
from mien.inference.preprocess import Preprocessor
from mien.inference.reader import Reader
from mien.results import Box, Detection
from mien.runtime.cores import available_cores
from mien.runtime.threads import map_in_order
from mien.text import pluralize

#: A face is too small if its box has a smaller side than this, in pixels (geometric mean).
MIN_FACE_SIDE = 32
#: Another face is of similar size if its area and its score are at least these fractions of the largest one's.
SIMILAR_AREA, SIMILAR_SCORE = 0.5, 0.8
#: A face is cut off if a landmark is nearer to the border than this, in distances from eyes to mouth: the chin, or
#: the outer half of an eye, is then missing.
MIN_MARGIN = 0.15
#: If more than this fraction of the images with a face look drawn, drawings are what the dataset shows, and no issue.
MOSTLY_DRAWN = 0.5
#: What somebody who keeps an image has seen and does not mind.
_JUDGED = frozenset({"no-face", "not-a-photograph", "label-issue", "several-faces", "face-cut-off", "face-too-small"})
_BATCH = 64


@dataclass(frozen=True, eq=False)
class _Inspected:
    """The findings of one image, each with its badness, the crop for the model, and the boxes of its faces.

    `drawn` is the finding that it looks drawn, which stands for the others unless most images do.
    """

    sample: Sample
    findings: tuple[tuple[Finding, float], ...]
    crop: UInt8 | None = None
    faces: tuple[Box, ...] = ()
    drawn: tuple[Finding, float] | None = None


def audit_faces(
    known: Audit, reader: Reader, on_progress: Callable[[float], None] | None = None, *, always: bool = False
) -> Audit:  # fmt: skip
    """Find the faces in every usable image of an audit and add the issues of what it shows.

    Memory does not grow with the size of the images.

    Args:
        known: the audit of the files.
        reader: finds the faces. If its model knows the classes of the data, it also finds label issues; it should not
            have been trained on these images.
        on_progress: called with the fraction done, in [0, 1].
        always: ask the model about every image, even if it does not know the classes of the data.

    Returns:
        The audit with these issues; its `labels` say whether labels could be checked.
    """
    return _audit_images(known, reader, lambda sample: _inspect(known, reader, sample), on_progress, always)


def audit_whole(
    known: Audit, reader: Reader, on_progress: Callable[[float], None] | None = None, *, always: bool = False
) -> Audit:  # fmt: skip
    """Add the label issues of an audit whose images are crops of faces already, or show other things.

    Args:
        known: the audit of the files.
        reader: looks at each image whole. It should not have been trained on these images.
        on_progress: called with the fraction done, in [0, 1].
        always: ask the model about every image, even if it does not know the classes of the data.
    """
    return _audit_images(known, reader, lambda sample: _take_whole(known, reader, sample), on_progress, always)


def _audit_images(
    known: Audit,
    reader: Reader,
    look: Callable[[Sample], _Inspected],
    on_progress: Callable[[float], None] | None,
    always: bool,
) -> Audit:
    """Look at every usable image, then at the labels of those that gave a crop.

    The model also looks at copies under two labels, which training leaves out, so that who decides has its answer;
    nothing else follows from that.
    """
    report = on_progress or (lambda fraction: None)
    unsettled = {one.name: one for one in known.manifest.samples if known.left_out.get(one.name) == "label-conflict"}
    samples = [*known.usable.samples, *unsettled.values()]
    unchecked = _why_unchecked(known, reader)
    findings: list[tuple[Finding, float]] = []
    classified: list[Sample] = []
    rows: list[Float64] = []
    block: list[_Inspected] = []
    faces: dict[str, tuple[Box, ...]] = {}

    def classify() -> None:
        if block:
            classified.extend(seen.sample for seen in block)
            rows.append(reader.probabilities(np.stack([seen.crop for seen in block if seen.crop is not None])))
            block.clear()

    drawn: dict[str, tuple[Finding, float]] = {}
    of_drawn: list[tuple[Finding, float]] = []

    with closing(map_in_order(_without_findings(look, unsettled), samples, available_cores())) as found:
        for number, seen in enumerate(found):
            if seen.drawn is None:
                findings += seen.findings
            else:
                drawn[seen.sample.name] = seen.drawn
                of_drawn += seen.findings
            if seen.faces:
                faces[seen.sample.name] = seen.faces
            if (unchecked is None or always) and seen.crop is not None:
                block.append(seen)
            if len(block) == _BATCH:
                classify()
            report((number + 1) / len(samples))
    classify()
    remarks: tuple[str, ...] = ()
    with_face = len(faces.keys() - unsettled.keys())
    if len(drawn) > MOSTLY_DRAWN * with_face:
        remarks = (f"{len(drawn):,} of {pluralize(with_face, 'image')} look drawn, so drawings are no issue here",)
        findings += of_drawn
        drawn = {}
    findings += drawn.values()
    answers = np.concatenate(rows) if rows else np.zeros((0, len(reader.config.labels)))
    classes = _of_classes(reader, answers, known) if _knows_classes(known, reader) else np.zeros((len(answers), 0))
    looks = _looks(faces, classified, answers, classes)
    labels = LabelCheck(reader.config.name, reason=unchecked)
    if unchecked is None:
        photographs = [row for row, one in enumerate(classified) if one.name not in drawn and one.name not in unsettled]
        classes, classified = classes[photographs], [classified[index] for index in photographs]
        given = [known.manifest.classes.index(sample.label) for sample in classified]
        labels = measure_agreement(reader.config.name, classes, given)
        if labels.unchecked is None:
            findings += _label_findings(classified, classes, known.manifest.classes)
    judged = with_findings(known, _open_findings(known, findings))
    return replace(judged, looks=looks, labels=labels, remarks=remarks)


def _without_findings(look: Callable[[Sample], _Inspected], names: Collection[str]) -> Callable[[Sample], _Inspected]:
    """Return `look`, which finds nothing in the images of these names."""

    def look_at(sample: Sample) -> _Inspected:
        seen = look(sample)
        return replace(seen, findings=(), drawn=None) if sample.name in names else seen

    return look_at


def _open_findings(known: Audit, findings: Sequence[tuple[Finding, float]]) -> list[Finding]:
    """Return the findings, worst first, without what somebody looked at and kept: that is no issue any more."""
    confirmed = known.manifest.fixes.confirmed if known.manifest.fixes else ()
    worst_first = sorted(findings, key=lambda pair: -pair[1])
    return [one for one, _ in worst_first if one.name not in confirmed or one.kind not in _JUDGED]


def _knows_classes(known: Audit, reader: Reader) -> bool:
    return choose_field(reader.config.labels, reader.answers, known.manifest.classes) is not None


def _looks(
    faces: Mapping[str, tuple[Box, ...]], classified: Sequence[Sample], answers: Float64, classes: Float64
) -> dict[str, Look]:
    looks = {name: Look(found) for name, found in faces.items()}
    for sample, row, of_classes in zip(classified, answers.tolist(), classes.tolist(), strict=True):
        looks[sample.name] = Look(faces.get(sample.name, ()), tuple(row), tuple(of_classes))
    return looks


def _why_unchecked(known: Audit, reader: Reader) -> str | None:
    if any(not sample.label for sample in known.manifest.samples):
        return "there are none yet"
    if len(known.manifest.classes) < 2:
        return "there is only one class"
    if not _knows_classes(known, reader):
        return f"the model '{reader.config.name}' does not know all of {', '.join(known.manifest.classes)}"
    return None


def _inspect(known: Audit, reader: Reader, sample: Sample) -> _Inspected:
    seen = open_sample(
        known, sample, reader.detector, lambda seen: _inspect_opened(reader, sample, seen), reader.config.input_size
    )
    return _Inspected(sample, ((seen, 0.0),)) if isinstance(seen, Finding) else seen


def _take_whole(known: Audit, reader: Reader, sample: Sample) -> _Inspected:
    """Crop an image whole for the model; nothing is taken from one that can no longer be read."""
    try:
        source: bytes | ImageError = known.manifest.read(sample.name)
    except ImageError as error:
        source = error
    seen = Preprocessor(reader.config.input_size, reader.config.input_channels, isolated="costly")(
        (sample.name, source)
    )
    if not seen.crops:
        return _Inspected(sample, ((Finding(sample.name, "unreadable", seen.reason or ""), 0.0),))
    return _Inspected(sample, (), seen.crops[0])


def _inspect_opened(reader: Reader, sample: Sample, seen: DecodedImage) -> _Inspected:
    drawn = drawing_score(seen.rgb, seen.faces[0].box, seen.faces[0].score)
    boxes = tuple(face.box for face in seen.full_size_faces())
    finding = Finding(sample.name, "not-a-photograph", f"looks drawn ({drawn:.2f})")
    place = face_region(seen.faces[0]) if reader.detect else None
    config = reader.config
    taken = crop(seen.rgb, config.input_size, config.input_channels, place, config.resize)
    issues = face_issues(seen.full_size_faces(), seen.width, seen.height)
    return _Inspected(
        sample, tuple((Finding(sample.name, kind, note), badness) for kind, note, badness in issues), taken, boxes,
        (finding, drawn) if drawn >= DRAWING_THRESHOLD else None,
    )  # fmt: skip


def face_issues(faces: Sequence[Detection], width: int, height: int) -> list[tuple[str, str, float]]:
    """Return the issues of an image's faces: (kind, note, badness).

    Args:
        faces: at least one, largest first.
        width: of the upright image, in pixels, like `height`.
    """
    found = []
    largest = faces[0]
    side = _side(largest)
    if side < MIN_FACE_SIDE:
        found.append(("face-too-small", f"its face is {side:.0f} pixels wide", -side))
    missing = _missing_margin(largest, width, height)
    if missing > 0:
        found.append(("face-cut-off", "", missing))  # what the kind is called says all
    others = [
        face for face in faces[1:]
        if _side(face) ** 2 >= SIMILAR_AREA * side**2 and face.score >= SIMILAR_SCORE * largest.score
    ]  # fmt: skip
    if others:
        found.append(("several-faces", f"has {1 + len(others)} faces of similar size", _side(others[0]) / side))
    return found


def _side(face: Detection) -> float:
    return float(np.sqrt(face.box.width * face.box.height))


def _missing_margin(face: Detection, width: int, height: int) -> float:
    """Return by how much a landmark is too near the border, in distances from eyes to mouth; 0 if none is."""
    points = np.array(face.landmarks)
    unit = max(float(np.linalg.norm(points[3:].mean(axis=0) - points[:2].mean(axis=0))), 1.0)
    room = np.minimum(points, np.array([width, height]) - points).min() / unit
    return max(0.0, MIN_MARGIN - float(room))


def _of_classes(reader: Reader, answers: Float64, known: Audit) -> Float64:
    """Return the probabilities among the classes of the data, float64 (N, K), rows sum to 1."""
    return renormalise(reader.rule.probabilities_of(answers, known.manifest.classes))


def _label_findings(
    samples: Sequence[Sample], probabilities: Float64, classes: tuple[str, ...]
) -> list[tuple[Finding, float]]:
    labels = [classes.index(sample.label) for sample in samples]
    findings = []
    for issue in find_label_issues(probabilities, labels):
        probability = probabilities[issue.index, issue.suggested]
        note = f"labelled {classes[issue.given]}, looks {classes[issue.suggested]} ({probability:.2f})"
        findings.append((Finding(samples[issue.index].name, "label-issue", note), issue.margin))
    return findings
