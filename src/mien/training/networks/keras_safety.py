"""Refuse Keras files that would run code, read other files, or take more memory than they hold, before Keras builds.

Keras' own safe mode refuses some of this, and more of it with each version.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from mien.errors import ExportError
from mien.training.model_file import KERAS_WEIGHTS

#: Layers that run code of the file, or open the files that it names.
_RUNNING = frozenset({"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"})
_READING = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})
#: More layers than any published image classifier has; Keras takes a millisecond for each.
_MAX_LAYERS = 5000
#: Numbers that a layer may give for one image: a gigabyte.
_MAX_OUTPUT = 2**28
#: Weights beside those that a file must hold: of layers that a file of weights leaves out.
_SLACK = 2**20
_FEWER = "export a smaller model"


def check_config(config: Any) -> None:
    """Raise ExportError if the config of a model names layers that mien does not open, or too many."""
    layers, stack = 0, [config]
    while stack:
        value = stack.pop()
        stack += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        inside = value.get("config") if isinstance(value, dict) else None
        if not isinstance(inside, dict) or not isinstance(kind := value.get("class_name"), str):
            continue
        name = inside.get("name", kind)
        if kind in _RUNNING:
            raise ExportError(f"the layer '{name!s:.60}' runs code of its own ({kind}); replace it and save again")
        if kind in _READING:
            raise ExportError(f"the layer '{name!s:.60}' reads text, not images ({kind}); remove it and save again")
        layers += "name" in inside
    if layers > _MAX_LAYERS:
        raise ExportError(f"it has {layers:,} layers, more than {_MAX_LAYERS:,}; {_FEWER}")


def weights_in(path: Path, kind: str) -> int:
    """Return how many numbers the weights in a file may be.

    Args:
        path: the file.
        kind: `.keras` or `.h5`.

    Raises:
        ExportError: the weights are larger than the file that holds them, or lie in another file.
        OSError, ValueError: the file is damaged.
    """
    import h5py

    if kind == ".h5":
        with h5py.File(path) as file:
            return _numbers(file, path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(KERAS_WEIGHTS)
        if info.file_size > 4 * path.stat().st_size + _SLACK:  # Keras stores them as they are
            raise ExportError("its weights unpack to much more than its size")
        with archive.open(info) as stream, h5py.File(stream, "r") as file:
            return _numbers(file, info.file_size)


def _numbers(file: Any, size: int) -> int:
    """Return the count of numbers in all arrays of an HDF5 file of `size` bytes, which must be in the file itself."""
    import h5py

    found, groups, seen = 0, [file], set()
    while groups:
        group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ExportError("its weights lie in another file")
            child = group[name]
            if child.id.__hash__() in seen:  # a group inside itself
                continue
            seen.add(child.id.__hash__())
            if isinstance(child, h5py.Group):
                groups.append(child)
            elif child.external or child.is_virtual:
                raise ExportError("its weights lie in another file")
            elif child.nbytes > size + _SLACK or (found := found + child.size) > size + _SLACK:
                raise ExportError("its weights are larger than the file")
    return found


@contextmanager
def limited_weights(count: int) -> Iterator[None]:
    """Raise ExportError, before they are made, if the models built in the block have many more weights than `count`."""
    original, left = keras.layers.Layer.add_weight, 2 * count + _SLACK

    def add_weight(layer: Any, shape: Any = None, *rest: Any, **options: Any) -> Any:
        nonlocal left
        sides = shape if isinstance(shape, tuple | list) else () if shape is None else (shape,)
        left -= math.prod(side for side in sides if isinstance(side, int))
        if left < 0:
            raise ExportError(f"it declares many more weights than the {count:,} that it holds; {_FEWER}")
        return original(layer, shape, *rest, **options)

    keras.layers.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.layers.Layer.add_weight = original


def check_outputs(network: Any) -> None:
    """Raise ExportError if a layer of a model gives more numbers for one image than fit into memory."""
    models = [network]
    while models:
        model = models.pop()
        for layer in getattr(model, "layers", ()):
            if isinstance(layer, keras.Model):
                models.append(layer)
            for node in getattr(layer, "_inbound_nodes", ()):
                for tensor in keras.tree.flatten(node.output_tensors):
                    if math.prod(side for side in tensor.shape[1:] if side) > _MAX_OUTPUT:
                        shape = ", ".join(map(str, tensor.shape[1:]))
                        raise ExportError(f"the layer '{layer.name:.60}' gives ({shape}) for one image; {_FEWER}")
