"""Open a webcam of this machine with PyAV (`pip install 'mien[video]'`)."""

import sys
from collections.abc import Callable
from pathlib import Path

from mien.errors import InputError
from mien.io.video.decoding import Video, from_container
from mien.io.video.pyav import error_text, require_av


def open_camera(camera: str = "0") -> Video:
    """Open a webcam of this machine, by its number from 0 or its name in the system.

    Raises InputError if it cannot be opened, MissingExtraError without PyAV.
    """
    av = require_av()
    file, kind, options = _camera(camera)
    try:
        container = av.open(file, format=kind, options=options)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"camera {camera}: cannot be opened ({error_text(error)}); is it in use, or not allowed?"
        ) from None
    return from_container(f"camera {camera}", container, "gives no frames", live=True)


def _camera(camera: str) -> tuple[str, str, dict[str, str]]:
    """Return the file, format and options to open for a camera."""
    systems: dict[str, Callable[[str], tuple[str, str, dict[str, str]]]] = {
        "linux": _camera_of_linux,
        "darwin": lambda name: (name, "avfoundation", {"framerate": "30"}),
        "win32": _camera_of_windows,
    }
    if sys.platform not in systems:
        raise InputError(f"camera {camera}: cameras are read on Linux, macOS and Windows only")
    return systems[sys.platform](camera)


def _camera_of_linux(camera: str) -> tuple[str, str, dict[str, str]]:
    device = Path(f"/dev/video{camera}" if camera.isdecimal() else camera)
    if not device.exists():
        there = ", ".join(sorted(map(str, Path("/dev").glob("video*")))) or "this machine has none"
        raise InputError(f"camera {camera}: there is no {device} ({there})")
    return str(device), "v4l2", {}


def _camera_of_windows(camera: str) -> tuple[str, str, dict[str, str]]:
    if not camera.isdecimal():
        return f"video={camera}", "dshow", {}
    found = [device for device in require_av().enumerate_input_devices("dshow") if "video" in device.media_types]
    if int(camera) >= len(found):
        there = ", ".join(device.description for device in found) or "this machine has none"
        raise InputError(f"camera {camera}: there is no such camera ({there})")
    return f"video={found[int(camera)].name}", "dshow", {}
