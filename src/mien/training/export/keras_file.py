"""Load Keras files in safe mode, and export models made elsewhere as bundles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from mien.arrays import UInt8
from mien.data.synthetic.faces import draw_face
from mien.errors import ExportError, ImageError
from mien.faces.crop import crop
from mien.io.image import IMAGE_SUFFIXES, load_image
from mien.training.backend import require_keras_file
from mien.training.export.agreement import Agreement
from mien.training.export.onnx import export_bundle

#: (factor, offset) from raw 0-255 values to each input range.
SCALES = {"0-255": (1.0, 0.0), "0-1": (1 / 255, 0.0), "-1-1": (1 / 127.5, -1.0)}
_COMPARED_CROPS = 32


def export_keras_file(
    path: Path, labels: Sequence[str], out: Path, data: Path | None = None, input_range: str = "auto"
) -> tuple[Agreement, str]:
    """Export a `.keras` or `.h5` file as a bundle.

    Args:
        path: the Keras file.
        labels: class names, in the order of the model's outputs.
        out: the bundle to write, a new folder.
        data: a folder (or file) of images to compare Keras and ONNX on; None: drawn faces.
        input_range: `0-255`, `0-1` or `-1-1`; `auto`: 0-255 if the model rescales its input, else 0-1.

    Returns:
        The agreement between Keras and ONNX, and the input range used.

    Raises:
        ExportError: the file is not a safe Keras model, its input does not fit, or Keras and ONNX disagree.
        OutputError: `out` exists.
    """
    network = load_keras_file(path)
    if input_range == "auto":
        input_range = "0-255" if _rescales(network) else "0-1"
    shape = network.inputs[0].shape
    if len(shape) != 4 or None in shape[1:]:
        raise ExportError(f"{path}: the model's input is {tuple(shape)}; images of one fixed size are needed")
    if shape[3] not in (1, 3):
        raise ExportError(f"{path}: the model's input has {shape[3]} channels; 1 or 3 are needed")
    crops = _comparison_crops(data, shape[1], shape[3])
    about = {"source": path.name, "input_range": input_range}
    agreement = export_bundle(network, labels, crops, out, scaling=SCALES[input_range], about=about)
    return agreement, input_range


def load_keras_file(path: Path) -> Any:
    """Load a `.keras` or `.h5` file without running code in it.

    Raises ExportError if it is not a Keras model, or has a Lambda layer.
    """
    require_keras_file(path)
    try:
        network = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds, some of them bare
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ExportError(f"{path}: cannot be opened safely ({reason})") from None
    unsafe = [layer.name for layer in network._flatten_layers() if type(layer).__name__ == "Lambda"]
    if unsafe:
        raise ExportError(f"{path}: the layer '{unsafe[0]}' runs code of its own (Lambda); replace it and save again")
    return network


def _rescales(network: Any) -> bool:
    return any(isinstance(layer, layers.Rescaling | layers.Normalization) for layer in network._flatten_layers())


def _comparison_crops(data: Path | None, size: int, channels: int) -> UInt8:
    if data is None:
        faces = [draw_face(("happy", "sad")[seed % 2], seed) for seed in range(_COMPARED_CROPS)]
        return np.stack([crop(face, size, channels) for face in faces])
    paths = [data] if data.is_file() else sorted(p for p in data.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    found = []
    for path in paths:
        try:
            found.append(crop(load_image(path), size, channels))
        except ImageError:
            continue
        if len(found) == _COMPARED_CROPS:
            break
    if not found:
        raise ExportError(f"{data}: has no readable image to compare on")
    return np.stack(found)
