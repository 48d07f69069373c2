"""What in a picture speaks for a label: heatmaps from the bundle alone, or from a function that is given."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from mien.arrays import Float32, Float64, Int64, UInt8
from mien.errors import ConfigError, ImageError
from mien.explanation.saliency import class_activation, heats, log_odds, occlude, occlusion, occlusion_masks
from mien.faces.crop import face_region
from mien.inference.preprocess import PreparedImage
from mien.inference.reader import Reader
from mien.io.image import ImageSource, load_image
from mien.results import Face, FaceHeat, ImageResult

#: How a heatmap is made. The last three, by gradients, need the Keras model: see `mien.training.gradcam`.
Method = Literal["cam", "occlusion", "grad-cam", "grad-cam++", "layer-cam"]

#: UInt8 uint8 (N, S, S, C) and labels int64 (N,) to heatmaps float32 (N, S, S) in [0, 1].
Explainer: TypeAlias = Callable[[UInt8, Int64], Float32]

#: Copies of a crop with a part covered are read so many at a time.
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Explanation:
    """One picture, upright, uint8 (H, W, 3), RGB; what was read from it; and a heatmap for each of its faces."""

    result: ImageResult
    picture: UInt8
    faces: tuple[FaceHeat, ...]


def explain(
    reader: Reader, source: ImageSource, label: str | None = None, method: Method | None = None,
    explainer: Explainer | None = None,
) -> Explanation:  # fmt: skip
    """Show what in each face of a picture speaks for a label.

    `label` is one of the model's labels; None is what each face is answered by or, of a face answered `neither`,
    its most probable label. `method` None is `cam` where the bundle has class activation maps, else `occlusion`;
    for the others give the `explainer` (`mien.training.gradcam`). A picture without a face has no heatmaps. Raises
    ImageError for a picture that cannot be read, ConfigError for a label or method that the model does not have.
    """
    return explain_labels(reader, source, (label,), method, explainer)[0]


def explain_labels(
    reader: Reader, source: ImageSource, labels: tuple[str | None, ...], method: Method | None = None,
    explainer: Explainer | None = None,
) -> list[Explanation]:  # fmt: skip
    """Explain one picture for several labels, as `explain` does for one; it is decoded and read once."""
    chosen = method or default_method(reader)
    run = explainer or explainer_of(reader, chosen)
    for label in labels:
        _check_label(reader, label)
    prepared = reader.preprocess(source)
    if prepared.status == "unreadable":
        raise ImageError(prepared.name, prepared.reason or "cannot be read")
    result = reader.classify(prepared)
    picture = load_image(source)
    found = []
    for label in labels:
        names = [label or label_to_explain(reader, face) for face in result.faces]
        indices = np.array([reader.config.labels.index(name) for name in names], np.int64)
        maps = run(np.stack(prepared.crops), indices) if names else ()
        faces = tuple(
            FaceHeat(name, chosen, heat, crop, corners)
            for name, heat, crop, corners in zip(names, maps, prepared.crops, _corners(prepared), strict=True)
        )
        found.append(Explanation(result, picture, faces))
    return found


def explain_crops(
    reader: Reader, crops: UInt8, labels: Int64, method: Method | None = None
) -> Float32:  # fmt: skip
    """Return heatmaps float32 (N, S, S) in [0, 1] for crops uint8 (N, S, S, C), [0, 255].

    `labels` are int64 (N,), indices into the model's labels. Raises ConfigError for a method that the model
    does not have.
    """
    return explainer_of(reader, method or default_method(reader))(crops, labels)


def default_method(reader: Reader) -> Method:
    """Return the method that is exact and fast where the model allows it, or the one that any model allows."""
    return "cam" if reader.config.maps else "occlusion"


def explainer_of(reader: Reader, method: Method) -> Explainer:
    """Return the function behind a method that needs the bundle alone; ConfigError for one that needs more."""
    if method == "cam":
        if not reader.config.maps:
            raise ConfigError(
                f"cam: the model '{reader.config.name}' has no class activation maps, since its head is not one "
                "linear layer after average pooling; use occlusion, or grad-cam with --model RUN"
            )
        return lambda crops, labels: _cam(reader, crops, labels)
    if method == "occlusion":
        return lambda crops, labels: _occlusion(reader, crops, labels)
    raise ConfigError(
        f"{method}: needs the Keras model that the bundle was made from; give --model RUN (a run folder) or a "
        ".keras file, or use " + default_method(reader)
    )


def label_to_explain(reader: Reader, face: Face) -> str:
    """Return the label that a face is explained for where none is named: its answer, or its most probable label."""
    if face.answer in reader.config.labels:
        return face.answer
    by_label = face.expressions or face.probabilities
    return max((name for name in by_label if name in reader.config.labels), key=by_label.__getitem__)


def _cam(reader: Reader, crops: UInt8, labels: Int64) -> Float32:
    return heats(class_activation(reader.maps(crops), labels), reader.config.input_size)


def _occlusion(reader: Reader, crops: UInt8, labels: Int64) -> Float32:
    size = reader.config.input_size
    squares = occlusion_masks(size)
    before = log_odds(reader.logits(crops), labels)
    maps = np.empty((len(crops), size, size), np.float32)
    for number, (crop, label) in enumerate(zip(crops, labels, strict=True)):
        after = log_odds(reader.logits(occlude(crop, squares), _BATCH), np.repeat(label, len(squares)))
        maps[number] = occlusion(before[number] - after, squares, size)
    return heats(maps, size)


def _corners(prepared: PreparedImage) -> list[Float64]:
    width, height = prepared.width or 1, prepared.height or 1
    whole = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    return [face_region(found).corners if found else whole for found in prepared.detections]


def _check_label(reader: Reader, label: str | None) -> None:
    known = reader.config.labels
    if label is not None and label not in known:
        raise ConfigError(f"label {label!r:.40}: this model has {', '.join(known)}")
