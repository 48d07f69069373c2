"""What `mien explain --model` names: a bundle, a run with its Keras model, or a .keras file."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mien.errors import ConfigError
from mien.explanation.explainer import Explainer, Method, default_method, explainer_of
from mien.inference.reader import Faces, Reader, load
from mien.io.layout import BUNDLE, FINAL, KERAS
from mien.labels import parse_classes

#: Where a run folder keeps its Keras model; the second is that of a cross-validated one.
_IN_RUN = (KERAS, f"{FINAL}/{KERAS}")
_KERAS = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class Opened:
    """A model to explain by: its reader, the method and the function behind it."""

    reader: Reader
    method: Method
    explainer: Explainer


def open_model(
    model: str | None, labels: str | None, method: Method | None, faces: Faces, detect: bool | None
) -> Opened:
    """Open what `--model` names for explaining by a method; None is the best that the bundle alone allows.

    A .keras file in a run folder is that run; any other becomes a bundle for the time being, for which its class
    names must be given. Raises ConfigError, in one line, where the Keras model that a method needs is not there.
    """
    path = None if model is None else Path(model)
    if path is not None and path.suffix in _KERAS and path.is_file():
        run = path.parent
        if (run / BUNDLE).is_dir():
            if labels:
                raise ConfigError(f"--labels: {path} belongs to a run, which knows its labels; leave it out")
            reader = load(run, faces=faces, detect=detect)
            return _with_keras(reader, method or default_method(reader), path)
        return _foreign(path, labels, method, faces, detect)
    if labels and path is not None and path.suffix in _KERAS:
        raise ConfigError(f"--model {path}: no such file")
    if labels:
        raise ConfigError("--labels: is for a .keras file; a bundle or a run knows its labels")
    reader = load(model, faces=faces, detect=detect)
    chosen = method or default_method(reader)
    if chosen in ("cam", "occlusion"):
        return Opened(reader, chosen, explainer_of(reader, chosen))
    found = next((path / inner for inner in _IN_RUN if (path / inner).is_file()), None) if path else None
    if found is None:
        raise ConfigError(
            f"--method {chosen}: needs the Keras model, and {model or 'the shipped model'} is a bundle alone; give "
            f"--model RUN (a run folder with model.keras) or a .keras file, or use --method {default_method(reader)}"
        )
    return _with_keras(reader, chosen, found)


def _with_keras(reader: Reader, method: Method, path: Path, scaling: tuple[float, float] = (1.0, 0.0)) -> Opened:
    if method in ("cam", "occlusion"):
        return Opened(reader, method, explainer_of(reader, method))
    from mien.training.backend import require_keras

    require_keras(f"--method {method}")
    from mien.training.gradcam import GradCam, GradMethod
    from mien.training.networks.foreign import open_keras

    return Opened(reader, method, GradCam(open_keras(path), cast("GradMethod", method), scaling=scaling))


def _foreign(path: Path, labels: str | None, method: Method | None, faces: Faces, detect: bool | None) -> Opened:
    if labels is None:
        raise ConfigError(f"{path}: give its class names in the order of its outputs, --labels happy,sad say")
    names = parse_classes(labels)
    from mien.training.backend import require_keras

    require_keras("explaining a Keras model")
    from mien.training.networks.foreign import SCALES, export_foreign

    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / path.stem
        _, found = export_foreign(path, names, bundle)
        reader = load(bundle, faces=faces, detect=detect)
    return _with_keras(reader, method or "grad-cam", path, SCALES[found])
