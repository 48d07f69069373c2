"""A folder in which what README and docs speak of is there: photographs, a film, labelled folders, a model.

The person is NASA's Eileen Collins (public domain, with scikit-image); all other faces are drawn.
"""

import csv
import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from skimage.data import astronaut

from mien.data.synthetic.faces import draw_face, write_dataset
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE, BundleConfig
from mien.io.video_writer import VideoWriter

#: Drawn faces of each class: enough for every part of a split.
EACH = 24
#: The numbers of these labels in `fer2013.csv`.
KAGGLE = {"happy": 3, "sad": 4}


def furnish(place: Path, text: str) -> None:
    """Put into a folder those of the files and folders that a page's text names."""
    for name, make in THINGS.items():
        if name.rstrip("/") in text:
            make(place / name)


def photograph(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(astronaut()).save(path, quality=92)  # type: ignore[no-untyped-call]


def album(folder: Path) -> None:
    for name in ("day 1/a.jpg", "b.jpg"):
        photograph(folder / name)


def drawn(folder: Path) -> None:
    write_dataset(folder, EACH, seed=len(folder.name), size=64)


def names(path: Path) -> None:
    photograph(path.parent / "photo.jpg")
    path.write_text("photo.jpg\n", "utf-8")


def archive(path: Path) -> None:
    photograph(path.parent / "photo.jpg")
    with zipfile.ZipFile(path, "w") as file:
        file.write(path.parent / "photo.jpg", "inside/photo.jpg")


def film(path: Path) -> None:
    picture = Image.fromarray(astronaut()).resize((256, 256))  # type: ignore[no-untyped-call]
    with VideoWriter(path) as writer:
        for number in range(10):
            writer.write(number / 5, picture)


def fer2013(path: Path) -> None:
    """Drawn faces as Kaggle's `fer2013.csv` holds its own."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["emotion", "pixels", "Usage"])
        for number in range(2 * EACH):
            label = ("happy", "sad")[number % 2]
            pixels = np.asarray(Image.fromarray(draw_face(label, number, 48)).convert("L")).ravel()
            usage = ("Training", "PublicTest", "PrivateTest")[number // 2 % 3]
            writer.writerow([KAGGLE[label], " ".join(map(str, pixels)), usage])


def network(path: Path) -> None:
    """A Keras model that was made elsewhere, of two classes."""
    import keras

    layers = [keras.Input((48, 48, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential([*layers, keras.layers.Softmax()]).save(path)


def run(folder: Path) -> None:
    """A run with a bundle of two classes whose threshold may be written: bright pictures are happy."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 48, 48, 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])
    constants: dict[str, npt.NDArray[Any]] = {
        "column": np.array([-1, 1], np.int64),
        "weights": np.array([[0.02, -0.02]], np.float32),
        "bias": np.array([-2, 2], np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["means", "column"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weights", "bias"], ["logits"]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "brightness", [image], [logits], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    config = BundleConfig("mine", ("happy", "sad"), 48, 3, hashlib.sha256(model).hexdigest())
    (folder / "bundle").mkdir(parents=True)
    (folder / "bundle" / MODEL_FILE).write_bytes(model)
    (folder / "bundle" / CONFIG_FILE).write_text(config.to_json(), "utf-8")


def groups(path: Path) -> None:
    """Two cameras that took the pictures of `data` in turn."""
    if not (path.parent / "data").exists():
        drawn(path.parent / "data")
    pictures = sorted((path.parent / "data").glob("*/*.*"))
    rows = [f"{one.parent.name}/{one.name},{('old', 'new')[number % 2]}" for number, one in enumerate(pictures)]
    path.write_text("\n".join(["file,camera", *rows]) + "\n", "utf-8")


#: What the pages name, and how it is made.
THINGS: Mapping[str, Callable[[Path], None]] = {
    "photo.jpg": photograph,
    "a.jpg": photograph,
    "b.jpg": photograph,
    "photos/": album,
    "trip/": album,
    "more/": album,
    "list.txt": names,
    "archive.zip": archive,
    "party.mp4": film,
    "data": drawn,
    "other_data": drawn,
    "fer2013.csv": fer2013,
    "theirs.keras": network,
    "mien-runs/mine": run,
    "groups.csv": groups,
}
