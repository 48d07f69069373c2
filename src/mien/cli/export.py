"""`mien export`: a Keras model, from a run or made elsewhere, becomes a bundle."""

from pathlib import Path

import click

from mien.cli.common import console
from mien.labels import parse_classes
from mien.output import refuse_existing
from mien.train.backend import require_keras


@click.command("export")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--labels", required=True, metavar="A,B", help="the class names, in the order of the model's outputs")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="BUNDLE", help="folder to write")
@click.option("--data", type=click.Path(path_type=Path), help="pictures to compare on  [drawn faces]")
@click.option(
    "--input-range",
    type=click.Choice(["auto", "0-255", "0-1", "-1-1"]),
    default="auto",
    show_default=True,
    help="what the model was trained on; auto: 0-255 if it scales by itself, else 0-1",
)
def command(model: Path, labels: str, out: Path, data: Path | None, input_range: str) -> None:
    """Turn MODEL (.keras or .h5) into a bundle, compared with Keras before it is kept.

    A sigmoid unit means the probability of the second label. Models with unsafe layers are refused.
    """
    names = parse_classes(labels)
    refuse_existing(out)
    require_keras("exporting a model")
    from mien.train.foreign import export_foreign

    agreement, scale = export_foreign(model, names, out, data, input_range)
    screen = console()
    screen.print(f"the model takes pictures in {scale}")
    screen.print(str(agreement), soft_wrap=True)
    screen.print(f"use it   mien predict photo.jpg --model {out}", soft_wrap=True)
