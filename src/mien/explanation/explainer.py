"""Explain predictions: heatmaps of the evidence for a label, from a bundle alone or by a given function."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from mien.arrays import RGB, Float32, Float64, Int64, UInt8
from mien.errors import ConfigError, ImageError
from mien.explanation.figures import heatmap_figure, inline_png, label_sheet
from mien.explanation.saliency import (
    class_activation,
    heatmaps,
    log_odds,
    occlude,
    occlusion_map,
    occlusion_squares,
)
from mien.faces.crop import face_region
from mien.inference.caution import join_reasons
from mien.inference.preprocess import PreparedImage
from mien.inference.reader import Reader
from mien.io.images.decoding import load_image
from mien.io.images.pixels import MAX_READ_PIXELS
from mien.io.images.source import ImageSource, open_source
from mien.markup import element, to_html
from mien.results import Face, FaceHeat, ImageResult
from mien.text import did_you_mean, one_line

#: How a heatmap is computed. The gradient methods (the last three) need the Keras model: see `mien.training.gradcam`.
Method = Literal["cam", "occlusion", "grad-cam", "grad-cam++", "layer-cam"]

#: Computes heatmaps float32 (N, S, S), [0, 1], from crops uint8 (N, S, S, C) and labels int64 (N,).
Explainer: TypeAlias = Callable[[UInt8, Int64], Float32]

#: Most faces of an image that are explained, the largest: by class activation maps, and by slower methods. The result
#: says if there are more.
MAX_EXPLAINED_FACES, MAX_SLOW_FACES = 100, 25

#: Occluded copies of a crop are classified in batches of this size.
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Explanation:
    """The evidence for one or more labels in each face of an image.

    Attributes:
        result: the prediction.
        image: the upright image, uint8 (H, W, 3), RGB; that of a file with more than 24 million pixels is shrunk by a
            whole number to at most that many.
        heatmaps: one row per label that was asked for, with one heatmap per face.
    """

    result: ImageResult
    image: RGB
    heatmaps: tuple[tuple[FaceHeat, ...], ...]

    @property
    def faces(self) -> tuple[FaceHeat, ...]:
        """The heatmap of each face, for the first label that was asked for."""
        return self.heatmaps[0]

    def faces_in_image(self) -> tuple[FaceHeat, ...]:
        """Return `faces` with their corners in pixels of `image`, also if that is shrunk."""
        height, width = self.image.shape[:2]
        full = (self.result.height or height, self.result.width or width)
        return tuple(face.rescaled(full, (height, width)) for face in self.faces)

    def figure(self) -> Image.Image:
        """Draw the image with its heatmaps; for several labels, a sheet with one panel per face and label."""
        if len(self.heatmaps) == 1:
            return heatmap_figure(self.image, self.result, self.faces)
        return label_sheet(self.image, self.result, self.heatmaps)

    def arrays(self) -> dict[str, Any]:
        """Return the arrays that `mien explain --array` writes.

        `heats` float32 (labels, faces, S, S), [0, 1]; `labels` str (labels, faces); `crops` uint8 (faces, S, S, C);
        `corners` float64 (faces, 4, 2), as in `FaceHeat`.
        """
        faces = self.faces
        size = faces[0].heat.shape[0] if faces else 0
        heats = np.zeros((len(self.heatmaps), len(faces), size, size), np.float32)
        for number, row in enumerate(self.heatmaps):
            for place, face in enumerate(row):
                heats[number, place] = face.heat
        return {
            "heats": heats,
            "labels": np.array([[face.label for face in row] for row in self.heatmaps], np.str_),
            "crops": np.stack([face.crop for face in faces]) if faces else np.zeros((0, 0, 0, 1), np.uint8),
            "corners": np.stack([face.corners for face in faces]) if faces else np.zeros((0, 4, 2)),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the row of `mien predict`, and `heatmaps` by label and face; JSON-serialisable."""
        rows = [
            [
                {
                    "label": face.label,
                    "method": face.method,
                    "corners": face.corners.round(2).tolist(),
                    "heat": [[round(float(value), 4) for value in line] for line in face.heat],
                }
                for face in row
            ]
            for row in self.heatmaps
        ]
        return {**self.result.to_dict(), "heatmaps": rows}

    def __repr__(self) -> str:
        """Say the answers and what was explained, in one line."""
        shown = ", ".join(sorted({f"{heat.label} ({heat.method})" for row in self.heatmaps for heat in row}))
        return one_line(f"<mien.Explanation of {self.result}; heatmaps: {shown or 'none'}>")

    def _repr_html_(self) -> str:
        """Return the figure as an inline PNG for a notebook."""
        return to_html(element("img", src=inline_png(self.figure()), alt=str(self.result)))


def explain_image(
    reader: Reader,
    source: ImageSource,
    label: str | None = None,
    method: Method | None = None,
    explainer: Explainer | None = None,
) -> Explanation:
    """Compute the evidence for a label in each face of an image.

    Args:
        reader: the model.
        source: as for `Reader.predict`.
        label: one of the model's labels. Default: the answer for each face or, if that is not a label (`neither`), its
            most probable label.
        method: default: `cam` if the bundle has class activation maps, else `occlusion`.
        explainer: computes the heatmaps; needed for gradient methods (`mien.training.gradcam`).

    Returns:
        An `Explanation`. If the image has no face, it has no heatmaps; if it has more than 100 (25 for other
        methods than `cam`), it has those of the largest, and the reason of its result says so.

    Raises:
        ImageError: the image cannot be read.
        ConfigError: the model does not have this label or method.
    """
    return explain_labels(reader, source, (label,), method, explainer)


def explain_labels(
    reader: Reader,
    source: ImageSource,
    labels: Sequence[str | None],
    method: Method | None = None,
    explainer: Explainer | None = None,
) -> Explanation:
    """Explain one image for several labels, as `explain_image` does for one; it is decoded and classified once."""
    chosen = method or default_method(reader)
    run = explainer or make_explainer(reader, chosen)
    for label in labels:
        _check_label(reader, label)
    name, plain = open_source(source)  # an open file can be read once
    if isinstance(plain, ImageError):
        raise plain
    prepared = reader.preprocess(plain, name)
    if prepared.status == "unreadable":
        raise ImageError(prepared.name, prepared.reason or "cannot be read")
    prepared = _largest(prepared, MAX_EXPLAINED_FACES if chosen == "cam" else MAX_SLOW_FACES)
    result = reader.classify(prepared)
    image = load_image(plain, max_pixels=MAX_READ_PIXELS, isolated=reader.isolated)
    rows = []
    for label in labels:
        names = [label or label_to_explain(reader, face) for face in result.faces]
        indices = np.array([reader.config.labels.index(name) for name in names], np.int64)
        maps = run(np.stack(prepared.crops), indices) if names else ()
        rows.append(
            tuple(
                FaceHeat(name, chosen, heat, crop, corners)
                for name, heat, crop, corners in zip(names, maps, prepared.crops, _corners(prepared), strict=True)
            )
        )
    return Explanation(result, image, tuple(rows))


def _largest(prepared: PreparedImage, most: int) -> PreparedImage:
    faces = len(prepared.inputs)
    if faces <= most:
        return prepared
    reason = join_reasons(prepared.reason, f"only the largest {most} of {faces} faces were explained")
    found, inputs = prepared.detections[:most], prepared.inputs[:most]
    return replace(prepared, reason=reason, detections=found, inputs=inputs)


def explain_crops(reader: Reader, crops: UInt8, labels: Int64, method: Method | None = None) -> Float32:
    """Compute heatmaps of crops, float32 (N, S, S), [0, 1].

    Args:
        reader: the model.
        crops: uint8 (N, S, S, C), [0, 255].
        labels: int64 (N,), indices of the model's labels.
        method: as in `explain_image`.

    Raises:
        ConfigError: the model does not have this method.
    """
    return make_explainer(reader, method or default_method(reader))(crops, labels)


def default_method(reader: Reader) -> Method:
    """Return `cam` if the model has class activation maps (exact and fast), else `occlusion` (any model)."""
    return "cam" if reader.config.maps else "occlusion"


def make_explainer(reader: Reader, method: Method) -> Explainer:
    """Return the function that computes heatmaps by a method that needs the bundle alone.

    Raises ConfigError for a method that needs more.
    """
    if method == "cam":
        if not reader.config.maps:
            raise ConfigError(
                f"cam: the model '{reader.config.name}' has no class activation maps, since its head is not one "
                "linear layer after average pooling; use occlusion, or grad-cam with `model=RUN`"
            )
        return lambda crops, labels: _cam(reader, crops, labels)
    if method == "occlusion":
        return lambda crops, labels: _occlusion(reader, crops, labels)
    raise ConfigError(
        f"{method}: needs the Keras model that the bundle was made from; give `model=RUN` (a run folder) or a "
        ".keras file, or use " + default_method(reader)
    )


def label_to_explain(reader: Reader, face: Face) -> str:
    """Return the label that a face is explained for by default: its answer, or its most probable label."""
    if face.answer in reader.config.labels:
        return face.answer
    by_label = face.expressions or face.probabilities
    return max((name for name in by_label if name in reader.config.labels), key=by_label.__getitem__)


def _cam(reader: Reader, crops: UInt8, labels: Int64) -> Float32:
    return heatmaps(class_activation(reader.maps(crops), labels), reader.config.input_size)


def _occlusion(reader: Reader, crops: UInt8, labels: Int64) -> Float32:
    size = reader.config.input_size
    squares = occlusion_squares(size)
    before = log_odds(reader.logits(crops), labels)
    maps = np.empty((len(crops), size, size), np.float32)
    for number, (crop, label) in enumerate(zip(crops, labels, strict=True)):
        after = log_odds(reader.logits(occlude(crop, squares), _BATCH), np.repeat(label, len(squares)))
        maps[number] = occlusion_map(before[number] - after, squares, size)
    return heatmaps(maps, size)


def _corners(prepared: PreparedImage) -> list[Float64]:
    width, height = prepared.width or 1, prepared.height or 1
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    return [face_region(found).corners if found else whole for found in prepared.detections]


def _check_label(reader: Reader, label: str | None) -> None:
    known = reader.config.labels
    if label is not None and label not in known:
        raise ConfigError(f"`label={label!r:.40}`: this model has {', '.join(known)}{did_you_mean(label, known)}")
