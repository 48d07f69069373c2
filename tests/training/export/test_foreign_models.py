"""Models of every usual shape are exported and answer as in Keras, or are refused in one line; never silently else."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import layers, ops

import mien
from mien.errors import ExportError
from mien.training.export.keras_file import export_keras_file
from mien.training.export.probes import probe_crops
from mien.training.export.scaling import Scaling

CROPS = probe_crops(24, 3)
APPLICATIONS = keras.applications

#: Name: (what the model does to its input, the range that its owner feeds).
INPUTS: dict[str, tuple[Callable[[], Callable[[Any], Any]], str]] = {
    "nothing, 0-1": (lambda: lambda x: x, "0-1"),
    "nothing, raw": (lambda: lambda x: x, "0-255"),
    "nothing, caffe": (lambda: lambda x: x, "caffe"),
    "rescaling": (lambda: layers.Rescaling(1 / 255), "0-255"),
    "rescaling to -1-1": (lambda: layers.Rescaling(1 / 127.5, -1), "0-255"),
    "normalization": (lambda: layers.Normalization(mean=[120.0, 110, 100], variance=[4000.0, 4000, 4000]), "0-255"),
    "arithmetic": (lambda: lambda x: x / 255.0, "0-255"),
    "tf": (lambda: APPLICATIONS.mobilenet_v2.preprocess_input, "0-255"),
    "torch": (lambda: APPLICATIONS.densenet.preprocess_input, "0-255"),
    "caffe": (lambda: APPLICATIONS.vgg16.preprocess_input, "0-255"),
    "x * 2 - 1": (lambda: lambda x: x * 2.0 - 1.0, "0-1"),
}


def _strong(units: int, activation: str | None = None) -> Any:
    return layers.Dense(units, activation=activation, kernel_initializer=keras.initializers.RandomNormal(stddev=3.0))


def _ends_in(units: int, activation: str | None = None) -> Callable[[Any], Any]:
    def end(x: Any) -> Any:
        return _strong(units, activation)(x)

    return end


def _own_softmax(x: Any) -> Any:
    shares = ops.exp(_strong(3)(x))
    return shares / ops.sum(shares, axis=-1, keepdims=True)


def _mean_of_two(x: Any) -> Any:
    return layers.Average()([_strong(2, "softmax")(x), _strong(2, "softmax")(x)])


HEADS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "softmax": (_ends_in(3, "softmax"), 3),
    "sigmoid": (_ends_in(1, "sigmoid"), 2),
    "several sigmoids": (_ends_in(3, "sigmoid"), 3),
    "logits": (_ends_in(3), 3),
    "one logit": (_ends_in(1), 2),
    "softmax layer": (lambda x: layers.Softmax()(_strong(2)(x)), 2),
    "softmax, reshape": (lambda x: layers.Reshape((3,))(layers.Reshape((1, 3))(_strong(3, "softmax")(x))), 3),
    "softmax, linear": (lambda x: layers.Activation("linear")(layers.Activation("softmax")(_strong(2)(x))), 2),
    "temperature": (lambda x: ops.softmax(_strong(3)(x) / 2.5), 3),
    "log softmax": (lambda x: ops.log_softmax(_strong(3)(x)), 3),
    "log softmax by name": (_ends_in(3, "log_softmax"), 3),
    "softmax by hand": (_own_softmax, 3),
    "mean of two": (_mean_of_two, 2),
    "relu": (_ends_in(3, "relu"), 3),
    "softmax, clipped": (lambda x: ops.clip(_strong(3, "softmax")(x), 1e-7, 1.0), 3),
    "hard sigmoid": (_ends_in(1, "hard_sigmoid"), 2),
}


def build(start: str, head: str, augment: bool, nest_trunk: bool, nest_head: bool, normalise: bool) -> Any:
    """Build a small model from its parts."""
    image = keras.Input((24, 24, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])(image) if augment else image
    x = INPUTS[start][0]()(x)
    inner = keras.Input((24, 24, 3))
    y = layers.Conv2D(6, 3, strides=2)(inner)
    y = layers.ReLU()(layers.BatchNormalization()(y) if normalise else y)
    y = layers.GlobalAveragePooling2D()(y)
    trunk = keras.Model(inner, y)
    if nest_trunk:
        x = trunk(x)
    else:
        for layer in trunk.layers[1:]:
            x = layer(x)
    x = layers.Dropout(0.3)(x)
    if nest_head:
        features = keras.Input((6,))
        return keras.Model(image, keras.Model(features, HEADS[head][0](features))(x))
    return keras.Model(image, HEADS[head][0](x))


def answers(network: Any, head: str, crops: Any) -> Any:
    """Return the probabilities of a model as its owner reads them, by the name of its head."""
    out = np.asarray(network(crops, training=False), np.float64)
    if head == "one logit":
        out = 1 / (1 + np.exp(-out))
    elif head.startswith("log softmax"):
        out = np.exp(out)
    elif head == "logits":
        out = np.exp(out - out.max(axis=1, keepdims=True))
        out /= out.sum(axis=1, keepdims=True)
    return np.concatenate([1 - out, out], axis=1) if out.shape[1] == 1 else out


def check(seed: int, told: bool, start: str, head: str, *parts: bool) -> str:
    """Build, export and compare one model; return `exported` or the reason of the refusal."""
    keras.utils.set_random_seed(seed)
    network, fed, classes = build(start, head, *parts), INPUTS[start][1], HEADS[head][1]
    labels = tuple("abc"[:classes])
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.keras"
        network.save(path)
        try:
            export_keras_file(path, labels, Path(folder) / "b", input_range=fed if told else "auto")
        except ExportError as error:
            assert "\n" not in str(error) and not (Path(folder) / "b").exists()
            return str(error)
        ours = mien.load(Path(folder) / "b").probabilities(CROPS)
    theirs = answers(network, head, Scaling.make(fed)(CROPS.astype(np.float32)))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    return "exported"


ANY = {
    "seed": st.integers(0, 10_000), "start": st.sampled_from(list(INPUTS)), "head": st.sampled_from(list(HEADS)),
    "parts": st.tuples(*[st.booleans()] * 4),
}  # fmt: skip
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(**ANY)
@settings(max_examples=8, suppress_health_check=SLOW)
def test_no_model_is_silently_different(seed: int, start: str, head: str, parts: tuple[bool, ...]) -> None:
    check(seed, True, start, head, *parts)


@pytest.mark.slow
@given(told=st.just(True), **ANY)
@settings(max_examples=300, suppress_health_check=SLOW)
def test_no_model_of_300_is_silently_different(
    told: bool, seed: int, start: str, head: str, parts: tuple[bool, ...]
) -> None:
    check(seed, told, start, head, *parts)


@pytest.mark.parametrize(
    "start", [name for name, (_, fed) in INPUTS.items() if fed == "0-255" and "nothing" not in name]
)
def test_preprocessing_inside_needs_no_option(start: str) -> None:
    assert check(3, False, start, "softmax", True, True, True, False) == "exported"


REFUSED = {"several sigmoids": "multi-label|separate sigmoids", "relu": "ends in 'relu'"}


@pytest.mark.slow
@pytest.mark.parametrize("head", list(HEADS))
def test_every_head_alone_and_nested(head: str) -> None:
    for nest in (False, True):
        said = check(5, True, "rescaling", head, False, nest, nest, False)
        if head in REFUSED:
            assert any(words in said for words in REFUSED[head].split("|"))


def _teachable_machine() -> tuple[Any, str]:
    """Two nested Sequentials: MobileNet with pooling, and two dense layers; fed -1 to 1."""
    trunk = APPLICATIONS.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3), alpha=0.35)
    pooled = keras.Sequential([trunk, layers.GlobalAveragePooling2D()])
    end = [keras.Input((1280,)), layers.Dense(100, "relu"), layers.Dense(2, "softmax", use_bias=False)]
    return keras.Sequential([pooled, keras.Sequential(end)]), "-1-1"


def _transfer_learning() -> tuple[Any, str]:
    """TensorFlow's "Transfer learning and fine-tuning": augmentation, `preprocess_input`, one logit."""
    image = keras.Input((96, 96, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])(image)
    x = APPLICATIONS.mobilenet_v2.preprocess_input(x)
    trunk = APPLICATIONS.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(trunk(x, training=False)))
    return keras.Model(image, layers.Dense(1, activation="sigmoid")(x)), "auto"


def _flowers() -> tuple[Any, str]:
    """TensorFlow's flowers: augmentation and rescaling inside, logits."""
    augment = [keras.Input((96, 96, 3)), layers.RandomFlip(), layers.RandomRotation(0.1), layers.RandomZoom(0.1)]
    trunk: list[Any] = []
    for filters in (16, 32, 64):
        trunk += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
    end = [layers.Dropout(0.2), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dense(2)]
    return keras.Sequential([keras.Sequential(augment), layers.Rescaling(1 / 255), *trunk, *end]), "auto"


def _from_scratch() -> tuple[Any, str]:
    """Keras' "Image classification from scratch": a small Xception with shortcuts, one logit."""
    image = keras.Input((96, 96, 3))
    x = layers.Conv2D(32, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(image))
    x = before = layers.Activation("relu")(layers.BatchNormalization()(x))
    for size in (64, 128):
        for _ in range(2):
            x = layers.SeparableConv2D(size, 3, padding="same")(layers.Activation("relu")(x))
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = before = layers.add([x, layers.Conv2D(size, 1, strides=2, padding="same")(before)])
    return keras.Model(image, layers.Dense(1)(layers.Dropout(0.25)(layers.GlobalAveragePooling2D()(x)))), "auto"


TUTORIALS = {
    "teachable machine": _teachable_machine, "transfer learning": _transfer_learning, "flowers": _flowers,
    "from scratch": _from_scratch,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TUTORIALS))
def test_the_models_of_public_tutorials_predict_as_in_keras(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(2)
    network, given_range = TUTORIALS[name]()
    network(np.zeros((1, 96, 96, 3), np.float32))
    network.save(tmp_path / "theirs.keras")
    export_keras_file(tmp_path / "theirs.keras", ("a", "b"), tmp_path / "b", input_range=given_range)
    crops = probe_crops(96, 3)[:8]
    fed = Scaling(given_range if given_range != "auto" else "0-255")(crops.astype(np.float32))
    head = "one logit" if name == "from scratch" else "logits" if name == "flowers" else "softmax"
    expected = answers(network, head, fed)
    reader = mien.load(tmp_path / "b", detect=False)
    ours = [list(reader.predict(crop).face.probabilities.values()) for crop in crops]
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    found = mien.explain(
        crops[0], model=tmp_path / "theirs.keras", labels=("a", "b"), input_range=given_range, method="grad-cam",
        detect=False,
    )  # fmt: skip
    np.testing.assert_allclose(list(found.result.face.probabilities.values()), expected[0], atol=1e-3)
    heat = found.faces[0].heat
    assert heat.shape == (96, 96)
    assert 0 <= heat.min() < heat.max() <= 1
