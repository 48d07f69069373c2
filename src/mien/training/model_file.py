"""Recognise what a file of a model is, by its content, and say what to do with one that is not a Keras model.

Needs no Keras.
"""

import zipfile
from pathlib import Path

from mien.errors import ExportError
from mien.io.bounded import parse_json, read_bytes, regular_size
from mien.io.sniffing import not_an_image

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
#: The two files without which a `.keras` archive is none.
KERAS_CONFIG, KERAS_WEIGHTS = "config.json", "model.weights.h5"
_SAVE = "open it where it was made and save it by model.save('model.keras')"
_PYTORCH = "is a PyTorch model; mien exports Keras models (.keras or .h5) only"
_SAVED_MODEL = f"is a TensorFlow SavedModel; {_SAVE}"
_WEIGHTS = "holds only weights; ask for the model itself, or build it, load these weights and save it by " + (
    "model.save('model.keras')"
)
#: Words for what `mien.io.sniffing` recognises.
_KINDS = {
    "zero-bytes": "is empty; download it again",
    "lfs-pointer": "is a Git LFS pointer, not the model; run: git lfs pull",
    "html": "is a web page, not a model; download the file itself (on GitHub, by Raw or Download)",
}
_MODEL_SUFFIXES = (".keras", ".h5", ".hdf5", ".pb", ".tflite", ".onnx", ".pt", ".pth")


def require_keras_file(path: Path) -> str:
    """Return the format of a Keras file by its content, `.keras` or `.h5`.

    Raises ExportError, which says what it is instead, for every other file.
    """
    if not path.exists():
        raise ExportError(f"{path}: no such file")
    if path.is_dir():
        raise ExportError(f"{path}: {_folder(path)}")
    try:
        regular_size(path)
        with path.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read ({error.strerror})") from None
    if head.startswith(_HDF5):
        return ".h5"
    if zipfile.is_zipfile(path):
        other = _archive(path)
        if other is None:
            return ".keras"
        raise ExportError(f"{path}: {other}")
    raise ExportError(f"{path}: {_other(path, head)}")


def weights_only(path: Path) -> ExportError:
    """Return the error for a file of weights without a model."""
    return ExportError(f"{path}: {_WEIGHTS}")


def cut_short(path: Path) -> ExportError:
    """Return the error for a file that begins like a model but cannot be read."""
    return ExportError(f"{path}: is damaged or cut short; download or copy it again")


def _folder(path: Path) -> str:
    names = {entry.name for entry in path.iterdir()}
    if "saved_model.pb" in names or "keras_metadata.pb" in names:
        return _SAVED_MODEL
    if {"model.onnx", "config.json"} <= names:
        return f"is a bundle already; use it by `model={str(path)!r}`"
    return "is a folder; give the .keras or .h5 file of the model"


def _archive(path: Path) -> str | None:
    """Return what a zip archive is; None if it is a `.keras` file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return "is damaged or cut short; download or copy it again"
    if KERAS_CONFIG in names and (KERAS_WEIGHTS in names or "metadata.json" in names):
        return None if KERAS_WEIGHTS in names else "holds a model without its weights; save it again by model.save"
    if any(name.endswith("data.pkl") for name in names):
        return _PYTORCH
    inside = [name for name in names if name.lower().endswith((".keras", ".h5", ".hdf5"))]
    if inside:
        return f"is a zip archive; unpack it and give the model inside, {inside[0]}"
    if any(name.endswith("saved_model.pb") for name in names):
        return _SAVED_MODEL
    if any(name.endswith("model.json") for name in names):
        return "is a model for TensorFlow.js; export it again as a Keras model (.h5)"
    others = [name for name in names if name.lower().endswith(_MODEL_SUFFIXES)]
    return f"is a zip archive without a Keras model ({', '.join((others or names)[:3]) or 'empty'})"


def _other(path: Path, head: bytes) -> str:
    """Return what a file is that is neither HDF5 nor a zip archive, and what to do."""
    suffix, found = path.suffix.lower(), not_an_image(head)
    if head[4:8] == b"TFL3" or suffix == ".tflite":
        return "is a TensorFlow Lite model, which cannot be turned back; ask for the Keras model (.keras or .h5)"
    if found and found.kind in _KINDS:
        return _KINDS[found.kind]
    if head.startswith(b"PK\x03\x04") or suffix in (".keras", ".h5", ".hdf5"):
        if head.startswith(b"PK\x03\x04"):
            return "is damaged or cut short; download or copy it again"
        return "is not a Keras model, although its name says so; ask for the file again"
    if suffix == ".onnx":
        return "is an ONNX graph; mien export takes the Keras model (.keras or .h5) that it was made from"
    if suffix == ".pb":
        return _SAVED_MODEL
    if suffix in (".pt", ".pth"):
        return _PYTORCH
    if head.startswith(_PICKLES):
        return "is a Python pickle, which can run code and is not opened; save the model by model.save('model.keras')"
    if suffix == ".json" or head.lstrip()[:1] == b"{":
        return _json(path)
    return "is not a Keras model (.keras or .h5)"


def _json(path: Path) -> str:
    try:
        found = parse_json(read_bytes(path))
    except (OSError, ValueError):
        found = {}
    if isinstance(found, dict) and ("modelTopology" in found or "weightsManifest" in found):
        return "is a model for TensorFlow.js; export it again as a Keras model (.h5)"
    if isinstance(found, dict) and "class_name" in found:
        return "holds only the architecture, no weights; ask for the whole model, saved by model.save('model.keras')"
    return "is a JSON file, not a Keras model (.keras or .h5)"
