"""Graphs run where they were asked to run, or one sentence says why not; two onnxruntimes in one place are found."""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from mien import devices
from mien.devices import (
    DEVICE_PACKAGES,
    PACKAGES,
    Device,
    installed_runtimes,
    offered_devices,
    open_session,
    quiet_onnxruntime,
    require_device,
)
from mien.errors import ConfigError
from mien.faces.yunet import WEIGHTS
from mien.runtime import MAX_THREADS, available_cores


def missing() -> list[Device]:
    """Devices that the onnxruntime of the tests lacks, of those that this system may have."""
    lacking = [name for name in ("cuda", "openvino") if name not in offered_devices()]
    return lacking or pytest.skip("this onnxruntime offers all")  # type: ignore[return-value]


def test_the_cpu_is_always_offered_and_the_cloud_never() -> None:
    offered = offered_devices()
    assert "cpu" in offered
    assert set(offered) <= set(get_args(Device)) - {"auto"}
    assert len(offered) <= len(quiet_onnxruntime().get_available_providers())


def test_what_is_not_offered_is_a_sentence_with_the_line_for_pip() -> None:
    for name in missing():
        with pytest.raises(ConfigError, match="the installed onnxruntime has cpu") as caught:
            open_session(WEIGHTS.read_bytes(), 1, name)
        text = str(caught.value)
        assert text.startswith(f"`device='{name}'`: ")
        (package,) = [one for one in DEVICE_PACKAGES if one.endswith({"cuda": "gpu"}.get(name, name))]
        assert f"pip uninstall -y {' '.join(installed_runtimes())} && pip install" in text
        assert package in text
        assert "overwrite each other" in text
        assert "\n" not in text


@pytest.mark.parametrize(
    ("name", "system"),
    [
        pytest.param("coreml", "macOS", marks=pytest.mark.skipif(sys.platform == "darwin", reason="has it")),
        pytest.param("directml", "Windows", marks=pytest.mark.skipif(sys.platform == "win32", reason="has it")),
    ],
)
def test_no_package_is_named_for_a_device_of_another_system(name: Device, system: str) -> None:
    with pytest.raises(ConfigError, match=f"exists on {system} only; this machine has cpu"):
        require_device(name)


def test_a_misspelt_device_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`device='cude'`: is none of .* did you mean 'cuda'"):
        require_device("cude")  # type: ignore[arg-type]


def test_a_provider_that_falls_back_to_the_cpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The onnxruntime of the tests cannot open CUDA, and says so on stderr alone."""
    if "cuda" in offered_devices():
        pytest.skip("CUDA may work here")
    monkeypatch.setattr(devices, "require_device", lambda device: None)
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
    assert devices._reason(said) == reason


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


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Another package of onnxruntime, as pip notes it, and nothing of its files."""
    name = next(one for one in DEVICE_PACKAGES if one not in installed_runtimes())
    folder = tmp_path / f"{name.replace('-', '_')}-1.22.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.22.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    monkeypatch.undo()


def test_every_package_that_brings_onnxruntime_is_seen(beside: str) -> None:
    found = installed_runtimes()
    assert found[beside] == "1.22.0"
    assert len(found) == 2
    assert set(found) <= set(PACKAGES)
    ours = next(name for name in found if name != beside)
    assert found[ours] == metadata.version(ours)


@pytest.mark.parametrize("threads", [None, 1, MAX_THREADS])
def test_openvino_has_a_stream_for_each_run_beside_another(threads: int | None) -> None:
    found = devices._provider_options("openvino", threads)
    assert int(found["num_of_threads"]) == available_cores()
    assert int(found["num_streams"]) == (available_cores() if threads == 1 else 1)
