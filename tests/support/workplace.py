"""A folder with the files that README and docs name: photographs, a video, labelled folders, a model.

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
from graphs import model_bytes
from onnx import TensorProto, helper
from PIL import Image
from skimage.data import astronaut

from mien.data.synthetic.faces import draw_face, write_dataset
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE
from mien.inference.bundle_config import BundleConfig
from mien.io.video.writer import VideoWriter

#: Drawn faces per class: enough for each part of a split, or for quick commands.
FOR_A_SPLIT, FEW = 24, 8
#: The numbers of these labels in `fer2013.csv`.
KAGGLE = {"happy": 3, "sad": 4}


def furnish(place: Path, text: str, each: int = FEW) -> None:
    """Put the files and folders that a text names into a folder; labelled data have `each` faces per class."""
    for name, make in THINGS.items():
        if name.rstrip("/") in text:
            make(place / name, each)


def photograph(path: Path, _: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(astronaut()).save(path, quality=92)  # type: ignore[no-untyped-call]


def album(folder: Path, _: int) -> None:
    for name in ("day 1/a.jpg", "b.jpg", "c.png"):
        photograph(folder / name)


def drawn(folder: Path, each: int) -> None:
    write_dataset(folder, each, seed=len(folder.name), size=64)


def names(path: Path, _: int) -> None:
    photograph(path.parent / "photo.jpg")
    path.write_text("photo.jpg\n", "utf-8")


def archive(path: Path, _: int) -> None:
    photograph(path.parent / "photo.jpg")
    with zipfile.ZipFile(path, "w") as file:
        file.write(path.parent / "photo.jpg", "inside/photo.jpg")


def video(path: Path, _: int) -> None:
    frame = Image.fromarray(astronaut()).resize((256, 256))  # type: ignore[no-untyped-call]
    with VideoWriter(path) as writer:
        for number in range(10):
            writer.write(number / 5, frame)


def fer2013(path: Path, each: int) -> None:
    """Drawn faces as Kaggle's `fer2013.csv` holds its own."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["emotion", "pixels", "Usage"])
        for number in range(2 * each):
            label = ("happy", "sad")[number % 2]
            pixels = np.asarray(Image.fromarray(draw_face(label, number, 48)).convert("L")).ravel()
            usage = ("Training", "PublicTest", "PrivateTest")[number // 2 % 3]
            writer.writerow([KAGGLE[label], " ".join(map(str, pixels)), usage])


def network(path: Path, _: int) -> None:
    """A Keras model of two classes that was not made by mien."""
    import keras

    layers = [keras.Input((48, 48, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(2)]
    keras.Sequential([*layers, keras.layers.Softmax()]).save(path)


def convolutions(folder: Path, _: int) -> None:
    """A bundle of random weights, with layers between its first and its last one, as int8 needs."""
    import keras

    from mien.training.export.onnx import export_bundle

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(4, 3, activation="relu") for _ in range(3)]
    network = keras.Sequential([keras.Input((24, 24, 1)), keras.layers.Rescaling(1 / 255), *layers])
    network.add(keras.layers.Flatten())
    network.add(keras.layers.Dense(2))
    crops = np.random.default_rng(0).integers(0, 256, (8, 24, 24, 1), np.uint8)
    export_bundle(network, ("happy", "sad"), crops, folder)


def run(folder: Path, _: int) -> None:
    """A run whose bundle has two classes, so that its threshold can be changed: bright images are happy."""
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
    model = model_bytes(nodes, [image], [logits], constants)
    config = BundleConfig("mine", ("happy", "sad"), 48, 3, hashlib.sha256(model).hexdigest())
    (folder / "bundle").mkdir(parents=True)
    (folder / "bundle" / MODEL_FILE).write_bytes(model)
    (folder / "bundle" / CONFIG_FILE).write_text(config.to_json(), "utf-8")


def groups(path: Path, each: int) -> None:
    """Two cameras that took the images of `data` in turn."""
    if not (path.parent / "data").exists():
        drawn(path.parent / "data", each)
    images = sorted((path.parent / "data").glob("*/*.*"))
    rows = [f"{one.parent.name}/{one.name},{('old', 'new')[number % 2]}" for number, one in enumerate(images)]
    path.write_text("\n".join(["file,camera", *rows]) + "\n", "utf-8")


#: What the pages name, and how it is made.
THINGS: Mapping[str, Callable[[Path, int], None]] = {
    "photo.jpg": photograph,
    "a.jpg": photograph,
    "b.jpg": photograph,
    "photos/": album,
    "trip/": album,
    "more/": album,
    "list.txt": names,
    "archive.zip": archive,
    "party.mp4": video,
    "data": drawn,
    "other_data": drawn,
    "fer2013.csv": fer2013,
    "theirs.keras": network,
    "mien-runs/mine": run,
    "groups.csv": groups,
}
