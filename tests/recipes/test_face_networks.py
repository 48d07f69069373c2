"""The teachers' networks: weights of TensorFlow.js files, and batch normalization put back with nothing changed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import face_networks
import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras import layers

from mien.data.synthetic.faces import draw_face

Floats = npt.NDArray[np.float32]


def write_model(folder: Path, arrays: dict[str, Floats]) -> None:
    """Write arrays as a TensorFlow.js model does: the first as bytes with a scale, the second in half precision."""
    entries, data = [], b""
    for number, (name, values) in enumerate(arrays.items()):
        entry: dict[str, Any] = {"name": name, "shape": list(values.shape), "dtype": "float32"}
        if number == 0:
            low, scale = float(values.min()), float(np.ptp(values)) / 255
            entry["quantization"] = {"dtype": "uint8", "scale": scale, "min": low}
            data += np.rint((values - low) / scale).astype(np.uint8).tobytes()
        elif number == 1:
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            data += values.astype("<f2").tobytes()
        else:
            data += values.astype("<f4").tobytes()
        entries.append(entry)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.json").write_text(json.dumps([{"weights": entries}]))
    (folder / "weights.bin").write_bytes(data)


def arrays(seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    shapes = {"kernel": (3, 3, 3, 8), "deep": (3, 3, 8, 1), "point": (1, 1, 8, 6), "scale": (8,), "shift": (8,)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def faces(count: int = 12) -> Floats:
    drawn = [draw_face("happy", seed, 48) for seed in range(count)]
    return np.stack([face.mean(axis=-1, keepdims=True) for face in drawn]).astype(np.float32)


def small_network(build: Any) -> Any:
    w = build.weights
    x = build.start((115.0, 110.0, 105.0), 128)
    x = layers.ReLU()(build.convolve(x, "one", w["kernel"], w["scale"], w["shift"], 2, "same"))
    x = layers.ReLU()(build.convolve(x, "two", w["deep"], w["scale"], w["shift"], 2, "same", depthwise=True))
    return build.convolve(x, "last", w["point"], 1.0, w["shift"][:6], 1, "same")


SMALL = face_networks.Source("small@1.0.0", "", "model.json", small_network)


def test_arrays_are_read_in_every_kind_that_the_files_have(tmp_path: Path) -> None:
    written = arrays()
    write_model(tmp_path, written)
    found = face_networks.read_weights(tmp_path)
    assert list(found) == list(written)
    step = float(np.ptp(written["kernel"])) / 255
    np.testing.assert_allclose(found["kernel"], written["kernel"], atol=step / 2 + 1e-6)
    np.testing.assert_allclose(found["deep"], written["deep"], atol=2e-3)
    np.testing.assert_array_equal(found["point"], written["point"])
    (tmp_path / "weights.bin").write_bytes(b"\0" * 7 + (tmp_path / "weights.bin").read_bytes())
    with pytest.raises(SystemExit, match=r"weights\.bin: has \d+ bytes, but the manifest describes \d+"):
        face_networks.read_weights(tmp_path)


def test_the_function_is_that_of_the_file_and_the_norms_have_its_statistics(tmp_path: Path) -> None:
    write_model(tmp_path, arrays())
    images, w = faces(), face_networks.read_weights(tmp_path)
    network = face_networks.teacher(SMALL, tmp_path, images, 7)
    ours = keras.Model(network.input, network.get_layer("features").output)
    large = np.asarray(keras.ops.image.resize(images, (96, 96)))
    x = ((np.repeat(large, 3, axis=-1) - [115.0, 110.0, 105.0]) / 128).astype(np.float32)
    x = np.maximum(np.asarray(keras.ops.conv(x, w["kernel"], 2, "same")) * w["scale"] + w["shift"], 0)
    x = np.maximum(np.asarray(keras.ops.depthwise_conv(x, w["deep"], 2, "same")) * w["scale"] + w["shift"], 0)
    plain = np.asarray(keras.ops.conv(x, w["point"], 1, "same")) + w["shift"][:6]
    np.testing.assert_allclose(ours.predict(images, verbose=0), plain, atol=2e-3 * np.abs(plain).max())
    # The statistics are those of these images, so that training, which uses each batch's own, begins the same.
    np.testing.assert_allclose(ours(images, training=True), plain, atol=2e-2 * np.abs(plain).max())


@pytest.mark.parametrize("name", ["dlib", "faceres"])
def test_the_layers_of_the_real_networks(name: str) -> None:
    """Shapes as in the packages, random weights: what is asked for by name, and how sizes go together."""

    class Asked(dict[str, Any]):
        """Makes each array when it is asked for; widths as in the networks."""

        def __missing__(self, key: str) -> Floats:
            self[key] = made = np.random.default_rng(len(self)).normal(0, 0.1, shape_of(key)).astype(np.float32)
            return made

    weights = Asked()
    build = face_networks._Builder(weights, faces(4))
    network = build.finish(face_networks.SOURCES[name].build(build), 7, 0.2, name)
    # 4.4 and 3.2 million with the norms' statistics, as the networks are described
    assert network.count_params() == {"dlib": 4_405_479, "faceres": 3_236_039}[name]
    assert network.get_layer("features").output.shape[1:] == {"dlib": (2, 2, 256), "faceres": (3, 3, 1024)}[name]
    assert np.isfinite(network.predict(faces(4), verbose=0)).all()


def shape_of(key: str) -> tuple[int, ...]:
    """Return the shape that an array of dlib's network or FaceRes has."""
    if key.startswith("conv_"):
        outputs = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
        number = int(key.split("/", maxsplit=1)[0].removesuffix("_bn").rsplit("_", 1)[1])
        inputs = (32, *outputs)[number - 1]
        if "_dw_" in key:
            return (3, 3, inputs, 1) if key.endswith("kernel") else (inputs,)
        return (1, 1, inputs, outputs[number - 1]) if key.endswith("merged_input") else (outputs[number - 1],)
    if key.startswith(("conv1/", "conv1_bn")):
        return (3, 3, 3, 32) if key.endswith("merged_input") else (32,)
    width = int(key.split("/", maxsplit=1)[0].split("_", maxsplit=1)[0].removeprefix("conv"))
    if not key.endswith("filters"):
        return (width,)
    if key.startswith("conv32_down"):
        return (7, 7, 3, 32)
    narrow = width // 2 if "_down/conv1" in key else width
    return (3, 3, narrow, width)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_package_is_fetched_only_if_it_is_the_pinned_one(tmp_path: Path) -> None:
    """A package made here, by npm itself."""
    package = tmp_path / "small"
    write_model(package / "model", arrays())
    (package / "model" / "weights.json").rename(package / "model" / "net-weights_manifest.json")
    (package / "model" / "weights.bin").rename(package / "model" / "net.bin")
    (package / "package.json").write_text(json.dumps({"name": "small", "version": "1.0.0"}))
    source = replace(SMALL, package=str(package), manifest="package/model/net-weights_manifest.json")
    with pytest.raises(SystemExit, match=r"has the sha256 ([0-9a-f]{64}), expected") as refused:
        face_networks.fetch(source, tmp_path / "files")
    assert not (tmp_path / "files").exists()
    digest = str(refused.value).split("sha256 ")[1][:64]
    face_networks.fetch(replace(source, sha256=digest), tmp_path / "files")
    assert list(face_networks.read_weights(tmp_path / "files")) == list(arrays())
