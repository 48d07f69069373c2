"""What a model's output is follows from its values, whatever computes them."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from mien.training.export.output import Output, as_probabilities, read_output


def model(end: Callable[[Any], Any]) -> Any:
    image = keras.Input((8, 8, 3))
    return keras.Model(image, end(layers.Flatten()(image)))


def _own_softmax(x: Any) -> Any:
    shares = ops.exp(x - ops.max(x, axis=-1, keepdims=True))
    return shares / ops.sum(shares, axis=-1, keepdims=True)


def _nested(x: Any) -> Any:
    return keras.Sequential([keras.Input((192,)), layers.Dense(3, activation="softmax")])(x)


OUTPUTS: dict[str, tuple[Callable[[Any], Any], Output]] = {
    "softmax": (layers.Dense(3, activation="softmax"), "probabilities"),
    "nested softmax": (_nested, "probabilities"),
    "reshaped": (lambda x: layers.Reshape((1, 3))(layers.Dense(3, activation="softmax")(x)), "probabilities"),
    "own softmax": (lambda x: _own_softmax(layers.Dense(3)(x)), "probabilities"),
    "log softmax": (lambda x: ops.log_softmax(layers.Dense(3)(x)), "log-probabilities"),
    "logits": (layers.Dense(3), "logits"),
    "several sigmoids": (layers.Dense(3, activation="sigmoid"), "logits"),
    "sigmoid": (lambda x: layers.Activation("sigmoid")(layers.Dense(1)(x)), "probabilities"),
    "one logit": (layers.Dense(1), "logits"),
    "one logit that hardly changes": (
        layers.Dense(1, kernel_initializer="zeros", bias_initializer="ones"),
        "logits",
    ),
    "hard sigmoid": (layers.Dense(1, activation="hard_sigmoid"), "probabilities"),
}


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_outputs_are_told_apart(name: str) -> None:
    build, expected = OUTPUTS[name]
    assert read_output(model(build)) == expected


@pytest.mark.parametrize("kind", ["probabilities", "log-probabilities", "logits"])
def test_all_kinds_give_the_same_probabilities(kind: Output) -> None:
    z = np.random.default_rng(0).normal(size=(5, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    given = {"probabilities": p, "log-probabilities": np.log(p), "logits": z}[kind]
    np.testing.assert_allclose(as_probabilities(given.astype(np.float32), kind), p, atol=1e-6)


def test_a_model_that_takes_no_values_below_0_is_read() -> None:
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(ops.sqrt(image))
    assert read_output(keras.Model(image, layers.Dense(2, activation="softmax")(x))) == "probabilities"
