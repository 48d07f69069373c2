"""Mirror images are averaged where validation says that it helps, and never where left and right mean something."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import layers

import mien
from mien.inference.bundle import load_bundle
from mien.inference.classifier import Classifier
from mien.training.config import TrainConfig
from mien.training.export.artifacts import save_bundle
from mien.training.export.mirror import MirrorChoice, choose_mirror, measure_gain
from mien.training.export.onnx import export_bundle
from mien.training.export.temperature import fit_temperature
from mien.training.loop.batches import TrainingArrays

Floats = npt.NDArray[np.float64]
FLIPPING = TrainConfig.make({"network": "stack", "augment": "light"})


def answers(n: int, noise: float, seed: int = 0) -> tuple[Callable[[bool], Floats], Floats]:
    """Logits of images and of their mirror images: one signal, and noise of their own; and labels."""
    rng = np.random.default_rng(seed)
    truth = np.eye(3)[rng.integers(0, 3, n)]
    signal = 2 * truth + rng.normal(size=(n, 3))
    passes = [signal + noise * rng.normal(size=(n, 3)) for _ in range(2)]
    return (lambda mirrored: passes[mirrored]), truth


def choose(config: TrainConfig, n: int, noise: float, groups: Any = None) -> MirrorChoice:
    return choose_mirror(config, *answers(n, noise), groups)


def test_they_are_averaged_if_that_lowers_the_loss() -> None:
    logits, truth = answers(400, noise=1.5)
    found = choose_mirror(FLIPPING, logits, truth)
    assert found.mirror and found.gain is not None and found.gain.low > 0.01
    np.testing.assert_allclose(found.logits, (logits(False) + logits(True)) / 2)
    assert f"lowers the validation negative log-likelihood by {found.gain.value:.4f} [" in found.sentence
    assert found.sentence.endswith("`mirror='no'` leaves them out")


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_they_are_not_averaged_if_it_makes_no_clear_difference(noise: float) -> None:
    found = choose(FLIPPING, 400, noise)
    assert not found.mirror and found.gain is not None and found.gain.low <= 0
    np.testing.assert_array_equal(found.logits, answers(400, noise)[0](False))
    assert "which is not clearly above 0; `mirror='yes'` averages them" in found.sentence


def test_they_are_not_averaged_if_mirror_images_are_answered_worse() -> None:
    logits, truth = answers(400, noise=0.2)
    found = choose_mirror(FLIPPING, lambda mirrored: -logits(True) if mirrored else logits(False), truth)
    assert not found.mirror and found.gain is not None and found.gain.high < 0


def test_a_gain_by_chance_is_rare() -> None:
    """Two models that are equally good: about 2.5 % of intervals lie above 0."""
    above = 0
    for seed in range(200):
        logits, truth = answers(150, noise=1.0, seed=seed)
        above += measure_gain(logits(False), logits(True), truth).low > 0
    assert above <= 12


def test_copies_of_few_images_do_not_decide() -> None:
    few = np.repeat(np.arange(3), 50)
    by_image, by_group = choose(FLIPPING, 150, 1.5), choose(FLIPPING, 150, 1.5, few)
    assert by_image.gain is not None and by_group.gain is not None
    assert by_image.gain.value == by_group.gain.value > 0
    assert by_group.gain.low < by_image.gain.low


@pytest.mark.parametrize(("n", "averaged"), [(99, False), (100, True)])
def test_few_images_do_not_decide(n: int, averaged: bool) -> None:
    found = choose(FLIPPING, n, noise=3.0)
    assert found.mirror is averaged
    assert ("99 validation images are too few" in found.sentence) is not averaged


def test_what_is_asked_for_is_done() -> None:
    asked = [TrainConfig.make({"augment": "light", "mirror": word}) for word in ("yes", "no")]
    assert [choose(config, 400, noise=0.0).mirror for config in asked] == [True, False]
    assert [choose(config, 10, noise=3.0).mirror for config in asked] == [True, False]
    assert "as asked, which lowers" in choose(asked[0], 400, 0.0).sentence


@pytest.mark.parametrize("settings", [{"augment": "none"}, {"augment": "strong", "flip": False}])
def test_without_flips_in_training_they_are_never_averaged(settings: dict[str, Any]) -> None:
    found = choose(TrainConfig.make(settings), 400, noise=3.0)
    assert (found.mirror, found.gain) == (False, None)
    assert found.sentence == "mirror images are not averaged, because training does not flip images (`flip=True`)"
    with pytest.raises(mien.ConfigError, match="`mirror='yes'`: training does not flip images"):
        TrainConfig.make({**settings, "mirror": "yes"})
    assert TrainConfig.make({**settings, "mirror": "yes", "flip": True}).mirror == "yes"


def left_and_right(n: int) -> tuple[TrainingArrays, keras.Model]:
    """Images whose brightness is their class, and a network that is led astray by which half of them is brighter."""
    rng, side = np.random.default_rng(0), 16
    truth = rng.integers(0, 2, n)
    tilt = rng.normal(0, 30, (n, 1, 1, 1)) * np.where(np.arange(side) < side // 2, 1, -1)[None, None, :, None]
    level = 110 + 20 * truth + rng.normal(0, 12, n)
    crops = np.clip(level[:, None, None, None] + tilt + rng.normal(0, 5, (n, side, side, 1)), 0, 255).astype(np.uint8)
    image = keras.Input((side, side, 1), name="image")
    z = layers.Dense(1, name="logits")(layers.Flatten()(layers.Rescaling(1 / 255)(image)))
    network = keras.Model(image, layers.Activation("sigmoid")(z))
    weights = np.full((side, side), 60 / side**2) + 15 / side**2 * np.where(np.arange(side) < side // 2, 1, -1)
    network.get_layer("logits").set_weights([weights.reshape(-1, 1), np.array([-60 * 120 / 255])])
    return TrainingArrays(crops, np.arange(n), np.eye(2, dtype=np.float32)[truth], np.ones(n, np.float32)), network


@pytest.mark.parametrize("flip", [True, False])
def test_a_run_exports_what_it_chose_and_fits_the_temperature_on_it(tmp_path: Path, flip: bool) -> None:
    validation, network = left_and_right(300)
    config = TrainConfig.make({"network": "stack", "size": 16, "augment": "light", "flip": flip})
    agreement, choice = save_bundle(tmp_path, network, config, ("dark", "bright"), validation, {})
    reader = mien.load(tmp_path / "bundle", threads=1)
    assert reader.mirror is reader.config.mirror is choice.mirror is flip
    assert ("mirror_gain" in reader.config.about) is flip
    assert agreement.largest_difference < 1e-4, "ONNX and Keras are compared on single images"
    read = reader.logits(validation.crops)
    np.testing.assert_allclose(read, choice.logits, atol=1e-3)
    assert reader.config.temperature == pytest.approx(fit_temperature(read, validation.targets), rel=1e-3)
    single = reader.variant(mirror=False).logits(validation.crops)
    assert bool(np.abs(read - single).max() > 0.5) is flip
    assert (reader.config.temperature != pytest.approx(fit_temperature(single, validation.targets), rel=0.02)) is flip


def test_an_export_compares_single_images(tmp_path: Path) -> None:
    validation, network = left_and_right(20)
    export_bundle(network, ("dark", "bright"), validation.crops, tmp_path / "b", mirror=True)
    bundle = load_bundle(tmp_path / "b")
    assert bundle.config.mirror
    both, single = (Classifier(bundle, mirror=mirror).logits(validation.crops) for mirror in (None, False))
    assert np.abs(both - single).max() > 0.5


def test_a_model_made_elsewhere_averages_only_if_asked(call: Callable[..., Any], tmp_path: Path) -> None:
    left_and_right(20)[1].save(tmp_path / "model.keras")
    export = ["export", tmp_path / "model.keras", "--labels", "dark,bright", "--input-range", "0-255"]
    assert call(*export, "--out", tmp_path / "single")[0] == 0
    assert call(*export, "--out", tmp_path / "both", "--mirror", "yes")[0] == 0
    assert [load_bundle(tmp_path / name).config.mirror for name in ("single", "both")] == [False, True]
