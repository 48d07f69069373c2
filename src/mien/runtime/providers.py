"""List the devices that the installed onnxruntime offers. A device is one of its execution providers."""

import os
import sys
from dataclasses import dataclass
from typing import Any, Literal, get_args

from mien.arguments import choice_argument
from mien.errors import ConfigError
from mien.text import join_words

#: Where networks run. `auto`: on the CPU, unless a quick trial shows that another is faster.
Device = Literal["auto", "cpu", "cuda", "openvino", "coreml", "directml"]

#: Packages that install the module onnxruntime. Two of them in one environment overwrite each other's files.
PACKAGES = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml", "onnxruntime-qnn",
    "onnxruntime-migraphx", "onnxruntime-rocm", "onnxruntime-cann", "onnxruntime-training", "onnxruntime-webgpu",
    "ort-nightly", "ort-nightly-gpu", "ort-nightly-directml",
)  # fmt: skip


@dataclass(frozen=True)
class Provider:
    """One of onnxruntime's execution providers.

    Attributes:
        name: what onnxruntime calls it.
        package: what to give to pip for it.
        system: the only system that has it; empty for several.
        alone: only one thread at a time may run a session.
    """

    name: str
    package: str
    system: str = ""
    alone: bool = False


PROVIDERS: dict[str, Provider] = {
    "cpu": Provider("CPUExecutionProvider", "onnxruntime"),
    "cuda": Provider("CUDAExecutionProvider", "'onnxruntime-gpu[cuda,cudnn]'"),
    "openvino": Provider("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "coreml": Provider("CoreMLExecutionProvider", "onnxruntime", "macOS"),
    "directml": Provider("DmlExecutionProvider", "onnxruntime-directml", "Windows", alone=True),
}

#: The packages that bring more than the CPU, as doctor keeps one of several.
DEVICE_PACKAGES = ("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml")


def offered_devices() -> tuple[Device, ...]:
    """Return the devices that the installed onnxruntime offers; whether one can be used shows when it is opened.

    Examples:
        >>> "cpu" in offered_devices()
        True
    """
    offered = quiet_onnxruntime().get_available_providers()
    return tuple(name for name in get_args(Device) if name != "auto" and PROVIDERS[name].name in offered)


def require_device(device: Device) -> None:
    """Raise ConfigError, with the line for pip, if the installed onnxruntime does not offer a device."""
    choice_argument("device", device, get_args(Device))
    if device in ("auto", "cpu") or device in offered_devices():
        return
    provider, offered = PROVIDERS[device], join_words(offered_devices())
    if provider.system and sys.platform != {"macOS": "darwin", "Windows": "win32"}[provider.system]:
        raise ConfigError(f"`device={device!r}`: exists on {provider.system} only; this machine has {offered}")
    raise ConfigError(
        f"`device={device!r}`: the installed onnxruntime has {offered} only; run {replace_runtime(device)} "
        "(two onnxruntime packages in one environment overwrite each other)"
    )


def replace_runtime(device: Device = "cpu") -> str:
    """Return the line for pip that leaves a single onnxruntime, the one that offers a device."""
    return f"pip uninstall -y {' '.join(installed_runtimes())} && pip install {PROVIDERS[device].package}"


def installed_runtimes() -> dict[str, str]:
    """Return the version of each installed package that brings the module onnxruntime, by its name."""
    from importlib import metadata

    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def quiet_onnxruntime() -> Any:
    """Import onnxruntime with its telemetry off, and leave the environment as it was.

    From version 1.29 the official wheels write a device id and a database below the home folder and send
    events, unless this variable is set when the library is first imported; it is read once. If a program has
    imported onnxruntime before, that program's choice stands.
    """
    if "onnxruntime" in sys.modules:
        return sys.modules["onnxruntime"]
    name = "ORT_DISABLE_TELEMETRY"
    before = os.environ.get(name)
    os.environ[name] = before or "1"
    try:
        import onnxruntime
    finally:
        if before is None:
            del os.environ[name]
    return onnxruntime
