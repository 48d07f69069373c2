"""The `config.json` of a bundle: its fields, their checks, and its text.

The model owns its label order, input size and colour, temperature, thresholds and the sha256 of its weights; code
never hard-codes them.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast, get_args

from mien.errors import ConfigError
from mien.faces.resize import Fit, ResizeMethod
from mien.inference.calibration import USABLE_TEMPERATURES
from mien.inference.decision import AnswerRule
from mien.labels import NEITHER, check_labels

FORMAT = "mien-bundle"
VERSION = 1
MAX_INPUT_SIZE = 1024
#: The crop that becomes the input: the whole image, or a face in it as `mien.faces.crop.face_region` frames it.
Framing = Literal["whole", "face"]
#: What the images of training show: people in photographs, crops of faces, or other things, such as cats and dogs.
Content = Literal["photos", "crops", "other"]

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
        mirror: whether the answer is that of the crop and its mirror image together: their logits are averaged.
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
    mirror: bool = False

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
        low, high = USABLE_TEMPERATURES
        if not low <= self.temperature <= high:
            raise ConfigError(f"temperature {self.temperature}: between {low:g} and {high:g}")
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
                "mirror": self.mirror,
                "sha256": self.sha256,
                "about": dict(self.about),
            },
            indent=2,
        )


def parse_config(raw: Mapping[str, Any]) -> BundleConfig:
    """Return the config that the object of a `config.json` states.

    Raises KeyError for a missing field, ConfigError or OverflowError for a wrong one.
    """
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
        mirror=_field(raw, "mirror", bool) if "mirror" in raw else BundleConfig.mirror,
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
