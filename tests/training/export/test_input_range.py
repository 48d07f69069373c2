"""The input of a foreign model is found on evidence, or asked for."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mien.errors import ConfigError, ExportError
from mien.training.export.input_range import find_scaling
from mien.training.export.probes import probe_crops
from mien.training.export.scaling import Scaling

CROPS = probe_crops(32, 3)
APPLICATIONS = keras.applications


def model(before: Callable[[Any], Any], after: Callable[[Any], Any] = lambda x: x) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = after(layers.Conv2D(8, 3, activation="relu", name="first")(before(image)))
    return keras.Model(image, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


INSIDE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "tf": (APPLICATIONS.mobilenet_v2.preprocess_input, "0-255"),
    "torch": (APPLICATIONS.densenet.preprocess_input, "0-255"),
    "caffe": (APPLICATIONS.resnet50.preprocess_input, "0-255"),
    "x / 255": (lambda x: x / 255.0, "0-255"),
    "(x - 127.5) / 127.5": (lambda x: (x - 127.5) / 127.5, "0-255"),
    "x / 255 in BGR": (lambda x: x[..., ::-1] / 255.0, "0-255"),
    "x / 255 in BGR, split": (
        lambda x: keras.ops.concatenate(keras.ops.split(x, 3, axis=-1)[::-1], axis=-1) / 255.0,
        "0-255",
    ),
    "rescaling": (layers.Rescaling(1 / 127.5, -1), "0-255"),
    "nested": (keras.Sequential([layers.RandomFlip(), layers.Rescaling(1 / 255)]), "0-255"),
    "resizing": (lambda x: layers.Rescaling(1 / 255)(layers.Resizing(24, 24)(x)), "0-255"),
    "normalization of raw values": (layers.Normalization(mean=[120.0], variance=[4000.0]), "0-255"),
    "normalization of 0-1": (layers.Normalization(mean=[0.45], variance=[0.06]), "0-1"),
    "x * 2 - 1": (lambda x: x * 2.0 - 1.0, "0-1"),
    "x / 2 + 0.5": (lambda x: x * 0.5 + 0.5, "-1-1"),
}


@pytest.mark.parametrize("name", list(INSIDE))
def test_arithmetic_inside_the_model_tells(name: str) -> None:
    before, expected = INSIDE[name]
    found = find_scaling(model(before), CROPS)
    assert found.scaling == Scaling(expected)
    assert found.reason.startswith("by the model's own arithmetic (")


@pytest.mark.parametrize("name", ["0-255", "0-1", "-1-1", "caffe", "torch"])
def test_the_statistics_of_a_trained_batch_norm_tell(name: str) -> None:
    network = model(lambda x: x, layers.BatchNormalization(name="norm"))
    features = keras.Model(network.inputs[0], network.get_layer("first").output)
    norm = network.get_layer("norm")
    for images in (CROPS, CROPS[16:]):  # training may have seen other images; then it may have to ask
        seen = np.asarray(features(Scaling.make(name)(images.astype(np.float32))))
        norm.set_weights([*norm.get_weights()[:2], seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))])
        try:
            found = find_scaling(network, CROPS)
        except ExportError:
            assert images is not CROPS or name in ("-1-1", "torch")
            continue
        assert found.scaling == Scaling.make(name)
        assert "norm" in found.reason


def test_without_evidence_it_asks() -> None:
    with pytest.raises(ExportError, match=r"give `input_range=`: 0-1 .*, -1-1 .*, 0-255"):
        find_scaling(model(lambda x: x), CROPS)


def test_a_pretrained_part_is_named() -> None:
    trunk = APPLICATIONS.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35, pooling="avg"
    )
    network = keras.Sequential([keras.Input((32, 32, 3)), trunk, layers.Dense(2, activation="softmax")])
    with pytest.raises(ExportError, match=r"weights of MobileNetV2 from .* take -1-1"):
        find_scaling(network, CROPS)


def _answering(before: Callable[[Any], Any]) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, use_bias=False)(before(image)))
    return keras.Model(image, layers.Dense(2, kernel_initializer=keras.initializers.RandomNormal(stddev=0.05))(x))


def test_strong_answers_of_a_model_with_its_own_preprocessing_tell() -> None:
    found = find_scaling(_answering(lambda x: keras.ops.where(x > 127.0, x, 0.0)), CROPS)
    assert found.scaling == Scaling("0-255")
    assert "by trying" in found.reason


def test_strong_answers_do_not_tell_raw_values_from_those_less_their_means() -> None:
    with pytest.raises(ExportError, match="give `input_range=`"):
        find_scaling(_answering(lambda x: x), CROPS)


@pytest.mark.parametrize("name", ["0-255", "0-1", "caffe"])
def test_a_batch_norm_of_the_input_tells_once_it_is_trained(name: str) -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3))
    norm = layers.BatchNormalization(name="norm")
    network = keras.Model(image, layers.Dense(2)(layers.Flatten()(norm(image))))
    seen = Scaling.make(name)(CROPS.astype(np.float32))
    mean, variance = seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))
    norm.set_weights([*norm.get_weights()[:2], mean, variance])
    assert find_scaling(network, CROPS).scaling == Scaling.make(name)
    norm.set_weights([*norm.get_weights()[:2], 0.15 * mean, 0.85 + 0.15 * variance])  # after a few steps
    try:
        assert find_scaling(network, CROPS).scaling == Scaling.make(name)
    except ExportError as error:
        assert "give `input_range=`" in str(error)


@pytest.mark.parametrize("name", ["caffe", "torch", "-1-1"])
def test_a_scaling_does_what_keras_does_inside_and_outside(name: str) -> None:
    preprocess = {"caffe": "resnet50", "torch": "densenet", "-1-1": "mobilenet_v2"}[name]
    theirs = getattr(APPLICATIONS, preprocess).preprocess_input(CROPS.astype(np.float32))
    scaling = Scaling.make(name)
    np.testing.assert_allclose(scaling(CROPS.astype(np.float32)), theirs, atol=1e-4)
    image = keras.Input((32, 32, 3))
    inside = keras.Model(image, scaling.layer(image))
    np.testing.assert_allclose(np.asarray(inside(CROPS.astype(np.float32))), theirs, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "0-2"}, "input range '0-2': give 0-255"),
        ({"name": "caffe", "channels": 1}, "is for RGB"),
        ({"name": "0-1", "means": (1.0, 2.0)}, "give 1 number, or 3"),
        ({"name": "0-1", "deviations": (0.0,)}, "above 0"),
        ({"name": "0-1", "order": "gbr"}, "give rgb"),
    ],
)
def test_a_scaling_that_does_not_fit_is_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Scaling.make(**options)
