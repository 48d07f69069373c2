"""Describe how raw pixels become the input of a Keras model: range, channel order, means and deviations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from keras import layers, ops

from mien.arrays import Float32
from mien.errors import ConfigError

Order = Literal["rgb", "bgr"]

#: (factor, offset) from raw 0-255 values to each range.
RANGES = {"0-255": (1.0, 0.0), "0-1": (1 / 255, 0.0), "-1-1": (1 / 127.5, -1.0)}
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CAFFE_MEANS = (103.939, 116.779, 123.68)
#: Names of `preprocess_input` of `keras.applications`: (range, means, deviations, order).
MODES: dict[str, tuple[str, tuple[float, ...], tuple[float, ...], Order]] = {
    "torch": ("0-1", *_IMAGENET, "rgb"),
    "caffe": ("0-255", _CAFFE_MEANS, (), "bgr"),
}


@dataclass(frozen=True)
class Scaling:
    """How a model's owner feeds it. The default is raw values, as mien's own networks take them.

    Args:
        range: values after the first step, `0-255`, `0-1` or `-1-1`.
        means: subtracted from each channel then, in the order of the model's channels; empty: nothing.
        deviations: divide each channel at last; empty: nothing.
        order: of the model's channels.

    Examples:
        >>> Scaling("0-1")(np.array([[[[255, 0, 255]]]], np.float32)).tolist()
        [[[[1.0, 0.0, 1.0]]]]
    """

    range: str = "0-255"
    means: tuple[float, ...] = ()
    deviations: tuple[float, ...] = ()
    order: Order = "rgb"

    @classmethod
    def make(
        cls, name: str, means: Sequence[float] = (), deviations: Sequence[float] = (), order: str | None = None,
        channels: int = 3,
    ) -> "Scaling":  # fmt: skip
        """Validate what a user gave.

        Args:
            name: a range, or `caffe` or `torch`, which also say means, deviations and order.
            means: replace those of the name; one for all channels, or one each.
            deviations: the same.
            order: `rgb` or `bgr`; None: that of the name, else `rgb`.
            channels: of the model, 1 or 3.

        Raises:
            ConfigError: a value is unknown or does not fit.

        Examples:
            >>> Scaling.make("caffe").order
            'bgr'
        """
        if name not in (*RANGES, *MODES):
            raise ConfigError(f"input range {name!r:.20}: give {', '.join((*RANGES, *MODES))}")
        if name in MODES and channels != 3:
            raise ConfigError(f"input range {name}: is for RGB, and the model takes {channels} channel")
        low, known_means, known_deviations, known_order = MODES.get(name, (name, (), (), "rgb"))
        chosen = order or known_order
        if chosen not in get_args(Order) or (chosen == "bgr" and channels != 3):
            raise ConfigError(f"input order {chosen!r:.20}: give rgb or, for a model of 3 channels, bgr")
        for what, values in (("means", means), ("deviations", deviations)):
            if len(values) not in (0, 1, channels) or not np.isfinite(values).all():
                raise ConfigError(f"input {what} {', '.join(map(str, values))}: give 1 number, or {channels}")
        if any(value <= 0 for value in deviations):
            raise ConfigError("input deviations: give numbers above 0")
        return cls(low, tuple(means) or known_means, tuple(deviations) or known_deviations, chosen)  # type: ignore[arg-type]

    def __call__(self, images: Float32) -> Float32:
        """Return the model's input for raw images, float32 (N, H, W, C), [0, 255], RGB or grey."""
        factor, offset = RANGES[self.range]
        x = images[..., ::-1] if self.order == "bgr" else images
        x = x * np.float32(factor) + np.float32(offset)
        for values, step in ((self.means, np.subtract), (self.deviations, np.divide)):
            if values:
                x = step(x, np.array(values, np.float32))
        return x

    def layer(self, image: Any) -> Any:
        """Apply the scaling to a symbolic tensor of raw images."""
        x = ops.take(image, [2, 1, 0], axis=-1) if self.order == "bgr" else image
        factor, offset = RANGES[self.range]
        deviations = np.array(self.deviations or (1.0,), np.float64)
        factors, offsets = factor / deviations, (offset - np.array(self.means or (0.0,), np.float64)) / deviations
        if (factors == 1).all() and (offsets == 0).all():
            return x
        return layers.Rescaling(_plain(factors), _plain(offsets), name="raw_to_input")(x)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable dict of what is not the default."""
        found: dict[str, Any] = {"range": self.range}
        for name, values in (("means", self.means), ("deviations", self.deviations)):
            if values:
                found[name] = list(values)
        return {**found, "order": self.order} if self.order == "bgr" else found

    def __str__(self) -> str:
        """Say the input in words."""
        known = next((name for name, mode in MODES.items() if Scaling.make(name) == self), None)
        words = [f"{self.range} ({known})" if known else self.range]
        if self.means and not known:
            words.append(f"less {', '.join(f'{value:g}' for value in self.means)}")
        if self.deviations and not known:
            words.append(f"over {', '.join(f'{value:g}' for value in self.deviations)}")
        return " ".join([*words, "in BGR"] if self.order == "bgr" and not known else words)


def _plain(values: Any) -> Any:
    return float(values[0]) if len(values) == 1 else [float(value) for value in values]
