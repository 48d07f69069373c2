"""Kernels that a bundle's graph holds are not stored twice, and are read from it again."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from bundles import rewrite

from mien.errors import BundleError
from mien.inference.bundle import load_bundle
from mien.inference.classifier import Classifier
from mien.training.config import TrainConfig
from mien.training.export.onnx import export_bundle
from mien.training.export.quantize import quantize_bundle
from mien.training.networks.networks import build
from mien.training.networks.pretrained import HEAD, WEIGHTS_FILE, build_config, load_pretrained, write_weights

CONFIG = TrainConfig.make({"network": "residual", "size": 32, "colour": "grey", "width": 0.5})
LABELS = ("happy", "neutral", "sad")
CROPS = np.random.default_rng(3).integers(0, 256, (64, 32, 32, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> Any:
    """A network whose batch norms have statistics and factors of their own, as after training."""
    keras.utils.set_random_seed(4)
    found = build(CONFIG, len(LABELS))
    rng = np.random.default_rng(5)
    for layer in found.layers:
        if "normalization" in layer.name and len(layer.get_weights()) == 4:
            gamma, beta, mean, variance = layer.get_weights()
            sign = rng.choice([-1.0, 1.0], gamma.shape)
            layer.set_weights(
                [
                    sign * rng.uniform(0.2, 2, gamma.shape),
                    rng.normal(size=beta.shape),
                    rng.normal(size=mean.shape),
                    rng.uniform(0.1, 9, variance.shape),
                ]
            )
    return found


@pytest.fixture(scope="module")
def bundles(network: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Its bundles in single and in half precision, with weights; copy one before changing it."""
    found = {name: tmp_path_factory.mktemp("bundle") / name for name in ("single", "half")}
    for name, out in found.items():
        export_bundle(network, LABELS, CROPS, out, half=name == "half")
        write_weights(network, CONFIG, out / WEIGHTS_FILE, load_bundle(out).model)
    return found


@pytest.fixture(params=["single", "half"])
def bundle(bundles: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    return bundles[request.param]


def loaded(folder: Path) -> Any:
    config = build_config({"start_from": str(folder)})
    keras.utils.set_random_seed(6)
    found = build(config, len(LABELS))
    load_pretrained(found, config)
    return found


def test_they_come_back_within_half_precision(network: Any, bundle: Path) -> None:
    with np.load(bundle / WEIGHTS_FILE) as file:
        kept = json.loads(file["settings"].tobytes())["in_graph"]
    shapes = [tuple(weight.shape) for weight in network.weights]
    large = [number for number, shape in enumerate(shapes) if len(shape) == 4 and np.prod(shape) >= 4096]
    assert sorted(kept) == sorted(f"weight{number}" for number in large)
    for theirs, ours in zip(network.weights, loaded(bundle).weights, strict=True):
        if HEAD not in theirs.path:
            np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2**-10, atol=2e-6)


def test_the_file_is_a_fraction_of_one_that_holds_them(network: Any, bundle: Path, tmp_path: Path) -> None:
    write_weights(network, CONFIG, tmp_path / WEIGHTS_FILE)
    assert (bundle / WEIGHTS_FILE).stat().st_size < (tmp_path / WEIGHTS_FILE).stat().st_size / 4


def test_a_kernel_whose_factor_vanished_is_stored(network: Any, tmp_path: Path) -> None:
    dead = keras.models.clone_model(network)
    dead.set_weights(network.get_weights())
    norm = next(layer for layer in dead.layers[-8::-1] if "normalization" in layer.name)
    gamma, *rest = norm.get_weights()
    gamma[1] = 0
    norm.set_weights([gamma, *rest])
    export_bundle(dead, LABELS, CROPS, tmp_path / "own")
    write_weights(dead, CONFIG, tmp_path / "own" / WEIGHTS_FILE, load_bundle(tmp_path / "own").model)
    for theirs, ours in zip(dead.weights, loaded(tmp_path / "own").weights, strict=True):
        if HEAD not in theirs.path:
            np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), rtol=2**-10, atol=2e-6)


def test_half_precision_halves_the_file_and_keeps_the_answers(bundles: dict[str, Path]) -> None:
    folders = [bundles["single"], bundles["half"]]
    sizes = [(folder / "model.onnx").stat().st_size for folder in folders]
    answers = [Classifier(load_bundle(folder), device="cpu").logits(CROPS) for folder in folders]
    assert sizes[1] < 0.6 * sizes[0]
    np.testing.assert_allclose(answers[0], answers[1], atol=0.01)
    assert np.abs(answers[0] - answers[1]).max() > 0


def test_a_bundle_in_half_precision_is_quantised(bundles: dict[str, Path], tmp_path: Path) -> None:
    for name, folder in bundles.items():
        quantize_bundle(folder, CROPS, tmp_path / name, name="int8")
    sizes = [len(load_bundle(tmp_path / name).model) for name in ("single", "half")]
    assert abs(sizes[1] / sizes[0] - 1) < 0.01


def change_places(folder: Path, change: Callable[[dict[str, str]], Any]) -> None:
    """Store something else for where the kernels are."""
    with np.load(folder / WEIGHTS_FILE) as file:
        arrays = dict(file)
    settings = json.loads(arrays.pop("settings").tobytes())
    settings["in_graph"] = change(settings["in_graph"])
    np.savez(folder / WEIGHTS_FILE, settings=np.frombuffer(json.dumps(settings).encode(), np.uint8), **arrays)


def other_place(folder: Path) -> None:
    change_places(folder, lambda places: dict.fromkeys(places, "nothing"))


def no_places(folder: Path) -> None:
    change_places(folder, list)


def no_graph(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no graph")
    rewrite(folder, sha256=hashlib.sha256(b"no graph").hexdigest())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (other_place, "is damaged"),
        (no_places, "is damaged"),
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx: is missing; export the model again"),
        (lambda folder: (folder / "model.onnx").write_bytes(b"no"), "the weights were changed or damaged"),
        (no_graph, "model.onnx is not an ONNX graph"),
    ],
)
def test_a_graph_that_lacks_them_is_one_line(
    bundles: dict[str, Path], tmp_path: Path, change: Callable[[Path], Any], words: str
) -> None:
    folder = shutil.copytree(bundles["single"], tmp_path / "own")
    change(folder)
    with pytest.raises(BundleError) as caught:
        loaded(folder)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
