"""Quantise a bundle to 8-bit integers: a third of the size and the time, nearly the same answers.

Static quantisation (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018): weights by output channel, activations by their range on real crops,
written as QuantizeLinear and DequantizeLinear pairs that onnxruntime fuses.
"""

import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.arrays import Float32, Float64, UInt8
from mien.data.dataset import read_manifest, sample_images
from mien.errors import DataError, ExportError, MissingExtraError
from mien.faces.crop import crop
from mien.inference.bundle import CARD_FILE, MODEL_FILE, Bundle, load_bundle, write_bundle
from mien.inference.reader import Reader
from mien.io.atomic import new_folder
from mien.runtime.providers import quiet_onnxruntime
from mien.text import one_line
from mien.training.export.graph import fuse_pooling, fuse_standardisation, restore_weights
from mien.training.export.temperature import negative_log_likelihood

#: Fewest crops from which the ranges of activations are measured.
MIN_CROPS = 32
#: Fraction of crops that must get the same answer; below it, more than rounding is wrong.
MIN_AGREEMENT = 0.9
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_BATCH = 16


@dataclass(frozen=True)
class QuantisationResult:
    """Comparison of an int8 bundle with its original.

    Attributes:
        crops: number of crops compared; they did not set the ranges.
        same_answer: number of crops with the same answer.
        largest_change: of a probability, in [0, 1].
        size: of the int8 graph, in bytes.
        size_before: of the original graph, in bytes.
    """

    crops: int
    same_answer: int
    largest_change: float
    size: int
    size_before: int

    def __str__(self) -> str:
        """Return the comparison in one line."""
        return (
            f"int8 answers as the original on {self.same_answer} of {self.crops} crops "
            f"({self.same_answer / self.crops:.1%}; largest change of a probability {self.largest_change:.3f}); "
            f"{self.size / 1e6:.2f} MB instead of {self.size_before / 1e6:.2f}"
        )


def quantize_bundle(
    bundle: Path, crops: UInt8, out: Path, *, name: str | None = None, mirror: bool | None = None
) -> QuantisationResult:
    """Write an int8 copy of a bundle and compare it with the original.

    Every second crop sets the ranges of the activations; the others compare the two. Ranges are either the extremes of
    all crops, or the mean extremes of small batches, which a single unusual crop does not stretch; the better
    candidate is kept. Operations before the second layer with weights, and from the last one, stay in single
    precision, to keep the detail of the input and the calibration of the logits. Labels, temperature, framing and
    answer rule do not change.

    Args:
        bundle: the original.
        crops: uint8 (N, S, S, C), [0, 255], real crops in any order.
        out: the new folder.
        name: of the model; default: the name of the folder.
        mirror: whether the copy averages with mirror images; None is as the original does. The temperature stays.

    Raises:
        ExportError: crops do not fit or are too few, the graph has nothing to quantise, or answers differ too much.
        BundleError: the bundle cannot be read.
        OutputError: `out` exists.
    """
    original = load_bundle(bundle)
    _check_crops(crops, original)
    expected = Reader(original, device="cpu").probabilities(crops[1::2])
    with new_folder(out) as folder:
        candidates = [
            _candidate(original, crops[::2], folder, name or out.name, averaged, mirror) for averaged in (False, True)
        ]
        answered = [(bundle, Reader(bundle, device="cpu").probabilities(crops[1::2])) for bundle in candidates]
        quantised, after = min(answered, key=lambda found: _cross_entropy(expected, found[1]))
        found = _compare(original, expected, quantised, after)
        write_bundle(quantised, _card(original, quantised.config.name, found))
    return found


def sample_crops(
    data: Path, bundle: Path, count: int = 512, seed: int = 0, say: Callable[[str], None] | None = None
) -> UInt8:  # fmt: skip
    """Draw crops from the train split of labelled data, or from all of it if it has no splits.

    Images that cannot be read are skipped.

    Args:
        data: the labelled data.
        bundle: decides size and colour of the crops.
        count: largest number of crops.
        seed: of the draw.
        say: receives what was guessed about the layout.

    Returns:
        uint8 (N, S, S, C), [0, 255].

    Raises:
        DataError: no image can be read.
    """
    config = load_bundle(bundle).config
    manifest = read_manifest(data).say_notes(say)
    names = [sample.name for sample in manifest.samples if sample.split in (None, "train")]
    found = [
        crop(rgb, config.input_size, config.input_channels, None, config.resize, config.fit)
        for _, rgb in sample_images(manifest, names, count, seed)
    ]
    if not found:
        raise DataError(f"{data}: has no readable image to set the ranges")
    return np.stack(found)


def _check_crops(crops: UInt8, bundle: Bundle) -> None:
    size, channels = bundle.config.input_size, bundle.config.input_channels
    if crops.dtype != np.uint8 or crops.shape[1:] != (size, size, channels):
        raise ExportError(
            f"crops {crops.dtype} {crops.shape}: {bundle.config.name} takes uint8 (N, {size}, {size}, {channels})"
        )
    if len(crops) < MIN_CROPS:
        raise ExportError(f"{len(crops)} crops are too few to set the ranges; give at least {MIN_CROPS}")


def _candidate(original: Bundle, crops: UInt8, folder: Path, name: str, averaged: bool, mirror: bool | None) -> Bundle:
    graph = _int8_graph(original.model, crops, averaged)
    config = replace(
        original.config,
        name=name,
        mirror=original.config.mirror if mirror is None else mirror,
        sha256=hashlib.sha256(graph).hexdigest(),
        about={
            **original.config.about,
            "quantised": {
                "to": "int8",
                "from": original.config.name,
                "from_sha256": original.config.sha256,
                "calibration_crops": len(crops),
            },
        },
    )
    return Bundle(folder, config, graph)


def _cross_entropy(expected: Float64, found: Float64) -> float:
    """Return the cross-entropy of probabilities (N, K) to the expected ones; it is smallest if they are equal."""
    return negative_log_likelihood(np.log(np.maximum(found, 1e-9)), expected, 1.0)


def _int8_graph(graph: bytes, crops: UInt8, averaged: bool) -> bytes:
    """Return the ONNX bytes of the quantised graph; ExportError if there is nothing to quantise.

    `averaged`: ranges are means of the extremes of batches instead of the extremes of all crops.
    """
    quiet_onnxruntime()
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("quantising a model", "train") from error
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    model = onnx.load_from_string(graph)
    restore_weights(model)
    fuse_standardisation(model)
    fuse_pooling(model)
    float_nodes = _float_nodes(model)
    logging_level = logging.root.manager.disable
    logging.disable(logging.WARNING)  # it advises clean-ups that are already done
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / MODEL_FILE
            quantize_static(
                model,
                path,
                _Crops(crops),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                # Seven bits: with eight, processors without VNNI saturate in sums of two products and answer
                # differently. With seven, every processor gives the same bits.
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=float_nodes,
                extra_options={
                    "CalibMovingAverage": averaged,
                    "CalibMovingAverageConstant": min(_BATCH / len(crops), 1.0),
                },
            )
            return path.read_bytes()
    except (RuntimeError, TypeError, ValueError, AttributeError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(f"the graph cannot be quantised ({reason})") from error
    finally:
        logging.disable(logging_level)


class _Crops:
    """Serve crops in small batches to onnxruntime's calibration."""

    def __init__(self, crops: UInt8) -> None:
        self._batches: Iterator[UInt8] = (crops[i : i + _BATCH] for i in range(0, len(crops), _BATCH))

    def get_next(self) -> dict[str, Float32] | None:
        """Return the next batch; None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch.astype(np.float32)}


def _float_nodes(model: Any) -> list[str]:
    """Name all nodes, and return the names of those that stay in single precision."""
    nodes = list(model.graph.node)
    for number, node in enumerate(nodes):
        node.name = node.name or f"node {number}"
    weights = {constant.name for constant in model.graph.initializer}
    layers = [i for i, node in enumerate(nodes) if node.op_type in _WEIGHTED and node.input[1] in weights]
    if len(layers) < 3:
        raise ExportError("the graph has no layer between its first and its last one; there is nothing to quantise")
    return [node.name for node in (*nodes[: layers[1]], *nodes[layers[-1] :])]


def _compare(original: Bundle, before: Float64, quantised: Bundle, after: Float64) -> QuantisationResult:
    config = original.config
    first, second = (config.rule.choose(rows) for rows in (before, after))
    same = int((first == second).sum())
    if same < MIN_AGREEMENT * len(before):
        raise ExportError(
            f"{config.name} in int8 gives another answer on {len(before) - same} of {len(before)} crops; "
            "nothing was exported"
        )
    change = float(np.abs(after - before).max())
    return QuantisationResult(len(before), same, change, len(quantised.model), len(original.model))


def _card(original: Bundle, name: str, found: QuantisationResult) -> str:
    """Return the card of the original, under the new name and after a note on the change."""
    path = original.path / CARD_FILE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    rest = text.partition("\n")[2] if text.startswith("# ") else text
    before, possible = one_line(original.config.name), one_line(", ".join(original.config.rule.answers))
    return (
        f"# {one_line(name)}\n\n"
        f"{before} in 8-bit integers, answering {possible}: {found}.\n\n"
        f"The card of {before} follows. Its metrics are of the original.\n\n"
        f"{rest.strip()}\n"
    )
