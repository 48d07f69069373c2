"""What training gives back to the system."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.runtime.memory import private_memory
from mien.training.backend import release_memory
from mien.training.config import TrainConfig
from mien.training.networks.networks import build

MIB = 2**20


def virtual_memory() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmSize:")[1].split()[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told which pages it may have")
def test_memory_of_freed_tensors_goes_back_and_what_lives_keeps_its_values() -> None:
    tf = pytest.importorskip("tensorflow")
    try:
        tf.config.experimental.get_memory_info("CPU:0")
    except ValueError:
        pytest.skip("this TensorFlow keeps no memory of freed tensors")
    network = build(TrainConfig.make({"network": "classic", "size": 64}), 2)
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.float32)
    before, kept = np.asarray(network(images)), tf.random.normal([4 * MIB])
    values = kept.numpy().copy()
    freed = [tf.ones([16 * MIB]) for _ in range(5)]  # 64 MiB each
    del freed
    used = private_memory()
    release_memory()
    assert used - private_memory() > 250 * MIB
    np.testing.assert_array_equal(kept.numpy(), values)
    np.testing.assert_array_equal(np.asarray(network(images)), before)
    sizes = []
    for _ in range(4):  # again, with little to give: what one call takes must not make the next take more
        release_memory()
        sizes.append(virtual_memory())
    assert sizes[-1] - sizes[0] < 64 * MIB
    assert tf.config.experimental.get_memory_info("CPU:0")["peak"] < 128 * MIB
    assert float(tf.reduce_sum(tf.ones([16 * MIB]))) == 16 * MIB


def test_the_export_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.training.export import onnx

    monkeypatch.delenv("TF2ONNX_CATCH_ERRORS", raising=False)
    with onnx._without_copies():
        assert os.environ["TF2ONNX_CATCH_ERRORS"] == "FALSE"
    assert "TF2ONNX_CATCH_ERRORS" not in os.environ
    monkeypatch.setenv("TF2ONNX_CATCH_ERRORS", "TRUE")
    with onnx._without_copies():
        assert os.environ["TF2ONNX_CATCH_ERRORS"] == "TRUE"
    assert os.environ["TF2ONNX_CATCH_ERRORS"] == "TRUE"


def test_a_step_of_the_converter_that_fails_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.training.export.onnx import export_bundle

    optimizer = pytest.importorskip("tf2onnx.optimizer")
    failed = []

    class Failing:
        def __init__(self) -> None:
            failed.append(os.environ.get("TF2ONNX_CATCH_ERRORS"))
            raise ValueError("as some models make it")

    monkeypatch.delenv("TF2ONNX_CATCH_ERRORS", raising=False)
    monkeypatch.setitem(optimizer._optimizers, "einsum_optimizer", Failing)
    network = build(TrainConfig.make({"network": "classic", "size": 24, "width": 0.25}), 2)
    crops = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), np.uint8)
    assert export_bundle(network, ["a", "b"], crops, tmp_path / "bundle").same_answer == 4
    assert failed[:2] == ["FALSE", None]
