"""Export models made elsewhere as bundles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.arrays import UInt8
from mien.errors import ConfigError, ExportError, ImageError
from mien.faces.crop import crop
from mien.faces.resize import Fit, ResizeMethod
from mien.inference.reader import load
from mien.io.images.decoding import load_image
from mien.io.images.pixels import MAX_READ_PIXELS
from mien.training.export.agreement import Agreement
from mien.training.export.files import FileAgreement, compare_files, image_files
from mien.training.export.input_range import Found, find_scaling
from mien.training.export.onnx import export_bundle, image_shape
from mien.training.export.probes import probe_crops
from mien.training.export.scaling import Scaling
from mien.training.networks.keras_file import load_keras_file

_COMPARED_CROPS = 32
_NOISE = 8
#: A model whose probabilities differ by less between images answers all alike.
_DULL = 0.01


@dataclass(frozen=True)
class Export:
    """An exported bundle.

    Attributes:
        agreement: of Keras and ONNX on raw pixels.
        scaling: how the model is fed.
        reason: how that is known.
        files: the agreement on files, if there were any that Keras reads.
        dull: whether the model gives all images that it was tried on nearly the same answer.
    """

    agreement: Agreement
    scaling: Scaling
    reason: str
    files: FileAgreement | None = None
    dull: bool = False


def export_keras_file(
    path: Path,
    labels: Sequence[str],
    out: Path,
    data: Path | None = None,
    input_range: str = "auto",
    means: Sequence[float] = (),
    deviations: Sequence[float] = (),
    order: str | None = None,
    resize: ResizeMethod = "bilinear",
    fit: Fit = "squash",
    mirror: bool = False,
) -> Export:
    """Export a `.keras` or `.h5` file as a bundle, if it answers as the Keras model does.

    Args:
        path: the Keras file.
        labels: class names, in the order of the model's outputs.
        out: the bundle to write, a new folder.
        data: a folder (or file) of images to compare on, also from files; None: photographs and drawings at hand.
        input_range: a range or mode of `Scaling.make`; `auto`: it is found out, see `find_scaling`.
        means: of the input, as in `Scaling.make`, like `deviations` and `order`.
        deviations: of the input.
        order: of the input's channels.
        resize: how images were resized in training (`mien.faces.resize`). The default is that of Keras.
        fit: what becomes of images that are not square.
        mirror: whether the bundle averages with mirror images; the comparisons are of single images in any case.

    Returns:
        What was exported.

    Raises:
        ExportError: the file is not a safe Keras model, its input does not fit, nothing tells its input range, or
            Keras and ONNX disagree.
        ConfigError: an option does not fit.
        OutputError: `out` exists.
    """
    network = load_keras_file(path)
    try:
        size, _, channels = image_shape(network)
        files = [] if data is None else image_files(data)
        images = _images(files, data, size, channels, resize, fit)
        found = _scaling(network, images, input_range, means, deviations, order)
        noise = np.random.default_rng(0).integers(0, 256, (_NOISE, *images.shape[1:]), dtype=np.uint8)
        about = {"source": path.name, "input": {**found.scaling.to_dict(), "found": found.reason}}
        agreement = export_bundle(
            network, labels, np.concatenate([images, noise]), out, scaling=found.scaling, resize=resize, fit=fit,
            mirror=mirror, about=about,
        )  # fmt: skip
    except ExportError as error:
        raise ExportError(
            str(error) if str(error).startswith((str(path), str(data))) else f"{path}: {error}"
        ) from error
    reader = load(out, detect=False, device="cpu", mirror=False)
    on_files = compare_files(network, found.scaling, reader, files) if files else None
    dull = float(np.ptp(reader.probabilities(images), axis=0).max()) < _DULL
    return Export(agreement, found.scaling, found.reason, on_files, dull)


def _scaling(
    network: Any, images: UInt8, name: str, means: Sequence[float], deviations: Sequence[float], order: str | None
) -> Found:
    """Return the scaling that the user gave, or the one that is found out."""
    channels = images.shape[-1]
    if name != "auto":
        return Found(Scaling.make(name, means, deviations, order, channels), "as given")
    if means or deviations or order:
        raise ConfigError("`means=`, `deviations=` and `order=` need `input_range=`, such as 0-255")
    return find_scaling(network, images)


def _images(
    files: Sequence[Path], data: Path | None, size: int, channels: int, resize: ResizeMethod, fit: Fit
) -> UInt8:
    """Return the images to compare on: those of the user's data, and some that are at hand."""
    found = []
    for path in files:
        try:
            found.append(crop(load_image(path, max_pixels=MAX_READ_PIXELS), size, channels, None, resize, fit))
        except ImageError:
            continue
        if len(found) == _COMPARED_CROPS:
            break
    if data is not None and not found:
        raise ExportError(f"{data}: has no readable image to compare on")
    probes = probe_crops(size, channels)
    return np.concatenate([np.stack(found), probes]) if found else probes
