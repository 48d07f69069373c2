"""Fine-tuning: find and load initial weights, from the `weights.npz` of a bundle or a finished run.

`weights.npz` holds the weights of a network in half precision, in the order of `network.weights`, and its settings as
JSON bytes. Kernels that `model.onnx` beside it holds, multiplied by the factors of batch norm, are not stored twice:
only the factors are. The head `logits` is never loaded, so the new classes can be any.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.arrays import Float32
from mien.errors import BundleError, ConfigError, TrainingError
from mien.inference import bundle
from mien.inference.bundle import DEFAULT_MODEL, find_model, find_shipped, near_model, shipped_models
from mien.io.atomic import new_file
from mien.io.bounded import parse_json, read_arrays
from mien.io.layout import CONFIG, FINAL, KERAS
from mien.training.config import FROM_SCRATCH, IMAGENET, TrainConfig, read_settings

WEIGHTS_FILE = "weights.npz"
#: With fewer training images than this, `mien train` fine-tunes the shipped model by default.
SMALL_DATASET = 2000
#: The layer that is never loaded; its width is the number of classes.
HEAD = "logits"

#: Settings that a network must share with its initial weights, and those stored with weights.
_SHARED = ("network", "size", "colour", "width", "activation", "backbone")
_STORED = (*_SHARED, "dropout")
_WEIGHT, _PLACES = "weight", "in_graph"
_LARGE = 4096  # numbers; smaller kernels are stored in any case
_SMALLEST, _TINY, _HALF = 1e-3, 1e-30, 2**-10  # of the factors; of a divisor; relative error of half precision
_DAMAGED = (OSError, ValueError, TypeError, LookupError, AttributeError)

Arrays = list[npt.NDArray[Any]]


def write_weights(network: Any, config: TrainConfig, path: Path, graph: bytes | None = None) -> None:
    """Write the weights of a Keras network in half precision, with the settings that it was built from.

    Args:
        network: the network.
        config: its settings.
        path: the file, usually `weights.npz` in a bundle.
        graph: the bundle's `model.onnx`, if its kernels need not be stored again.

    Raises:
        TrainingError: half precision cannot hold a weight (above 65 504, NaN or infinite).
    """
    from mien.training.export.graph import read_weights

    exported = read_weights(graph) if graph else {}
    arrays: dict[str, npt.NDArray[Any]] = {}
    places: dict[str, str] = {}
    for number, weight in enumerate(network.weights):
        found = _exported(np.asarray(weight), exported)
        if found:
            places[f"{_WEIGHT}{number}"], arrays[f"{_WEIGHT}{number}"] = found
        else:
            arrays[f"{_WEIGHT}{number}"] = _half(weight, path)
    settings = json.dumps({**{name: getattr(config, name) for name in _STORED}, _PLACES: places})
    with new_file(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, settings=np.frombuffer(settings.encode(), np.uint8), **arrays)


def _exported(kernel: Float32, exported: Mapping[str, Float32]) -> tuple[str, Float32] | None:
    """Return the constant of an ONNX graph that is a kernel (h, w, in, out) times a factor per output, and the factors.

    None if there is no such constant, or a factor is so small that the kernel cannot be computed from it.
    """
    if kernel.ndim != 4 or kernel.size < _LARGE:
        return None
    rows = kernel.transpose(3, 2, 0, 1)
    axes = (1, 2, 3)
    for name, constant in exported.items():
        if constant.shape != rows.shape:
            continue
        factors = ((constant * rows).sum(axes) / np.maximum((rows * rows).sum(axes), _TINY)).astype(np.float32)
        if np.abs(factors).min() < _SMALLEST:
            continue
        apart = np.abs(constant / _as_rows(factors) - rows).max(axes)
        if (apart <= _HALF * np.abs(rows).max(axes)).all():
            return name, factors
    return None


def _as_rows(factors: Float32) -> Float32:
    return factors[:, np.newaxis, np.newaxis, np.newaxis]


def _half(weight: Any, path: Path) -> npt.NDArray[np.float16]:
    value = np.asarray(weight)
    with np.errstate(over="ignore"):
        found = value.astype(np.float16)
    if not np.isfinite(found).all():
        raise TrainingError(f"{path}: {weight.path} does not fit half precision; train again at a lower rate")
    return found


def build_config(settings: Mapping[str, Any]) -> TrainConfig:
    """Return the config of a run. With `start_from`, the settings of the network come from its weights.

    `start_from` is what a user gave, as `find_model` takes it. The config has the name of a shipped model, or an
    absolute path, so that the run can be resumed from another folder.

    Raises ConfigError if a setting contradicts those weights, BundleError if there are none.

    Examples:
        >>> build_config({"network": "stack", "epochs": 3}).epochs
        3
    """
    name = settings.get("start_from")
    if not isinstance(name, str) or name == FROM_SCRATCH:
        return TrainConfig.make({**settings, **_absolute_weights(settings.get("backbone_weights"))})
    return _config_from(find_model(name), settings, name)


def _config_from(folder: Path, settings: Mapping[str, Any], name: str) -> TrainConfig:
    found = _settings(_find(folder, name), name)
    _check_shared(settings, found, name)
    place = folder.resolve()
    kept = place.name if place.parent == bundle.SHIPPED.resolve() else str(place)
    return TrainConfig.make({**settings, **{key: found[key] for key in _SHARED}, "start_from": kept})


def _absolute_weights(weights: Any) -> dict[str, str]:
    """Return the absolute path of a file of backbone weights, so that the run can be resumed from another folder."""
    if not isinstance(weights, str) or weights in (FROM_SCRATCH, IMAGENET):
        return {}
    if not Path(weights).is_file():
        raise ConfigError(
            f"`backbone_weights={str(weights)!r}`: no such file; give one, or {IMAGENET} or {FROM_SCRATCH}"
        )
    return {"backbone_weights": str(Path(weights).resolve())}


def small_dataset_config(settings: Mapping[str, Any]) -> TrainConfig | None:
    """Return the config for a small dataset: fine-tune the shipped model.

    None if the settings name a network or initial weights, or if no weights are shipped.
    """
    named = any(settings.get(name) is not None for name in ("start_from", *_SHARED))
    if named or DEFAULT_MODEL not in _with_weights():
        return None
    return _config_from(find_shipped(), settings, DEFAULT_MODEL)


def load_pretrained(network: Any, config: TrainConfig) -> None:
    """Load the weights that `config.start_from` names, except the head's, into a freshly built network.

    The head starts at zero, so that the first steps need not undo random predictions (Kolesnikov et al., "Big
    Transfer", 2020). Raises BundleError if the weights are missing, damaged or of another network, ConfigError if the
    settings contradict them.
    """
    name = config.start_from
    if name is None:
        return
    # The name of a shipped model, or a path, as `build_config` left it: a folder here of that name was not meant.
    path = _find(find_shipped(name) if name in shipped_models() else Path(name), name)
    _check_shared(asdict(config), _settings(path, name), name)
    own = {id(weight) for weight in network.get_layer(HEAD).weights}
    arrays = _arrays(path, name)
    trunk = [(weight, value) for weight, value in zip(network.weights, arrays, strict=False) if id(weight) not in own]
    if len(arrays) != len(network.weights) or any(tuple(w.shape) != value.shape for w, value in trunk):
        raise BundleError(f"`start_from={name!r}`: {path} holds weights of another network; export or train it again")
    for weight, value in trunk:
        weight.assign(value.astype(np.float32))
    zero_head(network)


def zero_head(network: Any) -> None:
    """Set the head to zero."""
    for weight in network.get_layer(HEAD).weights:
        weight.assign(np.zeros(weight.shape, np.float32))


def _find(folder: Path, name: str) -> Path:
    """Return the file of weights in a folder that was named so: `weights.npz`, or a run's `model.keras`."""
    for inner in (WEIGHTS_FILE, KERAS, f"{FINAL}/{KERAS}"):
        path = folder / inner
        if path.exists() and (path.name == WEIGHTS_FILE or path.with_name(CONFIG).exists()):
            return path
    models = ", ".join(_with_weights()) or "none here"
    fix = f"give a shipped model ({models}), a bundle with {WEIGHTS_FILE} or a finished run"
    if folder.is_dir() and (folder / CONFIG).exists():
        raise BundleError(
            f"`start_from={name!r}`: this run is not finished; finish it with `mien.train(resume={name!r})`"
        )
    if folder.is_dir():
        raise BundleError(f"`start_from={name!r}`: has no {WEIGHTS_FILE} to start from; {fix}")
    if folder.exists():
        raise BundleError(f"`start_from={name!r}`: is a file; {fix}")
    raise BundleError(f"`start_from={name!r}`: no such model{near_model(folder.name) or f'; {fix}'}")


def _with_weights() -> list[str]:
    """Return the names of the shipped models that a training can start from."""
    return [model for model in shipped_models() if (bundle.SHIPPED / model / WEIGHTS_FILE).exists()]


def _check_shared(wanted: Mapping[str, Any], found: Mapping[str, Any], name: str) -> None:
    for key in _SHARED:
        value = wanted.get(key)
        if value is not None and value != found[key]:
            raise ConfigError(
                f"`{key}={value!r}`: the weights of `start_from={name!r}` are for {found[key]}; leave it out"
            )


def _settings(path: Path, name: str) -> dict[str, Any]:
    """Return the checked network settings of a file of weights."""
    try:
        of_run = path.name == KERAS
        raw = read_settings(path.with_name(CONFIG)) if of_run else parse_json(read_arrays(path)["settings"].tobytes())
        config = TrainConfig.make({key: raw.get(key) if key == "backbone" else raw[key] for key in _STORED})
    except ConfigError as error:
        raise BundleError(f"`start_from={name!r}`: {path} is not for a network of this mien ({error})") from None
    except _DAMAGED as error:
        raise _damaged(path, name, error) from None
    return {key: getattr(config, key) for key in _STORED}


def _arrays(path: Path, name: str) -> Arrays:
    if path.name == KERAS:
        from mien.training.networks.keras_file import load_keras_file

        return [np.asarray(weight) for weight in load_keras_file(path).weights]
    try:
        found = read_arrays(path)
        weights = [found[f"{_WEIGHT}{number}"] for number in range(len(found) - 1)]
        for number, kernel in _kernels(path, found).items():
            weights[number] = kernel
        if not all(np.isfinite(value).all() for value in weights):
            raise ValueError("it holds numbers that are not finite")
        return weights
    except _DAMAGED as error:
        raise _damaged(path, name, error) from None


def _kernels(path: Path, found: Mapping[str, npt.NDArray[Any]]) -> dict[int, Float32]:
    """Return the kernels, by number, that `model.onnx` beside a file of weights holds."""
    from mien.training.export.graph import read_weights

    places = parse_json(found["settings"].tobytes()).get(_PLACES)
    if not places:
        return {}
    exported = read_weights(bundle.load_bundle(path.parent).model)
    kernels = {}
    for weight, place in places.items():
        rows = exported[place] / _as_rows(found[weight])
        kernels[int(weight.removeprefix(_WEIGHT))] = rows.transpose(2, 3, 1, 0)
    return kernels


def _damaged(path: Path, name: str, error: Exception) -> BundleError:
    return BundleError(f"`start_from={name!r}`: {path} is damaged ({' '.join(str(error).split()):.100}); get it again")
