"""Models of Keras 2 open in Keras 3: the configs below are what Keras 2 wrote, cut to a few layers."""

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt
import pytest

import mien
from mien.errors import ExportError
from mien.training.export.keras_file import export_keras_file
from mien.training.networks.keras_file import load_keras_file

Config = dict[str, Any]
Weights = dict[str, list[npt.NDArray[np.float32]]]
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
SHAPE = [None, 16, 16, 3]
KERNEL = RNG.normal(size=(3, 3, 3, 4)).astype(np.float32)
DEPTHWISE = RNG.normal(size=(3, 3, 4, 1)).astype(np.float32)
DENSE = RNG.normal(size=(4, 2)).astype(np.float32)


def of(kind: str, name: str, inbound: Any = None, **settings: Any) -> Config:
    """A layer as Keras 2 wrote it; `inbound` only in functional models."""
    found: Config = {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **settings}}
    return found if inbound is None else {**found, "name": name, "inbound_nodes": inbound}


def after(*names: str) -> Any:
    return [[[name, 0, 0, {}] for name in names]]


def conv(name: str, inbound: Any = None, **more: Any) -> Config:
    settings = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "groups": 1, **more}
    zeros = {"class_name": "Zeros", "config": {}}
    return of("Conv2D", name, inbound, **settings, use_bias=False, bias_initializer=zeros, activation="linear")


def depthwise(name: str, inbound: Any = None, groups: int = 1) -> Config:
    unused = {"kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None}
    return of("DepthwiseConv2D", name, inbound, kernel_size=[3, 3], groups=groups, use_bias=False, **unused)


def head(inbound: Any = None, previous: str = "") -> list[Config]:
    pool = of("GlobalMaxPooling2D", "pool", None if inbound is None else after(previous), keepdims=False)
    dense = of("Dense", "dense", None if inbound is None else after("pool"), units=2, activation="softmax",
               use_bias=False)  # fmt: skip
    return [pool, dense]


def functional(*found: Config, name: str = "model") -> Config:
    ends = {"input_layers": [[found[0]["name"], 0, 0]], "output_layers": [[found[-1]["name"], 0, 0]]}
    return {"class_name": "Functional", "config": {"name": name, "layers": list(found), **ends}}


def write(path: Path, config: Config, weights: Weights, version: str = "2.4.0") -> Path:
    """Write a `.h5` file as Keras 2 did."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"], file.attrs["backend"] = version.encode(), b"tensorflow"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            inner = group.create_group(name)
            inner.attrs["weight_names"] = [f"{name}/{number}:0".encode() for number in range(len(arrays))]
            for number, array in enumerate(arrays):
                inner[f"{name}/{number}:0"] = array
    return path


def expected(images: npt.NDArray[np.float32], with_depthwise: bool = True) -> npt.NDArray[np.float64]:
    x = keras.ops.conv(images, KERNEL)
    x = keras.ops.depthwise_conv(x, DEPTHWISE) if with_depthwise else x
    return np.asarray(keras.ops.softmax(keras.ops.max(x, axis=(1, 2)) @ DENSE))


def assert_opens(path: Path, images: npt.NDArray[np.float32], with_depthwise: bool = True) -> None:
    found = load_keras_file(path)
    assert found.inputs[0].shape == (None, 16, 16, 3)
    np.testing.assert_allclose(np.asarray(found(IMAGES)), expected(images, with_depthwise), rtol=1e-3, atol=1e-5)


def teachable_machine() -> tuple[Config, Weights]:
    """Two nested Sequential models without an input layer, around a functional model."""
    image = of("InputLayer", "input_1", [], batch_input_shape=SHAPE, sparse=False, ragged=False)
    trunk = functional(image, conv("Conv1/a", after("input_1")), depthwise("expanded/b", after("Conv1/a")), name="net")
    pool, dense = head()
    dense["config"]["batch_input_shape"] = [None, 4]
    sequential: Any = [{"class_name": "Sequential", "config": {"name": f"sequential_{number}", "layers": found}}
                       for number, found in enumerate([[trunk, pool], [dense]])]  # fmt: skip
    config = {"class_name": "Sequential", "config": {"name": "sequential_2", "layers": sequential}}
    return config, {"sequential_0": [KERNEL, DEPTHWISE], "sequential_1": [DENSE]}


def test_teachable_machines_model(tmp_path: Path) -> None:
    path = write(tmp_path / "keras_model.h5", *teachable_machine())
    assert_opens(path, IMAGES)
    export_keras_file(path, ("a", "b"), tmp_path / "b", input_range="-1-1")
    image = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    ours = mien.load(tmp_path / "b").predict(image).face.probabilities
    theirs = expected(image[np.newaxis].astype(np.float32) / 127.5 - 1)[0]
    assert list(ours.values()) == pytest.approx(theirs.tolist(), abs=1e-3)


def test_a_list_of_layers_as_keras_2_2_wrote_it(tmp_path: Path) -> None:
    first = conv("conv", batch_input_shape=SHAPE)
    weights: Weights = {"conv": [KERNEL], "depthwise": [DEPTHWISE], "dense": [DENSE]}
    config = {"class_name": "Sequential", "config": [first, depthwise("depthwise"), *head()]}
    assert_opens(write(tmp_path / "m.h5", config, weights, "2.2.4-tf"), IMAGES)
    assert_opens(write(tmp_path / "m.hdf5", config, weights, "2.2.4-tf"), IMAGES)


def test_the_name_need_not_fit_the_content(tmp_path: Path) -> None:
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    network.save(tmp_path / "m.keras")
    (tmp_path / "m.keras").rename(tmp_path / "m.h5")
    assert load_keras_file(tmp_path / "m.h5").output_shape == (None, 2)


def test_random_layers_have_no_effect(tmp_path: Path) -> None:
    image = of("InputLayer", "input_1", batch_input_shape=SHAPE)
    augment = [of("RandomFlip", "flip", mode="horizontal", rng_type="stateful"), of("RandomHeight", "height", factor=9)]
    config = {"class_name": "Sequential", "config": {"layers": [image, *augment, conv("conv"), *head()]}}
    assert_opens(write(tmp_path / "m.h5", config, {"conv": [KERNEL], "dense": [DENSE]}), IMAGES, False)


ELLIPSIS, REVERSED = {"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}
STEPS: dict[str, tuple[list[tuple[str, str, Config]], Any]] = {
    "divide, subtract": (
        [("TFOpLambda", "math.truediv", {"y": 127.5}), ("TFOpLambda", "math.subtract", {"y": 1.0})],
        IMAGES / 127.5 - 1,
    ),
    "caffe": (
        [
            ("SlicingOpLambda", "__operators__.getitem", {"slice_spec": [ELLIPSIS, REVERSED]}),
            ("TFOpLambda", "nn.bias_add", {"bias": [-103.9, -116.8, -123.7]}),
        ],
        IMAGES[..., ::-1] + np.array([-103.9, -116.8, -123.7], np.float32),
    ),
    "cast, multiply": (
        [("TFOpLambda", "cast", {"dtype": "float32"}), ("TFOpLambda", "math.multiply", {"y": 0.5, "name": None})],
        IMAGES / 2,
    ),
    "two tensors": (
        [("TFOpLambda", "__operators__.add", {"y": ["input_1", 0, 0]})],
        IMAGES * 2,
    ),
}


@pytest.mark.parametrize("nested", [False, True], ids=["flat node", "nested node"])
@pytest.mark.parametrize(("steps", "images"), STEPS.values(), ids=STEPS)
def test_arithmetic_of_tensorflow(steps: Any, images: Any, nested: bool, tmp_path: Path) -> None:
    found = [of("InputLayer", "input_1", [], batch_input_shape=SHAPE)]
    for number, (kind, function, arguments) in enumerate(steps):
        node = [found[-1]["name"], 0, 0, arguments]
        found.append(of(kind, f"tf.{function}_{number}", [[node]] if nested else [node], function=function))
    found += [conv("conv", after(found[-1]["name"])), *head(True, "conv")]
    path = write(tmp_path / "m.h5", functional(*found), {"conv": [KERNEL], "dense": [DENSE]})
    assert_opens(path, images, False)


def test_a_keras_archive_of_keras_2(tmp_path: Path) -> None:
    """Its config has the modules of TensorFlow, its weights other paths."""
    image = of("InputLayer", "input_1", [], batch_input_shape=SHAPE)
    config = functional(image, conv("conv", after("input_1")), *head(True, "conv"))
    config["module"] = "tf_keras.src.engine.functional"
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        for name, array in (("conv2d", KERNEL), ("dense", DENSE)):
            file[f"_layer_checkpoint_dependencies/{name}/vars/0"] = array
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    assert_opens(tmp_path / "m.keras", IMAGES, False)


def sequential(*found: Config) -> Config:
    image = of("InputLayer", "input_1", batch_input_shape=SHAPE)
    return {"class_name": "Sequential", "config": {"layers": [image, *found]}}


TENSORFLOW = functional(
    of("InputLayer", "input_1", [], batch_input_shape=SHAPE),
    of("TFOpLambda", "tf.image.rgb_to_hsv", [["input_1", 0, 0, {}]], function="image.rgb_to_hsv"),
)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (sequential(of("Lambda", "mine", function=["4wEAAAA=", None, None])), "'mine' runs code of its own"),
        (sequential(of("AttentionOfMyOwn", "mine")), "'mine' is of the class 'AttentionOfMyOwn', which is not part of"),
        (sequential(of("Custom>Gem", "mine")), "'mine' is of the class 'Gem'"),
        (TENSORFLOW, "'tf.image.rgb_to_hsv' is the TensorFlow function 'image.rgb_to_hsv'"),
        (sequential(depthwise("mine", groups=2)), "'mine' .DepthwiseConv2D. has the setting groups"),
        (sequential(conv("conv"), *head()), "the weights in the file do not fit its model"),
    ],
    ids=["code", "own class", "registered class", "function", "setting", "other weights"],
)
def test_what_cannot_be_opened_is_one_line(config: Config, words: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.h5", config, {"dense": [DENSE]})
    with pytest.raises(ExportError, match=words) as caught:
        load_keras_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
