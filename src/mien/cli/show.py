"""`mien show`: a mosaic of labelled samples of a dataset."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.text import Text

from mien.arrays import UInt8
from mien.cli.help import verb
from mien.cli.options import data_options, parse_data_options
from mien.cli.settings import setting_options
from mien.cli.terminal import console, one_line
from mien.data.dataset import Manifest, read_manifest, sample_images
from mien.data.detection import choose_detection
from mien.errors import ConfigError, DataError
from mien.faces.crop import crop, face_region
from mien.faces.detector import Detector
from mien.idioms import to_flags
from mien.io.targets import PNG, require_output
from mien.training.config import merge_settings
from mien.training.defaults import GROUPS
from mien.training.networks.pretrained import build_config
from mien.viz.mosaic import mosaic, save_png

#: The settings that change how samples are drawn.
_SETTINGS = ("detect", "augment", *GROUPS["Augmentation"], "size", "colour", "seed")
_HEADINGS = {
    "Start here": ("out", "per_class", "classes", "rename"),
    "Augmentation": ("augment", *GROUPS["Augmentation"], "detect", "size", "colour", "config_file", "seed"),
}


@verb("show", _HEADINGS)
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("grid.png"), show_default=True, metavar="FILE.png",
              help="the mosaic to write")  # fmt: skip
@click.option("--per-class", type=click.IntRange(1, 200), default=20, show_default=True, help="samples per class")
@data_options
@setting_options(_SETTINGS, {"augment": "light, if samples are augmented", "size": "48", "colour": "grey"})
def command(
    data: Path, out: Path, per_class: int, classes: str | None, rename: tuple[str, ...],
    config_file: Path | None, **flags: Any,
) -> None:  # fmt: skip
    """Draw samples of DATA per class, with counts.

    With --augment LEVEL, another setting of augmentation or --config, samples are drawn as a network sees them in
    training: of photographs, the largest face of each.
    """
    require_output(out, PNG, data)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: must end in .png")
    config = build_config(merge_settings(config_file, flags))
    manifest = read_manifest(data, *parse_data_options(classes, rename))
    if config_file or any(value is not None for name, value in flags.items() if name != "seed"):
        image = _augmented(manifest, min(per_class, 10), config)
    else:
        image = _labelled(manifest, per_class, config.seed)
    save_png(image, out)
    console().print(Text(one_line(f"wrote {out}")), soft_wrap=True)


def _labelled(manifest: Manifest, per_class: int, seed: int) -> Any:
    rows = {}
    for name, count in manifest.counts().items():
        rows[f"{name}: {count}"] = list(_images(manifest, name, per_class, seed))
    return mosaic(rows, f"{manifest.path.name}: {len(manifest.samples)} files in {len(rows)} classes")


def _augmented(manifest: Manifest, per_class: int, config: Any) -> Any:
    from mien.training.backend import require_keras

    require_keras("drawing augmented images")
    from mien.training.augmentation.preview import augmented_mosaic

    choice = choose_detection(manifest, config.detect)
    if config.detect is None:
        click.echo(one_line(to_flags(choice.sentence)), err=True)
    detector = Detector(threads=1) if choice.detect else None
    crops = {name: np.stack(_crops(manifest, name, per_class, config, detector)) for name in manifest.classes}
    return augmented_mosaic(crops, config)


def _images(manifest: Manifest, label: str, wanted: int, seed: int) -> list[UInt8]:
    """Decode up to `wanted` random samples of a class."""
    found = list(sample_images(manifest, _names(manifest, label), wanted, seed))
    if not found:
        raise DataError(f"{manifest.path}: class '{label}' has no readable image; see mien check")
    return found


def _crops(manifest: Manifest, label: str, wanted: int, config: Any, detector: Detector | None) -> list[UInt8]:
    """Crop up to `wanted` random samples of a class as training does: whole, or to the largest face."""
    if detector is None:
        whole = _images(manifest, label, wanted, config.seed)
        return [crop(rgb, config.size, config.channels) for rgb in whole]
    found: list[UInt8] = []
    names = _names(manifest, label)
    for rgb in sample_images(manifest, names, len(names), config.seed):
        if faces := detector(rgb)[:1]:
            found.append(crop(rgb, config.size, config.channels, face_region(faces[0])))
        if len(found) == wanted:
            break
    if not found:
        raise DataError(f"{manifest.path}: class '{label}' has no image with a face; `detect=False` draws images whole")
    return found


def _names(manifest: Manifest, label: str) -> list[str]:
    return sorted({sample.name for sample in manifest.samples if sample.label == label})
