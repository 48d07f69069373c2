"""Compare a bundle with the Keras model as its owner has it: raw pixels in, probabilities out.

The Keras side is the model itself, never what the export made of it, so that a mistake of the export shows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.arrays import Float64, UInt8
from mien.errors import ExportError
from mien.inference.bundle import Bundle
from mien.inference.calibration import probabilities
from mien.inference.classifier import Classifier
from mien.training.export.output import as_probabilities, read_output, run
from mien.training.export.scaling import Scaling

#: Largest difference of a probability that counts as rounding. If the model's probabilities hardly change between
#: images, it is 2 % of how much they do: answers that are all alike would hide a wrong head.
TOLERANCE, _RELATIVE, _LEAST = 1e-3, 0.02, 3e-6
_BATCH = 8


@dataclass(frozen=True)
class Agreement:
    """Agreement of Keras and ONNX: number of images, largest difference of a probability, images of the same answer."""

    crops: int
    largest_difference: float
    same_answer: int

    def __str__(self) -> str:
        """Return the comparison in one line."""
        return (
            f"ONNX equals Keras on {self.crops} images "
            f"(largest difference of a probability {self.largest_difference:.1e}, same answer on {self.same_answer})"
        )


def keras_probabilities(network: Any, crops: UInt8, scaling: Scaling) -> Float64:
    """Return the probabilities (N, K) that a Keras model gives, whatever its head.

    Args:
        network: the model.
        crops: uint8 (N, S, S, C), RGB or grey, [0, 255].
        scaling: how its owner feeds it.

    Raises:
        ExportError: the model computes values that are not numbers.
    """
    kind = read_output(network)
    # Few at a time: the first feature maps of a large input take tens of megabytes per image.
    blocks = [scaling(crops[start : start + _BATCH].astype(np.float32)) for start in range(0, len(crops), _BATCH)]
    return as_probabilities(np.concatenate([run(network, block) for block in blocks]), kind)


def compare(bundle: Bundle, crops: UInt8, expected: Float64) -> Agreement:
    """Run crops through onnxruntime and compare the probabilities, at temperature 1, with those of Keras.

    Args:
        bundle: the export.
        crops: uint8 (N, S, S, C), [0, 255].
        expected: (N, K), what Keras gives for them.

    Raises:
        ExportError: they differ.
    """
    classifier = Classifier(bundle, mirror=False)  # Keras answers single images
    found = [classifier(crops[start : start + _BATCH]) for start in range(0, len(crops), _BATCH)]
    logits = np.concatenate([logits for logits, _ in found])
    ours = probabilities(logits, 1.0)
    differences = np.abs(ours - expected)
    difference, spread = float(differences.max()), float(np.ptp(expected, axis=0).max())
    same = int((ours.argmax(axis=1) == expected.argmax(axis=1)).sum())
    if not difference <= min(TOLERANCE, max(_LEAST, _RELATIVE * spread)):
        worst = int(differences.max(axis=1).argmax())
        raise ExportError(
            f"ONNX does not agree with Keras: a probability differs by {difference:.2g} "
            f"({_listed(expected[worst])} in Keras, {_listed(ours[worst])} in ONNX); nothing was exported"
        )
    limit = TOLERANCE * max(1.0, float(np.abs(logits).max()))
    apart = [np.abs(maps.mean(axis=(1, 2)) - logits).max() for logits, maps in found if maps is not None]
    if max(apart, default=0.0) > limit:
        raise ExportError("the class activation maps do not add up to the logits; nothing was exported")
    return Agreement(len(crops), difference, same)


def _listed(row: Float64) -> str:
    return " ".join(f"{value:.4g}" for value in row[:4]) + (" …" if len(row) > 4 else "")
