"""Faces that move, and a bundle that tells drawn faces apart: for tests in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest
from graphs import model_bytes
from onnx import TensorProto, helper
from PIL import Image

from mien.data.synthetic.faces import draw_face

SIDE = 48

Frame = npt.NDArray[np.uint8]


def write_clip(path: Path, frames: list[Frame], fps: int = 20) -> None:
    """Write frames, uint8 (H, W, 3) with even sides, for Chromium's fake webcam."""
    height, width = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420mpeg2\n".encode())
        for frame in frames:
            luma, *chroma = np.moveaxis(np.asarray(Image.fromarray(frame).convert("YCbCr")), 2, 0)
            planes = [luma, *(plane[::2, ::2] for plane in chroma)]
            file.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in planes))


@pytest.fixture(scope="session")
def drawn_bundle(make_bundle: Callable[..., Path]) -> Path:
    """A bundle that tells drawn happy from drawn sad faces in whole images, trained here in a second.

    One layer of filters, which are patches of the faces, and a ridge regression on their outputs: Coates and Ng,
    "Learning Feature Representations with K-means" (2012), without the clustering.
    """
    rng = np.random.default_rng(0)
    images = np.stack([draw_face(name, seed, SIDE) for seed in range(200) for name in ("happy", "sad")])
    truth = np.tile([-1.0, 1.0], 200)
    patches = []
    for number in rng.integers(len(images), size=48):
        top, left = rng.integers(8, 34, size=2)
        patch = images[number, top : top + 7, left : left + 7].astype(np.float32)
        patch -= patch.mean(axis=(0, 1))
        patches.append(patch / (np.linalg.norm(patch) + 20))
    filters = np.stack(patches).transpose(0, 3, 1, 2)
    session = ort.InferenceSession(_graph(filters))
    (found,) = session.run(None, {"image": images.astype(np.float32)})
    middle, spread = found.mean(axis=0), found.std(axis=0) + 1e-3
    scaled = (found - middle) / spread
    weights = scaled.T @ np.linalg.solve(scaled @ scaled.T + 1000 * np.eye(len(scaled)), truth) / spread
    weights *= 4  # ridge regression is modest
    layer = np.stack([-weights, weights], axis=1).astype(np.float32)
    return make_bundle(graph=_graph(filters, layer, -(middle @ layer)), size=SIDE, framing="whole")


def _graph(filters: npt.NDArray[np.float32], weights: Any = None, bias: Any = None) -> bytes:
    """Return an ONNX graph: the filters' outputs in a grid, or the logits if weights are given."""
    constants = {"filters": filters, "below": np.full(len(filters), -10, np.float32)}
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "filters", "below"], ["found"]),
        helper.make_node("Relu", ["found"], ["positive"]),
        helper.make_node("AveragePool", ["positive"], ["pooled"], kernel_shape=[6, 6], strides=[4, 4]),
        helper.make_node("Flatten", ["pooled"], ["features"], axis=1),
    ]
    if weights is not None:
        constants |= {"weights": weights, "bias": bias.astype(np.float32)}
        nodes.append(helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", SIDE, SIDE, 3])
    name, size = ("features", None) if weights is None else ("logits", 2)
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
    return model_bytes(nodes, [image], [output], constants)
