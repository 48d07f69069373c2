"""The networks a user can pick, as functional Keras models that take raw 0-255 pictures.

Each ends in a linear Dense layer named `logits` followed by its sigmoid (two classes, one unit: the
probability of the second class) or softmax. What lies before `logits` decides how it is explained:
`residual` ends in `features` → global average pool → one linear layer, so its class activation maps are exact.

A network is trained as its `twin`: the same layers and weights with faster arithmetic. The network itself
stays plain Keras in single precision, which is what is saved and exported.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from mien.errors import ConfigError
from mien.training.config import TrainConfig
from mien.training.networks.backbone import features
from mien.training.networks.batchnorm import FusedBatchNormalization

Model = Any  # keras.Model; Keras ships no types

_HEAD = ("logits", "probabilities")
_SINGLE = (layers.InputLayer, layers.Rescaling, layers.LayerNormalization)


def classic(
    size: int = 256, channels: int = 3, classes: int = 2, width: float = 1.0, dropout: float = 0.0,
    activation: str = "relu",
) -> Model:  # fmt: skip
    """Build the tutorial network: three convolutions with pooling, a dense layer of 256, one sigmoid unit.

    With its defaults it has 3 696 625 parameters. Input float (N, size, size, channels), [0, 255];
    output float (N, 1), or (N, classes) for more than two.
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
    """Build Conv-BatchNorm-activation blocks with max pooling and dropout, then dense layers.

    Input float (N, size, size, channels), [0, 255]; output float (N, 1), or (N, classes) for more than two.
    """
    image, x = _input(size, channels)
    for filters, depth in ((32, 1), (64, 1), (128, 2), (256, 2)):
        for _ in range(depth):
            x = _conv_block(x, _scaled(filters, width), activation)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(dropout)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(_scaled(256, width), use_bias=False)(x)
    x = layers.Activation(activation)(_norm()(x))
    return _finish("stack", image, layers.Dropout(min(2 * dropout, 0.95))(x), classes)


def residual(
    size: int = 48, channels: int = 1, classes: int = 2, width: float = 1.0, dropout: float = 0.2,
    activation: str = "relu",
) -> Model:  # fmt: skip
    """Build a small ResNet (He et al., 2016) with squeeze-and-excitation (Hu et al., 2018).

    A stem at full size and four blocks, three of which halve the side. Each picture is first brought to
    mean 0 and variance 1, so that exposure and contrast matter little. `width` leaves the stem as it is.
    Input float (N, size, size, channels), [0, 255]; output float (N, 1), or (N, classes) for more than two.
    """
    image, x = _input(size, channels)
    # The variance floor, 0.01 of the full range squared, keeps a flat picture from becoming loud noise.
    x = layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-4, dtype="float32")(x)
    # Filters in multiples of 16 fill a CPU's vector registers; a stem of 24 halves the speed of everything.
    x = _conv_block(x, 16, activation)
    for filters, strides in ((64, 2), (96, 2), (96, 1), (192, 2)):
        x = _residual_block(x, _scaled(filters, width), strides, activation)
    x = layers.Activation("linear", name="features")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return _finish("residual", image, layers.Dropout(dropout)(x) if dropout else x, classes)


NETWORKS: dict[str, Callable[..., Model]] = {"classic": classic, "stack": stack, "residual": residual}


def build(config: TrainConfig, classes: int) -> Model:
    """Build the network that a config names; ConfigError for too small an input, or an unknown backbone."""
    if config.backbone is not None:
        return backboned(config, classes)
    try:
        return NETWORKS[config.network](
            config.size, config.channels, classes, config.width, config.dropout, config.activation
        )
    except ValueError:
        raise ConfigError(f"--size {config.size}: is too small for the network '{config.network}'") from None


def backboned(config: TrainConfig, classes: int) -> Model:
    """Build a network of keras.applications with random weights and a new head: pooling, dropout, one linear layer.

    Takes raw 0-255 pictures like all others, float (N, size, size, channels); what the backbone expects is computed
    inside. Output float (N, 1), or (N, classes) for more than two. Raises ConfigError for an unknown name or too
    small an input.
    """
    image = keras.Input((config.size, config.size, config.channels), name="image")
    x = layers.GlobalAveragePooling2D()(features(config, image))
    return _finish("backbone", image, layers.Dropout(config.dropout)(x) if config.dropout else x, classes)


def twin(network: Model, precision: str = "float32") -> Model:
    """Return a copy of a network to train: fused normalisation, and arithmetic in `precision`.

    Its variables stand in the same order, have the same shapes and are in single precision as the
    network's. What comes before the first convolution and the head also compute in single precision.
    """

    def copy(layer: Any) -> Any:
        kind = FusedBatchNormalization if type(layer) is layers.BatchNormalization else type(layer)
        config = layer.get_config()
        if isinstance(layer, keras.Model):  # a backbone, copied whole
            return kind.from_config(config)
        if precision == "bfloat16" and layer.name not in _HEAD and not isinstance(layer, _SINGLE):
            config["dtype"] = "mixed_bfloat16"
        return kind.from_config(config)

    found = keras.models.clone_model(network, clone_function=copy)
    found.set_weights(network.get_weights())
    return found


def logits_of(network: Model) -> Model:
    """Return the same network, sharing its weights, up to the layer before its sigmoid or softmax."""
    return keras.Model(network.input, network.get_layer("logits").output, name=f"{network.name}_logits")


def _input(size: int, channels: int) -> tuple[Any, Any]:
    image = keras.Input((size, size, channels), name="image")
    return image, layers.Rescaling(1 / 255)(image)


def _scaled(filters: int, width: float) -> int:
    return max(4, round(filters * width))


def _norm() -> Any:
    """Batch normalisation whose averages follow within tens of steps: small datasets have few of them."""
    return layers.BatchNormalization(momentum=0.9)


def _conv_block(x: Any, filters: int, activation: str, strides: int = 1) -> Any:
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.Activation(activation)(_norm()(x))


def _residual_block(x: Any, filters: int, strides: int, activation: str) -> Any:
    y = _conv_block(x, filters, activation, strides)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(y)
    y = _squeeze_and_excite(_norm()(y), filters)
    if strides > 1:
        # Pooling before the 1×1 convolution keeps what a stride of 2 would drop (He et al., 2019, "ResNet-D").
        x = layers.AveragePooling2D(strides, padding="same")(x)
    if x.shape[-1] != filters or strides > 1:
        x = _norm()(layers.Conv2D(filters, 1, use_bias=False)(x))
    return layers.Activation(activation)(layers.Add()([y, x]))


def _squeeze_and_excite(x: Any, filters: int) -> Any:
    """Scale each channel by a factor in (0, 1) that depends on all channels' means."""
    means = layers.GlobalAveragePooling2D(keepdims=True)(x)
    hidden = layers.Conv2D(max(4, filters // 8), 1, activation="relu")(means)
    return layers.Multiply()([x, layers.Conv2D(filters, 1, activation="sigmoid")(hidden)])


def _finish(name: str, image: Any, x: Any, classes: int) -> Model:
    """Add the head: one sigmoid unit for two classes, a softmax over all otherwise."""
    units, squash = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    x = layers.Dense(units, name="logits", dtype="float32")(x)
    return keras.Model(image, layers.Activation(squash, name="probabilities", dtype="float32")(x), name=name)
