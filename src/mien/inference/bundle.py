"""Read and write bundles: a folder of `model.onnx`, `config.json` and `CARD.md` that holds all a reader needs.

The model owns its label order, input size and colour, temperature, thresholds and the sha256 of its weights; code
never hard-codes them. Nothing in a bundle is executable.
"""

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from mien.arguments import path_argument
from mien.errors import BundleError, ConfigError
from mien.faces.resize import Fit, ResizeMethod
from mien.inference.decision import AnswerRule
from mien.io.atomic import write_text
from mien.io.layout import BUNDLE, CONFIG, RUNS
from mien.labels import NEITHER, check_labels
from mien.text import nearest

FORMAT = "mien-bundle"
VERSION = 1
MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.json"
CARD_FILE = "CARD.md"
MAX_INPUT_SIZE = 1024
#: The crop that becomes the input: the whole image, or a face in it as `mien.faces.crop.face_region` frames it.
Framing = Literal["whole", "face"]
#: What the images of training show: people in photographs, crops of faces, or other things, such as cats and dogs.
Content = Literal["photos", "crops", "other"]
#: The models that come with the package, each a bundle in a folder of its name.
SHIPPED = Path(__file__).parents[1] / "models"
DEFAULT_MODEL = "mien"

Value = TypeVar("Value")


@dataclass(frozen=True)
class BundleConfig:
    """The contents of `config.json`.

    Args:
        name: of the model.
        labels: the K labels, in the order of the logits.
        input_size: side of the square input in pixels; the graph takes raw 0-255 values.
        input_channels: 1 (grey) or 3 (RGB).
        sha256: of the graph's file.
        temperature: divides the logits before the softmax (Guo et al., 2017).
        threshold: for two labels, the probability from which the second is the answer.
        maps: whether the graph also gives class activation maps.
        about: free information on how the model was made.
        answer_from: for a model that may answer `neither`, the least calibrated probability, in (0, 1), of each
            label that it answers; None is a model that always answers one of its labels.
        answer_over: how many times as probable as other labels some of these must be (`AnswerRule`).
        framing: `whole` classifies the whole image by default, `face` each face detected in it.
        content: what the images of training show, by a sample of them; None is unknown.
        resize: how an image becomes a square of `input_size`, see `mien.faces.resize`.
        fit: what becomes of a whole image that is not square.
    """

    name: str
    labels: tuple[str, ...]
    input_size: int
    input_channels: int
    sha256: str
    temperature: float = 1.0
    threshold: float = 0.5
    maps: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)
    answer_from: Mapping[str, float] | None = None
    answer_over: Mapping[str, Mapping[str, float]] | None = None
    framing: Framing = "whole"
    content: Content | None = None
    resize: ResizeMethod = "pil-bilinear"
    fit: Fit = "squash"

    def __post_init__(self) -> None:
        """Validate every field; ConfigError names the first that is wrong."""
        check_labels(self.labels)
        if self.input_channels not in (1, 3):
            raise ConfigError(f"input channels {self.input_channels}: 1 (grey) or 3 (RGB)")
        if not 8 <= self.input_size <= MAX_INPUT_SIZE:
            raise ConfigError(f"input size {self.input_size}: between 8 and {MAX_INPUT_SIZE}")
        if self.framing not in get_args(Framing):
            # A bundle with another framing must not be used as if it had one of these.
            raise ConfigError(f"framing {self.framing!r:.20}: this mien knows {' and '.join(get_args(Framing))}")
        if self.content not in (None, *get_args(Content)):
            raise ConfigError(f"content {self.content!r:.20}: this mien knows {' and '.join(get_args(Content))}")
        for name, value, known in (("resize", self.resize, get_args(ResizeMethod)), ("fit", self.fit, get_args(Fit))):
            if value not in known:
                raise ConfigError(f"{name} {value!r:.20}: this mien knows {', '.join(known)}")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"temperature {self.temperature}: a number above 0")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold {self.threshold}: between 0 and 1")
        if self.answer_from is not None:
            self._check_rule(self.answer_from)
        if self.answer_over is not None:
            self._check_over(self.answer_over, self.answer_from or {})

    @property
    def rule(self) -> AnswerRule:
        """How this model answers."""
        return AnswerRule(self.labels, self.threshold, self.answer_from, self.answer_over)

    def _check_rule(self, rule: Mapping[str, float]) -> None:
        if not rule or not rule.keys() < set(self.labels):
            raise ConfigError(
                f"answer_from {', '.join(rule)!r:.60}: name some of the labels ({', '.join(self.labels)}), not all"
            )
        if NEITHER in self.labels:
            raise ConfigError(f"answer_from: a model with the label '{NEITHER}' cannot have such a rule")
        for name, low in rule.items():
            if not 0 < low < 1:
                raise ConfigError(f"answer_from {name} {low}: between 0 and 1")
        if self.threshold != 0.5:
            raise ConfigError(f"threshold {self.threshold}: cannot stand beside answer_from; leave it at 0.5")

    def _check_over(self, over: Mapping[str, Mapping[str, float]], rule: Mapping[str, float]) -> None:
        for name, others in over.items():
            if name not in rule:
                raise ConfigError(f"answer_over {name!r:.60}: answer_from does not name it")
            for other, times in others.items():
                if other not in self.labels or other == name:
                    raise ConfigError(f"answer_over {name} {other!r:.60}: name another of the labels")
                if not (math.isfinite(times) and times > 0):
                    raise ConfigError(f"answer_over {name} {other} {times}: a number above 0")

    def to_json(self) -> str:
        """Return the text of `config.json`; it has an answer rule, or another way to resize, only if the model has."""
        shape: dict[str, Any] = {"size": self.input_size, "channels": self.input_channels, "framing": self.framing}
        if (self.resize, self.fit) != (BundleConfig.resize, BundleConfig.fit):
            shape |= {"resize": self.resize, "fit": self.fit}
        rule: dict[str, Any] = {} if self.answer_from is None else {"answer_from": dict(self.answer_from)}
        if self.answer_over is not None:
            rule["answer_over"] = {name: dict(others) for name, others in self.answer_over.items()}
        if self.content is not None:
            shape["content"] = self.content
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "name": self.name,
                "labels": list(self.labels),
                "input": shape,
                "temperature": self.temperature,
                "threshold": self.threshold,
                **rule,
                "maps": self.maps,
                "sha256": self.sha256,
                "about": dict(self.about),
            },
            indent=2,
        )


@dataclass(frozen=True)
class Bundle:
    """A validated model folder: its config and the bytes of its graph, with a checked sha256."""

    path: Path
    config: BundleConfig
    model: bytes


def write_bundle(bundle: Bundle, card: str) -> None:
    """Write the three files of a bundle into its folder, which exists and is not yet in use."""
    (bundle.path / MODEL_FILE).write_bytes(bundle.model)
    (bundle.path / CONFIG_FILE).write_text(bundle.config.to_json() + "\n", encoding="utf-8")
    (bundle.path / CARD_FILE).write_text(card, encoding="utf-8")


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
    graph = _read_file(folder / MODEL_FILE)
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


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{path}: is missing; export the model again") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from None


def _read_config(path: Path) -> BundleConfig:
    try:
        raw = json.loads(_read_file(path).decode("utf-8"))
    except (ValueError, RecursionError):
        raise BundleError(f"{path}: is not valid JSON; export the model again") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BundleError(f"{path}: was not written by mien; make a bundle with mien export")
    if raw.get("version") != VERSION:
        raise BundleError(
            f"{path}: bundle version {raw.get('version')!r:.20}, this mien reads version {VERSION}; "
            "use the mien that wrote it, or export the model again"
        )
    try:
        return _parse(raw)
    except KeyError as error:
        raise BundleError(f"{path}: the field {error} is missing; export the model again") from None
    except (ValueError, OverflowError) as error:
        raise BundleError(f"{path}: {' '.join(str(error).split())}; export the model again") from None


def _parse(raw: dict[str, Any]) -> BundleConfig:
    labels, shape, digest = _field(raw, "labels", list), _field(raw, "input", dict), _field(raw, "sha256", str)
    if not all(isinstance(name, str) for name in labels):
        raise ConfigError(f"labels {labels!r:.60}: must be names")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise ConfigError(f"sha256 {digest!r:.20}: must be 64 hexadecimal digits")
    over = _field(raw, "answer_over", dict) if "answer_over" in raw else None
    return BundleConfig(
        name=_field(raw, "name", str),
        labels=tuple(labels),
        input_size=_field(shape, "size", int),
        input_channels=_field(shape, "channels", int),
        sha256=digest,
        temperature=_field(raw, "temperature", float),
        threshold=_field(raw, "threshold", float),
        maps=_field(raw, "maps", bool),
        about=_field(raw, "about", dict),
        answer_from=_numbers(raw, "answer_from") if "answer_from" in raw else None,
        answer_over={name: _numbers(over, name) for name in over} if over is not None else None,
        framing=cast(Framing, _field(shape, "framing", str)),
        content=cast(Content, _field(shape, "content", str)) if "content" in shape else None,
        resize=cast(ResizeMethod, _field(shape, "resize", str)) if "resize" in shape else BundleConfig.resize,
        fit=cast(Fit, _field(shape, "fit", str)) if "fit" in shape else BundleConfig.fit,
    )


def _numbers(raw: Mapping[str, Any], name: str) -> dict[str, float]:
    table = _field(raw, name, dict)
    return {key: _field(table, key, float) for key in table}


_KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", list: "a list", dict: "a table"}


def _field(raw: Mapping[str, Any], name: str, kind: type[Value]) -> Value:
    """Return one field of exactly this JSON type (a whole number is a number too, true is none)."""
    value = raw[name]
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ConfigError(f"{name} {value!r:.60}: must be {_KINDS[kind]}")
    return value
