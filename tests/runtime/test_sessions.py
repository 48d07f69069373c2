"""Graphs run where they were asked to run, or one sentence says why not."""

from pathlib import Path

import numpy as np
import pytest

from mien.errors import ConfigError
from mien.faces.yunet import WEIGHTS
from mien.runtime import sessions
from mien.runtime.cores import available_cores
from mien.runtime.providers import (
    offered_devices,
)
from mien.runtime.sessions import open_session
from mien.runtime.threads import MAX_THREADS


@pytest.mark.parametrize("threads", [None, 1, MAX_THREADS])
def test_openvino_has_a_stream_for_each_run_beside_another(threads: int | None) -> None:
    found = sessions._provider_options("openvino", threads)
    assert int(found["num_of_threads"]) == available_cores()
    assert int(found["num_streams"]) == (available_cores() if threads == 1 else 1)


def test_a_provider_that_falls_back_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The onnxruntime of the tests cannot open CUDA, and says so on stderr alone."""
    if "cuda" in offered_devices():
        pytest.skip("CUDA may work here")
    monkeypatch.setattr(sessions, "require_device", lambda device: None)
    with pytest.raises(ConfigError, match=r"`device='cuda'`: onnxruntime offers it, but it cannot be used \(.+\)"):
        open_session(WEIGHTS.read_bytes(), 1, "cuda")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("\x1b[1;31m2026-01-01 [E:onnxruntime:Default, provider_bridge_ort.cc:2310 Create] /x/openvino.cc:141 f(a::b) "
         "[ERROR] [OpenVINO] Device GPU is not available\n\x1b[m\n\x1b[0;93m [W:onnxruntime] Failed to create\x1b[m\n",
         "[OpenVINO] Device GPU is not available"),
        ("[E:onnxruntime:Default, x.cc:1 F] /x/y.cc:2 Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library "
         "/y/libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file\n",
         "libcublasLt.so.12: cannot open shared object file"),
        ("something else\n", "something else"),
        ("", "onnxruntime falls back to the CPU"),
    ],
)  # fmt: skip
def test_the_reason_is_what_the_library_says_without_its_sources(said: str, reason: str) -> None:
    assert sessions._reason(said) == reason


def test_a_session_runs_and_says_where(three_way: Path) -> None:
    session = open_session((three_way / "model.onnx").read_bytes(), 1)
    (image,) = session.inputs
    shape = [side if isinstance(side, int) else 2 for side in image.shape]
    (logits,) = session.run(["logits"], {image.name: np.zeros(shape, np.float32)})
    assert session.device == "cpu"
    assert len(logits) == 2


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts the threads in /proc")
def test_a_network_has_no_more_threads_than_cores(three_way: Path) -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    session = open_session((three_way / "model.onnx").read_bytes(), MAX_THREADS)
    assert len(list(Path("/proc/self/task").iterdir())) - before <= available_cores()
    del session
