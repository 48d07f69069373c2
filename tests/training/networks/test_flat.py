"""A flat graph computes what the model computes, whatever the model is put together from."""

from collections.abc import Callable
from inspect import isclass
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from mien.errors import ExportError
from mien.training.networks.flat import flatten
from mien.training.networks.head import add_logits

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
STRONG = keras.initializers.RandomNormal(stddev=2.0, seed=0)


def functional(body: Callable[[Any], Any]) -> Any:
    image = keras.Input((16, 16, 3))
    return keras.Model(image, body(image))


def scaled(image: Any) -> Any:
    return layers.Rescaling(1 / 255)(image)


def flat(network: Any) -> Any:
    image = keras.Input((16, 16, 3))
    graph = flatten(network, image)
    return keras.Model(image, graph.output)


def assert_equal(network: Any) -> Any:
    found = flat(network)
    expected = np.asarray(network(IMAGES, training=False))
    np.testing.assert_allclose(np.asarray(found(IMAGES, training=False)), expected, atol=1e-4 * np.abs(expected).max())
    return found


def nested() -> Any:
    features = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(4, 3, name="same")], name="features")
    head = keras.Sequential([layers.GlobalMaxPooling2D(), layers.Dense(2, name="same")])
    return keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), keras.Sequential([features]), head])


def two_readers() -> Any:
    """A nested model that is called twice, with an operation that reads two tensors."""
    shared = functional(layers.Conv2D(4, 3))
    return functional(lambda image: layers.Flatten()(shared(image) * 2 - shared(scaled(image))))


def several_results() -> Any:
    image = keras.Input((16, 16, 3))
    inner = keras.Model(image, {"first": layers.Conv2D(2, 3)(image), "second": image})
    return functional(lambda image: layers.Flatten()(inner(image)["first"]))


def adapted() -> Any:
    norm = layers.Normalization()
    norm.adapt(IMAGES)
    return functional(lambda image: layers.Conv2D(2, 3)(norm(image)))


MODELS: dict[str, Callable[[], Any]] = {
    "nested, names used twice": nested,
    "a shared nested model": two_readers,
    "a nested model with two results": several_results,
    "arithmetic": lambda: functional(lambda image: layers.Conv2D(2, 3)((image / 127.5 - 1.0)[..., ::-1])),
    "adapted normalization": adapted,
    "constant normalization": lambda: functional(
        lambda image: layers.Conv2D(2, 3)(layers.Normalization(mean=[9.0, 8.0, 7.0], variance=[4.0, 5.0, 6.0])(image))
    ),
    "inverted normalization": lambda: functional(layers.Normalization(axis=None, mean=9.0, variance=4.0, invert=True)),
    "groups": lambda: functional(
        lambda image: layers.Conv2D(6, 3, 2, groups=3, padding="same", activation="relu")(scaled(image))
    ),
    "pipeline": lambda: functional(
        lambda image: layers.Conv2D(2, 3)(layers.Pipeline([layers.RandomFlip(), layers.Rescaling(1 / 255)])(image))
    ),
    "random although called for training": lambda: functional(lambda image: layers.Dropout(0.9)(image, training=True)),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_it_computes_the_same(make: Callable[[], Any]) -> None:
    found = assert_equal(make())
    assert not any(isinstance(layer, keras.Model) for layer in found.layers)


def random_layers() -> dict[str, Any]:
    kinds = {name: kind for name, kind in vars(layers).items() if isclass(kind) and issubclass(kind, layers.Layer)}
    chosen = [name for name in kinds if name.startswith("Random") and name != "RandomCrop"]
    arguments: dict[str, tuple[Any, ...]] = dict.fromkeys(
        (*chosen, "GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout2D"), (0.3,)
    )
    arguments |= {"RandomFlip": (), "RandomColorJitter": (), "RandomTranslation": (0.2, 0.2), "Dropout": (0.3,)}
    arguments |= dict.fromkeys(("RandAugment", "AugMix", "MixUp", "CutMix", "RandomGaussianBlur"), ())
    arguments |= {"RandomPosterization": (4,)}
    return {name: kinds[name](*given) for name, given in arguments.items() if name in kinds}


@pytest.mark.parametrize("layer", random_layers().values(), ids=random_layers())
def test_a_layer_that_acts_in_training_only_is_left_out(layer: Any) -> None:
    network = functional(lambda image: scaled(layer(image)))
    assert [type(left).__name__ for left in assert_equal(network).layers] == ["InputLayer", "Rescaling"]


def test_half_precision_becomes_single() -> None:
    network = functional(lambda image: layers.Conv2D(2, 3, dtype="mixed_float16")(scaled(image)))
    found = flat(network)
    assert found.output.dtype == "float32"
    np.testing.assert_allclose(np.asarray(found(IMAGES)), np.asarray(network(IMAGES), np.float32), atol=1e-2)


def test_the_model_itself_does_not_change() -> None:
    network = nested()
    before = (network.get_config(), [np.array(weight) for weight in network.get_weights()])
    found = flat(network)
    for weight in found.weights:
        weight.assign(weight * 0)
    assert network.get_config() == before[0]
    for weight, kept in zip(network.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(weight, kept)


# The head


def trunk(image: Any, stride: int = 1) -> Any:
    return layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, stride)(scaled(image)))


def dense(units: int, activation: str | None = None) -> Any:
    return layers.Dense(units, activation, kernel_initializer=STRONG)


def squashed(image: Any, stride: int = 1) -> Any:
    return dense(2, "softmax")(trunk(image, stride))


def two_columns(probability: Any) -> Any:
    return layers.Concatenate()([1 - probability, probability])


HEADS: dict[str, Callable[[Any], Any]] = {
    "softmax": squashed,
    "softmax layer": lambda image: layers.Softmax()(dense(2)(trunk(image))),
    "softmax activation": lambda image: layers.Activation("softmax")(dense(2)(trunk(image))),
    "softmax operation": lambda image: ops.softmax(dense(2)(trunk(image))),
    "softmax, then reshaped": lambda image: layers.Reshape((2,))(
        layers.Activation("softmax")(layers.Reshape((1, 1, 2))(dense(2)(trunk(image))))
    ),
    "convolution": lambda image: layers.Flatten()(
        layers.Conv2D(2, 1, activation="softmax")(layers.GlobalAveragePooling2D(keepdims=True)(scaled(image)))
    ),
    "convolution, one position": lambda image: layers.Conv2D(2, 16, activation="softmax")(scaled(image)),
    "softmax at each position, then averaged": lambda image: layers.GlobalAveragePooling2D()(
        layers.Conv2D(2, 3, activation="softmax", kernel_initializer=STRONG)(scaled(image))
    ),
    "ensemble": lambda image: layers.Average()([squashed(image), squashed(image, 2)]),
    "softmax of a softmax": lambda image: layers.Softmax()(squashed(image)),
    "log softmax": lambda image: dense(2, "log_softmax")(trunk(image)),
    "two columns of one": lambda image: two_columns(dense(1, "sigmoid")(trunk(image))),
    "nested": lambda image: keras.Sequential([keras.Input((4,)), dense(3, "relu"), dense(2, "softmax")])(trunk(image)),
}


def logits(network: Any, classes: int = 2) -> Any:
    image = keras.Input((16, 16, 3))
    graph = flatten(network, image)
    return np.asarray(keras.Model(image, add_logits(graph, classes))(IMAGES))


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_the_softmax_of_the_logits_is_what_the_model_says(head: Callable[[Any], Any]) -> None:
    network = functional(head)
    expected = np.asarray(network(IMAGES, training=False)).reshape(3, 2)
    if expected.min() < 0:
        expected = np.exp(expected)
    np.testing.assert_allclose(np.asarray(ops.softmax(logits(network))), expected, atol=1e-5)


@pytest.mark.parametrize("joined", [False, True], ids=["one unit", "the average of two"])
def test_the_sigmoid_of_the_logit_is_what_the_model_says(joined: bool) -> None:
    def unit(image: Any, stride: int) -> Any:
        return dense(1, "sigmoid")(trunk(image, stride))

    network = functional(lambda i: layers.Average()([unit(i, 1), unit(i, 2)]) if joined else unit(i, 1))
    np.testing.assert_allclose(np.asarray(ops.sigmoid(logits(network))), np.asarray(network(IMAGES)), atol=1e-5)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (lambda image: dense(2, "sigmoid")(trunk(image)), "2 separate sigmoids, whose outputs do not add up to 1"),
        (lambda image: dense(1, "softmax")(trunk(image)), "softmax over one unit, which is always 1"),
        (lambda image: dense(2, "relu")(trunk(image)), "ends in 'relu'; sigmoid, softmax or a linear layer"),
        (lambda image: dense(3)(trunk(image)), "3 outputs for 2 labels"),
        (layers.Conv2D(2, 3), "output is .* one row of numbers per image"),
    ],
)
def test_other_heads_are_one_line(head: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(ExportError, match=words) as caught:
        logits(functional(head))
    assert "\n" not in str(caught.value)
