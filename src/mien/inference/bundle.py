"""Read and write bundles: a folder of `model.onnx`, `config.json` and `CARD.md` that holds all a reader needs.

Nothing in a bundle is executable. The fields of the config: `mien.inference.bundle_config`.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.arguments import path_argument
from mien.errors import BundleError, ConfigError
from mien.inference.bundle_config import FORMAT, VERSION, BundleConfig, parse_config
from mien.io.atomic import to_bytes, write_text
from mien.io.bounded import MAX_TEXT, parse_json, read_bytes
from mien.io.layout import BUNDLE, CONFIG, RUNS
from mien.text import nearest

MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.json"
CARD_FILE = "CARD.md"
#: The models that come with the package, each a bundle in a folder of its name.
SHIPPED = Path(__file__).parents[1] / "models"
DEFAULT_MODEL = "mien"
#: Bytes that a graph may have: protobuf, in which it is written, allows no more.
_MAX_GRAPH = 2 * 2**30


@dataclass(frozen=True)
class Bundle:
    """A validated model folder: its config and the bytes of its graph, with a checked sha256."""

    path: Path
    config: BundleConfig
    model: bytes


def write_bundle(bundle: Bundle, card: str) -> None:
    """Write the three files of a bundle into its folder, which exists and is not yet in use."""
    (bundle.path / MODEL_FILE).write_bytes(bundle.model)
    (bundle.path / CONFIG_FILE).write_bytes(to_bytes(bundle.config.to_json() + "\n"))
    (bundle.path / CARD_FILE).write_bytes(to_bytes(card))


def set_threshold(folder: Path, threshold: float, why: Mapping[str, Any]) -> None:
    """Write another threshold into the config of a bundle of two labels; the weights stay as they are.

    The file is replaced whole or not at all.

    Args:
        folder: the bundle.
        threshold: in (0, 1).
        why: how it was chosen, JSON-serialisable; it is kept in `about`.

    Raises:
        BundleError: the bundle cannot be read, or came with the package.
        ConfigError: the model cannot have this threshold.
        OutputError: the file cannot be written.
    """
    if folder.resolve().is_relative_to(SHIPPED.resolve()):
        raise BundleError(f"{folder.name}: came with the package and stays as it is; give `model=FOLDER`, of your own")
    config = _read_config(folder / CONFIG_FILE)
    if len(config.labels) != 2 or config.answer_from is not None:
        raise ConfigError(f"{folder}: a threshold is for models that answer one of two labels")
    changed = replace(config, threshold=threshold, about={**config.about, "threshold": dict(why)})
    write_text(folder / CONFIG_FILE, changed.to_json() + "\n")


def load_bundle(model: str | os.PathLike[str] | None = None) -> Bundle:
    """Read and validate the bundle that `find_bundle` finds.

    Raises BundleError if there is none, a file is missing, mien did not write the config, or the weights do not have
    the sha256 that the config states.
    """
    folder = find_bundle(model)
    config = _read_config(folder / CONFIG_FILE)
    graph = _read_file(folder / MODEL_FILE, _MAX_GRAPH)
    digest = hashlib.sha256(graph).hexdigest()
    if digest != config.sha256:
        raise BundleError(
            f"{folder / MODEL_FILE}: sha256 is {digest[:12]}…, {CONFIG_FILE} says {config.sha256[:12]}…; "
            "the weights were changed or damaged, export the model again"
        )
    return Bundle(folder, config, graph)


def shipped_models() -> tuple[str, ...]:
    """Return the names of the models that come with the package, sorted."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG_FILE}")))


def near_model(name: str) -> str:
    """Return the end of an error's sentence that suggests a shipped model or a run of nearly this name, or nothing."""
    runs = {path.parent.name: str(path.parent) for path in Path(RUNS).glob(f"*/{BUNDLE}")}
    near = nearest(name, [*runs, *shipped_models()])
    return f"; did you mean '{runs.get(near, near)}'?" if near else ""


def find_bundle(model: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of a bundle.

    `model` is a bundle, a run folder with a `bundle` in it, or the name of a shipped model (a folder of that name
    goes first); None is the shipped model `mien`. Raises BundleError if there is none.
    """
    shipped = shipped_models()
    if model is None:
        if DEFAULT_MODEL not in shipped:
            raise BundleError("no model comes with this installation of mien; name one (`model=FOLDER`)")
        return SHIPPED / DEFAULT_MODEL
    path = path_argument("model", model, "a shipped model, a bundle or a run folder")
    if os.fspath(model) in shipped and not path.is_dir():
        return SHIPPED / path
    if not path.exists():
        names = ", ".join(shipped) or "none in this installation"
        if near := near_model(path.name):
            raise BundleError(f"{path}: no such model{near}")
        raise BundleError(f"{path}: no such model; give a bundle, a run folder or a shipped model ({names})")
    if not path.is_dir():
        raise BundleError(f"{path}: is a file; give the bundle's folder, or make one with mien export")
    for folder in (path, path / BUNDLE):
        if (folder / CONFIG_FILE).exists() or (folder / MODEL_FILE).exists():
            return folder
    if (path / CONFIG).exists():
        raise BundleError(f"{path}: this run has no bundle yet; finish it with `mien.train(resume={str(path)!r})`")
    raise BundleError(f"{path}: is not a model folder ({CONFIG_FILE} and {MODEL_FILE} are missing)")


def _read_file(path: Path, limit: int = MAX_TEXT) -> bytes:
    try:
        return read_bytes(path, limit)
    except FileNotFoundError:
        raise BundleError(f"{path}: is missing; export the model again") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from None


def _read_config(path: Path) -> BundleConfig:
    try:
        raw = parse_json(_read_file(path))
    except ValueError as error:
        raise BundleError(f"{path}: is not valid JSON ({error}); export the model again") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BundleError(f"{path}: was not written by mien; make a bundle with mien export")
    if raw.get("version") != VERSION:
        raise BundleError(
            f"{path}: bundle version {raw.get('version')!r:.20}, this mien reads version {VERSION}; "
            "use the mien that wrote it, or export the model again"
        )
    try:
        return parse_config(raw)
    except KeyError as error:
        raise BundleError(f"{path}: the field {error} is missing; export the model again") from None
    except (ValueError, OverflowError) as error:
        raise BundleError(f"{path}: {' '.join(str(error).split())}; export the model again") from None
