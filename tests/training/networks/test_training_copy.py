"""The training copy computes the same as the network, in faster arithmetic."""

import keras
import numpy as np
import pytest

from mien.training.config import TrainConfig
from mien.training.networks.batchnorm import FusedBatchNormalization
from mien.training.networks.networks import NETWORKS, build, logits_of, training_copy


def small(name: str) -> tuple[keras.Model, np.ndarray]:
    keras.utils.set_random_seed(0)
    config = TrainConfig.make({"network": name, "size": 48, "width": 0.25, "dropout": 0.0})
    x = np.random.default_rng(0).integers(0, 256, (16, 48, 48, config.channels)).astype(np.float32)
    return build(config, 3), x


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_training_copy_has_the_same_weights_in_order_and_the_same_output(name: str) -> None:
    network, x = small(name)
    copy = training_copy(network)
    assert [tuple(w.shape) for w in copy.variables] == [tuple(w.shape) for w in network.variables]
    np.testing.assert_allclose(np.asarray(copy(x)), np.asarray(network(x)), atol=1e-5)
    assert not any(isinstance(layer, FusedBatchNormalization) for layer in network.layers)


def test_in_bfloat16_the_weights_stay_single_and_outputs_stay_close() -> None:
    network, x = small("residual")
    copy = training_copy(network, "bfloat16")
    assert {str(weight.dtype) for weight in copy.weights} == {"float32"}
    # Eight bits of mantissa, through a dozen layers.
    np.testing.assert_allclose(np.asarray(copy(x)), np.asarray(network(x)), atol=0.05)
    assert str(logits_of(copy).output.dtype) == "float32"


def test_fused_normalisation_trains_like_keras_own() -> None:
    x = np.random.default_rng(0).normal(3, 2, (8, 6, 6, 5)).astype(np.float32)
    plain, fused = keras.layers.BatchNormalization(momentum=0.9), FusedBatchNormalization(momentum=0.9)
    for _ in range(3):
        ours, theirs = np.asarray(fused(x, training=True)), np.asarray(plain(x, training=True))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(np.asarray(fused.moving_mean), np.asarray(plain.moving_mean), rtol=1e-4)
    # The kernel divides by N - 1 where Keras divides by N.
    np.testing.assert_allclose(np.asarray(fused.moving_variance), np.asarray(plain.moving_variance), rtol=1e-2)
    np.testing.assert_allclose(np.asarray(fused(x, training=False)), np.asarray(plain(x, training=False)), rtol=1e-2)


def test_residual_sees_no_difference_between_exposures() -> None:
    network, x = small("residual")
    np.testing.assert_allclose(np.asarray(network(0.5 * x + 20)), np.asarray(network(x)), atol=0.02)
