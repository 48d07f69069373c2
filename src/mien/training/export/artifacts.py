"""Write the artifacts of a trained network: learning curves, `model.keras`, and a bundle with a fitted temperature."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from keras.layers import LayerNormalization, Rescaling

from mien.arrays import Float64
from mien.errors import ExportError, OutputError
from mien.inference.bundle_config import Content
from mien.io.atomic import write_text
from mien.io.layout import BUNDLE, CURVES, KERAS, LAYERS
from mien.training.backend import versions
from mien.training.config import TrainConfig
from mien.training.export.agreement import Agreement
from mien.training.export.mirror import MirrorChoice, choose_mirror
from mien.training.export.onnx import export_bundle
from mien.training.export.temperature import fit_temperature
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
    epochs, caption = [row.epoch for row in history], "loss and accuracy per epoch"
    chart = learning_curves(epochs, curves, best_epoch(history), name="curves", caption=caption, alt=caption)
    chart.save(folder / CURVES)


def save_keras(folder: Path, network: Any) -> None:
    """Write `model.keras`, whole or not at all, and its layers as `layers.txt`."""
    write_text(folder / LAYERS, describe_layers(network))
    path = folder / KERAS
    part = path.with_name("model.part.keras")  # Keras requires the ending
    try:
        with warnings.catch_warnings():
            # Keras 3.15 copies TensorFlow's tensors as NumPy 2 deprecates.
            warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
            network.save(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def describe_layers(network: Any) -> str:
    """Return the layers of a network as Keras summarises them, below a note on its input.

    Examples:
        >>> import keras
        >>> network = keras.Sequential([keras.Input((48, 48, 1)), keras.layers.Rescaling(1 / 255)])
        >>> print(describe_layers(network).splitlines()[0])
        The input is pixels in 0-255, shape (48, 48, 1). Do not rescale them.
    """
    lines: list[str] = []
    network.summary(line_length=80, print_fn=lambda text, line_break=True: lines.append(text))
    shape = tuple(network.inputs[0].shape[1:])
    inside = [layer.name for layer in network.layers if isinstance(layer, (Rescaling, LayerNormalization))][:1]
    how = f"The layer {inside[0]} does that inside the network." if inside else "The network takes them as they are."
    note = f"The input is pixels in 0-255, shape {shape}. Do not rescale them.\n{how} The ONNX graph has it too.\n\n"
    return note + "\n".join(lines) + "\n"


def require_exportable(network: Any, config: TrainConfig, classes: int, cache: Path) -> None:
    """Export an untrained backbone to nowhere, so that one that cannot be exported is found before the first epoch.

    Own networks always can be. What was tried is noted in `cache`, a folder, and not tried again.

    Args:
        network: the network before its first step.
        config: its settings.
        classes: number of classes.
        cache: the folder for the note.

    Raises:
        ExportError: the network cannot be exported.
    """
    if config.backbone is None:
        return
    tried = json.dumps([config.backbone, config.size, config.channels, classes, versions()], sort_keys=True)
    note = cache / f"exports-{hashlib.sha256(tried.encode()).hexdigest()[:16]}"
    if note.exists():
        return
    crops = np.random.default_rng(0).integers(0, 256, (2, config.size, config.size, config.channels), np.uint8)
    try:
        with tempfile.TemporaryDirectory() as folder:
            export_bundle(network, [f"class {number}" for number in range(classes)], crops, Path(folder) / BUNDLE)
    except ExportError as error:
        raise ExportError(f"backbone {config.backbone}: {error}; nothing was trained") from None
    cache.mkdir(parents=True, exist_ok=True)
    with suppress(OutputError):  # another process notes the same
        write_text(note, f"{tried}\n")


def save_bundle(
    folder: Path,
    network: Any,
    config: TrainConfig,
    classes: Sequence[str],
    validation: TrainingArrays,
    about: Mapping[str, Any],
    content: Content | None = None,
    groups: npt.ArrayLike | None = None,
) -> tuple[Agreement, MirrorChoice]:
    """Export a network as the bundle of a run; the validation split decides on mirror images and fits the temperature.

    Args:
        folder: the run folder.
        network: the trained network.
        config: its settings.
        classes: class names, in the order of the targets.
        validation: split to fit the temperature and compare Keras and ONNX on.
        about: entries to add to the bundle's `about`.
        content: what the images show, by a sample of them.
        groups: (N,) numbers of the groups of the validation samples, such as near-duplicates.

    Returns:
        The agreement of Keras and ONNX, and whether mirror images are averaged.
    """
    choice = choose_mirror(config, lambda mirrored: _logits(network, validation, mirrored), validation.targets, groups)
    gain = {} if choice.gain is None else {"mirror_gain": choice.gain.to_dict()}
    started = {} if config.start_from is None else {"started_from": Path(config.start_from).name}
    agreement = export_bundle(
        network, classes, validation.images(_COMPARED_CROPS), folder / BUNDLE,
        temperature=fit_temperature(choice.logits, validation.targets), name=folder.name,
        framing="face" if config.detect else "whole",
        content=content,
        mirror=choice.mirror,
        about={"network": config.network, "run": folder.name, **started, **gain, **about},
    )  # fmt: skip
    return agreement, choice


def _logits(network: Any, split: TrainingArrays, mirrored: bool) -> Float64:
    model, blocks = logits_of(network), []
    for start in range(0, len(split.rows), 8):
        crops = np.asarray(split.crops[split.rows[start : start + 8]], np.float32)
        blocks.append(np.asarray(model(crops[:, :, ::-1] if mirrored else crops, training=False)))
    z = np.concatenate(blocks).astype(np.float64)
    return np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] == 1 else z
