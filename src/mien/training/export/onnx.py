"""Export a Keras network as a bundle, after checking that ONNX and Keras agree on real crops."""

import contextlib
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from mien.arrays import UInt8
from mien.errors import ExportError
from mien.inference.bundle import Bundle, BundleConfig, Content, Framing, write_bundle
from mien.io.atomic import new_folder
from mien.runtime import quiet_stderr
from mien.training.export.agreement import Agreement, compare, keras_probabilities
from mien.training.export.graph import fuse_standardisation, replace_erfc


def export_bundle(
    network: Any,
    labels: Sequence[str],
    crops: UInt8,
    out: Path,
    *,
    temperature: float = 1.0,
    answer_from: Mapping[str, float] | None = None,
    answer_over: Mapping[str, Mapping[str, float]] | None = None,
    framing: Framing = "whole",
    content: Content | None = None,
    name: str | None = None,
    scaling: tuple[float, float] = (1.0, 0.0),
    about: Mapping[str, Any] | None = None,
) -> Agreement:
    """Write a bundle, after comparing ONNX with Keras.

    Args:
        network: a Keras model that `export_model` accepts.
        labels: class names, in the order of the outputs.
        crops: uint8 (N, S, S, C), [0, 255], real crops to compare on.
        out: the new folder.
        temperature: of the softmax.
        answer_from: thresholds of the answer rule (see `BundleConfig`).
        answer_over: odds of the answer rule (see `BundleConfig`).
        framing: input that the network was trained on, `whole` images or a `face` crop.
        content: what the images of training show (see `BundleConfig`).
        name: of the model; default: the name of the folder.
        scaling: (factor, offset) from raw 0-255 values to the network's input.
        about: entries for the bundle's `about`.

    Returns:
        The agreement of Keras and ONNX.

    Raises:
        ExportError: they disagree, or the network cannot be exported.
        OutputError: `out` exists.
    """
    if not len(crops):
        raise ExportError("no images to compare Keras and ONNX on; give some with `data=`")
    model = export_model(network, len(labels), scaling)
    expected = keras_probabilities(network, crops, lambda x: x * np.float32(scaling[0]) + np.float32(scaling[1]))
    _, size, _, channels = model.input.shape
    with new_folder(out) as folder:
        graph = _onnx_bytes(model, folder)
        config = BundleConfig(
            name=name or out.name,
            labels=tuple(labels),
            input_size=size,
            input_channels=channels,
            sha256=hashlib.sha256(graph).hexdigest(),
            temperature=temperature,
            answer_from=answer_from,
            answer_over=answer_over,
            framing=framing,
            content=content,
            maps="maps" in model.output_names,
            about={"created": datetime.now(UTC).isoformat(timespec="seconds"), **(about or {})},
        )
        bundle = Bundle(folder, config, graph)
        agreement = compare(bundle, crops, expected)
        write_bundle(bundle, _card(config, agreement))
    return agreement


def export_model(network: Any, labels: int, scaling: tuple[float, float] = (1.0, 0.0)) -> Any:
    """Return a model from `image` to `logits`, and class activation `maps` if the head allows them.

    The head may be a linear layer, with or without a sigmoid or softmax. One sigmoid unit z becomes two logits [0, z].
    After global average pooling and one linear layer, the maps are exact (Zhou et al., "Learning Deep Features for
    Discriminative Localization", 2016).

    Args:
        network: a Keras model with one input (S, S, C) and one output.
        labels: number of classes.
        scaling: (factor, offset) from raw 0-255 values to the network's input.

    Raises:
        ExportError: input or output does not fit.
    """
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ExportError("the model must have one input and one output")
    shape = network.inputs[0].shape
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] not in (1, 3):
        raise ExportError(f"the model's input is {tuple(shape)}; a square of fixed size with 1 or 3 channels is needed")
    image = keras.Input(shape[1:], name="image")
    x = image if scaling == (1.0, 0.0) else layers.Rescaling(*scaling)(image)
    head = head_layer(network)
    trunk = _trunk_before_pooling(network, head)
    outputs: dict[str, Any] = {}
    if trunk is not None and isinstance(head, layers.Dense):
        features = trunk(x)
        maps = layers.Conv2D(head.units, 1, use_bias=head.use_bias, name="score_maps")
        score_maps = maps(features)
        kernel, *bias = head.get_weights()
        maps.set_weights([kernel[np.newaxis, np.newaxis], *bias])
        z = layers.GlobalAveragePooling2D()(score_maps)
        outputs["maps"] = _two_columns(score_maps, "maps")
    else:
        z = without_activation(network, head)(x)
    if z.shape[-1] not in (1, labels) or (z.shape[-1] == 1 and labels != 2):
        raise ExportError(f"the model has {z.shape[-1]} outputs for {labels} labels; name as many labels as outputs")
    return keras.Model(image, {"logits": _two_columns(z, "logits"), **outputs}, name=network.name)


def _two_columns(x: Any, name: str) -> Any:
    """Name a tensor. A single sigmoid unit z becomes [0, z], whose softmax is its sigmoid."""
    if x.shape[-1] == 1:
        x = layers.Concatenate(axis=-1)([layers.Rescaling(0.0)(x), x])
    return layers.Identity(name=name)(x)


_ACTIVATIONS = {"sigmoid", "softmax"}


def _activation(layer: Any) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "linear")


def head_layer(network: Any) -> Any:
    """Return the layer that computes the logits, before any sigmoid or softmax."""
    last = network.layers[-1]
    if isinstance(last, layers.Softmax) or (isinstance(last, layers.Activation) and _activation(last) in _ACTIVATIONS):
        return network.layers[-2]
    return last


def without_activation(network: Any, head: Any) -> Any:
    """Return the network up to its logits, without a sigmoid or softmax in the head layer."""
    name = _activation(head)
    if name == "linear":
        return keras.Model(network.inputs, head.output)
    if name in _ACTIVATIONS and isinstance(head, layers.Dense):
        linear = layers.Dense.from_config({**head.get_config(), "activation": "linear", "name": "linear_head"})
        z = linear(head.input)
        linear.set_weights(head.get_weights())
        return keras.Model(network.inputs, z)
    raise ExportError(f"the model ends in '{name}'; sigmoid, softmax or a linear layer is needed")


def _trunk_before_pooling(network: Any, head: Any) -> Any:
    """Return the network up to its feature maps if only average pooling and dropout follow before the head."""
    if not isinstance(head, layers.Dense) or _activation(head) not in (*_ACTIVATIONS, "linear"):
        return None
    position = network.layers.index(head) - 1
    while position > 0 and isinstance(network.layers[position], layers.Dropout):
        position -= 1
    pool = network.layers[position]
    if not isinstance(pool, layers.GlobalAveragePooling2D) or pool.data_format != "channels_last" or pool.keepdims:
        return None
    return keras.Model(network.inputs, pool.input)


def _onnx_bytes(model: Any, folder: Path) -> bytes:
    """Export by Keras, and hide the output of the converter."""
    path = folder / "export.onnx"
    model(np.zeros((1, *model.input.shape[1:]), np.float32))
    logging_level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), quiet_stderr():
            warnings.simplefilter("ignore")
            model.export(path, format="onnx", verbose=False)
        return _rewritten(path)
    except (ImportError, RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise ExportError(f"the network cannot be exported to ONNX ({str(error).splitlines()[0]})") from error
    finally:
        logging.disable(logging_level)
        path.unlink(missing_ok=True)


def _rewritten(path: Path) -> bytes:
    """Return the bytes of an ONNX file without operations that onnxruntime lacks or runs slowly."""
    import onnx

    model = onnx.load(path)
    replace_erfc(model)
    fuse_standardisation(model)
    onnx.checker.check_model(model)
    found: bytes = model.SerializeToString()
    return found


def _card(config: BundleConfig, agreement: Agreement) -> str:
    possible = ", ".join(config.rule.answers)
    about = json.dumps(dict(config.about), indent=2, sort_keys=True)
    people = (
        "It reads an expression in an image, which is not a feeling. It is only as good as the images it was trained "
        "on. Do not use it to judge people."
    )
    caution = "It is only as good as the images it was trained on." if config.content == "other" else people
    return (
        f"# {config.name}\n\n"
        f"Answers {possible} from an image of {config.input_size}×{config.input_size} pixels, "
        f"{'grey' if config.input_channels == 1 else 'RGB'}.\n\n"
        f"Exported by mien; ONNX and Keras agreed on {agreement.crops} images "
        f"(largest difference of a probability {agreement.largest_difference:.1e}, "
        f"same answer on {agreement.same_answer}).\n\n"
        f"{caution}\n\n"
        f"```json\n{about}\n```\n"
    )
