"""The bundle: a folder `model.onnx` + `config.json` + `CARD.md` that holds all a reader needs.

The model owns its label order, input size and colour, temperature, threshold and the sha256 of its
weights; code never hard-codes them. Nothing in a bundle is executable.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.errors import BundleError, ConfigError
from mien.labels import check_labels

FORMAT = "mien-bundle"
VERSION = 1
MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.json"
CARD_FILE = "CARD.md"
MAX_INPUT_SIZE = 1024


@dataclass(frozen=True)
class BundleConfig:
    """What `config.json` says.

    `input_size` is the side of the square input in pixels, `input_channels` 1 (grey) or 3 (RGB); the
    graph takes raw 0-255 values. `temperature` divides the logits before the softmax (Guo et al.,
    2017). `threshold` counts for two classes only: the second label is answered from that probability
    on. `maps` says whether the graph also emits class activation maps. `about` is free information
    about how the model was made.
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

    def __post_init__(self) -> None:
        """Validate every field; ConfigError names the first that is wrong."""
        check_labels(self.labels)
        if self.input_channels not in (1, 3):
            raise ConfigError(f"input channels {self.input_channels}: 1 (grey) or 3 (RGB)")
        if not 8 <= self.input_size <= MAX_INPUT_SIZE:
            raise ConfigError(f"input size {self.input_size}: between 8 and {MAX_INPUT_SIZE}")
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigError(f"temperature {self.temperature}: a number above 0")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold {self.threshold}: between 0 and 1")

    def to_json(self) -> str:
        """Return the text of `config.json`."""
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "name": self.name,
                "labels": list(self.labels),
                "input": {"size": self.input_size, "channels": self.input_channels, "framing": "whole"},
                "temperature": self.temperature,
                "threshold": self.threshold,
                "maps": self.maps,
                "sha256": self.sha256,
                "about": dict(self.about),
            },
            indent=2,
        )


@dataclass(frozen=True)
class Bundle:
    """A validated model folder: its config and the bytes of its graph, whose sha256 was checked."""

    path: Path
    config: BundleConfig
    model: bytes


def load_bundle(path: Path) -> Bundle:
    """Read and validate a bundle, or the `bundle` inside a run folder.

    Raises BundleError when a part is missing, the config is not ours, or the weights do not have the
    sha256 that the config states.
    """
    folder = find_bundle(path)
    config = _read_config(folder / CONFIG_FILE)
    model = _read_part(folder / MODEL_FILE)
    digest = hashlib.sha256(model).hexdigest()
    if digest != config.sha256:
        raise BundleError(
            f"{folder / MODEL_FILE}: sha256 is {digest[:12]}…, {CONFIG_FILE} says {config.sha256[:12]}…; "
            "the weights were changed or damaged, export the model again"
        )
    return Bundle(folder, config, model)


def find_bundle(path: Path) -> Path:
    """Return `path` or `path/bundle`, whichever is a bundle; BundleError where neither is."""
    if not path.exists():
        raise BundleError(f"{path}: no such model; give a bundle or a run folder")
    if not path.is_dir():
        raise BundleError(f"{path}: is a file; give the bundle's folder, or make one with mien export")
    for folder in (path, path / "bundle"):
        if (folder / CONFIG_FILE).exists() or (folder / MODEL_FILE).exists():
            return folder
    if (path / "config.toml").exists():
        raise BundleError(f"{path}: this run has no bundle yet; finish it with mien train --resume {path}")
    raise BundleError(f"{path}: is not a model folder ({CONFIG_FILE} and {MODEL_FILE} are missing)")


def _read_part(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{path}: is missing; export the model again") from None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror})") from None


def _read_config(path: Path) -> BundleConfig:
    try:
        raw = json.loads(_read_part(path).decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise BundleError(f"{path}: is not valid JSON; export the model again") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BundleError(f"{path}: was not written by mien; make a bundle with mien export")
    if raw.get("version") != VERSION:
        raise BundleError(f"{path}: bundle version {raw.get('version')!r}, this mien reads version {VERSION}")
    try:
        return BundleConfig(
            name=str(raw["name"]),
            labels=tuple(str(name) for name in raw["labels"]),
            input_size=int(raw["input"]["size"]),
            input_channels=int(raw["input"]["channels"]),
            sha256=str(raw["sha256"]),
            temperature=float(raw["temperature"]),
            threshold=float(raw["threshold"]),
            maps=bool(raw["maps"]),
            about=dict(raw["about"]),
        )
    except KeyError as error:
        raise BundleError(f"{path}: the field {error} is missing; export the model again") from None
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path}: {error}") from None
