"""`mien show`: a mosaic of labelled samples of a dataset."""

from pathlib import Path
from typing import Any

import click
from rich.text import Text

from mien.cli.help import verb
from mien.cli.options import data_options, parse_data_options
from mien.cli.output.terminal import console, say_to_stderr
from mien.cli.settings import setting_options
from mien.errors import ConfigError
from mien.io.targets import PNG, require_output
from mien.text import one_line
from mien.training.defaults import GROUPS
from mien.training.show import show
from mien.viz.mosaic import save_png

#: The settings that change how samples are drawn.
_SETTINGS = ("detect", "augment", *GROUPS["Augmentation"], "size", "colour", "seed")
_HEADINGS = {
    "Start here": ("out", "per_class", "classes", "rename", "fixes", "no_fixes"),
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
    fixes: bool | Path, config_file: Path | None, **flags: Any,
) -> None:  # fmt: skip
    """Draw samples of DATA per class, with counts.

    With --augment LEVEL, another setting of augmentation or --config, samples are drawn as a network sees them in
    training: of photographs, the largest face of each.
    """
    require_output(out, PNG, data)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: must end in .png")
    names, renamed = parse_data_options(classes, rename)
    image = show(
        data, per_class=per_class, classes=names, rename=renamed, fixes=fixes, config=config_file,
        say=say_to_stderr, **flags,
    )  # fmt: skip
    save_png(image, out)
    console().print(Text(one_line(f"wrote {out}")), soft_wrap=True)
