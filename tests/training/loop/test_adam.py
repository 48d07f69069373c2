"""Adam in one pass: the steps of Keras's own."""

from typing import Any

import keras
import numpy as np
import pytest

from mien.training.config import TrainConfig
from mien.training.loop.optimizers import make_optimizer

SHAPES = {"kernel": (3, 3, 4, 8), "bias": (8,)}


def weights() -> list[Any]:
    rng = np.random.default_rng(0)
    return [keras.Variable(rng.normal(size=shape).astype(np.float32), name=name) for name, shape in SHAPES.items()]


def train(optimizer: Any, steps: int) -> list[Any]:
    """All weights and what the optimizer keeps of them, after steps with changing gradients and rates."""
    found, rng = weights(), np.random.default_rng(1)
    optimizer.build(found)
    for step in range(steps):
        optimizer.learning_rate = 0.01 / (step + 1)
        gradients = [rng.normal(0, 10.0 ** rng.integers(-4, 3), shape) for shape in SHAPES.values()]
        optimizer.apply([keras.ops.convert_to_tensor(one.astype(np.float32)) for one in gradients])
    return [np.asarray(value) for value in (*found, *optimizer.variables)]


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_the_steps_are_those_of_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decay = 0.3 if name == "adamw" else 0.0
    kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    theirs = kinds[name](0.01, weight_decay=decay or None)
    theirs.exclude_from_weight_decay(var_names=["bias"])
    expected = train(theirs, 5)

    def refuse(*_: Any) -> None:
        raise AssertionError("Keras's own step was taken")

    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(keras.optimizers.Adam, "update_step", refuse)
    ours = train(make_optimizer(TrainConfig.make({"optimizer": name, "weight_decay": decay})), 5)
    for one, other in zip(ours, expected, strict=True):
        # The kernel computes 1 - 0.999 in single precision, where Keras rounds 0.001.
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
