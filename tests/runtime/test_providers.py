"""A device that is not offered is a sentence with the line for pip; two onnxruntimes in one place are found."""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest

from mien.errors import ConfigError
from mien.faces.yunet import WEIGHTS
from mien.runtime.providers import (
    DEVICE_PACKAGES,
    PACKAGES,
    Device,
    installed_runtimes,
    offered_devices,
    quiet_onnxruntime,
    require_device,
)
from mien.runtime.sessions import open_session


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
