"""Keras files that would run code, read files, or grow beyond what they hold are refused before Keras builds them."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from mien.errors import ExportError
from mien.training.networks.keras_file import load_keras_file


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.keras"
    layers = [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(2, name="last")]
    keras.Sequential(layers).save(path)
    return path


def changed(model: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a Keras file with members changed; return it."""
    with zipfile.ZipFile(model) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return target


def with_config(change: Callable[[list[dict[str, Any]]], None]) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the layers of a model."""

    def apply(members: dict[str, bytes]) -> None:
        config = json.loads(members["config.json"])
        change(config["config"]["layers"])
        members["config.json"] = json.dumps(config).encode()

    return apply


def wide(layers: list[dict[str, Any]]) -> None:
    layers[-1]["config"]["units"] = 300_000_000


def many(layers: list[dict[str, Any]]) -> None:
    layers += [{**layers[1], "config": {**layers[1]["config"], "name": f"f{n}"}} for n in range(6000)]


def large(layers: list[dict[str, Any]]) -> None:
    layers[1] = {"module": "keras.layers", "class_name": "UpSampling2D", "registered_name": None,
                 "config": {"name": "up", "size": [3000, 3000]}}  # fmt: skip
    del layers[2:]


def deep(layers: list[dict[str, Any]]) -> None:
    for _ in range(100):
        layers[-1]["config"] = {"layers": [dict(layers[-1])], "name": "in"}


def of_kind(kind: str) -> Callable[[list[dict[str, Any]]], None]:
    def change(layers: list[dict[str, Any]]) -> None:
        layers.insert(1, {"module": "keras.layers", "class_name": kind, "config": {"name": "mine"}})

    return change


@pytest.mark.parametrize(("change", "says"), [
    (wide, "declares many more weights than"), (many, "layers, more than 5,000"), (deep, "damaged or cut short"),
    (large, "for one image; export a smaller model"), (of_kind("Lambda"), "'mine' runs code of its own"),
    (of_kind("TFSMLayer"), "'mine' runs code of its own"), (of_kind("StringLookup"), "'mine' reads text, not images"),
])  # fmt: skip
def test_a_config_that_asks_for_too_much(
    model: Path, tmp_path: Path, change: Callable[[list[dict[str, Any]]], None], says: str
) -> None:
    path = changed(model, tmp_path / "m.keras", with_config(change))
    with pytest.raises(ExportError, match=says) as caught:
        load_keras_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def hdf5(fill: Callable[[Any], None]) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the weights of a model."""

    def apply(members: dict[str, bytes]) -> None:
        buffer = io.BytesIO(members["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            fill(file)
        members["model.weights.h5"] = buffer.getvalue()

    return apply


def declared(file: Any) -> None:
    file.create_dataset("huge", (10**12,), np.float32, chunks=(1024,))


def linked(file: Any) -> None:
    file["other"] = h5py.ExternalLink("/etc/passwd", "/")


def circular(file: Any) -> None:
    file["inside"] = file["/"]


@pytest.mark.parametrize(("fill", "says"), [(declared, "larger than the file"), (linked, "in another file")])
def test_weights_that_are_not_in_the_file(model: Path, tmp_path: Path, fill: Callable[[Any], None], says: str) -> None:
    with pytest.raises(ExportError, match=says):
        load_keras_file(changed(model, tmp_path / "m.keras", hdf5(fill)))


def test_a_group_inside_itself_is_walked_once(model: Path, tmp_path: Path) -> None:
    load_keras_file(changed(model, tmp_path / "m.keras", hdf5(circular)))


def test_a_model_as_it_was_saved_is_opened_and_keras_is_as_before(model: Path) -> None:
    before = keras.layers.Layer.add_weight
    assert load_keras_file(model).count_params() == 2 * 257
    assert keras.layers.Layer.add_weight is before
