"""`mien show`: labelled samples of a dataset as one picture."""

from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.text import Text

from mien.arrays import UInt8
from mien.cli.options import data_options, parse_data_options
from mien.cli.settings import make_config, training_options
from mien.cli.terminal import console, one_line
from mien.data.dataset import Manifest, read_manifest, sample_images
from mien.errors import ConfigError, DataError
from mien.faces.crop import crop
from mien.io.targets import require_writable
from mien.viz.mosaic import mosaic, save_png


@click.command("show")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("grid.png"), show_default=True, metavar="FILE.png")
@click.option("--per-class", type=click.IntRange(1, 200), default=20, show_default=True, help="samples per class")
@data_options
@training_options
def command(
    data: Path, out: Path, per_class: int, classes: str | None, rename: tuple[str, ...],
    config_file: Path | None, **flags: Any,
) -> None:  # fmt: skip
    """Draw samples of DATA per class, with counts.

    With --augment LEVEL (none, light, strong) or any other setting of mien train, the samples are
    drawn as the network will see them.
    """
    require_writable(out)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: must end in .png")
    config = make_config(config_file, flags)
    manifest = read_manifest(data, *parse_data_options(classes, rename))
    if config_file or any(value is not None for name, value in flags.items() if name != "seed"):
        picture = _augmented(manifest, min(per_class, 10), config)
    else:
        picture = _labelled(manifest, per_class, config.seed)
    save_png(picture, out)
    console().print(Text(one_line(f"wrote {out}")), soft_wrap=True)


def _labelled(manifest: Manifest, per_class: int, seed: int) -> Any:
    rows = {}
    for name, count in manifest.counts().items():
        rows[f"{name}: {count}"] = list(_pictures(manifest, name, per_class, seed))
    return mosaic(rows, f"{manifest.path.name}: {len(manifest.samples)} files in {len(rows)} classes")


def _augmented(manifest: Manifest, per_class: int, config: Any) -> Any:
    from mien.training.backend import require_keras

    require_keras("drawing augmented pictures")
    from mien.training.augmentation.preview import augmented_mosaic

    pictures = {
        name: np.stack(
            [crop(rgb, config.size, config.channels) for rgb in _pictures(manifest, name, per_class, config.seed)]
        )
        for name in manifest.classes
    }
    return augmented_mosaic(pictures, config)


def _pictures(manifest: Manifest, label: str, wanted: int, seed: int) -> list[UInt8]:
    """Decode up to `wanted` random readable samples of a class."""
    names = sorted({sample.name for sample in manifest.samples if sample.label == label})
    found = list(sample_images(manifest, names, wanted, seed))
    if not found:
        raise DataError(f"{manifest.path}: class '{label}' has no readable picture; see mien check")
    return found
