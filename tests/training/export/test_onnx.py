import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import mien
from mien.errors import ExportError, OutputError
from mien.training.config import TrainConfig
from mien.training.export.keras_file import export_keras_file
from mien.training.export.onnx import export_bundle
from mien.training.networks.keras_file import load_keras_file
from mien.training.networks.networks import build

CROPS = np.random.default_rng(5).integers(0, 256, (12, 48, 48, 3), dtype=np.uint8)
#: The network that is exported soonest: convolutions with an activation in them.
CLASSIC = {"network": "classic", "size": 48, "width": 0.25, "colour": "rgb"}


@pytest.mark.parametrize(("network", "classes"), [("classic", 2), ("stack", 3), ("residual", 2), ("light", 5)])
def test_the_bundle_answers_as_keras_does(network: str, classes: int, tmp_path: Path) -> None:
    config = TrainConfig.make({"network": network, "size": 48, "width": 0.25, "colour": "rgb"})
    model = build(config, classes)
    labels = [f"class {number}" for number in range(classes)]
    agreement = export_bundle(model, labels, CROPS, tmp_path / "b")
    assert agreement.same_answer == agreement.crops == 12
    reader = mien.load(tmp_path / "b")
    theirs = np.asarray(model(CROPS.astype(np.float32)))
    if classes == 2:
        theirs = np.concatenate([1 - theirs, theirs], axis=1)
    np.testing.assert_allclose(reader.probabilities(CROPS), theirs, atol=1e-5)
    assert reader.config.labels == tuple(labels)
    assert reader.config.maps is (network in ("residual", "light"))


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "selu", "mish"])
def test_every_activation_exports(activation: str, tmp_path: Path) -> None:
    agreement = export_bundle(build(TrainConfig.make({**CLASSIC, "activation": activation}), 2), ["a", "b"], CROPS,
                              tmp_path / "b")  # fmt: skip
    assert agreement.same_answer == agreement.crops


def test_maps_average_to_the_logits(tmp_path: Path) -> None:
    from mien.inference.bundle import load_bundle
    from mien.inference.classifier import Classifier

    model = build(TrainConfig.make({**CLASSIC, "network": "light"}), 3)
    export_bundle(model, ["a", "b", "c"], CROPS, tmp_path / "b")
    logits, maps = Classifier(load_bundle(tmp_path / "b"))(CROPS)
    assert maps is not None
    assert maps.shape == (12, 6, 6, 3)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), logits, atol=1e-4)


def test_a_network_that_disagrees_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.training.export import onnx

    model = build(TrainConfig.make(CLASSIC), 2)
    other = build(TrainConfig.make(CLASSIC), 2)
    real = onnx._onnx_bytes
    monkeypatch.setattr(onnx, "_onnx_bytes", lambda _, folder: real(onnx.export_model(other, 2), folder))
    with pytest.raises(ExportError, match="ONNX does not agree with Keras"):
        export_bundle(model, ["a", "b"], CROPS, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine.txt").write_text("mine")
    model = build(TrainConfig.make(CLASSIC), 2)
    with pytest.raises(OutputError, match="already exists"):
        export_bundle(model, ["a", "b"], CROPS, tmp_path / "b")
    assert (tmp_path / "b" / "mine.txt").read_text() == "mine"


def test_an_operation_that_onnx_lacks_is_one_line(tmp_path: Path) -> None:
    smaller = layers.Resizing(24, 24, antialias=True, name="smaller")
    model = keras.Sequential([keras.Input((48, 48, 3)), keras.Sequential([smaller]), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ExportError, match="the layer 'smaller' computes ScaleAndTranslate, which ONNX lacks"):
        export_bundle(model, ["a", "b"], CROPS, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_groups_constants_and_augmentation_inside_are_exported(tmp_path: Path) -> None:
    image = keras.Input((48, 48, 3))
    x = layers.Normalization(mean=[90.0, 80.0, 70.0], variance=[3e3, 4e3, 5e3])(layers.RandomFlip()(image))
    x = layers.Conv2D(6, 3, groups=3, activation="relu")(x)
    model = keras.Model(image, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    agreement = export_bundle(model, ["a", "b", "c"], CROPS, tmp_path / "b")
    assert agreement.same_answer == agreement.crops
    assert mien.load(tmp_path / "b").config.maps


def test_a_wrong_number_of_labels_is_said(tmp_path: Path) -> None:
    model = build(TrainConfig.make(CLASSIC), 3)
    with pytest.raises(ExportError, match="3 outputs for 2 labels"):
        export_bundle(model, ["a", "b"], CROPS, tmp_path / "b")


def _tutorial(head: list[Any]) -> Any:
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            *head,
        ]
    )


HEADS: dict[str, Callable[[], list[Any]]] = {
    "sigmoid unit": lambda: [layers.Dense(1, activation="sigmoid")],
    "softmax": lambda: [layers.Dense(2, activation="softmax")],
    "linear": lambda: [layers.Dense(2)],
    "softmax layer": lambda: [layers.Dense(2), layers.Softmax()],
    "activation layer": lambda: [layers.Dense(1), layers.Activation("sigmoid")],
}


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_model_made_elsewhere_gives_its_own_probabilities(head: str, ending: str, tmp_path: Path) -> None:
    model = _tutorial(HEADS[head]())
    path = tmp_path / f"theirs{ending}"
    model.save(path)
    agreement = export_keras_file(path, ("happy", "sad"), tmp_path / "b", input_range="0-1").agreement
    assert agreement.same_answer == agreement.crops
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    theirs = np.asarray(model(image[np.newaxis].astype(np.float32) / 255))[0]
    if head == "linear":
        theirs = np.exp(theirs) / np.exp(theirs).sum()
    ours = mien.load(tmp_path / "b").predict(image).face.probabilities
    assert ours["sad"] == pytest.approx(float(theirs[-1]), abs=1e-5)


def test_a_model_that_scales_itself_takes_raw_values(tmp_path: Path) -> None:
    inner = [layers.Rescaling(1 / 127.5, -1), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax")]
    model = keras.Sequential([keras.Input((32, 32, 1)), *inner])
    model.save(tmp_path / "m.keras")
    found = export_keras_file(tmp_path / "m.keras", ("a", "b"), tmp_path / "b")
    assert found.scaling.range == "0-255" and "rescaling" in found.reason
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    shape = {"size": 32, "channels": 1, "framing": "whole", "resize": "bilinear", "fit": "squash"}
    assert config["input"] == shape
    assert config["about"]["input"] == {"range": "0-255", "found": found.reason}


def test_a_lambda_is_refused_and_never_run(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    spy = layers.Lambda(lambda x, path=str(witness): Path(path).write_text("ran") and x)
    model = keras.Sequential([keras.Input((32, 32, 3)), spy, layers.Flatten(), layers.Dense(2)])
    model.save(tmp_path / "evil.keras")
    assert witness.exists()  # building the model ran it, so opening the file unsafely would run it again
    witness.unlink()
    with pytest.raises(ExportError) as caught:
        load_keras_file(tmp_path / "evil.keras")
    assert "\n" not in str(caught.value)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m.keras", b"junk", "is not a Keras model"),
        ("m.h5", b"", "is empty"),
        ("m.pt", b"x", "is a PyTorch model"),
    ],
)
def test_a_file_that_is_not_a_model_is_one_line(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match=words) as caught:
        export_keras_file(tmp_path / name, ("a", "b"), tmp_path / "b")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("shape", "words"),
    [((32, 24, 3), "square"), ((None, None, 3), "fixed size"), ((32, 32, 4), "channels"), ((10,), "input is")],
)
def test_an_input_that_is_not_a_square_image_is_refused(shape: tuple[Any, ...], words: str, tmp_path: Path) -> None:
    inner = [layers.Dense(2)] if len(shape) == 1 else [layers.GlobalAveragePooling2D(), layers.Dense(2)]
    keras.Sequential([keras.Input(shape), *inner]).save(tmp_path / "m.keras")
    with pytest.raises(ExportError, match=words):
        export_keras_file(tmp_path / "m.keras", ("a", "b"), tmp_path / "b")
    assert not (tmp_path / "b").exists()
