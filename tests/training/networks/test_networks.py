from typing import get_args

import keras
import numpy as np
import pytest

from mien.errors import ConfigError
from mien.training.config import Activation, TrainConfig
from mien.training.networks.networks import NETWORKS, build, classic, logits_of


def test_classic_is_exactly_the_tutorials_network() -> None:
    network = classic()
    assert network.count_params() == 3_696_625
    assert network.input.shape == (None, 256, 256, 3)
    assert network.output.shape == (None, 1)
    names = [type(layer).__name__ for layer in network.layers if layer.count_params() or "Pool" in type(layer).__name__]
    assert names == ["Conv2D", "MaxPooling2D"] * 3 + ["Dense", "Dense"]


@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_network_gives_probabilities_of_its_logits(name: str, classes: int, activation: str) -> None:
    config = TrainConfig.make({"network": name, "size": 48, "width": 0.25, "activation": activation})
    network = build(config, classes)
    x = np.random.default_rng(0).integers(0, 256, (3, 48, 48, config.channels)).astype(np.float32)
    found = np.asarray(network(x))
    assert found.shape == (3, 1 if classes == 2 else classes)
    assert ((found >= 0) & (found <= 1)).all()
    logits = np.asarray(logits_of(network)(x), dtype=np.float64)
    expected = 1 / (1 + np.exp(-logits)) if classes == 2 else np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh"])
def test_activation_and_width_are_settable(activation: str) -> None:
    small = build(TrainConfig.make({"network": "stack", "width": 0.25, "activation": activation}), 2)
    large = build(TrainConfig.make({"network": "stack", "width": 0.5, "activation": activation}), 2)
    assert large.count_params() > 2 * small.count_params()
    used = {layer.activation.__name__ for layer in small.layers if type(layer).__name__ == "Activation"}
    assert activation in used


@pytest.mark.parametrize("name", get_args(Activation))
def test_every_activation_that_is_offered_is_one_of_keras(name: str) -> None:
    values = keras.ops.convert_to_tensor(np.linspace(-3, 3, 12, dtype=np.float32).reshape(2, 6))
    found = np.asarray(keras.activations.get(name)(values))
    assert found.shape == (2, 6)
    assert np.isfinite(found).all()


def test_too_small_an_input_is_one_line() -> None:
    with pytest.raises(ConfigError, match="`size=16`: is too small for the network 'classic'"):
        build(TrainConfig.make({"network": "classic", "size": 16}), 2)
