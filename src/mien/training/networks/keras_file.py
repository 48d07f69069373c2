"""Open Keras models from files, without running code in them; those of Keras 2 too."""

import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from mien.errors import ExportError
from mien.io.bounded import MAX_TEXT, parse_json
from mien.training.model_file import KERAS_CONFIG, KERAS_WEIGHTS, cut_short, require_keras_file, weights_only
from mien.training.networks.keras_safety import check_config, check_outputs, limited_weights, weights_in
from mien.training.networks.legacy import legacy_model

_CURRENT = 3  # the version of Keras whose files Keras itself opens


def load_keras_file(path: Path) -> Any:
    """Load a `.keras` or `.h5` file without running code in it.

    Raises ExportError if it is not a Keras model, or has a layer that runs code or is not part of Keras.
    """
    kind = require_keras_file(path)
    with _named(path, kind) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on deprecated settings, which the owner of the file cannot change
        config, version = _zip_config(path) if kind == ".keras" else _hdf5_config(path)
        try:
            check_config(config)
            with limited_weights(_weights_in(path, kind)):
                network = _open(file, kind, config, version)
            check_outputs(network)
        except ExportError as error:
            raise ExportError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from None
        except Exception as error:  # Keras raises many kinds, some of them bare
            raise ExportError(f"{path}: {_reason(error, version)}") from None
    return network


def _weights_in(path: Path, kind: str) -> int:
    try:
        return weights_in(path, kind)
    except ExportError:
        raise
    except Exception:  # h5py and zipfile raise many kinds
        raise cut_short(path) from None


def _open(file: Path, kind: str, config: Any, version: int) -> Any:
    if version >= _CURRENT:
        try:
            return keras.models.load_model(file, compile=False, safe_mode=True)
        except Exception:  # many kinds
            if kind != ".h5":  # whose configs keep the form of Keras 2
                raise
    network = legacy_model(config)
    _load_weights(network, file, kind)
    return network


@contextmanager
def _named(path: Path, kind: str) -> Iterator[Path]:
    """Give a file the ending of its content: Keras goes by the name."""
    if path.suffix == kind and not path.name.endswith(".weights.h5"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"model{kind}"
        try:
            link.symlink_to(path.resolve())
        except OSError:  # Windows allows links to few
            link.write_bytes(path.read_bytes())
        yield link


def _zip_config(path: Path) -> tuple[Any, int]:
    """Return the config of a `.keras` file, and the version of Keras that wrote it."""
    try:
        with zipfile.ZipFile(path) as archive:
            config = _member(archive, KERAS_CONFIG)
            about = _member(archive, "metadata.json") if "metadata.json" in archive.namelist() else {}
        return config, _version(about.get("keras_version", "3"))
    except Exception:  # zipfile and zlib raise many kinds
        raise cut_short(path) from None


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as stream:
        return parse_json(stream.read(MAX_TEXT))


def _hdf5_config(path: Path) -> tuple[Any, int]:
    """Return the config of a `.h5` file, and the version of Keras that wrote it; ExportError if it has weights only."""
    import h5py

    try:
        with h5py.File(path) as file:
            config = file.attrs.get("model_config")
            version = file.attrs.get("keras_version", file.get("model_weights", file).attrs.get("keras_version", "2"))
    except Exception:  # h5py raises many kinds
        raise cut_short(path) from None
    if config is None:
        raise weights_only(path)
    try:
        return parse_json(config), _version(version)
    except (ValueError, TypeError):
        raise cut_short(path) from None


def _version(text: Any) -> int:
    words = text.decode() if isinstance(text, bytes) else str(text)
    first = words.partition(".")[0]
    return int(first) if first.isdigit() else _CURRENT


def _load_weights(network: Any, file: Path, kind: str) -> None:
    if kind == ".h5":
        network.load_weights(file)
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(file) as archive:
        network.load_weights(archive.extract(KERAS_WEIGHTS, folder))


def _reason(error: Exception, version: int) -> str:
    """Return one sentence of our own on why Keras does not open a model; its own text may fill a page."""
    text = str(error)
    if "Could not locate" in text or "Unknown layer" in text:
        name = [*text.split("'"), "?"][1]
        return f"the class '{name}' is not part of Keras; build the model without it and save again"
    if "weight" in text or "shape" in text or "expected" in text or isinstance(error, OSError | KeyError):
        return "the weights in the file do not fit its model; it may be damaged, so download or copy it again"
    return (
        f"Keras {keras.__version__} cannot open this model, which Keras {version} wrote "
        f"({type(error).__name__}); {_SAVE_AGAIN}"
    )


_SAVE_AGAIN = "open it where it was made and save it again by model.save('model.keras')"
