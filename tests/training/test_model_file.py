"""A file that is not a Keras model is one line: what it is, and what to do."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import pytest

from mien.errors import ExportError
from mien.training.export.keras_file import export_keras_file
from mien.training.networks.keras_file import load_keras_file

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 91\n"
PAGE = b"<!DOCTYPE html>\n<html><body>Not found</body></html>"


def archive(*names: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, "x" * 100)

    return write


def weights(path: Path) -> None:
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save_weights(path)


def legacy_weights(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"], file.attrs["keras_version"] = [b"dense"], b"2.4.0"
        file.create_group("dense")


def cut(path: Path) -> None:
    whole = path.with_name(f"whole{path.suffix}")
    keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)]).save(whole)
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    whole.unlink()


def folder(name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.mkdir()
        (path / name).write_bytes(b"x")

    return write


FILES: dict[str, tuple[str, bytes | Callable[[Path], None], str]] = {
    "pointer h5": ("m.h5", LFS, "is a Git LFS pointer, not the model; run: git lfs pull"),
    "pointer keras": ("m.keras", LFS, "is a Git LFS pointer"),
    "page": ("m.h5", PAGE, "is a web page, not a model; download the file itself"),
    "empty": ("m.keras", b"", "is empty; download it again"),
    "junk": ("m.keras", b"junk\0\1", "is not a Keras model, although its name says so"),
    "weights": ("m.weights.h5", weights, "holds only weights; ask for the model itself"),
    "legacy weights": ("m.h5", legacy_weights, "holds only weights"),
    "cut h5": ("m.h5", cut, "is damaged or cut short; download or copy it again"),
    "cut keras": ("m.keras", cut, "is damaged or cut short"),
    "saved model": ("m", folder("saved_model.pb"), "is a TensorFlow SavedModel; open it where it was made"),
    "folder": ("m", folder("notes.txt"), "is a folder; give the .keras or .h5 file"),
    "pb": ("m.pb", b"\x08\x01\x12\xff", "is a TensorFlow SavedModel"),
    "tflite": ("m.tflite", b"\x1c\0\0\0TFL3" + bytes(30), "is a TensorFlow Lite model"),
    "tflite by content": ("m.h5", b"\x1c\0\0\0TFL3" + bytes(30), "is a TensorFlow Lite model"),
    "onnx": ("m.onnx", b"\x08\x07\x12\x08", "is an ONNX graph"),
    "pt": ("m.pt", archive("m/data.pkl", "m/data/0"), "is a PyTorch model"),
    "pth": ("m.pth", b"\x80\x02\x8a\nl\xfc", "is a PyTorch model"),
    "pickle": ("m.pkl", b"\x80\x04\x95", "is a Python pickle, which can run code and is not opened"),
    "architecture": ("m.json", b'{"class_name": "Sequential", "config": []}', "holds only the architecture"),
    "javascript": ("model.json", b'{"modelTopology": {}, "weightsManifest": []}', "is a model for TensorFlow.js"),
    "zip of a model": ("m.zip", archive("labels.txt", "keras_model.h5"), "give the model inside, keras_model.h5"),
    "zip of a saved model": ("m.zip", archive("m/saved_model.pb"), "is a TensorFlow SavedModel"),
    "zip of photos": ("m.zip", archive("a.jpg"), "is a zip archive without a Keras model .a.jpg."),
    "archive without weights": ("m.keras", archive("config.json", "metadata.json"), "a model without its weights"),
    "text": ("m.txt", b"hello", "is not a Keras model .*keras or .h5"),
}


@pytest.mark.parametrize(("name", "content", "words"), FILES.values(), ids=FILES)
def test_it_says_what_the_file_is(
    name: str, content: bytes | Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    with pytest.raises(ExportError, match=words) as caught:
        load_keras_file(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(ExportError):
        export_keras_file(path, ("a", "b"), tmp_path / "b")
    assert not (tmp_path / "b").exists()
