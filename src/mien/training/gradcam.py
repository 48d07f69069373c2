"""Grad-CAM, Grad-CAM++ and LayerCAM: heatmaps by gradients, for any Keras model that has a convolution in it.

On a head of average pooling and one linear layer Grad-CAM is the class activation map up to a factor and, where
the layer has a bias, a constant (Selvaraju et al., 2017, appendix A): before negative values are cut off, that is.

On a flatten head each place of a feature map has weights of its own, which Grad-CAM averages away and LayerCAM keeps:
use LayerCAM there. On `classic` (256 x 256, RGB), by deletion against random pixels, Grad-CAM is better than chance on
drawn faces, by 0.043 [0.011, 0.076], and LayerCAM by 0.389 [0.350, 0.432]; on FER2013 Grad-CAM is no better than
chance, -0.009 [-0.023, 0.004].
"""

from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from mien.arrays import Float32, Int64, UInt8
from mien.errors import ConfigError
from mien.explanation.saliency import heatmaps
from mien.metrics.ranking import average_ranks
from mien.training.backend import gradient
from mien.training.export.onnx import before_squash, linear_head

GradMethod = Literal["grad-cam", "grad-cam++", "layer-cam"]

_BATCH = 16
_SHRINKING = (
    layers.MaxPooling2D, layers.AveragePooling2D, layers.Dropout, layers.SpatialDropout2D, layers.ZeroPadding2D,
)  # fmt: skip


class GradCam:
    """Explains a Keras model; call it with crops and labels, as an `mien.explanation.explainer.Explainer`.

    `network` has one input (S, S, C) and a head that `mien.training.export.onnx.raw_head` understands: of a single
    sigmoid
    unit the second label's score is its value before the sigmoid and the first label's the negative of that.
    `method` is `grad-cam` (Selvaraju et al., ICCV 2017), `grad-cam++` (Chattopadhay et al., WACV 2018) or `layer-cam`
    (Jiang et al., "LayerCAM", IEEE TIP 2021: each place is weighted by its own gradient, where that is positive).
    `layer` names the layer whose output is weighted; None is the last one with places in it, before any pooling.
    `scaling` (factor, offset) turns raw 0-255 values into what the input expects. Raises ConfigError for a network
    without such a layer.
    """

    def __init__(
        self,
        network: Any,
        method: GradMethod = "grad-cam",
        layer: str | None = None,
        scaling: tuple[float, float] = (1.0, 0.0),
    ) -> None:
        raw = before_squash(network, linear_head(network))
        self.layer = layer or last_places(raw)
        try:
            features = raw.get_layer(self.layer).output
        except ValueError:
            raise ConfigError(f"layer '{self.layer}': the network has none of that name") from None
        self._trunk = keras.Model(raw.inputs[0], features)
        self._head = _after(features, raw, self.layer)
        self._method, self._scaling = method, scaling

    def __call__(self, crops: UInt8, labels: Int64) -> Float32:
        """Return heatmaps float32 (N, S, S) in [0, 1] for crops uint8 (N, S, S, C) and labels int64 (N,)."""
        return heatmaps(self.raw(crops, labels), crops.shape[1])

    def raw(self, crops: UInt8, labels: Int64) -> Float32:
        """Return weighted sums of the layer's features float32 (N, h, w), in which negative values are kept."""
        parts = [self._raw(crops[i : i + _BATCH], labels[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
        return np.concatenate(parts) if parts else np.empty((0, *self._trunk.output_shape[1:3]), np.float32)

    def _raw(self, crops: UInt8, labels: Int64) -> Float32:
        factor, offset = self._scaling
        features = np.asarray(self._trunk(crops.astype(np.float32) * factor + offset, training=False))
        slopes = gradient(lambda tensor: self._scores(tensor, labels), features)
        if self._method == "layer-cam":
            return np.asarray((features * np.maximum(slopes, 0)).sum(axis=-1), np.float32)
        weights = _plus_weights(features, slopes) if self._method == "grad-cam++" else slopes.mean(axis=(1, 2))
        return np.asarray(np.einsum("nhwc,nc->nhw", features, weights), np.float32)

    def _scores(self, features: Any, labels: Int64) -> Any:
        """Return the score of each label (N,): its logit, of two labels its logit minus the other's (of a unit, ±z)."""
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
    and 19); the exponential itself is a common factor and left out.
    """
    square = slopes**2
    below = 2 * square + features.sum(axis=(1, 2), keepdims=True) * square * slopes
    share = np.divide(square, below, out=np.zeros_like(square), where=np.abs(below) > 1e-20)
    return np.asarray((share * np.maximum(slopes, 0)).sum(axis=(1, 2)), np.float32)


def last_places(network: Any) -> str:
    """Return the name of the last layer that gives a feature map (N, h, w, C) of more than one place.

    Poolings, dropouts and the like are passed over. Raises ConfigError where there is none.
    """
    for layer in reversed(network.layers):
        shape = getattr(getattr(layer, "output", None), "shape", ())
        places = len(shape) == 4 and shape[1:3] != (1, 1)
        if places and not isinstance(layer, (*_SHRINKING, layers.InputLayer)):
            return str(layer.name)
    raise ConfigError("grad-cam: the network has no convolutional layer; use occlusion")


def _after(features: Any, network: Any, name: str) -> Any:
    """Return the rest of a network, from a layer's output to its own."""
    try:
        return keras.Model(features, network.output)
    except ValueError:
        raise ConfigError(f"layer '{name}': not all of the network passes through it; name a later one") from None


def weight_randomisation(
    network: Any, crops: UInt8, labels: Int64, method: GradMethod = "grad-cam", seed: int = 0
) -> list[tuple[str, float]]:
    """Destroy a network's weights from the last layer to the first, and see whether its heatmaps go with them.

    The sanity check of Adebayo et al. ("Sanity Checks for Saliency Maps", NeurIPS 2018), cascading: after each layer
    with weights, these shuffled, the rank correlation (Spearman) of the raw maps with the trained network's, mean
    over crops. A method whose correlation stays near 1 shows the picture, not what the network makes of it. The
    network is left as it was.
    """
    explainer = GradCam(network, method)
    kept, rng = network.get_weights(), np.random.default_rng(seed)
    before = explainer.raw(crops, labels)
    found = []
    try:
        for layer in reversed([layer for layer in network.layers if layer.weights]):
            layer.set_weights([rng.permutation(value.ravel()).reshape(value.shape) for value in layer.get_weights()])
            # The parts of the explainer may hold copies of the head: build them again.
            found.append((str(layer.name), rank_correlation(before, GradCam(network, method).raw(crops, labels))))
    finally:
        network.set_weights(kept)
    return found


def rank_correlation(maps: Float32, others: Float32) -> float:
    """Return Spearman's rank correlation of maps (N, h, w) with others, mean over N; 0 for a map all of one value."""
    return float(np.mean([_spearman(one.ravel(), other.ravel()) for one, other in zip(maps, others, strict=True)]))


def _spearman(one: Float32, other: Float32) -> float:
    first, second = average_ranks(one), average_ranks(other)
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
