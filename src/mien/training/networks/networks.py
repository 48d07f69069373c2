"""The networks, as functional Keras models with raw 0-255 input.

Each ends in a linear Dense layer `logits`, followed by a sigmoid (two classes: one unit, the probability of the second
class) or a softmax. `residual` and `light` end in `features`, global average pooling and one linear layer, so their
class activation maps are exact. Training runs on a `training_copy` with faster arithmetic; the network itself, which is
saved and exported, stays plain Keras in single precision.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from mien.errors import ConfigError
from mien.training.config import TrainConfig
from mien.training.networks.backbone import features
from mien.training.networks.batchnorm import FusedBatchNormalization
from mien.training.networks.pooling import POOLED, movable_poolings

Model = Any  # keras.Model; Keras ships no types

_HEAD = ("logits", "probabilities")
_SINGLE = (layers.InputLayer, layers.Rescaling, layers.LayerNormalization)


def classic(
    size: int = 256, channels: int = 3, classes: int = 2, width: float = 1.0, dropout: float = 0.0,
    activation: str = "relu",
) -> Model:  # fmt: skip
    """Build the tutorial network: three convolutions with max pooling, a dense layer of 256, one sigmoid unit.

    The defaults give 3 696 625 parameters. See `build` for input and output.

    Args:
        size: side of the input in pixels.
        channels: 1 (grey) or 3 (RGB).
        classes: number of classes; two share one sigmoid unit.
        width: factor for the number of filters.
        dropout: rate before the head.
        activation: Keras name of the activation.
    """
    image, x = _input(size, channels)
    for filters in (16, 32, 16):
        x = layers.Conv2D(_scaled(filters, width), 3, activation=activation)(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(_scaled(256, width), activation=activation)(x)
    return _finish("classic", image, layers.Dropout(dropout)(x) if dropout else x, classes)


def stack(
    size: int = 48, channels: int = 1, classes: int = 2, width: float = 1.0, dropout: float = 0.25,
    activation: str = "relu",
) -> Model:  # fmt: skip
    """Build blocks of convolution, batch norm, activation, max pooling and dropout, then dense layers.

    The arguments are those of `classic`; `dropout` also acts after each block. See `build` for input and output.
    """
    image, x = _input(size, channels)
    for filters, depth in ((32, 1), (64, 1), (128, 2), (256, 2)):
        for _ in range(depth):
            x = _conv_block(x, _scaled(filters, width), activation)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(_scaled(256, width), use_bias=False)(x)
    x = layers.Activation(activation)(_batch_norm()(x))
    return _finish("stack", image, layers.Dropout(min(2 * dropout, 0.95))(x), classes)


def residual(
    size: int = 48, channels: int = 1, classes: int = 2, width: float = 1.0, dropout: float = 0.2,
    activation: str = "relu",
) -> Model:  # fmt: skip
    """Build a small ResNet (He et al., 2016) with squeeze-and-excitation (Hu et al., 2018).

    A stem at full resolution and six blocks; three of them halve the side. Each image is standardised to mean 0 and
    variance 1, so that exposure and contrast matter little. `width` does not change the stem. The
    arguments are those of `classic`. See `build` for input and output.
    """
    image, x = _input(size, channels)
    x = _standardised(x)
    # Filters in multiples of 16 fill a CPU's vector registers; a stem of 24 halves the overall speed.
    x = _conv_block(x, 16, activation)
    for filters, strides in ((64, 2), (96, 2), (96, 1), (96, 1), (192, 2), (192, 1)):
        x = _residual_block(x, _scaled(filters, width), strides, activation)
    return _finish("residual", image, _pooled(x, dropout), classes)


def light(
    size: int = 48, channels: int = 1, classes: int = 2, width: float = 1.0, dropout: float = 0.1,
    activation: str = "relu",
) -> Model:  # fmt: skip
    """Build a ResNet for speed: 27 million multiply-adds, most of them fit for 8-bit arithmetic.

    The stem halves the side, and no block has squeeze-and-excitation, which costs more time than it adds arithmetic.
    Otherwise as `residual`.
    """
    image, x = _input(size, channels)
    x = _standardised(x)
    x = _conv_block(x, 16, activation, strides=2)
    for filters, strides in ((24, 1), (48, 2), (48, 1), (48, 1), (96, 2)):
        x = _residual_block(x, _scaled(filters, width), strides, activation, excite=False)
    return _finish("light", image, _pooled(x, dropout), classes)


NETWORKS: dict[str, Callable[..., Model]] = {
    "classic": classic, "stack": stack, "residual": residual, "light": light
}  # fmt: skip


def build(config: TrainConfig, classes: int) -> Model:
    """Build the network of a config with random weights.

    Input: images, float (N, size, size, channels), [0, 255]. Output: float (N, 1), the probability of the second of
    two classes, or (N, classes). Raises ConfigError for an unknown backbone, or if the input is too small.

    Examples:
        >>> build(TrainConfig.make({"network": "stack"}), classes=3).output.shape
        (None, 3)
    """
    if config.backbone is not None:
        return _with_backbone(config, classes)
    try:
        return NETWORKS[config.network](
            config.size, config.channels, classes, config.width, config.dropout, config.activation
        )
    except ValueError:
        raise ConfigError(f"`size={config.size}`: is too small for the network '{config.network}'") from None


def _with_backbone(config: TrainConfig, classes: int) -> Model:
    """Build a backbone and its preprocessing, with a new head: average pooling, dropout, one linear layer."""
    image = keras.Input((config.size, config.size, config.channels), name="image")
    x = layers.GlobalAveragePooling2D()(features(config, image))
    return _finish("backbone", image, layers.Dropout(config.dropout)(x) if config.dropout else x, classes)


def training_copy(network: Model, precision: str = "float32") -> Model:
    """Return a copy of a network for training, with fused batch normalisation and max pooling before activations.

    Its variables have the order, shapes and single precision of the network's. With precision `bfloat16`, all layers
    compute in it but the head and the ones before the first convolution.
    """

    poolings = movable_poolings(network)
    moved = {pooling.name for pooling in poolings.values()}

    def copy(layer: Any) -> Any:
        kind = FusedBatchNormalization if type(layer) is layers.BatchNormalization else type(layer)
        config = layer.get_config()
        if isinstance(layer, keras.Model):  # a backbone is copied whole
            return kind.from_config(config)
        if precision == "bfloat16" and layer.name not in _HEAD and not isinstance(layer, _SINGLE):
            config["dtype"] = "mixed_bfloat16"
        if layer.name in poolings:
            return POOLED[kind](poolings[layer.name], **config)
        if layer.name in moved:
            return layers.Identity(name=layer.name, dtype=config["dtype"])
        return kind.from_config(config)

    found = keras.models.clone_model(network, clone_function=copy)
    found.set_weights(network.get_weights())
    return found


def logits_of(network: Model) -> Model:
    """Return the network up to its logits, without sigmoid or softmax; it shares the weights."""
    return keras.Model(network.input, network.get_layer("logits").output, name=f"{network.name}_logits")


def _input(size: int, channels: int) -> tuple[Any, Any]:
    image = keras.Input((size, size, channels), name="image")
    return image, layers.Rescaling(1 / 255)(image)


def _standardised(x: Any) -> Any:
    # The variance floor, (0.01 of the full range) squared, keeps a flat image from becoming loud noise.
    return layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-4, dtype="float32")(x)


def _pooled(x: Any, dropout: float) -> Any:
    """Pool features of which class activation maps can be made."""
    x = layers.GlobalAveragePooling2D()(layers.Activation("linear", name="features")(x))
    return layers.Dropout(dropout)(x) if dropout else x


def _scaled(filters: int, width: float) -> int:
    return max(4, round(filters * width))


def _batch_norm() -> Any:
    """Return batch normalisation whose averages converge within tens of steps: small datasets have few steps."""
    return layers.BatchNormalization(momentum=0.9)


def _conv_block(x: Any, filters: int, activation: str, strides: int = 1) -> Any:
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.Activation(activation)(_batch_norm()(x))


def _residual_block(x: Any, filters: int, strides: int, activation: str, excite: bool = True) -> Any:
    y = _conv_block(x, filters, activation, strides)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(y)
    y = _batch_norm()(y)
    if excite:
        y = _squeeze_and_excite(y, filters)
    if strides > 1:
        # Pooling before the 1×1 convolution uses the pixels that a stride of 2 skips (He et al., 2019, "ResNet-D").
        x = layers.AveragePooling2D(strides, padding="same")(x)
    if x.shape[-1] != filters or strides > 1:
        x = _batch_norm()(layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.Activation(activation)(layers.Add()([y, x]))


def _squeeze_and_excite(x: Any, filters: int) -> Any:
    """Scale each channel by a factor in (0, 1), computed from the means of all channels."""
    means = layers.GlobalAveragePooling2D(keepdims=True)(x)
    hidden = layers.Conv2D(max(4, filters // 8), 1, activation="relu")(means)
    return layers.Multiply()([x, layers.Conv2D(filters, 1, activation="sigmoid")(hidden)])


def _finish(name: str, image: Any, x: Any, classes: int) -> Model:
    """Add the head: one sigmoid unit for two classes, else a softmax."""
    units, squash = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    x = layers.Dense(units, name="logits", dtype="float32")(x)
    return keras.Model(image, layers.Activation(squash, name="probabilities", dtype="float32")(x), name=name)
