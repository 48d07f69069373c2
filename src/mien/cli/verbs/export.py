"""`mien export`: turn a Keras model into a bundle, quantise a bundle to int8, or write a web page with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import click
from click.core import ParameterSource

from mien.cli.help import verb
from mien.cli.options import mirror_option, notice_option
from mien.cli.output.terminal import console, say_to_stderr
from mien.errors import ConfigError
from mien.faces.resize import Fit, ResizeMethod
from mien.inference.bundle import find_model
from mien.io.targets import require_new_folder
from mien.labels import parse_classes
from mien.training.backend import require_keras
from mien.training.model_file import require_keras_file

#: Ranges and modes of `mien.training.export.scaling`, which needs Keras.
_INPUTS = ("0-255", "0-1", "-1-1", "caffe", "torch")


#: Options by what is written.
HEADINGS = {
    "A bundle": ("out", "data", "mirror"),
    "From a Keras model": (
        "labels", "input_range", "input_means", "input_deviations", "input_order", "resize", "fit",
    ),
    "In 8 bits": ("int8",),
    "A web page": ("page", "models", "notice", "no_notice"),
}  # fmt: skip


@verb("export", headings=HEADINGS)
@click.argument("model", type=click.Path(), required=False)
@click.option("--labels", metavar="A,B", help="the class names, in the order of the model's outputs")
@click.option("--out", type=click.Path(path_type=Path), metavar="BUNDLE", help="folder to write")
@click.option("--data", type=click.Path(path_type=Path), metavar="DATA", show_default="images at hand",
              help="images to compare Keras and the bundle on, from files too")  # fmt: skip
@click.option(
    "--input-range",
    type=click.Choice(["auto", *_INPUTS]),
    show_default="auto",
    help="pixels as the model takes them; caffe and torch as preprocess_input does; auto: found out, or asked for",
)
@click.option(
    "--input-means", metavar="M,M,M", show_default="none", help="subtracted per channel, in the model's order"
)
@click.option("--input-deviations", metavar="D,D,D", show_default="none", help="divide each channel after that")
@click.option("--input-order", type=click.Choice(["rgb", "bgr"]), show_default="rgb", help="order of the channels")
@click.option(
    "--resize", type=click.Choice(get_args(ResizeMethod)), metavar="METHOD", show_default="bilinear",
    help="how training resized images: a name of Keras, or pil-… or cv2-…",
)  # fmt: skip
@click.option(
    "--fit", type=click.Choice(get_args(Fit)), show_default="squash",
    help="images that are not square: squashed, cropped (crop_to_aspect_ratio) or padded",
)  # fmt: skip
@mirror_option
@click.option("--int8", is_flag=True, help="quantise MODEL, a bundle or a run, with the labelled images of --data")
@click.option("--page", type=click.Path(path_type=Path), metavar="DIR", help="folder of the web page to write")
@click.option(
    "--model", "models", multiple=True, metavar="NAME|FOLDER", show_default="mien-int8, the shipped one in 8 bits",
    help="with --page: a shipped model, a bundle or a run folder; repeat for several, the first is the default",
)  # fmt: skip
@notice_option
@click.pass_context
def command(
    ctx: click.Context, page: Path | None, models: tuple[str, ...], notice: str | None,
    model: str | None, labels: str | None, out: Path | None, data: Path | None, input_range: str | None,
    input_means: str | None, input_deviations: str | None, input_order: str | None, resize: ResizeMethod | None,
    fit: Fit | None, mirror: bool | None, int8: bool,
) -> None:  # fmt: skip
    """Turn MODEL (.keras or .h5) into a bundle, or a bundle into a web page.

    Nothing is written unless the bundle answers as the Keras model does.

    A sigmoid unit is the probability of the second label. Models with unsafe layers are refused.

    The bundle reads images as Keras does. With --data, files are read by Keras' own loader and by mien, and the
    answers compared. keras.utils.load_img and ImageDataGenerator resize as --resize pil-nearest.

    A Keras model says nothing of mirror images: its bundle averages them only with --mirror yes.

    With --int8, MODEL is a bundle or a run folder, and an 8-bit copy is written: smaller and faster. Nothing is
    written unless it agrees with the original on images of DATA. --mirror no makes a copy that reads in half the time.

    With --page, there is no MODEL: a static site is written that reads images with --model in the browser. It needs
    pip install 'mien[page]' and any host of files, such as python -m http.server.
    """
    _refuse_others(ctx, page is not None)
    if page is not None:
        _print(_export_page(page, models, notice))
        return
    if model is None or out is None:
        missing = "model" if model is None else "out"
        raise click.MissingParameter(ctx=ctx, param=next(one for one in ctx.command.params if one.name == missing))
    require_new_folder(out)
    if int8:
        if labels or any((input_range, input_means, input_deviations, input_order, resize, fit)):
            raise ConfigError(
                "--int8: takes the labels and input of the bundle; leave out --labels, --input-… and --fit"
            )
        lines = _quantise(find_model(model), data, out, mirror)
    else:
        options: dict[str, Any] = {
            "input_range": input_range or "auto", "order": input_order, "resize": resize or "bilinear",
            "fit": fit or "squash", "mirror": bool(mirror), "means": _numbers("--input-means", input_means),
            "deviations": _numbers("--input-deviations", input_deviations),
        }  # fmt: skip
        lines = _from_keras(Path(model), labels, out, data, options)
    _print([*lines, f"use it   mien predict photo.jpg --model {out}"])


def _print(lines: list[str]) -> None:
    screen = console()
    for line in lines:
        screen.print(line, soft_wrap=True)


def _refuse_others(ctx: click.Context, page: bool) -> None:
    """Raise ConfigError if --page is given with what it has no use for, or is not given for an option that needs it."""
    for parameter in ctx.command.params:
        name = str(parameter.name)
        fits = (name in HEADINGS["A web page"]) == page
        if fits or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        if not page:
            raise ConfigError(f"{parameter.opts[0]}: is for --page DIR; see mien export --help")
        if isinstance(parameter, click.Argument):
            raise ConfigError(f"--page: takes no MODEL; give --model {ctx.params[name]}")
        raise ConfigError(f"{parameter.opts[0]}: is not for --page; leave it out")


def _export_page(page: Path, models: tuple[str, ...], notice: str | None) -> list[str]:
    from mien.training.export.page import export_page

    require_new_folder(page)
    found = export_page(page, models or None, notice)
    return [
        f"models   {', '.join(found.models)}",
        f"page     copied from {found.source}",
        f"size     {found.size / 1e6:.1f} MB, {found.compressed / 1e6:.1f} MB if the host compresses files",
        f"try it   python -m http.server --directory {page}",
    ]


def _quantise(model: Path, data: Path | None, out: Path, mirror: bool | None) -> list[str]:
    if model.is_file():
        raise ConfigError(f"{model}: --int8 takes a bundle or a run folder; export it first")
    if data is None:
        raise ConfigError("--int8: needs --data DATA, labelled images like those that the model will read")
    from mien.training.export.quantize import quantize_bundle, sample_crops

    return [str(quantize_bundle(model, sample_crops(data, model, say=say_to_stderr), out, mirror=mirror))]


def _numbers(option: str, text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise ConfigError(f"{option} {text}: give numbers, like 103.939,116.779,123.68") from None


def _from_keras(
    model: Path, labels: str | None, out: Path, data: Path | None, options: Mapping[str, Any]
) -> list[str]:  # fmt: skip
    if labels is None:
        raise ConfigError("--labels: name the classes in the order of the model's outputs, like happy,sad")
    names = parse_classes(labels)
    require_keras_file(model)
    if data is not None and not data.exists():
        raise ConfigError(f"--data {data}: no such file or folder")
    require_keras("exporting a model")
    from mien.training.export.keras_file import export_keras_file

    found = export_keras_file(model, names, out, data, **options)
    wrong = "; if that is wrong, give --input-range" if options["input_range"] == "auto" else ""
    lines = [
        f"input    {found.scaling}, {found.reason}{wrong}",
        f"resize   {options['resize']}, {options['fit']}; if training resized another way, give --resize or --fit",
        str(found.agreement),
    ]
    if found.files is not None:
        lines.append(str(found.files))
    if found.dull:
        lines.append("note     the model answers nearly the same for all of these images; is --input-range right?")
    return lines
