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
from mien.errors import ConfigError, DataError
from mien.faces.crop import crop
from mien.io.targets import PNG, require_output
from mien.training.config import merge_settings
from mien.training.defaults import GROUPS
from mien.training.networks.pretrained import build_config
from mien.viz.mosaic import mosaic, save_png

#: The settings that change how samples are drawn.
_SETTINGS = ("augment", *GROUPS["Augmentation"], "size", "colour", "seed")
_HEADINGS = {
    "Start here": ("out", "per_class", "classes", "rename"),
    "Augmentation": ("augment", *GROUPS["Augmentation"], "size", "colour", "config_file", "seed"),
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
    training.
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

    crops = {
        name: np.stack(
            [crop(rgb, config.size, config.channels) for rgb in _images(manifest, name, per_class, config.seed)]
        )
        for name in manifest.classes
    }
    return augmented_mosaic(crops, config)


def _images(manifest: Manifest, label: str, wanted: int, seed: int) -> list[UInt8]:
    """Decode up to `wanted` random samples of a class."""
    names = sorted({sample.name for sample in manifest.samples if sample.label == label})
    found = list(sample_images(manifest, names, wanted, seed))
    if not found:
        raise DataError(f"{manifest.path}: class '{label}' has no readable image; see mien check")
    return found
