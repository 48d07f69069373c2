"""Export a Keras network as a bundle, after checking that ONNX and Keras agree on real crops."""

import contextlib
import hashlib
import io
import json
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from mien.arrays import UInt8
from mien.errors import ExportError
from mien.faces.resize import Fit, ResizeMethod
from mien.inference.bundle import Bundle, write_bundle
from mien.inference.bundle_config import BundleConfig, Content, Framing
from mien.io.atomic import new_folder
from mien.runtime.stderr import quiet_stderr
from mien.text import one_line
from mien.training.backend import release_memory
from mien.training.export.agreement import Agreement, compare, keras_probabilities
from mien.training.export.graph import fuse_standardisation, halve_weights, replace_erfc
from mien.training.export.scaling import Scaling
from mien.training.networks.flat import FlatGraph, flatten
from mien.training.networks.head import LINEAR, activation, add_logits

#: Read by tf2onnx.
_CATCH_ERRORS = "TF2ONNX_CATCH_ERRORS"


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
    mirror: bool = False,
    name: str | None = None,
    scaling: Scaling | None = None,
    resize: ResizeMethod = "pil-bilinear",
    fit: Fit = "squash",
    about: Mapping[str, Any] | None = None,
    half: bool = False,
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
        mirror: whether the bundle averages with mirror images; the comparison is of single images in any case.
        name: of the model; default: the name of the folder.
        scaling: from raw pixels to the network's input; None: it takes raw pixels.
        resize: how images become squares (see `mien.faces.resize`).
        fit: what becomes of an image that is not square.
        about: entries for the bundle's `about`.
        half: whether large weights are stored in half precision; the arithmetic stays single.

    Returns:
        The agreement of Keras and ONNX.

    Raises:
        ExportError: they disagree, or the network cannot be exported.
        OutputError: `out` exists.
    """
    if not len(crops):
        raise ExportError("no images to compare Keras and ONNX on; give some with `data=`")
    model = export_model(network, len(labels), scaling)
    expected = keras_probabilities(network, crops, scaling or Scaling())
    _, size, _, channels = model.input.shape
    with new_folder(out) as folder:
        graph = _onnx_bytes(model, folder)
        if half:
            graph = halve_weights(graph)
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
            resize=resize,
            fit=fit,
            mirror=mirror,
            maps="maps" in model.output_names,
            about={"created": datetime.now(UTC).isoformat(timespec="seconds"), **(about or {})},
        )
        bundle = Bundle(folder, config, graph)
        agreement = compare(bundle, crops, expected)
        write_bundle(bundle, _card(config, agreement))
    return agreement


def export_model(network: Any, labels: int, scaling: Scaling | None = None) -> Any:
    """Return a model from `image` to `logits`, and class activation `maps` if the head allows them.

    Nested models, augmentation and dropout may stand anywhere (see `flatten`), a sigmoid or softmax at the end (see
    `add_logits`). One sigmoid unit z becomes two logits [0, z].
    After global average pooling and one linear layer, the maps are exact (Zhou et al., "Learning Deep Features for
    Discriminative Localization", 2016).

    Args:
        network: a Keras model with one input (S, S, C) and one output.
        labels: number of classes.
        scaling: from raw pixels to the network's input; None: it takes raw pixels.

    Raises:
        ExportError: input or output does not fit.
    """
    shape = image_shape(network)
    image = keras.Input(shape, name="image")
    graph = flatten(network, scaling.layer(image) if scaling else image)
    z = add_logits(graph, labels)
    outputs: dict[str, Any] = {}
    pooled = _pooled_head(graph, z)
    if pooled is not None:
        head, features = pooled
        maps = layers.Conv2D(head.units, 1, use_bias=head.use_bias, name="score_maps")
        score_maps = maps(features)
        kernel, *bias = head.get_weights()
        maps.set_weights([kernel[np.newaxis, np.newaxis], *bias])
        z = layers.GlobalAveragePooling2D(name="score_mean")(score_maps)
        outputs["maps"] = _two_columns(score_maps, "maps")
    return keras.Model(image, {"logits": _two_columns(z, "logits"), **outputs}, name=network.name)


def image_shape(network: Any) -> tuple[int, int, int]:
    """Return the shape (S, S, C) of a model's input; ExportError if it is not one image of 1 or 3 channels."""
    if len(network.inputs) != 1 or len(network.outputs) != 1:
        raise ExportError("the model must have one input and one output")
    shape = network.inputs[0].shape
    if len(shape) != 4 or shape[1] is None or shape[1] != shape[2] or shape[3] not in (1, 3):
        raise ExportError(f"the model's input is {tuple(shape)}; a square of fixed size with 1 or 3 channels is needed")
    return shape[1], shape[2], shape[3]


def _two_columns(x: Any, name: str) -> Any:
    """Name a tensor. A single sigmoid unit z becomes [0, z], whose softmax is its sigmoid."""
    if x.shape[-1] == 1:
        x = layers.Concatenate(axis=-1, name=f"{name}_columns")([layers.Rescaling(0.0, name=f"{name}_first")(x), x])
    return layers.Identity(name=name)(x)


def _pooled_head(graph: FlatGraph, z: Any) -> tuple[Any, Any] | None:
    """Return the last layer and the feature maps if only average pooling and that linear layer follow them."""
    head = graph.producer(z)
    if head is None or type(head.operation) is not layers.Dense or activation(head.operation) != LINEAR:
        return None
    pool = graph.producer(head.inputs[0])
    if pool is None or not isinstance(pool.operation, layers.GlobalAveragePooling2D):
        return None
    if pool.operation.data_format != "channels_last" or pool.operation.keepdims:
        return None
    return head.operation, pool.inputs[0]


def _onnx_bytes(model: Any, folder: Path) -> bytes:
    """Export by Keras, and hide the output of the converter."""
    path = folder / "export.onnx"
    model(np.zeros((1, *model.input.shape[1:]), np.float32))
    logging_level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), quiet_stderr():
            warnings.simplefilter("ignore")
            try:
                with _without_copies():
                    model.export(path, format="onnx", verbose=False)
            except Exception:  # of many kinds: one of its steps failed, which it now leaves out
                model.export(path, format="onnx", verbose=False)
        return _rewritten(path, model)
    except ExportError:
        raise
    except Exception as error:  # Keras, its backend and the converter raise many kinds, some of them bare
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(f"the network cannot be exported to ONNX ({reason})") from error
    finally:
        logging.disable(logging_level)
        path.unlink(missing_ok=True)
        release_memory()  # what the converter leaves refers to itself, with several copies of all weights


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
    """Let the converter change its graph in place.

    It would copy graph and weights before each of a dozen steps, in several rounds, to go on without a step that
    fails: 330 MiB for `classic`. In place, a step that fails ends the conversion.
    """
    before = os.environ.get(_CATCH_ERRORS)
    os.environ[_CATCH_ERRORS] = before or "FALSE"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CATCH_ERRORS]


def _rewritten(path: Path, network: Any) -> bytes:
    """Return the bytes of an ONNX file without operations that onnxruntime lacks or runs slowly.

    `network` is the Keras model, whose layers an ExportError names.
    """
    import onnx

    model = onnx.load(path)
    replace_erfc(model)
    fuse_standardisation(model)
    _refuse_unknown(model, network)
    onnx.checker.check_model(model)
    found: bytes = model.SerializeToString()
    return found


def _refuse_unknown(model: Any, network: Any) -> None:
    """Raise ExportError if ONNX lacks an operation of a graph, or a value of it was not stored."""
    import onnx

    names = {layer.name for layer in network.layers}
    for node in model.graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            layer = _layer_of(node.name, names)
            raise ExportError(
                f"the layer '{layer}' computes {node.op_type}, which ONNX lacks; build the model without it"
            )
    inputs = {value.name for value in model.graph.input} - {constant.name for constant in model.graph.initializer}
    for name in sorted(inputs - {"image"}):
        layer = _layer_of(name, names)
        raise ExportError(f"a constant of the layer '{layer}' cannot be exported; make it a weight, or a Rescaling")


def _layer_of(node: str, layers: set[str]) -> str:
    """Return the layer in the path of an ONNX node; the converter numbers layers, as in `model/resizing_1/resize`."""
    parts = [re.sub(r"_\d+$", "", part) if part not in layers else part for part in node.split("/")]
    return next((part for part in parts if part in layers), node)


def _card(config: BundleConfig, agreement: Agreement) -> str:
    name, possible = one_line(config.name), one_line(", ".join(config.rule.answers))
    about = json.dumps(dict(config.about), indent=2, sort_keys=True)
    people = (
        "It reads an expression in an image, which is not a feeling. It is only as good as the images it was trained "
        "on. Do not use it to judge people."
    )
    caution = "It is only as good as the images it was trained on." if config.content == "other" else people
    return (
        f"# {name}\n\n"
        f"Answers {possible} from an image of {config.input_size}×{config.input_size} pixels, "
        f"{'grey' if config.input_channels == 1 else 'RGB'}.\n\n"
        f"Exported by mien; ONNX and Keras agreed on {agreement.crops} images "
        f"(largest difference of a probability {agreement.largest_difference:.1e}, "
        f"same answer on {agreement.same_answer}).\n\n"
        f"{caution}\n\n"
        f"```json\n{about}\n```\n"
    )
