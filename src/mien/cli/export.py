"""`mien export`: turn a Keras model into a bundle, or quantise a bundle to int8."""

from pathlib import Path

import click

from mien.cli.help import verb
from mien.cli.terminal import console
from mien.errors import ConfigError
from mien.io.targets import require_new_folder
from mien.labels import parse_classes
from mien.training.backend import require_keras, require_keras_file


@verb("export")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--labels", metavar="A,B", help="the class names, in the order of the model's outputs")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="BUNDLE", help="folder to write")
@click.option("--data", type=click.Path(path_type=Path), metavar="DATA", show_default="drawn faces",
              help="images to compare Keras and ONNX on")  # fmt: skip
@click.option(
    "--input-range",
    type=click.Choice(["auto", "0-255", "0-1", "-1-1"]),
    show_default="auto",
    help="input range of the model; auto: 0-255 if it rescales its input, else 0-1",
)
@click.option("--int8", is_flag=True, help="quantise MODEL, a bundle or a run, with the labelled images of --data")
def command(
    model: Path, labels: str | None, out: Path, data: Path | None, input_range: str | None, int8: bool
) -> None:  # fmt: skip
    """Turn MODEL (.keras or .h5) into a bundle. Nothing is written unless ONNX agrees with Keras.

    A sigmoid unit is the probability of the second label. Models with unsafe layers are refused.

    With --int8, MODEL is a bundle or a run folder, and an 8-bit copy is written: smaller and faster. Nothing is
    written unless it agrees with the original on images of DATA.
    """
    require_new_folder(out)
    if int8:
        if labels or input_range:
            raise ConfigError("--int8: takes the labels and input of the bundle; leave out --labels and --input-range")
        lines = _quantise(model, data, out)
    else:
        lines = _from_keras(model, labels, out, data, input_range or "auto")
    screen = console()
    for line in (*lines, f"use it   mien predict photo.jpg --model {out}"):
        screen.print(line, soft_wrap=True, markup=False)


def _quantise(model: Path, data: Path | None, out: Path) -> list[str]:
    if model.is_file():
        raise ConfigError(f"{model}: --int8 takes a bundle or a run folder; export it first")
    if data is None:
        raise ConfigError("--int8: needs --data DATA, labelled images like those that the model will read")
    from mien.training.export.quantize import quantize_bundle, sample_crops

    return [str(quantize_bundle(model, sample_crops(data, model), out))]


def _from_keras(model: Path, labels: str | None, out: Path, data: Path | None, input_range: str) -> list[str]:
    if labels is None:
        raise ConfigError("--labels: name the classes in the order of the model's outputs, like happy,sad")
    names = parse_classes(labels)
    require_keras_file(model)
    if data is not None and not data.exists():
        raise ConfigError(f"--data {data}: no such file or folder")
    require_keras("exporting a model")
    from mien.training.export.keras_file import export_keras_file

    agreement, used_range = export_keras_file(model, names, out, data, input_range)
    return [f"the model takes images in {used_range}", str(agreement)]
