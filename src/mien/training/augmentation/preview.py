"""The first look at a run: which pictures have which label, and what the network sees after augmentation."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from mien.arrays import Int64, UInt8
from mien.io.layout import AUGMENTED, SAMPLES
from mien.training.augmentation.pipeline import augmentation_layers, resolve
from mien.training.config import TrainConfig
from mien.training.loop.batches import TrainingArrays
from mien.training.plan import Plan
from mien.viz.mosaic import mosaic, save_png


def draw(folder: Path, plan: Plan, train: TrainingArrays, config: TrainConfig) -> None:
    """Write `samples.png` (labelled) and `augmented.png` (as the network sees them) of the training part."""
    chosen = choose(train.truth, len(plan.manifest.classes), 10, config.seed)
    counts = np.bincount(train.truth, minlength=len(plan.manifest.classes))
    pictures = {name: np.asarray(train.crops[train.rows[chosen[i]]]) for i, name in enumerate(plan.manifest.classes)}
    headings = {name: f"{name}: {counts[i]} in training" for i, name in enumerate(plan.manifest.classes)}
    labelled = {headings[name]: list(found) for name, found in pictures.items()}
    save_png(mosaic(labelled, "Labelled training pictures, as cropped"), folder / SAMPLES)
    save_png(augmented_mosaic(pictures, config), folder / AUGMENTED)


def choose(truth: Int64, classes: int, per_class: int, seed: int) -> list[Int64]:
    """Pick up to `per_class` random positions of every class, seeded and in order."""
    rng = np.random.default_rng(seed)
    found = []
    for code in range(classes):
        here = np.flatnonzero(truth == code)
        found.append(np.sort(rng.permutation(here)[:per_class]))
    return found


def augmented_mosaic(pictures: dict[str, UInt8], config: TrainConfig, draws: int = 2) -> Any:
    """Draw each class's pictures (N, S, S, C) plain and then `draws` times as the network will see them."""
    keras.utils.set_random_seed(config.seed)
    layers = augmentation_layers(resolve(config), config.seed)
    rows: dict[str, list[UInt8]] = {}
    for name, found in pictures.items():
        if not len(found):  # a class of soft labels that is nowhere the largest share
            continue
        rows[f"{name}: as cropped"] = list(found)
        for number in range(draws):
            x = found.astype(np.float32)
            for layer in layers:
                x = layer(x, training=True)
            seen = np.clip(np.rint(np.asarray(x)), 0, 255).astype(np.uint8)
            rows[f"{name}: augmented, draw {number + 1}"] = list(seen)
    return mosaic(rows, f"What the network sees (augmentation: {config.augment})")
