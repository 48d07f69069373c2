"""Networks of keras.applications as the trunk: preprocessing in the graph, weights, freezing, export."""

import re
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from mien.arguments import to_flags
from mien.errors import ConfigError, ExportError
from mien.inference.bundle import load_bundle
from mien.training.config import TrainConfig
from mien.training.export.artifacts import require_exportable
from mien.training.export.onnx import export_bundle
from mien.training.loop.optimizers import compile_model
from mien.training.networks.backbone import load_backbone, preprocessing
from mien.training.networks.networks import build, logits_of, training_copy
from mien.training.networks.pretrained import build_config
from mien.training.run import initial_network
from mien.training.source import TrainingSource
from mien.training.train import train_source

NAME = "MobileNetV3Small"
SMALL = {"backbone": NAME, "backbone_weights": "none", "size": 32}
FAMILIES = ["MobileNetV3Small", "MobileNetV2", "EfficientNetV2B0", "ResNet50", "DenseNet121", "VGG16", "ConvNeXtTiny"]


@pytest.fixture(scope="module")
def network() -> Any:
    keras.utils.set_random_seed(0)
    found = build(TrainConfig.make({**SMALL, "colour": "grey"}), 2)
    for weight in found.weights:  # statistics and biases that are not trivially 0 and 1
        if len(weight.shape) == 1:
            weight.assign(np.random.default_rng(len(weight.path)).uniform(0.5, 1.5, weight.shape))
    return found


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights as keras.applications reads them, of a random network."""
    path = tmp_path_factory.mktemp("weights") / "mobile.weights.h5"
    keras.utils.set_random_seed(5)
    keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3)).save_weights(path)
    return path


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_sees_what_its_own_preprocessing_gives(name: str) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (2, 5, 5, 3)).astype(np.float32)
    family = sys.modules[getattr(keras.applications, name).__module__]
    reverse, scale, offset = preprocessing(name)
    ours = (image[..., ::-1] if reverse else image) * scale + offset
    np.testing.assert_allclose(ours, family.preprocess_input(image.copy()), atol=1e-4)


def test_a_reversed_and_shifted_input_is_part_of_the_network() -> None:
    """VGG16 wants BGR without its means: the network takes raw RGB."""
    keras.utils.set_random_seed(0)
    config = TrainConfig.make({"backbone": "VGG16", "backbone_weights": "none", "size": 32})
    found = build(config, 3)
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    family = sys.modules[keras.applications.VGG16.__module__]
    features = found.get_layer("vgg16")(family.preprocess_input(image.copy()))
    probabilities = found.layers[-1](found.get_layer("logits")(keras.ops.mean(features, axis=(1, 2))))
    np.testing.assert_allclose(np.asarray(found(image)), np.asarray(probabilities), atol=1e-5)


def test_a_grey_image_is_three_equal_channels(network: Any) -> None:
    grey = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    colour = build(TrainConfig.make(SMALL), 2)
    colour.set_weights(network.get_weights())
    np.testing.assert_allclose(np.asarray(network(grey)), np.asarray(colour(np.repeat(grey, 3, -1))), atol=1e-6)


def test_the_export_equals_keras_and_has_maps(network: Any, tmp_path: Path) -> None:
    crops = np.random.default_rng(1).integers(0, 256, (6, 32, 32, 1), np.uint8)
    agreement = export_bundle(network, ("happy", "sad"), crops, tmp_path / "bundle")
    assert agreement.same_answer == 6
    config = load_bundle(tmp_path / "bundle").config
    assert config.maps
    assert (config.input_size, config.input_channels) == (32, 1)


def test_the_training_copy_is_the_same_network(network: Any) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(training_copy(network)(image)), np.asarray(network(image)), atol=1e-6)


def test_it_is_saved_and_opened_again_in_safe_mode(network: Any, tmp_path: Path) -> None:
    from mien.training.networks.keras_file import load_keras_file

    network.save(tmp_path / "model.keras")
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(load_keras_file(tmp_path / "model.keras")(image)), np.asarray(network(image)), atol=1e-6
    )


def test_only_the_head_is_trained_while_frozen(network: Any) -> None:
    config = TrainConfig.make({**SMALL, "colour": "grey"})
    trained = training_copy(network)
    model = logits_of(trained)
    compile_model(model, trained, config, frozen=True)
    assert {weight.path.split("/")[0] for weight in model.trainable_variables} == {"logits"}
    before = [np.asarray(weight) for weight in trained.get_layer(NAME).weights]
    image = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 1)).astype(np.float32)
    model.train_on_batch(image, np.array([[0.0], [1], [0], [1]]))
    after = [np.asarray(weight) for weight in trained.get_layer(NAME).weights]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))  # statistics of the norms too
    compile_model(model, trained, config, frozen=False)
    assert len(model.trainable_variables) > 100


def test_weights_come_from_a_file_and_the_head_starts_at_zero(weights: Path) -> None:
    config = build_config({"backbone": NAME, "backbone_weights": str(weights), "size": 32})
    assert config.freeze_epochs > 0
    assert config.learning_rate < config.head_learning_rate
    found = initial_network(config, 2)
    keras.utils.set_random_seed(5)
    theirs = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    for ours, want in zip(found.get_layer(NAME).get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, want)
    assert not np.any(found.get_layer("logits").get_weights()[0])
    begun = initial_network(config, 2, begun=True)  # a checkpoint follows: the file is not needed any more
    assert np.any(begun.get_layer("logits").get_weights()[0])


def test_weights_that_cannot_be_downloaded_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a network: names are not resolved."""
    import socket

    def closed(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", closed)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.config, "keras_home", lambda: str(tmp_path), raising=False)
    config = TrainConfig.make({"backbone": NAME, "size": 32})
    assert config.backbone_weights == "imagenet"
    words = "--backbone-weights imagenet: cannot be downloaded .* give a file of weights, or none"
    with pytest.raises(ConfigError) as caught:
        load_backbone(build(config, 2), config)
    assert re.match(words, to_flags(str(caught.value)))
    assert "\n" not in str(caught.value)


def test_a_file_of_something_else_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    path.write_bytes(b"no weights")
    config = build_config({"backbone": NAME, "backbone_weights": str(path), "size": 32})
    with pytest.raises(ConfigError, match=f"is not a file of {NAME} weights"):
        initial_network(config, 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone": "MobilNetV3Smal"}, "--backbone MobilNetV3Smal: is none of keras.applications; like MobileNetV3"),
        ({"backbone": NAME, "size": 16}, "--size 16: is too small for the backbone MobileNetV3Small"),
    ],
)
def test_a_backbone_that_cannot_be_built_is_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(TrainConfig.make({**settings, "backbone_weights": "none"}), 2)
    assert to_flags(str(caught.value)).startswith(words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone": NAME, "network": "stack"}, "--network stack: cannot have a --backbone"),
        ({"backbone_weights": "none", "backbone": NAME, "freeze_epochs": 2}, "--freeze-epochs: needs --from, or"),
        ({"backbone": NAME, "width": 0.5}, "--width 0.5: a backbone has its own"),
        ({"backbone": NAME, "activation": "gelu"}, "--activation gelu: a backbone has its own"),
        ({"backbone": NAME, "backbone_weights": "gone.h5"}, "--backbone-weights gone.h5: no such file"),
        ({"network": "stack", "backbone_weights": "imagenet"}, "--backbone-weights imagenet: needs --backbone"),
    ],
)
def test_settings_that_contradict_a_backbone_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_config(settings)
    assert to_flags(str(caught.value)).startswith(words)


@pytest.mark.slow
def test_a_whole_run_from_a_file_and_another_from_that_run(faces: Path, weights: Path, tmp_path: Path) -> None:

    settings = {"backbone": NAME, "backbone_weights": str(weights), "size": 32, "epochs": 2, "freeze_epochs": 1}
    out = tmp_path / "first"
    finished = train_source(TrainingSource(faces), build_config(settings), out)
    assert finished.agreement is not None
    assert load_bundle(out).config.maps
    again = build_config({"start_from": str(out), "epochs": 2, "freeze_epochs": 1})
    assert (again.backbone, again.size, again.backbone_weights) == (NAME, 32, "none")
    taken = initial_network(again, 2).get_layer(NAME).get_weights()
    left = keras.models.load_model(out / "model.keras", compile=False).get_layer(NAME).get_weights()
    assert all(np.array_equal(ours, want) for ours, want in zip(taken, left, strict=True))


def test_a_backbone_that_cannot_be_exported_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    image = keras.Input((32, 32, 3))
    smaller = layers.Resizing(16, 16, antialias=True, name="smaller")(image)
    impossible = keras.Model(image, layers.Dense(2)(layers.Flatten()(smaller)))
    config = TrainConfig.make(SMALL)
    with pytest.raises(ExportError, match=f"backbone {NAME}: the layer 'smaller' .*; nothing was trained"):
        require_exportable(impossible, config, 2, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_backbone_is_tried_once(network: Any, tmp_path: Path) -> None:
    config = TrainConfig.make({**SMALL, "colour": "grey"})
    require_exportable(network, config, 2, tmp_path / "cache")
    (note,) = (tmp_path / "cache").iterdir()
    require_exportable(None, config, 2, tmp_path / "cache")  # not looked at again
    assert [note] == list((tmp_path / "cache").iterdir())


#: The smallest member of each family of keras.applications at the smallest input that Keras allows.
SMALLEST = {
    "ConvNeXtTiny": 32, "DenseNet121": 32, "EfficientNetB0": 32, "EfficientNetB1": 32, "EfficientNetV2B0": 32,
    "InceptionResNetV2": 75, "InceptionV3": 75, "MobileNet": 32, "MobileNetV2": 32, "MobileNetV3Small": 32,
    "NASNetMobile": 32, "ResNet50": 32, "ResNet50V2": 32, "VGG16": 32, "Xception": 71,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), SMALLEST.items(), ids=SMALLEST)
def test_every_family_is_trained_and_exported(name: str, size: int, faces: Path, tmp_path: Path) -> None:
    settings = {"backbone": name, "backbone_weights": "none", "size": size, "epochs": 1, "augment": "none"}
    finished = train_source(TrainingSource(faces), build_config(settings), tmp_path / "run")
    assert finished.agreement is not None
    assert finished.agreement.same_answer == finished.agreement.crops
    assert load_bundle(tmp_path / "run").config.maps
