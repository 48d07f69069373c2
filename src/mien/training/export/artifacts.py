"""What a run keeps of its trained network: curves, `model.keras` and a bundle with a fitted temperature."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.arrays import Float64
from mien.inference.calibration import fit_temperature
from mien.io.layout import BUNDLE, CURVES, KERAS
from mien.training.config import TrainConfig
from mien.training.export.onnx import Agreement, export_bundle
from mien.training.loop.batches import TrainingArrays
from mien.training.loop.schedule import Epoch, best_epoch
from mien.training.networks.networks import logits_of
from mien.viz.history import LearningCurve, learning_curves

_COMPARED_CROPS = 64


def draw_curves(folder: Path, history: Sequence[Epoch]) -> None:
    """Draw `curves.png` from a history."""
    curves = [
        LearningCurve("loss", [row.loss for row in history], [row.val_loss for row in history]),
        LearningCurve("accuracy", [row.accuracy for row in history], [row.val_accuracy for row in history]),
    ]
    said = "loss and accuracy per epoch"
    drawn = learning_curves(
        [row.epoch for row in history], curves, best_epoch(history), name="curves", caption=said, alt=said
    )
    drawn.save(folder / CURVES)


def save_keras(folder: Path, network: Any) -> None:
    """Write `model.keras`, whole or not at all."""
    path = folder / KERAS
    part = path.with_name("model.part.keras")  # Keras insists on the ending
    try:
        network.save(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_bundle(
    folder: Path,
    network: Any,
    config: TrainConfig,
    classes: Sequence[str],
    validation: TrainingArrays,
    about: Mapping[str, Any],
) -> Agreement:
    """Export a network to `bundle`, its temperature fitted on the validation part, compared on that part's crops."""
    started = {} if config.start_from is None else {"started_from": Path(config.start_from).name}
    return export_bundle(
        network, classes, validation.pictures(_COMPARED_CROPS), folder / BUNDLE,
        temperature=fit_temperature(_logits(network, validation), validation.targets), name=folder.name,
        framing="face" if config.faces else "whole",
        about={"network": config.network, "run": folder.name, **started, **about},
    )  # fmt: skip


def _logits(network: Any, part: TrainingArrays) -> Float64:
    model = logits_of(network)
    blocks = [
        np.asarray(model(np.asarray(part.crops[part.rows[i : i + 8]], np.float32), training=False))
        for i in range(0, len(part.rows), 8)
    ]
    z = np.concatenate(blocks).astype(np.float64)
    return np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z
