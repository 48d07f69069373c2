"""`mien explain`: what in a picture speaks for a label or, of labelled data, where a model looks."""

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.explain_model import Opened, open_model
from mien.cli.options import data_options, model_option, parse_data_options
from mien.errors import ConfigError, ImageError, OutputError
from mien.explanation.explainer import Method, explain_labels
from mien.inference.reader import Faces
from mien.io.atomic import new_file
from mien.io.inputs import InputItem, Inputs
from mien.io.targets import UniqueStems, refuse_file_name, same_file

if TYPE_CHECKING:
    from mien.explanation.explainer import Explanation

ALL = "all"
_METHODS = ("cam", "occlusion", "grad-cam", "grad-cam++", "layer-cam")


@click.command("explain")
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE|DIR", help="the PNG to write; a folder for several"
)
@click.option("--label", metavar="LABEL|all", help="what is to be explained  [each face's answer]")
@click.option("--method", type=click.Choice(_METHODS), help="how  [cam where the model has maps, else occlusion]")
@model_option
@click.option("--labels", metavar="A,B", help="of a .keras file: the class names, in the order of its outputs")
@click.option("--faces", type=click.Choice(["all", "largest"]), default="all", show_default=True, help="faces to show")
@click.option(
    "--detect/--no-detect", default=None, help="find faces, or read whole pictures  [as the model was trained]"
)
@click.option(
    "--array", type=click.Path(path_type=Path), metavar="FILE", help="write the heatmaps themselves, .npy or .npz"
)
@click.option("--summary", is_flag=True, help="INPUTS is labelled data: where the model looks, class by class")
@click.option("--faithfulness", is_flag=True, help="INPUTS is labelled data: whether heatmaps point at what counts")
@click.option(
    "--limit", type=click.IntRange(2), metavar="N", help="with these: pictures to draw, as many of each class  [200]"
)
@data_options
def command(
    inputs: tuple[str, ...], out: Path | None, label: str | None, method: Method | None, model: str | None,
    labels: str | None, faces: Faces, detect: bool | None, array: Path | None, summary: bool, faithfulness: bool,
    limit: int | None, classes: str | None, rename: tuple[str, ...],
) -> int:  # fmt: skip
    """Show what in each face of the pictures INPUTS speaks for what it is answered by, or for --label.

    cam is exact and fast, for models whose head allows it; occlusion covers the face piece by piece and sees what
    changes, for any model; grad-cam, grad-cam++ and layer-cam need the Keras model (--model RUN, or a .keras file with
    --labels).

    With --summary or --faithfulness, INPUTS is one labelled source as for mien evaluate, and --out a folder: the
    mean heatmap of each class and how much of it lies on the mouth, eyes, brows and beside the face; or how fast the
    answer falls when the pixels that a heatmap points at are taken away, against chance.
    """
    opened = open_model(model, labels, method, "largest" if summary or faithfulness else faces, detect)
    if summary or faithfulness:
        from mien.cli.explain_data import explain_data

        _refuse({"label": label, "array": array})
        if len(inputs) > 1:
            raise ConfigError(f"{inputs[1]}: --summary and --faithfulness take one labelled source")
        wanted = parse_data_options(classes, rename)
        return explain_data(opened, Path(inputs[0]), wanted, summary, faithfulness, limit or 200, out)
    given = {"limit": limit, "classes": classes, "map": rename or None}
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"--{name}: is for labelled data, with --summary or --faithfulness")
    return _explain_pictures(opened, inputs, out, label, array)


def _refuse(given: dict[str, object]) -> None:
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"--{name}: is for pictures, not with --summary or --faithfulness")


def _explain_pictures(
    opened: Opened, inputs: tuple[str, ...], out: Path | None, label: str | None, array: Path | None
) -> int:
    entries = list(Inputs(inputs, without=out))
    several = len(entries) > 1 or (out is not None and out.suffix.lower() != ".png")
    _check_names(out, array, len(entries))
    names: tuple[str | None, ...] = opened.reader.config.labels if label == ALL else (label,)
    targets = _targets(entries, out, several)
    for entry, target in product(entries, {*targets, array} - {None}):
        if target is not None and entry.archive is None and same_file(entry.name, target):
            raise OutputError(f"{target}: is one of the pictures to explain; write somewhere else")
    failed = 0
    for entry, target in zip(entries, targets, strict=True):
        try:
            found = _explained(opened, entry, names)
        except ImageError as error:
            if not several:
                raise
            failed += 1
            click.echo(f"mien: {error}", err=True)
            continue
        if target is not None:
            _draw(found, target)
        if array is not None:
            _write_array(found, array)
        _say(found, entry, target or array)
    return int(failed > 0)


def _check_names(out: Path | None, array: Path | None, pictures: int) -> None:
    """Refuse names that do not say what would be written."""
    if out is None and array is None:
        raise ConfigError("--out: say where to write; a .png file for one picture, a folder for several")
    if array is not None and array.suffix not in (".npy", ".npz"):
        raise ConfigError(f"--array {array}: give a name that ends in .npy or .npz")
    if array is not None and pictures > 1:
        raise ConfigError(f"--array {array}: is for one picture, there are {pictures}")
    if out is None:
        return
    if out.suffix.lower() != ".png":
        if out.is_file():
            raise OutputError(f"{out}: is a file; give a folder, or a name that ends in .png")
        refuse_file_name(out, "pictures are written as PNG; give a name that ends in .png, or a folder")
    elif pictures > 1:
        raise ConfigError(f"--out {out}: is one file for {pictures} pictures; give a folder")


def _explained(opened: Opened, entry: InputItem, names: tuple[str | None, ...]) -> list["Explanation"]:
    picture = entry.picture()
    if isinstance(picture, ImageError):
        raise picture
    try:
        return explain_labels(opened.reader, picture, names, opened.method, opened.explainer)
    except ImageError as error:
        raise error.renamed(entry.name) from None


def _targets(entries: list[InputItem], out: Path | None, several: bool) -> list[Path | None]:
    if out is None or not several:
        return [out] * len(entries)
    stems = UniqueStems()
    return [out / f"{stems(entry.name)}.png" for entry in entries]


def _draw(found: list["Explanation"], target: Path) -> None:
    from mien.explanation.figures import class_sheet, heat_picture
    from mien.viz.mosaic import save_png

    save_png(heat_picture(found[0]) if len(found) == 1 else class_sheet(found), target)


def _write_array(found: list["Explanation"], path: Path) -> None:
    """Write heatmaps float32 (labels, faces, S, S); as .npz with the crops, their corners and the labels."""
    import numpy as np

    size = found[0].faces[0].heat.shape[0] if found[0].faces else 0
    heats = np.zeros((len(found), len(found[0].faces), size, size), np.float32)
    for number, one in enumerate(found):
        for place, face in enumerate(one.faces):
            heats[number, place] = face.heat
    with new_file(path) as part, part.open("wb") as stream:
        if path.suffix == ".npy":
            np.save(stream, heats, allow_pickle=False)
        else:
            faces = found[0].faces
            labels = np.array([[face.label for face in one.faces] for one in found], np.str_)
            np.savez_compressed(
                stream, heats=heats, labels=labels, allow_pickle=False,
                crops=np.stack([face.crop for face in faces]) if faces else np.zeros((0, 0, 0, 1), np.uint8),
                corners=np.stack([face.corners for face in faces]) if faces else np.zeros((0, 4, 2)),
            )  # fmt: skip


def _say(found: list["Explanation"], entry: InputItem, target: Path | None) -> None:
    from mien.cli.terminal import one_line

    result = found[0].result
    if not result.faces:
        said = "no face was found; a cropped face can be read whole (--no-detect)"
    elif len(found) > 1:
        said = f"{len(found)} labels, {len(result.faces)} face{'s' * (len(result.faces) > 1)}"
    else:
        said = ", ".join(f"{face.label} in a face answered {read.answer} {read.probability:.0%}" + (
            "" if face.heat.any() else " (nothing speaks for it)"
        ) for face, read in zip(found[0].faces, result.faces, strict=True))  # fmt: skip
    click.echo(f"{one_line(entry.name)}: {one_line(said)}  → {target}")
