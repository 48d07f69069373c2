"""Draw samples of a dataset: `mien.show`. Imports Keras only to augment them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.arrays import UInt8
from mien.data.dataset import Manifest, read_manifest, sample_images
from mien.data.detection import choose_detection
from mien.errors import DataError
from mien.faces.choice import chosen_first
from mien.faces.crop import crop, face_region
from mien.faces.detector import Detector
from mien.inference.detection import detect_faces
from mien.results import Detection
from mien.training.config import TrainConfig, merge_settings
from mien.training.networks.pretrained import build_config
from mien.viz.mosaic import mosaic


def show(
    data: str | Path,
    *,
    per_class: int = 20,
    classes: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    fixes: bool | str | Path = True,
    config: str | Path | None = None,
    say: Callable[[str], None] = lambda text: None,
    **settings: Any,
) -> Image.Image:
    """Draw a mosaic of random samples per class, with counts.

    With a setting of training or a config, samples are drawn as a network sees them in training, at most 10 per class.

    Args:
        data: a folder of class folders, a CSV or a zip.
        per_class: samples of each class.
        classes: use only these classes, in this order.
        rename: classes to rename, as {old: new}.
        fixes: use the decisions that people made with `mien fix`: those in the data's own `mien-fixes.csv` (True), none
            (False), or those in this file.
        config: a TOML file of settings, which `settings` override.
        say: receives what was guessed about the layout, and whether faces were looked for.
        settings: fields of `mien.training.config.TrainConfig`, like `augment="strong"`.

    Returns:
        A Pillow image, RGB.

    Raises:
        ConfigError: a setting is unknown or wrong.
        DataError: the data cannot be used, or a class has no readable image.

    Examples:
        >>> import mien
        >>> mien.show("data", augment="strong").save("grid.png")  # doctest: +SKIP
    """
    chosen = build_config(merge_settings(Path(config) if config else None, settings, say))
    manifest = read_manifest(Path(data), tuple(classes) if classes else None, rename, fixes).say_notes(say)
    if config or any(value is not None for name, value in settings.items() if name != "seed"):
        return _augmented(manifest, min(per_class, 10), chosen, say)
    return _labelled(manifest, per_class, chosen.seed)


def _labelled(manifest: Manifest, per_class: int, seed: int) -> Image.Image:
    rows = {}
    for name, count in manifest.counts().items():
        rows[f"{name}: {count}"] = list(_images(manifest, name, per_class, seed))
    return mosaic(rows, f"{manifest.path.name}: {len(manifest.samples)} files in {len(rows)} classes")


def _augmented(manifest: Manifest, per_class: int, config: TrainConfig, say: Callable[[str], None]) -> Image.Image:
    from mien.training.backend import require_keras

    require_keras("drawing augmented images")
    from mien.training.augmentation.preview import augmented_mosaic

    choice = choose_detection(manifest, config.detect)
    if config.detect is None:
        say(choice.sentence)
    detector = Detector(threads=1) if choice.detect else None
    crops = {name: np.stack(_crops(manifest, name, per_class, config, detector)) for name in manifest.classes}
    return augmented_mosaic(crops, config)


def _images(manifest: Manifest, label: str, wanted: int, seed: int) -> list[UInt8]:
    """Decode up to `wanted` random samples of a class."""
    found = [rgb for _, rgb in sample_images(manifest, _names(manifest, label), wanted, seed)]
    if not found:
        raise DataError(f"{manifest.path}: class '{label}' has no readable image; see `mien.check`")
    return found


def _crops(manifest: Manifest, label: str, wanted: int, config: TrainConfig, detector: Detector | None) -> list[UInt8]:
    """Crop up to `wanted` random samples of a class as training does: whole, or to the largest face."""
    if detector is None:
        whole = _images(manifest, label, wanted, config.seed)
        return [crop(rgb, config.size, config.channels) for rgb in whole]
    found: list[UInt8] = []
    names = _names(manifest, label)
    chosen = manifest.fixes.faces if manifest.fixes else {}
    for name, rgb in sample_images(manifest, names, len(names), config.seed):
        if name in chosen:
            faces: Sequence[Detection] = chosen_first(detector(rgb), chosen[name])
        else:
            faces, _ = detect_faces(detector, rgb, 1)
        if faces:
            found.append(crop(rgb, config.size, config.channels, face_region(faces[0])))
        if len(found) == wanted:
            break
    if not found:
        raise DataError(f"{manifest.path}: class '{label}' has no image with a face; `detect=False` draws images whole")
    return found


def _names(manifest: Manifest, label: str) -> list[str]:
    return sorted({sample.name for sample in manifest.samples if sample.label == label})
