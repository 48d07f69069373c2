"""Fixtures of models: small real bundles, made without training, and the folder of those that mien ships."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from graphs import model_bytes
from onnx import TensorProto, helper

from mien.inference import bundle, placement
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE
from mien.inference.bundle_config import BundleConfig
from mien.labels import EXPRESSIONS
from mien.runtime import providers, sessions


def linear_graph(labels: int, size: int, channels: int, maps: bool, batch: int | str = "N") -> bytes:
    """A seeded linear classifier as ONNX: no training framework needed, and it sees where a pixel is.

    With `maps` it looks at colours only, since the mean of the maps must be the logits.
    """
    weights = np.random.default_rng(1).normal(size=(size * size * channels, labels)).astype(np.float32)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, size, size, channels])
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, labels])]
    constants: dict[str, npt.NDArray[Any]] = {"middle": np.array(127.5, np.float32)}
    if maps:
        outputs.append(helper.make_tensor_value_info("maps", TensorProto.FLOAT, [batch, size, size, labels]))
        constants["weights"] = weights[:channels] / 64
        nodes = [
            helper.make_node("MatMul", ["centred", "weights"], ["maps"]),
            helper.make_node("ReduceMean", ["maps"], ["logits"], axes=[1, 2], keepdims=0),
        ]
    else:
        constants["weights"] = weights / (64 * size)
        nodes = [
            helper.make_node("Flatten", ["centred"], ["flat"], axis=1),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ]
    nodes.insert(0, helper.make_node("Sub", ["image", "middle"], ["centred"]))
    return model_bytes(nodes, [image], outputs, constants)


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that writes a small real bundle, without any training, and returns its folder.

    Keywords: `labels`, `size`, `channels`, `maps` and `graph` (ONNX bytes of your own); others go into
    its BundleConfig.
    """

    def make(
        labels: tuple[str, ...] = ("happy", "sad"),
        size: int = 16,
        channels: int = 3,
        maps: bool = False,
        graph: bytes | None = None,
        **config: Any,
    ) -> Path:
        folder = tmp_path_factory.mktemp("bundle")
        data = linear_graph(len(labels), size, channels, maps) if graph is None else graph
        digest = hashlib.sha256(data).hexdigest()
        words = BundleConfig("linear", labels, size, channels, digest, maps=maps, **config)
        (folder / MODEL_FILE).write_bytes(data)
        (folder / CONFIG_FILE).write_text(words.to_json(), encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def three_way(make_bundle: Callable[..., Path]) -> Path:
    """A small real bundle of the seven expressions that answers happy, sad or neither, and all three in turn."""
    return make_bundle(EXPRESSIONS, size=48, channels=1, temperature=0.4, answer_from={"happy": 0.3, "sad": 0.35})


@pytest.fixture
def shipped(three_way: Path, make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the models that mien ships, which are now the three-way bundle as `mien`, and `mien-two`."""
    folder = tmp_path / "models"
    shutil.copytree(three_way, folder / "mien")
    shutil.copytree(make_bundle(), folder / "mien-two")
    monkeypatch.setattr(bundle, "SHIPPED", folder)
    return folder


@pytest.fixture(scope="session")
def brightness_bundle(make_bundle: Callable[..., Path]) -> Path:
    """A real bundle that reads faces and answers `happy` for a bright one and `sad` for a dark one."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 16, 16, 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])
    constants: dict[str, npt.NDArray[Any]] = {
        "weights": np.array([[0.1, -0.1]], np.float32),
        "bias": np.array([-9, 9], np.float32),
        "column": np.array([-1, 1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["means", "column"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weights", "bias"], ["logits"]),
    ]
    return make_bundle(graph=model_bytes(nodes, [image], [logits], constants), framing="face")


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without any model."""
    monkeypatch.setattr(bundle, "SHIPPED", tmp_path / "no-models")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU's provider stands in for OpenVINO's: all is real but the name."""
    if "openvino" in providers.offered_devices():
        pytest.skip("the real one is here")
    provider = replace(providers.PROVIDERS["openvino"], name="CPUExecutionProvider")
    monkeypatch.setitem(providers.PROVIDERS, "openvino", provider)
    monkeypatch.setattr(sessions, "_provider_options", lambda device, threads: {})
    monkeypatch.setattr(placement, "_SECONDS", 0.01)
