"""Weights to start from: those that a bundle carries in `weights.npz`, and those of a finished run.

`weights.npz` holds the weights of a network in half precision, in the order of `network.weights`, and the settings
that it was built with as JSON bytes. All but the head `logits` is taken over, so the new classes may be any.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.errors import BundleError, ConfigError, TrainingError
from mien.inference import bundle
from mien.inference.bundle import DEFAULT_MODEL, shipped_models
from mien.io.atomic import new_file
from mien.io.layout import CONFIG, FINAL, KERAS
from mien.training.config import FROM_SCRATCH, IMAGENET, TrainConfig, flag, read_settings

WEIGHTS_FILE = "weights.npz"
#: With fewer training pictures than this, `mien train` starts from the shipped model by itself.
FEW_PICTURES = 2000
#: The layer that is never taken over; it is as wide as there are classes.
HEAD = "logits"

#: What a network must share with the weights it starts from, and what is stored with them.
_SHARED = ("network", "size", "colour", "width", "activation", "backbone")
_STORED = (*_SHARED, "dropout")
_DAMAGED = (OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)

Arrays = list[npt.NDArray[Any]]


def write_weights(network: Any, config: TrainConfig, path: Path) -> None:
    """Write the weights of a Keras network in half precision, with the settings that it was built with.

    Raises TrainingError for a weight that half precision cannot hold (above 65 504, or no number).
    """
    arrays = {f"weight{number}": _half(weight, path) for number, weight in enumerate(network.weights)}
    settings = json.dumps({name: getattr(config, name) for name in _STORED})
    with new_file(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, settings=np.frombuffer(settings.encode(), np.uint8), **arrays)


def _half(weight: Any, path: Path) -> npt.NDArray[np.float16]:
    value = np.asarray(weight)
    with np.errstate(over="ignore"):
        found = value.astype(np.float16)
    if not np.isfinite(found).all():
        raise TrainingError(f"{path}: {weight.path} does not fit half precision; train again at a lower rate")
    return found


def configured(settings: Mapping[str, Any]) -> TrainConfig:
    """Make the config of a run from its settings, the network's own taken from the weights it starts from.

    Raises ConfigError where a setting contradicts those weights, BundleError where there are none.
    """
    name = settings.get("start_from")
    if not isinstance(name, str) or name == FROM_SCRATCH:
        return TrainConfig.make({**settings, **_kept_weights(settings.get("backbone_weights"))})
    path = _find(name)
    found = _settings(path, name)
    _agree(settings, found, name)
    # A path is kept in full, so that a run may be continued from another folder.
    kept = name if path.parent == bundle.SHIPPED / name else str(Path(name).resolve())
    return TrainConfig.make({**settings, **{key: found[key] for key in _SHARED}, "start_from": kept})


def _kept_weights(weights: Any) -> dict[str, str]:
    """Return the path of a backbone's weights in full, so that a run may be continued from another folder."""
    if not isinstance(weights, str) or weights in (FROM_SCRATCH, IMAGENET):
        return {}
    if not Path(weights).is_file():
        raise ConfigError(f"--backbone-weights {weights}: no such file; give one, or {IMAGENET} or {FROM_SCRATCH}")
    return {"backbone_weights": str(Path(weights).resolve())}


def configured_for_few(settings: Mapping[str, Any]) -> TrainConfig | None:
    """Make the config of a run on few pictures, which starts from the shipped model.

    None where the settings name a network or what to start from, or no weights are shipped.
    """
    named = any(settings.get(name) is not None for name in ("start_from", *_SHARED))
    shipped = bundle.SHIPPED / DEFAULT_MODEL / WEIGHTS_FILE
    if named or not shipped.exists() or _find(DEFAULT_MODEL) != shipped:
        return None
    return configured({**settings, "start_from": DEFAULT_MODEL})


def load_trunk(network: Any, config: TrainConfig) -> None:
    """Give a freshly built network all weights that `config.start_from` names but those of its head.

    The head starts at zero, so that the first steps need not unlearn random answers (Kolesnikov et al.,
    "Big Transfer", 2020).
    Raises BundleError where they are missing, damaged or of another network, ConfigError where the
    settings contradict them.
    """
    name = config.start_from
    if name is None:
        return
    path = _find(name)
    _agree(asdict(config), _settings(path, name), name)
    own = {id(weight) for weight in network.get_layer(HEAD).weights}
    arrays = _arrays(path, name)
    trunk = [(weight, value) for weight, value in zip(network.weights, arrays, strict=False) if id(weight) not in own]
    if len(arrays) != len(network.weights) or any(tuple(w.shape) != value.shape for w, value in trunk):
        raise BundleError(f"--from {name}: {path} holds weights of another network; export or train it again")
    for weight, value in trunk:
        weight.assign(value.astype(np.float32))
    zero_head(network)


def zero_head(network: Any) -> None:
    """Let a new head on trained features begin at zero."""
    for weight in network.get_layer(HEAD).weights:
        weight.assign(np.zeros(weight.shape, np.float32))


def _find(name: str) -> Path:
    """Return the file to start from: `weights.npz`, or a run's `model.keras`. A folder goes before a shipped name."""
    folder = Path(name)
    for inner in (WEIGHTS_FILE, KERAS, f"{FINAL}/{KERAS}"):
        path = folder / inner
        if path.exists() and (path.name == WEIGHTS_FILE or path.with_name(CONFIG).exists()):
            return path
    models = [model for model in shipped_models() if (bundle.SHIPPED / model / WEIGHTS_FILE).exists()]
    if name in models:
        return bundle.SHIPPED / name / WEIGHTS_FILE
    fix = f"give a shipped model ({', '.join(models) or 'none here'}), a bundle with {WEIGHTS_FILE} or a finished run"
    if folder.is_dir() and (folder / CONFIG).exists():
        raise BundleError(f"--from {name}: this run is not finished; finish it with mien train --resume {name}")
    if folder.is_dir() or name in shipped_models():
        raise BundleError(f"--from {name}: has no {WEIGHTS_FILE} to start from; {fix}")
    raise BundleError(f"--from {name}: {'is a file' if folder.exists() else 'no such model'}; {fix}")


def _agree(wanted: Mapping[str, Any], found: Mapping[str, Any], name: str) -> None:
    for key in _SHARED:
        value = wanted.get(key)
        if value is not None and value != found[key]:
            raise ConfigError(f"{flag(key)} {value}: the weights of --from {name} are for {found[key]}; leave it out")


def _settings(path: Path, name: str) -> dict[str, Any]:
    """Return the network settings that belong to a file of weights, checked."""
    try:
        of_run = path.name == KERAS
        raw = read_settings(path.with_name(CONFIG)) if of_run else json.loads(_read(path)["settings"].tobytes())
        config = TrainConfig.make({key: raw.get(key) if key == "backbone" else raw[key] for key in _STORED})
    except ConfigError as error:
        raise BundleError(f"--from {name}: {path} is not for a network of this mien ({error})") from None
    except _DAMAGED as error:
        raise _damaged(path, name, error) from None
    return {key: getattr(config, key) for key in _STORED}


def _arrays(path: Path, name: str) -> Arrays:
    if path.name == KERAS:
        from mien.training.networks.foreign import open_keras

        return [np.asarray(weight) for weight in open_keras(path).weights]
    try:
        found = _read(path)
        return [found[f"weight{number}"] for number in range(len(found) - 1)]
    except _DAMAGED as error:
        raise _damaged(path, name, error) from None


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _damaged(path: Path, name: str, error: Exception) -> BundleError:
    return BundleError(f"--from {name}: {path} is damaged ({' '.join(str(error).split()):.100}); get it anew")
