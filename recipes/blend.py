"""Average the weights of two trained networks (Wortsman et al., 2022, "model soups").

This works if the second network was trained from the first: weights between them are then as accurate as either, and
their errors average out.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from fer_targets import grey, read_rows

from mien.io.atomic import new_folder
from mien.io.layout import CONFIG, KERAS
from mien.training.config import TrainConfig, read_settings

IMAGES, BATCH, PASSES = 25_600, 256, 2
MOMENTUM = 0.99


def blend(first: Path, second: Path, share: float, table: Path, out: Path) -> None:
    """Write `model.keras` to the new folder OUT: `share` of the weights of the run `first`, the rest of `second`.

    `table` and the augmentation of `second` give the images on which batch normalization is fitted again. Its settings
    are written beside the weights, so that training can start from these.
    """
    import keras

    from mien.training.export.artifacts import save_keras

    network, other = (keras.saving.load_model(run / KERAS, safe_mode=True) for run in (first, second))
    pairs = zip(network.get_weights(), other.get_weights(), strict=True)
    network.set_weights([share * ours + (1 - share) * theirs for ours, theirs in pairs])
    config = TrainConfig.make(read_settings(second / CONFIG))
    rows = [row for row in read_rows(table) if row.split == "train"]
    picked = np.random.default_rng(0).permutation(len(rows))[:IMAGES]
    normalise(network, grey([table.parent / rows[number].file for number in picked])[..., np.newaxis], config)
    with new_folder(out) as folder:
        save_keras(folder, network)
        (folder / CONFIG).write_text(config.to_toml(), encoding="utf-8")


def normalise(network: Any, images: npt.NDArray[np.uint8], config: TrainConfig) -> None:
    """Fit the running means and variances again on images (N, S, S, C), augmented as in training.

    The mean of two networks' statistics belongs to neither network, nor to the mean of their weights.
    """
    import keras

    from mien.training.augmentation.pipeline import augmented
    from mien.training.networks.networks import logits_of

    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    usual = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = MOMENTUM
    model = augmented(logits_of(network), config)
    for _ in range(PASSES):
        for begin in range(0, len(images), BATCH):
            model(images[begin : begin + BATCH].astype(np.float32), training=True)
    for layer, momentum in zip(norms, usual, strict=True):
        layer.momentum = momentum
