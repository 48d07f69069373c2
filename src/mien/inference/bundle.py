"""Read and write bundles: a folder of `model.onnx`, `config.json` and `CARD.md` that holds all a reader needs.

Nothing in a bundle is executable. The fields of the config: `mien.inference.bundle_config`.
"""

import hashlib
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mien.arguments import path_argument
from mien.errors import BundleError, ConfigError, ModelNameWarning
from mien.inference.bundle_config import FORMAT, VERSION, BundleConfig, parse_config
from mien.io.atomic import to_bytes, write_text
from mien.io.bounded import MAX_TEXT, parse_json, read_bytes
from mien.io.layout import BUNDLE, CONFIG, RUNS, is_run
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


def find_shipped(name: str = DEFAULT_MODEL) -> Path:
    """Return the folder of a shipped model, whatever lies in the current directory; BundleError if it is not there.

    mien's own uses of a shipped model go through this, never through `find_model`.
    """
    if name not in shipped_models():
        missing = "no model" if name == DEFAULT_MODEL else f"no model '{name}'"
        raise BundleError(f"{missing} comes with this installation of mien; name one (`model=FOLDER`)")
    return SHIPPED / name


def find_model(model: str | os.PathLike[str]) -> Path:
    """Return the folder that a user means by a model: of a shipped one by its name, or the folder given.

    The name of a shipped model means that model, also beside an unrelated file or folder of the same name. Only if the
    current directory has a bundle or a run of that name, that is taken, with a warning which says how to name either. A
    text with a separator, such as `./mien`, is always a folder; so is a `Path`, if there is such a folder.
    """
    path = path_argument("model", model, "a shipped model, a bundle or a run folder")
    name = os.fspath(model)
    if name not in shipped_models():
        return path
    if isinstance(model, os.PathLike):  # `Path("./mien")` has lost its separator
        return path if path.is_dir() else SHIPPED / name
    if _bundle_in(path) is None and not is_run(path):
        return SHIPPED / name
    own = f".{os.sep}{name}"
    warnings.warn(
        f"'{name}' was taken for your model folder {own}, not for the shipped model of that name; {own} always means "
        f"the folder, and {SHIPPED / name} the shipped model",
        ModelNameWarning,
        stacklevel=2,
    )
    return path


def find_bundle(model: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of a bundle.

    `model` is what `find_model` takes: the name of a shipped model, a bundle, or a run folder with a `bundle` in it;
    None is the shipped model `mien`. Raises BundleError if there is none.
    """
    if model is None:
        return find_shipped()
    path = find_model(model)
    if not path.exists():
        names = ", ".join(shipped_models()) or "none in this installation"
        if near := near_model(path.name):
            raise BundleError(f"{path}: no such model{near}")
        raise BundleError(f"{path}: no such model; give a bundle, a run folder or a shipped model ({names})")
    if not path.is_dir():
        raise BundleError(f"{path}: is a file; give the bundle's folder, or make one with mien export")
    if folder := _bundle_in(path):
        return folder
    if (path / CONFIG).exists():
        raise BundleError(f"{path}: this run has no bundle yet; finish it with `mien.train(resume={str(path)!r})`")
    hint = f"; the shipped model is '{path.name}', without a folder" if path.name in shipped_models() else ""
    raise BundleError(f"{path}: is not a model folder ({CONFIG_FILE} and {MODEL_FILE} are missing){hint}")


def _bundle_in(path: Path) -> Path | None:
    """Return the folder with the files of a bundle, or some of them: this one, or `bundle` in it, as in a run."""
    for folder in (path, path / BUNDLE):
        if (folder / CONFIG_FILE).exists() or (folder / MODEL_FILE).exists():
            return folder
    return None


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
