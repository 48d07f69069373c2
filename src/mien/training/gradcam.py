"""Gradient heatmaps of convolutional Keras models: Grad-CAM, Grad-CAM++ and LayerCAM.

For a head of average pooling and one linear layer, Grad-CAM equals the class activation map up to a factor and, if the
layer has a bias, a constant (Selvaraju et al., 2017, appendix A), before negative values are cut off.

A flatten head has its own weights for each position of a feature map. Grad-CAM averages them, LayerCAM keeps them: use
LayerCAM there. On `classic` (256 x 256, RGB), by deletion against random pixels, Grad-CAM is better than chance on
drawn faces by 0.043 [0.011, 0.076], LayerCAM by 0.389 [0.350, 0.432]; on FER2013 Grad-CAM is no better than chance,
-0.009 [-0.023, 0.004].
"""

from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from mien.arrays import Float32, Int64, UInt8
from mien.errors import ConfigError
from mien.explanation.saliency import heatmaps
from mien.training.backend import gradient
from mien.training.export.scaling import Scaling
from mien.training.networks.flat import FlatGraph, GroupedConvolution, Step, flatten
from mien.training.networks.head import add_logits

GradMethod = Literal["grad-cam", "grad-cam++", "layer-cam"]

_BATCH = 16
_NO_FEATURES = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.ZeroPadding2D, layers.Cropping2D, layers.Resizing,
    layers.Rescaling, layers.CenterCrop,
)  # fmt: skip
_CONVOLUTIONS = (
    layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.Conv2DTranspose, GroupedConvolution,
)  # fmt: skip


class GradCam:
    """Explain a Keras model; called with crops and labels, as a `mien.explanation.explainer.Explainer`.

    Args:
        network: a Keras model that `mien.training.export.onnx.export_model` accepts. For a single sigmoid unit, the
            score of the second label is the logit, and that of the first its negative.
        method: `grad-cam` (Selvaraju et al., ICCV 2017), `grad-cam++` (Chattopadhay et al., WACV 2018) or `layer-cam`
            (Jiang et al., IEEE TIP 2021: each position is weighted by its own positive gradient).
        layer: name of the layer whose features are weighted; None: the last with a feature map, before any pooling.
        scaling: from raw pixels to the network's input; None: it takes raw pixels.
        mirror: average with the heatmap of the mirror image, mirrored back, as the model averages its logits.

    Raises:
        ConfigError: the network has no such layer.
    """

    def __init__(
        self,
        network: Any,
        method: GradMethod = "grad-cam",
        layer: str | None = None,
        scaling: Scaling | None = None,
        mirror: bool = False,
    ) -> None:
        graph = flatten(network, keras.Input(network.inputs[0].shape[1:]))
        logits = add_logits(graph)
        step, self._head = _split(graph, logits, layer)
        self.layer = step.name
        self._trunk = keras.Model(graph.image, step.output)
        self._method, self._scaling, self._mirror = method, scaling or Scaling(), mirror

    def __call__(self, crops: UInt8, labels: Int64) -> Float32:
        """Return heatmaps float32 (N, S, S) in [0, 1] for crops uint8 (N, S, S, C) and labels int64 (N,)."""
        return heatmaps(self.raw(crops, labels), crops.shape[1])

    def raw(self, crops: UInt8, labels: Int64) -> Float32:
        """Return the weighted sums of the layer's features, float32 (N, h, w), with negative values."""
        parts = [self._raw(crops[i : i + _BATCH], labels[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, *self._trunk.output_shape[1:3]), np.float32)

    def _raw(self, crops: UInt8, labels: Int64) -> Float32:
        if not self._mirror:
            return self._single(crops, labels)
        back = self._single(crops[:, :, ::-1], labels)[:, :, ::-1]
        return np.asarray((self._single(crops, labels) + back) / 2, np.float32)

    def _single(self, crops: UInt8, labels: Int64) -> Float32:
        features = np.asarray(self._trunk(self._scaling(crops.astype(np.float32)), training=False))
        slopes = gradient(lambda tensor: self._scores(tensor, labels), features)
        if self._method == "layer-cam":
            return np.asarray((features * np.maximum(slopes, 0)).sum(axis=-1), np.float32)
        weights = _plus_weights(features, slopes) if self._method == "grad-cam++" else slopes.mean(axis=(1, 2))
        return np.asarray(np.einsum("nhwc,nc->nhw", features, weights), np.float32)

    def _scores(self, features: Any, labels: Int64) -> Any:
        """Return scores (N,): the label's logit; of two labels, its logit minus the other's (for one unit, ±z)."""
        z = self._head(features, training=False)
        count = z.shape[-1]
        if count <= 2:
            signs = np.where(labels == 1, 1.0, -1.0).astype(np.float32)
            return signs * (z[:, 0] if count == 1 else z[:, 1] - z[:, 0])
        chosen = np.eye(count, dtype=np.float32)[labels]
        return keras.ops.sum(z * chosen, axis=-1)


def _plus_weights(features: Float32, slopes: Float32) -> Float32:
    """Return the weights of Grad-CAM++, float32 (N, C), for the exponential of the score.

    Its higher derivatives are powers of the first (Chattopadhay et al., "Grad-CAM++", WACV 2018, equations 15
    and 19). The exponential itself is a common factor and left out.
    """
    square = slopes**2
    below = 2 * square + features.sum(axis=(1, 2), keepdims=True) * square * slopes
    share = np.divide(square, below, out=np.zeros_like(square), where=np.abs(below) > 1e-20)
    return np.asarray((share * np.maximum(slopes, 0)).sum(axis=(1, 2)), np.float32)


def _split(graph: FlatGraph, logits: Any, layer: str | None) -> tuple[Step, Any]:
    """Return the step whose features are weighted, and the model after it.

    By default, the last feature map (N, h, w, C) of more than one position that everything passes through; pooling,
    dropout and padding are skipped. Raises ConfigError if there is none, or no layer of the given name.
    """
    if layer is not None:
        named = [step for step in graph.steps if step.name == layer]
        if not named:
            raise ConfigError(f"layer '{layer}': the network has none of that name")
        rest = _after(named[-1].output, logits)
        if rest is None:
            raise ConfigError(f"layer '{layer}': a part of the network bypasses it; name a later one")
        return named[-1], rest
    first = next((i for i, step in enumerate(graph.steps) if isinstance(step.operation, _CONVOLUTIONS)), None)
    if first is None:
        raise ConfigError("grad-cam: the network has no convolutional layer; use occlusion")
    maps = [step for step in graph.steps[first:] if _is_feature_map(step)]
    for step in reversed(maps):
        rest = _after(step.output, logits)
        if rest is not None:
            return step, rest
    raise ConfigError("grad-cam: no convolutional layer of the network holds a map of all features; use occlusion")


def _is_feature_map(step: Step) -> bool:
    shape = getattr(step.output, "shape", ())
    return len(shape) == 4 and tuple(shape[1:3]) != (1, 1) and not isinstance(step.operation, _NO_FEATURES)


def _after(features: Any, logits: Any) -> Any:
    """Return the model from a tensor to the logits; None if a part of the network bypasses the tensor."""
    try:
        return keras.Model(features, logits)
    except ValueError:
        return None


def weight_randomisation(
    network: Any, crops: UInt8, labels: Int64, method: GradMethod = "grad-cam", seed: int = 0
) -> list[tuple[str, float]]:
    """Shuffle weights from the last layer to the first, and measure how the heatmaps change.

    The cascading sanity check of Adebayo et al. ("Sanity Checks for Saliency Maps", NeurIPS 2018). A method whose
    correlation stays near 1 shows the image, not the network. The weights are restored.

    Args:
        network: a trained Keras model.
        crops: uint8 (N, S, S, C), [0, 255].
        labels: int64 (N,), the label to explain for each crop.
        method: of the heatmaps.
        seed: of the shuffling.

    Returns:
        For each layer with weights, its name and the mean Spearman correlation of the raw maps with the original ones,
        after this and all later layers were shuffled.
    """
    explainer = GradCam(network, method)
    kept, rng = network.get_weights(), np.random.default_rng(seed)
    before = explainer.raw(crops, labels)
    found = []
    try:
        for layer in reversed([layer for layer in network.layers if layer.weights]):
            layer.set_weights([rng.permutation(value.ravel()).reshape(value.shape) for value in layer.get_weights()])
            # The explainer may hold copies of the head, so it is built again.
            found.append((str(layer.name), rank_correlation(before, GradCam(network, method).raw(crops, labels))))
    finally:
        network.set_weights(kept)
    return found


def rank_correlation(maps: Float32, others: Float32) -> float:
    """Return the mean Spearman correlation of maps (N, h, w) with others; 0 for a constant map."""
    return float(np.mean([_spearman(one.ravel(), other.ravel()) for one, other in zip(maps, others, strict=True)]))


def _spearman(one: Float32, other: Float32) -> float:
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    return float(spearmanr(one, other).statistic) if np.ptp(one) and np.ptp(other) else 0.0
