"""Networks of `keras.applications` as the trunk of ours: any by name, with weights that Keras fetches, a file or none.

What a family's `preprocess_input` does to a picture becomes part of the graph, so that every bundle takes raw 0-255.
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
    """Return every name that `--backbone` takes."""
    return [name for name in dir(keras.applications) if callable(getattr(keras.applications, name))]


def features(config: TrainConfig, image: Any) -> Any:
    """Return the last feature maps of a config's backbone, with random weights, for an input of raw 0-255 pictures.

    `image` is (N, S, S, C); a grey picture is repeated to three channels. Raises ConfigError for an unknown name or
    too small an input.
    """
    x = layers.Concatenate(axis=-1)([image] * 3) if image.shape[-1] == 1 else image
    return _make(config, None)(_prepared(str(config.backbone), x))


def load_backbone(network: Any, config: TrainConfig) -> None:
    """Give a freshly built network the weights of its backbone that a config names; its head starts at zero.

    Raises ConfigError where they cannot be fetched, or the file does not hold them.
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
                f"--backbone-weights {IMAGENET}: cannot be fetched here ({reason}); give a file of weights, or "
                f"{FROM_SCRATCH} to begin with random ones"
            ) from None
        raise ConfigError(f"--backbone-weights {source}: is not a file of {config.backbone}'s weights without its top "
                          f"({reason})") from None  # fmt: skip
    network.get_layer(trained.name).set_weights(trained.get_weights())
    zero_head(network)


def _make(config: TrainConfig, weights: str | None) -> Any:
    name = str(config.backbone)
    if name not in backbones():
        near = difflib.get_close_matches(name, backbones(), 3, 0.4) or backbones()
        raise ConfigError(f"--backbone {name}: is none of keras.applications; like {', '.join(near)}")
    shape = (config.size, config.size, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that another size than 224 takes the weights of 224
        if weights is not None:
            return getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=shape)
        try:
            return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=shape)
        except ValueError as error:
            reason = " ".join(str(error).split())[:160]
            raise ConfigError(f"--size {config.size}: is too small for the backbone {name} ({reason})") from None


def _prepared(name: str, x: Any) -> Any:
    """Return `x`, (N, S, S, 3) of raw 0-255, as the backbone's own `preprocess_input` would give it.

    Every one of them is the same for each pixel: perhaps the channels reversed, then each scaled and shifted.
    """
    reverse, scale, offset = preprocessing(name)
    if reverse:
        x = keras.ops.flip(x, axis=-1)
    if not (np.allclose(scale, 1) and np.allclose(offset, 0)):
        x = layers.Rescaling(scale.tolist(), offset.tolist(), name="preprocessing")(x)
    return x


def preprocessing(name: str) -> tuple[bool, Float64, Float64]:
    """Return what a backbone's `preprocess_input` does, found by asking it.

    Whether RGB becomes BGR, then the factors (3,) and offsets (3,) of each channel.
    """
    if name not in backbones():
        return False, np.ones(3), np.zeros(3)  # `_make` says what is wrong
    ask = sys.modules[getattr(keras.applications, name).__module__].preprocess_input
    probe = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32).reshape(1, 1, 4, 3)
    found = np.asarray(ask(probe.copy()), np.float64)[0, 0]
    offset, matrix = found[0], (found[1:] - found[0]) / 255  # row: channel in, column: channel out
    reverse = abs(matrix[0, 2]) > abs(matrix[0, 0])
    scale = np.diag(matrix[::-1] if reverse else matrix)
    return bool(reverse), scale, offset
