"""Draw samples of a run: labelled crops, and the same crops after augmentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mien.arrays import Int64, UInt8
from mien.io.layout import AUGMENTED, SAMPLES
from mien.training.augmentation.levels import resolve
from mien.training.augmentation.pipeline import augmentation_layers
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays
from mien.viz.mosaic import mosaic, save_png


def draw_samples(folder: Path, classes: Sequence[str], train: TrainingArrays, config: TrainConfig) -> None:
    """Write mosaics of training samples, as labelled and as augmented, into a run folder.

    Args:
        folder: the run folder.
        classes: class names, in the order of the targets.
        train: training split.
        config: augmentation and seed.
    """
    chosen = _choose(train.truth, len(classes), 10, config.seed)
    counts = np.bincount(train.truth, minlength=len(classes))
    crops = {name: np.asarray(train.crops[train.rows[chosen[i]]]) for i, name in enumerate(classes)}
    labelled = {f"{name}: {counts[i]} in training": list(crops[name]) for i, name in enumerate(classes)}
    save_png(mosaic(labelled, "Labelled training images, as cropped"), folder / SAMPLES)
    save_png(augmented_mosaic(crops, config), folder / AUGMENTED)


def _choose(truth: Int64, classes: int, per_class: int, seed: int) -> list[Int64]:
    """Return up to `per_class` random positions of every class, in order."""
    rng = np.random.default_rng(seed)
    found = []
    for code in range(classes):
        here = np.flatnonzero(truth == code)
        found.append(np.sort(rng.permutation(here)[:per_class]))
    return found


def augmented_mosaic(crops: Mapping[str, UInt8], config: TrainConfig, draws: int = 2) -> Image.Image:
    """Draw a mosaic of crops before and after augmentation.

    Args:
        crops: by class, uint8 (N, S, S, C), [0, 255]; classes without crops are left out.
        config: the augmentation and its seed.
        draws: how often each crop is augmented.

    Returns:
        A Pillow image.
    """
    # Each layer has a generator of its own: drawing leaves the random state of a training in this process alone.
    layers = augmentation_layers(resolve(config), config.seed)
    rows: dict[str, list[UInt8]] = {}
    for name, found in crops.items():
        if not len(found):  # with soft labels, a class may be nowhere the most probable
            continue
        rows[f"{name}: as cropped"] = list(found)
        for number in range(draws):
            x = found.astype(np.float32)
            for layer in layers:
                x = layer(x, training=True)
            seen = np.clip(np.rint(np.asarray(x)), 0, 255).astype(np.uint8)
            rows[f"{name}: augmented, draw {number + 1}"] = list(seen)
    return mosaic(rows, f"Input of the network (augmentation: {config.augment})")
