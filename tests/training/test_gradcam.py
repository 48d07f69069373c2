"""Heatmaps by gradients: against definitions, against CAM, and against networks that know nothing."""

import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import layers

import mien
from mien.data.synthetic.faces import draw_face
from mien.errors import ConfigError
from mien.explanation.explainer import explain_image
from mien.explanation.saliency import class_activation, heatmaps
from mien.metrics.ranking import average_ranks
from mien.training.backend import gradient
from mien.training.export.onnx import export_bundle, export_model
from mien.training.export.scaling import Scaling
from mien.training.gradcam import GradCam, GradMethod, rank_correlation, weight_randomisation
from mien.training.networks.networks import classic, residual, stack

Crops = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def crops() -> Crops:
    return np.random.default_rng(0).integers(0, 256, (6, 48, 48, 1), np.uint8)


@cache
def untrained(kind: str, classes: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    network = {"classic": classic, "stack": stack, "residual": residual}[kind](48, 1, classes)
    for layer in network.layers:  # an unused bias of zeros would hide the constant between CAM and Grad-CAM
        if layer.name == "logits":
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, np.linspace(-1, 1, len(bias)).astype(np.float32) + 0.5])
    return network


@pytest.mark.parametrize("method", get_args(GradMethod))
def test_with_mirror_the_map_is_the_average_of_both_images(crops: Crops, method: GradMethod) -> None:
    network, labels = untrained("classic", 2), np.arange(6) % 2
    single, both = GradCam(network, method), GradCam(network, method, mirror=True)
    turned = crops[:, :, ::-1]
    by_hand = (single.raw(crops, labels) + single.raw(turned, labels)[:, :, ::-1]) / 2
    np.testing.assert_allclose(both.raw(crops, labels), by_hand, atol=1e-6)
    np.testing.assert_allclose(both(crops, labels), both(turned, labels)[:, :, ::-1], atol=1e-4)
    assert np.abs(single(crops, labels) - single(turned, labels)[:, :, ::-1]).max() > 0.01


def test_the_gradient_is_the_derivative() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_allclose(gradient(lambda t: keras.ops.sum(t**3, axis=-1), x), 3 * x**2, rtol=1e-4)


@pytest.mark.parametrize("classes", [2, 7])
def test_on_an_average_pooling_head_it_is_the_class_activation_map_up_to_a_factor_and_a_constant(
    crops: Crops, classes: int
) -> None:
    network = untrained("residual", classes)
    labels = np.arange(6) % classes
    cam = class_activation(np.asarray(export_model(network, classes)(crops.astype(np.float32))["maps"]), labels)
    bias = network.get_layer("logits").get_weights()[1]
    constant = bias[labels] if classes > 2 else bias[0] * np.where(labels == 1, 1, -1)
    raw = GradCam(network).raw(crops, labels)
    places = raw.shape[1] * raw.shape[2]
    np.testing.assert_allclose(raw * places, cam - constant[:, None, None], atol=1e-3 * np.abs(cam).max())
    # Negative values are cut off only after; without the constant the heatmaps are then the same.
    np.testing.assert_allclose(GradCam(network)(crops, labels), heatmaps(cam - constant[:, None, None], 48), atol=5e-3)


@pytest.mark.parametrize(("kind", "classes"), [("classic", 2), ("classic", 3), ("stack", 2), ("residual", 3)])
@pytest.mark.parametrize("method", get_args(GradMethod))
def test_any_network_gets_a_heatmap_for_each_crop(crops: Crops, kind: str, method: GradMethod, classes: int) -> None:
    found = GradCam(untrained(kind, classes), method)(crops, np.arange(6) % classes)
    assert found.shape == (6, 48, 48) and found.dtype == np.float32
    assert np.isfinite(found).all() and found.min() >= 0
    assert {float(peak) for peak in found.max(axis=(1, 2)).round(5)} <= {0.0, 1.0}
    assert GradCam(untrained(kind, classes), method)(crops[:0], np.zeros(0, np.int64)).shape == (0, 48, 48)


def test_of_a_sigmoid_unit_the_two_labels_get_opposite_maps(crops: Crops) -> None:
    network = GradCam(untrained("classic", 2))
    first, second = (network.raw(crops, np.full(6, label)) for label in (0, 1))
    np.testing.assert_allclose(first, -second, atol=1e-6)


def test_the_weights_are_the_mean_gradients_by_finite_differences(crops: Crops) -> None:
    network = untrained("classic", 3)
    label = 2
    features = keras.Model(network.inputs[0], network.get_layer(GradCam(network).layer).output)
    rest = keras.Model(features.output, network.get_layer("logits").output)
    a = np.asarray(features(crops[:1].astype(np.float32)))
    slopes = np.zeros(a.shape[-1])
    for channel in range(a.shape[-1]):  # a change of the whole channel moves the score by the sum of its gradients
        step = np.zeros_like(a)
        step[..., channel] = 1e-3
        slopes[channel] = float(np.asarray(rest(a + step) - rest(a - step))[0, label]) / 2e-3
    expected = (a[0] * slopes / (a.shape[1] * a.shape[2])).sum(axis=-1)
    found = GradCam(network).raw(crops[:1], np.array([label]))[0]
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


def test_plus_weights_each_place_as_its_paper_says(crops: Crops) -> None:
    network = untrained("classic", 2)
    features = keras.Model(network.inputs[0], network.get_layer(GradCam(network).layer).output)
    rest = keras.Model(features.output, network.get_layer("logits").output)
    a = np.asarray(features(crops[:2].astype(np.float32)))
    slope = gradient(lambda t: rest(t)[:, 0], a)
    for n in range(2):
        total = np.zeros(a.shape[1:3])
        for k in range(a.shape[-1]):
            g, whole = slope[n, :, :, k].astype(float), a[n, :, :, k].sum()
            below = 2 * g**2 + whole * g**3
            alpha = np.where(np.abs(below) > 1e-20, g**2 / np.where(below == 0, 1, below), 0)
            total += (alpha * np.maximum(g, 0)).sum() * a[n, :, :, k]
        found = GradCam(network, "grad-cam++").raw(crops[n : n + 1], np.array([1]))[0]
        np.testing.assert_allclose(found, total, rtol=1e-3, atol=1e-4 * np.abs(total).max())


def test_layer_cam_weights_each_place_by_its_own_positive_gradient(crops: Crops) -> None:
    network = untrained("classic", 2)
    features = keras.Model(network.inputs[0], network.get_layer(GradCam(network).layer).output)
    rest = keras.Model(features.output, network.get_layer("logits").output)
    a = np.asarray(features(crops.astype(np.float32)))
    slope = gradient(lambda t: rest(t)[:, 0], a)
    found = GradCam(network, "layer-cam").raw(crops, np.ones(6, np.int64))
    np.testing.assert_allclose(found, (a * np.maximum(slope, 0)).sum(axis=-1), rtol=1e-4, atol=1e-6)
    # On an average pooling head all places have one gradient, and it is Grad-CAM of the channels that speak for it.
    pooled, ones = untrained.__wrapped__("residual", 2), np.ones(6, np.int64)
    kernel, bias = pooled.get_layer("logits").get_weights()
    pooled.get_layer("logits").set_weights([np.abs(kernel), bias])
    one, other = (GradCam(pooled, method).raw(crops, ones) for method in ("layer-cam", "grad-cam"))
    np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())


def test_the_layer_is_the_last_feature_map_before_pooling() -> None:
    assert untrained("classic", 2).get_layer(GradCam(untrained("classic", 2)).layer).output.shape[1:3] == (8, 8)
    assert GradCam(untrained("residual", 2)).layer == "features"
    image = keras.Input((8, 8, 1))
    dense = keras.Model(image, layers.Dense(2, activation="softmax")(layers.Flatten()(image)))
    with pytest.raises(ConfigError, match="no convolutional layer; use occlusion"):
        GradCam(dense)
    scaled = keras.Model(image, layers.Dense(2)(layers.Flatten()(image / 255.0)))
    with pytest.raises(ConfigError, match="no convolutional layer; use occlusion"):
        GradCam(scaled)


@pytest.mark.parametrize("pooled_inside", [False, True])
def test_the_layer_may_be_in_a_nested_model(crops: Crops, pooled_inside: bool) -> None:
    """As in transfer learning: the backbone is one layer of the model. The map is that of the model written out."""
    keras.utils.set_random_seed(2)
    shape, convolution, pool = (48, 48, 1), layers.Conv2D(4, 3, name="inside"), layers.GlobalAveragePooling2D()
    backbone = keras.Sequential([keras.Input(shape), convolution, *([pool] if pooled_inside else [])])
    head = layers.Dense(2, activation="softmax")
    model = keras.Sequential([keras.Input(shape), backbone, *([] if pooled_inside else [pool]), head])
    found = GradCam(model)
    assert found.layer == "inside"
    written_out = keras.Sequential([keras.Input(shape), convolution, pool, head])
    labels = np.arange(6) % 2
    np.testing.assert_allclose(found.raw(crops, labels), GradCam(written_out).raw(crops, labels), rtol=1e-4, atol=1e-6)
    assert found.raw(crops, labels).std() > 0


def test_the_layer_is_one_that_all_passes_through(crops: Crops) -> None:
    image = keras.Input((48, 48, 1))
    first = layers.Conv2D(2, 3, name="first")(image)
    branches = [layers.GlobalMaxPooling2D()(layers.Conv2D(2, size)(first)) for size in (3, 5)]
    assert GradCam(keras.Model(image, layers.Dense(2)(layers.Concatenate()(branches)))).layer == "first"


def test_a_layer_may_be_named_if_all_passes_through_it(crops: Crops) -> None:
    network = untrained("residual", 2)
    assert GradCam(network, layer="features").raw(crops, np.zeros(6, np.int64)).shape == (6, 6, 6)
    with pytest.raises(ConfigError, match="'nowhere': the network has none"):
        GradCam(network, layer="nowhere")
    inside = next(layer.name for layer in network.layers[-20:] if layer.name.startswith("multiply"))
    with pytest.raises(ConfigError, match="a part of the network bypasses it"):
        GradCam(network, layer=inside)


# A network that was trained


@pytest.fixture(scope="module")
def trained() -> tuple[keras.Model, Crops, npt.NDArray[np.int64]]:
    """A small flatten-headed network that knows drawn faces by a bright mark in the corner of the sad ones."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    crops = rng.integers(60, 140, (160, 24, 24, 1)).astype(np.uint8)
    labels = np.arange(160) % 2
    crops[labels == 1, 2:7, 17:22] = 235
    network = classic(24, 1, width=0.5)
    network.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
    network.fit(crops.astype(np.float32), labels.astype(np.float32), batch_size=32, epochs=12, verbose=0)
    assert network.evaluate(crops.astype(np.float32), labels.astype(np.float32), verbose=0)[1] == 1
    return network, crops, labels


@pytest.mark.parametrize("method", get_args(GradMethod))
def test_it_points_at_what_the_network_learned(
    trained: tuple[keras.Model, Crops, npt.NDArray[np.int64]], method: GradMethod
) -> None:
    network, crops, labels = trained
    heat = GradCam(network, method)(crops[labels == 1], np.ones(80, np.int64)).mean(axis=0)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert row < 11 and column > 13
    assert heat[:12, 12:].mean() > 3 * heat[12:, :12].mean()


def test_randomised_weights_destroy_the_map(trained: tuple[keras.Model, Crops, npt.NDArray[np.int64]]) -> None:
    network, crops, labels = trained
    before = network.get_weights()
    found = weight_randomisation(network, crops[:16], labels[:16])
    assert found[0][0] == "logits"
    assert len(found) == 5  # one after another, down to the first layer
    assert found[-1][1] < 0.5
    for weight, kept in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)
    same = GradCam(network).raw(crops[:16], labels[:16])
    assert rank_correlation(same, same) == pytest.approx(1)


def test_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, (2, 3, 4, 4)).astype(np.float32)
    ranks = [[average_ranks(heat.ravel()) for heat in maps] for maps in (one, other)]
    expected = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks, strict=True)])
    assert rank_correlation(one, other) == pytest.approx(expected)
    assert rank_correlation(np.ones((1, 4, 4), np.float32), one[:1]) == 0


def test_a_bundle_is_explained_by_the_network_it_was_made_from(
    trained: tuple[keras.Model, Crops, npt.NDArray[np.int64]], tmp_path: Path
) -> None:
    network, crops, _ = trained
    export_bundle(network, ("happy", "sad"), crops[:8], tmp_path / "bundle")
    reader = mien.load(tmp_path / "bundle", threads=1)
    face = np.repeat(np.repeat(crops[1], 8, axis=0), 8, axis=1)[..., 0]
    found = explain_image(reader, face, method="grad-cam", explainer=GradCam(network))
    assert (found.faces[0].label, found.faces[0].method) == ("sad", "grad-cam")
    heat = found.faces[0].heat
    assert heat[:12, 12:].mean() > 3 * heat[12:, :12].mean()


#: Explains the networks of a folder by every method, with whatever backend Keras runs on.
EXPLAIN = """
import sys
from pathlib import Path
from typing import get_args

import keras
import numpy as np

from mien.training.networks.keras_file import load_keras_file
from mien.training.gradcam import GradCam, GradMethod

assert keras.backend.backend() == "jax"
folder = Path(sys.argv[1])
given = np.load(folder / "given.npz")
for path in folder.glob("*.keras"):
    network = load_keras_file(path)
    found = {method: GradCam(network, method).raw(given["crops"], given["labels"]) for method in get_args(GradMethod)}
    np.savez(path.with_suffix(".npz"), **found)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("jax") is None, reason="needs JAX (pip install jax)")
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares with TensorFlow")
def test_on_jax_the_maps_are_the_same(crops: Crops, tmp_path: Path) -> None:
    labels = np.arange(6) % 2
    np.savez(tmp_path / "given.npz", crops=crops, labels=labels)
    networks = {f"{kind}-{classes}": untrained(kind, classes) for kind in ("classic", "residual") for classes in (2, 3)}
    for name, network in networks.items():
        network.save(tmp_path / f"{name}.keras")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", EXPLAIN, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, network in networks.items():
        with np.load(tmp_path / f"{name}.npz", allow_pickle=False) as found:
            for method in get_args(GradMethod):
                expected = GradCam(network, method).raw(crops, labels)
                assert np.abs(expected).max() > 0
                np.testing.assert_allclose(found[method], expected, atol=1e-4 * np.abs(expected).max())


def test_another_input_range_is_scaled_to(crops: Crops) -> None:
    image = keras.Input((48, 48, 1))
    x = layers.Conv2D(4, 3, activation="relu")(image)
    network = keras.Model(image, layers.Dense(1, activation="sigmoid")(layers.Flatten()(x)))
    scaled = GradCam(network, scaling=Scaling("0-1")).raw(crops, np.ones(6, np.int64))
    inner = keras.Model(image, x)
    np.testing.assert_allclose(
        np.abs(scaled).max() > 0, np.abs(np.asarray(inner(crops.astype(np.float32) / 255))).max() > 0
    )
    assert np.abs(scaled).max() < 0.1 * np.abs(GradCam(network).raw(crops, np.ones(6, np.int64))).max()


def test_drawn_faces_are_explained_upright() -> None:
    crops = np.stack([draw_face(name, 0, 48)[..., :1] for name in ("happy", "sad")])
    assert GradCam(untrained("classic", 2))(crops, np.array([0, 1])).shape == (2, 48, 48)
