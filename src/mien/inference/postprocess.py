"""Turn calibrated probabilities into results: answer, reason and caution of each face, image and frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from mien.arrays import Float64, UInt8
from mien.inference.answer_fields import two_way
from mien.inference.bundle_config import BundleConfig
from mien.inference.caution import join_reasons, small_face, whole_photograph
from mien.inference.decision import Answer, AnswerRule
from mien.inference.preprocess import PreparedImage
from mien.io.images.source import open_source
from mien.io.video.frames import TimedFrame
from mien.labels import EXPRESSIONS
from mien.results import Box, Detection, Face, FrameResult, ImageResult


@dataclass(frozen=True)
class Postprocessor:
    """Builds the results of one reader.

    Args:
        config: of the model.
        rule: when the model gives which answer.
        detect: whether faces were looked for.
        overlooks_faces: whether photographs are read whole, though nobody asked for that.
    """

    config: BundleConfig
    rule: AnswerRule
    detect: bool
    overlooks_faces: bool

    def faces(
        self, boxes: Sequence[Box], detections: Sequence[Detection | None], rows: Float64
    ) -> tuple[Face, ...]:  # fmt: skip
        """Decide the answers of faces with these probabilities (N, K)."""
        return tuple(map(self._face, boxes, detections, rows.tolist(), self.rule.decide(rows)))

    def images(self, images: Sequence[PreparedImage], rows: Float64) -> Iterator[ImageResult]:
        """Yield the result of each image; `rows` (N, K) are the probabilities of all their crops, in order."""
        boxes = [box for image in images for box in image.boxes]
        detections = [found for image in images for found in image.detections]
        faces = iter(self.faces(boxes, detections, rows))
        for image in images:
            yield ImageResult(
                source=image.name,
                status=image.status,
                reason=image.reason,
                width=image.width,
                height=image.height,
                model=self.config.name,
                faces=tuple(islice(faces, len(image.inputs))),
                detect=self.detect,
            )

    def arrays(self, images: UInt8, rows: Float64) -> Iterator[ImageResult]:
        """Yield the results of arrays (N, H, W[, C]) classified whole; `rows` (N, K) are their probabilities."""
        (name, _), (height, width) = open_source(images), images.shape[1:3]
        box, labels, model = Box(0, 0, width, height), self.config.labels, self.config.name
        caution, has_seven = self._caution(box, None), set(labels) == set(EXPRESSIONS)
        for row, answer in zip(rows.tolist(), self.rule.decide(rows), strict=True):
            by_label = dict(zip(labels, row, strict=True))
            why = join_reasons(answer.why, caution) if caution else answer.why
            face = Face(
                box, None, answer.label, answer.probability, why, answer.probabilities, two_way(by_label),
                by_label if has_seven else None,
            )  # fmt: skip
            yield ImageResult(name, "ok", None, width, height, model, (face,), detect=self.detect)

    def frame(
        self, image: PreparedImage, rows: Float64, people: Sequence[int | None], frame: TimedFrame, scene: int
    ) -> FrameResult:
        """Return the result of a frame: `rows` (N, K) are the smoothed probabilities of its faces."""
        (result,) = self.images([image], rows)
        faces = tuple(replace(face, person=person) for face, person in zip(result.faces, people, strict=True))
        shared = {**vars(result), "faces": faces}
        return FrameResult(**shared, time=frame.time, frame=frame.number, scene=scene)

    def _face(self, box: Box, found: Detection | None, row: list[float], answer: Answer) -> Face:
        by_label = dict(zip(self.config.labels, row, strict=True))
        return Face(
            box=box,
            score=round(found.score, 4) if found else None,
            answer=answer.label,
            probability=answer.probability,
            why=join_reasons(answer.why, self._caution(box, found)),
            probabilities=answer.probabilities,
            two_way=two_way(by_label),
            expressions=by_label if set(self.config.labels) == set(EXPRESSIONS) else None,
            landmarks=tuple((round(x, 1), round(y, 1)) for x, y in found.landmarks) if found else None,
        )

    def _caution(self, box: Box, found: Detection | None) -> str | None:
        if found is not None:
            return small_face(box)
        return whole_photograph(box.width, box.height, self.config.input_size) if self.overlooks_faces else None
