"""The optimizer Muon: what a step of it is for each kind of weight."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from mien.training.config import TrainConfig
from mien.training.loop.optimizers import make_optimizer
from mien.training.networks.pretrained import HEAD

RATE = 0.01


def stepped(
    shape: tuple[int, ...], gradient: npt.NDArray[Any], name: str = "kernel", decay: float = 0.0
) -> npt.NDArray[Any]:
    """What one step adds to a weight of ones."""
    weight = keras.Variable(np.ones(shape, np.float32), name=name)
    found = make_optimizer(TrainConfig.make({"optimizer": "muon", "learning_rate": RATE, "weight_decay": decay}))
    found.build([weight])
    found.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))])
    return np.asarray(weight) - 1


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (1, 1, 32, 8), (3, 3, 1, 16), (24, 10)])
def test_the_step_of_a_kernel_is_as_long_in_every_direction(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    uneven = np.geomspace(0.01, 1, shape[-1])  # some filters with gradients a hundred times those of others
    gradient = rng.normal(size=shape) * uneven
    matrix = stepped(shape, gradient).reshape(-1, shape[-1])
    lengths = np.linalg.svd(matrix, compute_uv=False) / (RATE * 0.2 * np.sqrt(max(matrix.shape)))
    assert lengths.max() < 1.3
    assert np.median(lengths) > 0.6
    # What is orthogonal nearest to a descent is one, too.
    assert (matrix * gradient.reshape(matrix.shape)).sum() < 0


@pytest.mark.parametrize(
    ("shape", "name"),
    [((16,), "bias"), ((3, 3, 8, 1), "kernel"), ((24, 10), HEAD), ((5, 4, 3), "kernel")],
    ids=["bias", "depthwise", "head", "three dimensions"],
)
def test_what_is_no_matrix_and_the_head_are_updated_by_adam(shape: tuple[int, ...], name: str) -> None:
    gradient = np.random.default_rng(2).normal(size=shape)
    np.testing.assert_allclose(stepped(shape, gradient, name), -RATE * np.sign(gradient), rtol=1e-3)


def test_kernels_decay_and_biases_do_not() -> None:
    kernel, bias = (
        stepped(shape, np.zeros(shape), name, decay=0.5) for shape, name in (((3, 3, 4, 4), "kernel"), ((4,), "bias"))
    )
    np.testing.assert_allclose(kernel, -RATE * 0.5, rtol=1e-4)
    assert not bias.any()
