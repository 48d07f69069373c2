"""The augmentation of a config: levels, overrides, and the model around a network."""

import keras
import numpy as np

from mien.training.augmentation.levels import resolve
from mien.training.augmentation.pipeline import augmentation_layers, augmented
from mien.training.config import TrainConfig


def test_single_transforms_override_a_level() -> None:
    found = resolve(TrainConfig(augment="light", rotation=45.0, flip=False))
    assert (found.rotation, found.flip) == (45.0, False)
    assert found.zoom == 0.1
    assert augmentation_layers(resolve(TrainConfig(augment="none")), 0) == []


def test_augmentation_acts_in_training_only_and_differs_by_image() -> None:
    config = TrainConfig.make({"size": 32, "width": 0.25, "augment": "strong"})
    image = keras.Input((32, 32, 1))
    network = keras.Model(image, keras.layers.Rescaling(1.0)(image))
    model = augmented(network, config)
    face = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 1)).astype(np.float32)
    x = np.repeat(face, 6, axis=0)
    np.testing.assert_array_equal(np.asarray(model(x, training=False)), x)
    seen = np.asarray(model(x, training=True))
    assert len({one.tobytes() for one in seen}) == 6
    assert seen.min() >= 0
    assert seen.max() <= 255


def test_flip_mirrors_and_nothing_else() -> None:
    config = TrainConfig.make({"size": 32, "augment": "none", "flip": True, "seed": 1})
    face = np.random.default_rng(0).integers(0, 256, (32, 32, 1)).astype(np.float32)
    x = np.repeat(face[np.newaxis], 16, axis=0)
    for layer in augmentation_layers(resolve(config), 1):
        x = layer(x, training=True)
    images = {image.tobytes() for image in np.asarray(x)}
    assert images == {face.tobytes(), face[:, ::-1].copy().tobytes()}
