"""Explain predictions in one call: `mien.explain` for an image, `mien.explain_dataset` for labelled data.

The gradient methods need Keras, which is imported only for them.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from mien.arguments import choice_argument, path_argument
from mien.data.dataset import read_manifest
from mien.errors import ConfigError
from mien.evaluation.held_out import held_out
from mien.explanation.explainer import Explainer, Explanation, Method, default_method, explain_labels, make_explainer
from mien.explanation.summary import DatasetExplanation, explain_manifest
from mien.inference.bundle import find_model
from mien.inference.placement import refuse_device
from mien.inference.reader import Reader, load
from mien.inference.reader_options import Faces
from mien.io.atomic import new_folder
from mien.io.images.source import ImageSource
from mien.io.layout import BUNDLE, FINAL, KERAS
from mien.io.targets import require_new_folder
from mien.labels import check_labels
from mien.runtime.providers import Device
from mien.training.model_file import require_keras_file

if TYPE_CHECKING:
    from mien.training.export.scaling import Scaling

#: Where a run folder has its Keras model; the second is that of a cross-validated run.
_IN_RUN = (KERAS, f"{FINAL}/{KERAS}")
_KERAS = (".keras", ".h5", ".hdf5")
#: In place of a label: every label of the model.
ALL = "all"
_BUNDLE_METHODS = ("cam", "occlusion")


@dataclass(frozen=True, eq=False)
class ExplainableModel:
    """A model that is ready to be explained.

    Attributes:
        reader: finds the faces and predicts.
        method: how heatmaps are computed.
        explainer: the function that computes them.
    """

    reader: Reader
    method: Method
    explainer: Explainer


def explain(
    image: ImageSource,
    *,
    model: str | Path | Reader | ExplainableModel | None = None,
    label: str | None = None,
    method: Method | None = None,
    detect: bool | None = None,
    faces: Faces = "all",
    labels: Sequence[str] | None = None,
    input_range: str = "auto",
    device: Device = "auto",
    mirror: bool | None = None,
) -> Explanation:
    """Compute a heatmap of the evidence for a label in each face of an image.

    Args:
        image: as for `Reader.predict`: a path, bytes, an open file, a Pillow image or a uint8 RGB array (H, W, 3).
        model: a shipped model, a bundle or run folder, a .keras file, a reader, or what `open_model` returned (to
            explain many images). Default: the shipped model.
        label: one of the model's labels, or "all" for every one of them. Default: the answer for each face.
        method: `cam` (exact and fast, if the head of the model allows it), `occlusion` (any model), or `grad-cam`,
            `grad-cam++`, `layer-cam` (need the Keras model). Default: `cam` if possible, else `occlusion`.
        detect: find faces first. Default: as the model was trained.
        faces: explain all faces or the largest.
        labels: of a .keras file, the class names in the order of its outputs.
        input_range: of a .keras file, as `mien export` takes it.
        device: where the model runs, as in `Reader`; the gradient methods run where Keras does.
        mirror: average each crop with its mirror image, as in `Reader`; heatmaps are averaged too.

    Returns:
        An `Explanation`: `result`, `image`, `faces` (a heatmap each), `figure()`, `arrays()`, `to_dict()`.

    Raises:
        ImageError: the image cannot be read.
        ConfigError: the model does not have this label or method, or the device cannot be used.
        BundleError: the model cannot be loaded.

    Examples:
        >>> import mien
        >>> heat = mien.explain("photo.jpg").faces[0]
        >>> heat.label, heat.method, heat.heat.shape
        ('happy', 'cam', (48, 48))
    """
    opened = model
    if not isinstance(opened, ExplainableModel):
        opened = open_model(opened, labels, method, faces, detect, input_range, device, mirror)
    else:
        _refuse_opened(device, mirror)
    wanted = opened.reader.config.labels if label == ALL else (label,)
    return explain_labels(opened.reader, image, wanted, opened.method, opened.explainer)


def explain_dataset(
    data: str | Path,
    *,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    fixes: bool | str | Path = True,
    model: str | Path | Reader | ExplainableModel | None = None,
    method: Method | None = None,
    detect: bool | None = None,
    labels: Sequence[str] | None = None,
    input_range: str = "auto",
    device: Device = "auto",
    mirror: bool | None = None,
    attention: bool = True,
    faithfulness: bool = False,
    limit: int = 200,
    out: str | Path | None = None,
    on_message: Callable[[str], None] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> DatasetExplanation:
    """Measure where a model looks in labelled data, and whether its heatmaps are faithful.

    If the data has parts, the test part is used, or else the validation part.

    Args:
        data: labelled data, as for `mien.check`.
        classes: use only these classes. Default: all.
        rename: maps class names of the data to the names to use.
        fixes: use the decisions that people made with `mien fix`: those in the data's own `mien-fixes.csv` (True), none
            (False), or those in this file.
        model: as in `explain`, like `method`, `detect`, `labels`, `input_range`, `device` and `mirror`.
        attention: measure the mean heatmap of each class, and the evidence on each region of the face.
        faithfulness: measure how fast the probability falls if the pixels that a heatmap shows are removed.
        limit: the number of images, as many of each class.
        out: a new folder for `explain.html` and the files beside it.
        on_message: called with what was guessed about the layout, and which device was chosen.
        on_progress: called with the fraction done, in [0, 1].

    Raises:
        DataError: nothing labelled is found, or no image has a face.
        OutputError: `out` exists or cannot be written.
        MissingExtraError: `out` is given, and matplotlib or Jinja2 is not installed.

    Examples:
        >>> import mien
        >>> mien.explain_dataset("data").images
        16
    """
    if not attention and not faithfulness:
        raise ConfigError("explain_dataset: nothing to measure; give attention=True or faithfulness=True")
    source = path_argument("data", data, "a labelled folder, CSV or zip")
    place = None if out is None else path_argument("out", out, "a new folder")
    if place:
        require_new_folder(place, source)
        from mien.report.html import require_pages

        require_pages()
    opened = model
    if not isinstance(opened, ExplainableModel):
        opened = open_model(opened, labels, method, "largest", detect, input_range, device, mirror)
    else:
        _refuse_opened(device, mirror)
    if opened.reader.device_note and on_message:
        on_message(opened.reader.device_note)
    held = held_out(read_manifest(source, classes, rename, fixes).say_notes(on_message))
    found = explain_manifest(
        opened.reader, held.manifest, held.part, opened.method, opened.explainer, attention=attention,
        faithfulness=faithfulness, limit=limit, on_progress=on_progress,
    )  # fmt: skip
    if place:
        from mien.report.explanation import write_explanation

        with new_folder(place) as folder:
            write_explanation(found, folder)
    return found


def open_model(
    model: str | Path | Reader | None = None,
    labels: Sequence[str] | None = None,
    method: Method | None = None,
    faces: Faces = "all",
    detect: bool | None = None,
    input_range: str = "auto",
    device: Device = "auto",
    mirror: bool | None = None,
) -> ExplainableModel:
    """Open a model to be explained.

    A .keras file in a run folder means that run. Any other becomes a bundle for as long as this process runs.

    Args:
        model: as in `explain`, like `method`, `faces`, `detect`, `device` and `mirror`.
        labels: the class names of a .keras file outside a run, in the order of its outputs.
        input_range: of such a file, as `mien export` takes it.

    Raises:
        ConfigError: the method needs a Keras model that is not there, or `labels` is missing or superfluous.
        BundleError: the model cannot be loaded.
    """
    if isinstance(model, Reader):
        if labels:
            raise ConfigError("`labels=`: is for a .keras file; a reader knows its labels")
        refuse_device(device)
        reader = model.variant(faces=faces, detect=detect, mirror=mirror)
        chosen = method or default_method(reader)
        return ExplainableModel(reader, chosen, make_explainer(reader, chosen))
    if method is not None:
        choice_argument("method", method, get_args(Method))
    path = None if model is None else path_argument("model", model, "a model, a run folder or a .keras file")
    if isinstance(model, str):
        path = find_model(model)
    if path is not None and path.suffix in _KERAS and path.is_file():
        run = path.parent
        if (run / BUNDLE).is_dir():
            if labels:
                raise ConfigError(f"`labels=`: {path} belongs to a run, which knows its labels; leave it out")
            reader = load(run, faces=faces, detect=detect, device=device, mirror=mirror)
            return _with_keras(reader, method or default_method(reader), path)
        return _foreign(path, labels, method, faces, detect, input_range, device, mirror)
    if labels and path is not None and path.suffix in _KERAS:
        raise ConfigError(f"`model={str(path)!r}`: no such file")
    if labels:
        raise ConfigError("`labels=`: is for a .keras file; a bundle or a run knows its labels")
    reader = load(path, faces=faces, detect=detect, device=device, mirror=mirror)
    chosen = method or default_method(reader)
    if chosen in _BUNDLE_METHODS:
        return ExplainableModel(reader, chosen, make_explainer(reader, chosen))
    found = next((path / inner for inner in _IN_RUN if (path / inner).is_file()), None) if path else None
    if found is None:
        raise ConfigError(
            f"`method={chosen!r}`: needs the Keras model, and {model or 'the shipped model'} is a bundle alone; give "
            f"`model=RUN` (a run folder with model.keras) or a .keras file, or use `method={default_method(reader)!r}`"
        )
    return _with_keras(reader, chosen, found)


def _refuse_opened(device: Device, mirror: bool | None) -> None:
    """Raise ConfigError for a setting of `open_model` beside a model that is open."""
    refuse_device(device)
    if mirror is not None:
        raise ConfigError(f"`mirror={mirror!r:.20}`: this model is open already; give it to open_model")


def _with_keras(
    reader: Reader, method: Method, path: Path, scaling: "Scaling | None" = None
) -> ExplainableModel:  # fmt: skip
    if method in _BUNDLE_METHODS:
        return ExplainableModel(reader, method, make_explainer(reader, method))
    require_keras_file(path)
    from mien.training.backend import require_keras

    require_keras(f"`method={method!r}`")
    from mien.training.gradcam import GradCam, GradMethod
    from mien.training.networks.keras_file import load_keras_file

    kind, network = cast("GradMethod", method), load_keras_file(path)
    return ExplainableModel(reader, method, GradCam(network, kind, scaling=scaling, mirror=reader.mirror))


def _foreign(
    path: Path, labels: Sequence[str] | None, method: Method | None, faces: Faces, detect: bool | None,
    input_range: str, device: Device, mirror: bool | None,
) -> ExplainableModel:  # fmt: skip
    if labels is None:
        raise ConfigError(
            f"{path}: give its class names in the order of its outputs, for example `labels=['happy', 'sad']`"
        )
    names = check_labels(labels)
    require_keras_file(path)
    from mien.training.backend import require_keras

    require_keras("explaining a Keras model")
    from mien.training.export.keras_file import export_keras_file

    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / path.stem
        found = export_keras_file(path, names, bundle, input_range=input_range)
        reader = load(bundle, faces=faces, detect=detect, device=device, mirror=mirror)
    return _with_keras(reader, method or "grad-cam", path, found.scaling)
