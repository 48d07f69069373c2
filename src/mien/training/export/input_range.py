"""Find out which input a Keras model expects, from its first operations, its batch norms and its answers.

A guess is only made on evidence; without any, `find_scaling` asks. What counts, in this order: arithmetic on the input
inside the model; the statistics that the first batch normalization kept from training; how strongly the model answers
to images in each range.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from mien.arrays import Float32, Float64, UInt8
from mien.errors import ExportError
from mien.training.export.output import run
from mien.training.export.scaling import MODES, RANGES, Scaling
from mien.training.networks.flat import FlatGraph, flatten

#: Operations on single pixels, or that only move pixels: what they do to the range can be read off their result.
_ARITHMETIC = frozenset(
    [
        "Rescaling", "Normalization", "Add", "Subtract", "Multiply", "Divide", "TrueDivide",
        "Negative", "GetItem", "Stack", "Concatenate", "Split", "Flip", "Take", "Cast", "Transpose", "Permute",
        "Reshape", "ExpandDims", "Squeeze", "Resizing", "CenterCrop", "RandomCrop", "ZeroPadding2D", "Cropping2D",
        "Identity", "Clip", "Minimum", "Maximum", "Unstack", "Power", "Square", "Sqrt",
    ]
)  # fmt: skip
_MOVES = frozenset(
    [
        "GetItem", "Stack", "Concatenate", "Split", "Flip", "Take", "Cast", "Transpose", "Permute", "Reshape",
        "ExpandDims", "Squeeze", "Resizing", "CenterCrop", "RandomCrop", "ZeroPadding2D", "Cropping2D", "Identity",
        "Unstack",
    ]
)  # fmt: skip
#: What a network's first layer usually takes: standard deviations about 1, or of raw values about their mean.
_UNIT, _RAW = (0.05, 5.0), (25.0, 120.0)
_CENTRED, _CLEARLY = 0.8, 2.5
#: How near an input must come to the kept statistics, how many times as far off every other must be, and how far off
#: even if the averages have kept a part of their start (0 and 1): short training leaves it, and it misleads.
_NEAR, _TIMES, _FAR = 0.6, 5.0, 0.3
_STARTS = (0.1, 0.2, 0.4, 0.6, 0.8)
#: Spread of the log-odds over images: below, a model gives one answer to all; above, it is drowned.
_DULL, _DROWNED = 0.1, 20.0


@dataclass(frozen=True)
class Found:
    """The input of a model, and how it was found out, in one sentence."""

    scaling: Scaling
    reason: str


def find_scaling(network: Any, images: UInt8) -> Found:
    """Find out which input a model expects.

    Args:
        network: a Keras model with one input (S, S, C) and one output.
        images: uint8 (N, S, S, C), [0, 255], photographs or what comes near.

    Raises:
        ExportError: nothing tells the range.
    """
    image = keras.Input(network.inputs[0].shape[1:])
    graph = flatten(network, image)
    raw = images.astype(np.float32)
    family = _family(network)
    found = _by_arithmetic(graph, raw) or _by_batch_norm(graph, raw)
    # Pretrained parts want means or a range that answers do not tell, and whatever is subtracted outside, raw values
    # get varied answers. Only a model that does something of its own to its input takes raw values for certain.
    if found is None and family is None and _has_own_preprocessing(graph):
        found = _by_answers(network, raw)
    if found is None:
        raise ExportError(
            "nothing in the model or its answers tells which input range it was trained on; give `input_range=`: "
            "0-1 (pixels / 255), -1-1 (pixels / 127.5 - 1), 0-255 (raw), caffe or torch"
            + (f" (weights of {family[0]} from keras.applications take {family[1]})" if family else "")
        )
    return found


def _candidates(channels: int) -> dict[str, Scaling]:
    names = (*RANGES, *MODES) if channels == 3 else tuple(RANGES)
    return {name: Scaling.make(name, channels=channels) for name in names}


def _by_arithmetic(graph: FlatGraph, raw: Float32) -> Found | None:
    """Return the range that the model's own arithmetic turns into what networks take."""
    tensor, names, _ = _before_network(graph)
    if tensor is None or not names:
        return None
    first = keras.Model(graph.image, tensor)
    fits = {}
    for name in RANGES:
        values = np.asarray(first(Scaling(name)(raw)), np.float64)
        shift, spread = abs(values.mean()), values.std()
        unit = _UNIT[0] <= spread <= _UNIT[1] and shift <= _CLEARLY * spread
        centred = _RAW[0] <= spread <= _RAW[1] and shift <= _CENTRED * spread
        if unit or centred:
            fits[name] = shift / spread
    if len(fits) > 1:  # several may do; what is centred much better is meant
        best = min(fits, key=lambda name: fits[name])
        fits = {name: fit for name, fit in fits.items() if name == best or fit < max(2 * fits[best], 0.5)}
    if len(fits) != 1:
        return None
    (name,) = fits
    return Found(Scaling(name), f"by the model's own arithmetic ({', '.join(dict.fromkeys(names))})")


def _before_network(graph: FlatGraph) -> tuple[Any, list[str], Any]:
    """Return the tensor that enters the network proper, the arithmetic before it, and the operation that it enters."""
    reached: dict[int, list[str]] = {id(graph.image): []}
    for step in graph.steps:
        sources = [tensor for tensor in step.inputs if id(tensor) in reached]
        name = type(step.operation).__name__
        if not sources:
            continue
        if name not in _ARITHMETIC or len(sources) < len(step.inputs):
            return sources[0], reached[id(sources[0])], step.operation
        before = [one for tensor in sources for one in reached[id(tensor)]]
        for output in keras.tree.flatten(step.output):  # a split has several
            reached[id(output)] = before if name in _MOVES else [*before, step.operation.name]
    return None, [], None


def _has_own_preprocessing(graph: FlatGraph) -> bool:
    """Return whether the first operation on the image that is not plain arithmetic has no weights."""
    _, names, operation = _before_network(graph)
    return bool(names) or (operation is not None and not getattr(operation, "weights", []))


def _untrained(operation: Any) -> bool:
    """Return whether a batch normalization has seen no data."""
    if not isinstance(operation, layers.BatchNormalization):
        return False
    mean, variance = np.asarray(operation.moving_mean), np.asarray(operation.moving_variance)
    return bool((mean == 0).all() and (variance == 1).all())


def _by_batch_norm(graph: FlatGraph, raw: Float32) -> Found | None:
    """Return the input whose features have the statistics that the first batch normalization kept from training."""
    norm = next((step for step in graph.steps if isinstance(step.operation, layers.BatchNormalization)), None)
    if norm is None or _untrained(norm.operation) or len(norm.inputs[0].shape) != 4:
        return None
    before = keras.Model(graph.image, norm.inputs[0])
    kept = (np.asarray(norm.operation.moving_mean, np.float64), np.asarray(norm.operation.moving_variance, np.float64))
    candidates = _candidates(raw.shape[-1])
    features = {name: np.asarray(before(scaling(raw)), np.float64) for name, scaling in candidates.items()}
    seen = {name: (x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))) for name, x in features.items()}
    fits = {name: _distance(*statistics, *kept) for name, statistics in seen.items()}
    best, second = sorted(fits, key=lambda name: fits[name])[:2]
    others = [
        _distance((1 - start) * mean, (1 - start) * variance + start, *kept)
        for name, (mean, variance) in seen.items() if name != best
        for start in _STARTS
    ]  # fmt: skip
    if fits[best] > _NEAR or fits[second] < _TIMES * fits[best] or min(*others, fits[second]) < _FAR:
        return None
    return Found(candidates[best], f"by the statistics of its layer '{norm.operation.name}' on photographs")


def _distance(mean: Float64, variance: Float64, kept_mean: Float64, kept_variance: Float64) -> float:
    """Return how far the channels' means and variances are from those kept; 0 is equal."""
    floored = kept_variance + 1e-6 * kept_variance.max() + 1e-12
    spread = np.log((variance + 1e-12) / floored) ** 2
    return float(np.median((mean - kept_mean) ** 2 / floored) + np.median(spread))


def _by_answers(network: Any, raw: Float32) -> Found | None:
    """Return raw values if only these give answers that are neither all alike nor without any doubt.

    Answers do not tell 0-1 from -1-1: both are of the same strength.
    """
    spreads = {name: _spread(_tried(network, Scaling(name)(raw))) for name in RANGES}
    if _DULL <= spreads["0-255"] <= _DROWNED and max(spreads["0-1"], spreads["-1-1"]) < _DULL:
        return Found(
            Scaling("0-255"),
            "by trying: raw photographs get answers that differ, and in 0-1 or -1-1 all answers are alike",
        )
    return None


def _tried(network: Any, images: Float32) -> Float32:
    """Return a model's output; all zeros if it is not numbers, as that of a logarithm for values below 0."""
    try:
        return run(network, images)
    except ExportError:
        return np.zeros((len(images), 1), np.float32)


def _spread(outputs: Float32) -> float:
    """Return the largest standard deviation, over images, of a column's log-odds (of logits: of the column)."""
    inside = outputs.min() >= 0 and outputs.max() <= 1
    shares = np.clip(outputs.astype(np.float64), 1e-15, 1 - 1e-15)
    columns = np.log(shares) - np.log1p(-shares) if inside else outputs - outputs.mean(axis=1, keepdims=True)
    return float(columns.std(axis=0).max())


#: Layers that tell families of `keras.applications` without preprocessing inside, and the input that their weights
#: want. Layers keep their names when a model is saved, and models often do not.
_FAMILIES = (
    ("VGG", "caffe", ("block1_conv1", "block5_conv3")),
    ("ResNet", "caffe", ("conv1_conv", "conv1_bn", "conv2_block1_1_conv")),
    ("ResNetV2", "-1-1", ("conv1_conv", "conv2_block1_preact_bn")),
    ("DenseNet", "torch", ("conv2_block1_0_bn",)),
    ("MobileNet", "-1-1", ("conv_dw_1", "conv_pw_1")),
    ("MobileNetV2", "-1-1", ("expanded_conv_depthwise", "Conv1")),
    ("Xception", "-1-1", ("block1_conv1", "block2_sepconv1")),
    ("Inception", "-1-1", ("mixed5",)),
    ("InceptionResNet", "-1-1", ("mixed_5b",)),
    ("NASNet", "-1-1", ("stem_conv1", "stem_bn1")),
)


def _family(network: Any) -> tuple[str, str] | None:
    """Return the pretrained part of a model, and the input that it wants, if it is known."""
    names = {layer.name for model in _models(network) for layer in model.layers}
    return next(((name, takes) for name, takes, layers_ in _FAMILIES if names.issuperset(layers_)), None)


def _models(network: Any) -> Iterator[Any]:
    yield network
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from _models(layer)
