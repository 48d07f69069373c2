"""Backbones from `keras.applications`, with downloaded weights, weights from a file, or random ones.

The `preprocess_input` of a backbone becomes part of the graph, so that every bundle takes raw 0-255 input.
"""

import difflib
import sys
import warnings
from typing import Any

import keras
import numpy as np
from keras import layers

from mien.arrays import Float64
from mien.errors import ConfigError
from mien.training.config import FROM_SCRATCH, IMAGENET, TrainConfig
from mien.training.networks.pretrained import zero_head


def backbones() -> list[str]:
    """Return all names that the setting `backbone` accepts."""
    return [name for name in dir(keras.applications) if callable(getattr(keras.applications, name))]


def features(config: TrainConfig, image: Any) -> Any:
    """Return the last feature maps of a config's backbone, with random weights.

    `image` is a tensor (N, S, S, C), [0, 255]; grey is repeated to three channels. Raises ConfigError for an unknown
    backbone, or if the input is too small.
    """
    x = layers.Concatenate(axis=-1)([image] * 3) if image.shape[-1] == 1 else image
    return _make(config, None)(_preprocess(str(config.backbone), x))


def load_backbone(network: Any, config: TrainConfig) -> None:
    """Load the backbone weights that a config names into a freshly built network, and set its head to zero.

    Raises ConfigError if they cannot be downloaded, or the file does not hold them.
    """
    if config.backbone is None or config.backbone_weights == FROM_SCRATCH:
        return
    source = config.backbone_weights
    try:
        trained = _make(config, source)
    except ConfigError:
        raise
    except Exception as error:  # Keras and h5py raise many kinds, some of them bare
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        if source == IMAGENET:
            raise ConfigError(
                f"`backbone_weights={IMAGENET!r}`: cannot be downloaded ({reason}); give a file of weights, or "
                f"{FROM_SCRATCH} for random ones"
            ) from None
        raise ConfigError(f"`backbone_weights={source!r}`: is not a file of {config.backbone} weights without the top "
                          f"({reason})") from None  # fmt: skip
    network.get_layer(trained.name).set_weights(trained.get_weights())
    zero_head(network)


def _make(config: TrainConfig, weights: str | None) -> Any:
    name = str(config.backbone)
    if name not in backbones():
        near = difflib.get_close_matches(name, backbones(), 3, 0.4) or backbones()
        raise ConfigError(f"`backbone={name!r}`: is none of keras.applications; like {', '.join(near)}")
    shape = (config.size, config.size, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the weights are for size 224; other sizes work
        if weights is not None:
            return getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=shape)
        try:
            return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=shape)
        except ValueError as error:
            reason = " ".join(str(error).split())[:160]
            raise ConfigError(f"`size={config.size}`: is too small for the backbone {name} ({reason})") from None


def _preprocess(name: str, x: Any) -> Any:
    """Return `x`, (N, S, S, 3), [0, 255], after the `preprocess_input` of a backbone."""
    reverse, scale, offset = preprocessing(name)
    if reverse:
        x = keras.ops.flip(x, axis=-1)
    if not (np.allclose(scale, 1) and np.allclose(offset, 0)):
        x = layers.Rescaling(scale.tolist(), offset.tolist(), name="preprocessing")(x)
    return x


def preprocessing(name: str) -> tuple[bool, Float64, Float64]:
    """Return whether a backbone's `preprocess_input` reverses the channels, and its factor and offset per channel.

    All of them treat each pixel alike: reverse the channels or not, then scale and shift each. Returns a bool and two
    arrays, float64 (3,), measured on probe pixels.
    """
    if name not in backbones():
        return False, np.ones(3), np.zeros(3)  # `_make` reports the unknown name
    preprocess = sys.modules[getattr(keras.applications, name).__module__].preprocess_input
    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32).reshape(1, 1, 4, 3)
    found = np.asarray(preprocess(probe.copy()), np.float64)[0, 0]
    offset, matrix = found[0], (found[1:] - found[0]) / 255  # row: channel in, column: channel out
    reverse = abs(matrix[0, 2]) > abs(matrix[0, 0])
    scale = np.diag(matrix[::-1] if reverse else matrix)
    return bool(reverse), scale, offset
