"""Mix the predictions of trained networks into another network's targets (distillation: Hinton et al., 2015)."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from fer_targets import grey, read_rows, write_rows
from scipy.optimize import minimize  # type: ignore[import-untyped]

from mien.inference.calibration import probabilities
from mien.io.layout import KERAS

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

TEACHERS_SHARE = 0.5  # of the targets
DECAY = 1e-3


def teach(runs: Sequence[Path], source: Path, out: Path) -> None:
    """Write a table again, with targets of training images mixed with the predictions of the networks in `runs`.

    Each network (`model.keras` of its run folder) predicts each image and its mirror image, after its last layer is
    refitted to the table's targets, which may differ from those it was trained on. A folder named twice counts twice.
    """
    rows = read_rows(source)
    seen = [number for number, row in enumerate(rows) if row.split == "train"]
    images = grey([source.parent / rows[number].file for number in seen])[..., np.newaxis]
    targets = np.stack([rows[number].shares for number in seen]).astype(np.float32)
    opinions = {run: opinion(run, images, targets) for run in dict.fromkeys(runs)}
    said = np.mean([opinions[run] for run in runs], axis=0)
    for number, shares in zip(seen, said, strict=True):
        mixed = TEACHERS_SHARE * shares + (1 - TEACHERS_SHARE) * rows[number].shares
        rows[number] = replace(rows[number], shares=mixed)
    write_rows(out, rows)


def opinion(run: Path, images: Bytes, targets: Floats) -> Floats:
    """Return the probabilities (N, K) of a network for images (N, S, S, 1) with those targets (N, K)."""
    import keras

    print(f"predicting {len(images)} images with {run.name}", flush=True)
    network = keras.saving.load_model(run / KERAS, safe_mode=True)
    trunk = keras.Model(network.input, network.get_layer("logits").input)
    seen = np.stack([features(trunk, view) for view in (images, images[:, :, ::-1])])
    flat = seen.reshape(-1, seen.shape[-1])
    weights = last_layer(flat, np.tile(targets, (2, 1)))
    said = probabilities(with_one(flat) @ weights).reshape(2, len(images), -1)
    return np.asarray(said.mean(axis=0), np.float32)


def features(trunk: Any, images: Bytes) -> Floats:
    """Return the input of the last layer for images (N, S, S, 1), float (N, D), scaled to unit deviation."""
    found: Floats = trunk.predict(images, batch_size=512, verbose=0)
    return np.asarray(found / (found.std(axis=0) + 1e-6))


def last_layer(features: Floats, targets: Floats) -> Floats:
    """Fit a softmax regression from features (N, D) to soft targets (N, K): weights (D + 1, K), biases last."""
    x = with_one(features)
    shape = (x.shape[1], targets.shape[1])

    def loss(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        weights = flat.reshape(shape).astype(np.float32)
        said = probabilities(x @ weights)
        decayed = np.concatenate([weights[:-1], np.zeros_like(weights[-1:])])
        value = -(targets * np.log(said + 1e-9)).sum(axis=1).mean() + DECAY / 2 * (decayed**2).sum()
        slope = x.T @ ((said - targets) / len(x)) + DECAY * decayed
        return float(value), slope.ravel().astype(np.float64)

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 150})
    fitted: Floats = found.x.reshape(shape).astype(np.float32)
    return fitted


def with_one(features: Floats) -> Floats:
    """Append a column of ones, whose weights are the biases."""
    return np.concatenate([features, np.ones((len(features), 1), features.dtype)], axis=1)
