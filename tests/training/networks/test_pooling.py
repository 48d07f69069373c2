"""In the training copy, max pooling comes before bias and activation: results and gradients stay."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import layers

from mien.training.config import TrainConfig
from mien.training.networks import networks
from mien.training.networks.networks import build, logits_of, training_copy
from mien.training.networks.pooling import PooledActivation, PooledConv2D, movable_poolings

POOLED = (PooledConv2D, PooledActivation)
RNG = np.random.default_rng(3)


def network(name: str, activation: str = "relu") -> Any:
    """A network of random weights, biases included: Keras begins with biases of 0, which hide what is lost."""
    settings = {"network": name, "size": 48, "width": 0.25, "dropout": 0.0, "activation": activation}
    found = build(TrainConfig.make(settings), 2)
    for weight in found.trainable_variables:
        weight.assign(np.asarray(weight) + RNG.normal(0, 0.1, weight.shape))
    return found


def trained(model: Any, x: npt.NDArray[Any]) -> list[npt.NDArray[np.float32]]:
    """What a step of gradient descent adds to each weight."""
    before = [np.array(weight) for weight in model.trainable_variables]
    model.compile(keras.optimizers.SGD(1.0), keras.losses.BinaryCrossentropy(from_logits=True))
    model.train_on_batch(x, np.tile([[0.0], [1.0]], (len(x) // 2, 1)))
    return [np.asarray(weight) - old for weight, old in zip(model.trainable_variables, before, strict=True)]


@pytest.mark.parametrize(
    ("name", "activation", "moved"),
    [("classic", "relu", 3), ("classic", "leaky_relu", 3), ("classic", "gelu", 0), ("stack", "relu", 4),
     ("stack", "mish", 0)],
)  # fmt: skip
def test_outputs_and_gradients_are_those_of_the_network(
    name: str, activation: str, moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = network(name, activation)
    copy = training_copy(plain)
    assert sum(isinstance(layer, POOLED) for layer in copy.layers) == moved
    assert not any(isinstance(layer, POOLED) for layer in plain.layers)
    x = RNG.integers(0, 256, (8, *plain.input.shape[1:])).astype(np.float32)
    np.testing.assert_allclose(np.asarray(copy(x)), np.asarray(plain(x)), atol=1e-5)
    monkeypatch.setattr(networks, "movable_poolings", lambda network: {})
    unmoved = training_copy(plain)
    assert not any(isinstance(layer, POOLED) for layer in unmoved.layers)
    for ours, theirs in zip(trained(logits_of(copy), x), trained(logits_of(unmoved), x), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * max(1e-3, np.abs(theirs).max()))


def test_in_bfloat16_the_pooling_is_in_it_too() -> None:
    copy = training_copy(network("classic"), "bfloat16")
    (first, *_) = (layer for layer in copy.layers if isinstance(layer, PooledConv2D))
    assert (str(first.output.dtype), str(first.kernel.dtype)) == ("bfloat16", "float32")


def test_what_is_read_elsewhere_or_in_another_order_is_not_moved() -> None:
    image = keras.Input((12, 12, 1))
    convolved = layers.Conv2D(2, 3, activation="relu", name="read_twice")(image)
    x = layers.MaxPooling2D(2)(convolved)
    average = layers.GlobalAveragePooling2D()(convolved)
    x = layers.Conv2D(2, 1, activation="relu", name="averaged")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(2, 1, activation="relu", name="moves")(x)
    pooling = layers.MaxPooling2D(2)
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(pooling(x)), average])
    assert movable_poolings(keras.Model(image, x)) == {"moves": pooling}
    assert movable_poolings(keras.Model(image, [x, convolved, keras.Model(image, x)(image)])) == {}
