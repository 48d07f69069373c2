"""A bundle resizes as TensorFlow and Keras do, and answers files as a notebook does."""

from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

from mien.faces.resize import Fit, ResizeMethod, resize
from mien.training.export.files import keras_pixels
from mien.training.export.keras_file import export_keras_file

RNG = np.random.default_rng(0)
METHODS = ["bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"]


def image(height: int, width: int, channels: int = 3) -> Any:
    """Noise on a slope: sharp and smooth parts."""
    slope = np.linspace(0, 155, width)[np.newaxis, :, np.newaxis]
    return (RNG.integers(0, 100, (height, width, channels)) + slope).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_files_are_read_as_image_dataset_from_directory_does(method: str, fit: Fit, tmp_path: Path) -> None:
    if fit == "crop" and method in ("gaussian", "mitchellcubic"):
        pytest.skip("Keras does not crop with this method")
    paths = []
    for height, width in ((40, 61), (17, 90), (33, 20)):
        paths.append(tmp_path / f"{height}.png")
        Image.fromarray(image(height, width)).save(paths[-1])
    chosen = cast("ResizeMethod", method)
    theirs = keras_pixels(paths, 32, 3, chosen, fit)
    assert len(theirs) == 3
    for path in paths:
        with Image.open(path) as opened:
            ours = resize(np.asarray(opened), 32, chosen, fit)
        assert np.abs(ours.astype(np.float32) - theirs[path]).max() <= 1


@pytest.mark.parametrize("method", ["pil-nearest", "pil-bilinear", "pil-lanczos"])
@pytest.mark.parametrize("fit", ["squash", "crop"])
def test_files_are_read_as_load_img_does(method: ResizeMethod, fit: Fit, tmp_path: Path) -> None:
    Image.fromarray(image(40, 61)).save(tmp_path / "a.png")
    theirs = keras_pixels([tmp_path / "a.png"], 32, 3, method, fit)[tmp_path / "a.png"]
    with Image.open(tmp_path / "a.png") as opened:
        np.testing.assert_array_equal(resize(np.asarray(opened), 32, method, fit), theirs)


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that looks at single pixels, so that another way to resize changes its answers."""
    keras.utils.set_random_seed(1)
    strong = keras.initializers.RandomNormal(stddev=0.5)
    stack = [keras.Input((32, 32, 3)), layers.Rescaling(1 / 127.5, -1), layers.Flatten()]
    path = tmp_path_factory.mktemp("model") / "theirs.keras"
    keras.Sequential([*stack, layers.Dense(3, activation="softmax", kernel_initializer=strong)]).save(path)
    return path


def test_answers_from_files_are_those_of_keras(keras_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(12):
        Image.fromarray(image(40 + number, 61)).save(data / f"{number}.png")
    found = export_keras_file(keras_file, ("a", "b", "c"), tmp_path / "b", data)
    assert found.files is not None
    assert (found.files.files, found.files.same_answer, found.files.unread) == (12, 12, 0)
    assert found.files.largest_difference < 1e-3
    smooth = export_keras_file(keras_file, ("a", "b", "c"), tmp_path / "c", data, resize="pil-bilinear")
    assert (
        smooth.files is not None and smooth.files.same_answer == 12
    )  # load_img(interpolation="bilinear") does the same


def test_what_keras_reads_in_another_way_is_named(keras_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(4):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(image(40, 40)).save(data / f"turned{number}.png", exif=exif)
        alpha = np.full((40, 40, 1), 40, np.uint8)
        Image.fromarray(np.concatenate([image(40, 40), alpha], axis=2)).save(data / f"clear{number}.png")
    (data / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = export_keras_file(keras_file, ("a", "b", "c"), tmp_path / "b", data).files
    assert found is not None
    assert (found.files, found.unread) == (8, 1)
    assert found.same_answer < 8
    assert {name[:4]: why.split()[0] for name, why in found.differing}.items() <= {
        "turn": "turned",
        "clea": "with",
    }.items()
    assert "1 not read" in str(found)
