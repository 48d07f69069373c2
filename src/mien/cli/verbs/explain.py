"""`mien explain`: draw the evidence for an answer or, on labelled data, measure where a model looks."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import click

from mien.cli.help import verb
from mien.cli.options import (
    AS_TRAINED,
    data_options,
    detect_option,
    device_option,
    mirror_option,
    model_option,
    parse_data_options,
)
from mien.cli.output.progress import progress_bar
from mien.cli.output.terminal import console, say, say_device, say_to_stderr
from mien.errors import ConfigError, ImageError, OutputError
from mien.explanation.explainer import Explanation, Method
from mien.inference.preprocess import NO_FACE
from mien.inference.reader_options import Faces
from mien.io.atomic import new_file
from mien.io.input_item import InputItem
from mien.io.inputs import Inputs
from mien.io.targets import PNG, UniqueStems, refuse_file_name, require_new_folder, require_output
from mien.labels import parse_classes
from mien.runtime.providers import Device
from mien.training.explain import ExplainableModel, explain, explain_dataset, open_model


@verb("explain")
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE|DIR", help="the PNG to write; a folder for several images"
)
@click.option("--label", metavar="LABEL|all", show_default="each face's answer", help="the label to explain")
@click.option(
    "--method", type=click.Choice(get_args(Method)),
    show_default="cam if the model has maps, else occlusion", help="how to compute heatmaps",
)  # fmt: skip
@model_option
@click.option("--labels", metavar="A,B", help="of a .keras file: the class names, in the order of its outputs")
@click.option(
    "--input-range", metavar="INPUT", default="auto", show_default=True,
    help="of a .keras file: the input it was trained on, as for mien export",
)  # fmt: skip
@click.option("--faces", type=click.Choice(["all", "largest"]), default="all", show_default=True, help="faces to show")
@detect_option(AS_TRAINED)
@device_option
@mirror_option
@click.option("--array", type=click.Path(path_type=Path), metavar="FILE", help="write the heatmaps as .npy or .npz")
@click.option("--summary", is_flag=True, help="labelled data: measure where the model looks, by class")
@click.option("--faithfulness", is_flag=True, help="labelled data: measure whether the heatmaps are faithful")
@click.option(
    "--limit", type=click.IntRange(2), metavar="N",
    show_default="200", help="labelled data: images to use, as many of each class",
)  # fmt: skip
@data_options
def command(
    inputs: tuple[str, ...], out: Path | None, label: str | None, method: Method | None, model: str | None,
    labels: str | None, input_range: str, faces: Faces, detect: bool | None, device: Device, mirror: bool | None,
    array: Path | None, summary: bool, faithfulness: bool, limit: int | None, classes: str | None,
    rename: tuple[str, ...], fixes: bool | Path,
) -> int:  # fmt: skip
    """Draw a heatmap of the evidence for the answer, or for --label, in each face of the images INPUTS.

    cam is exact and fast, for models whose head allows it. occlusion occludes the face patch by patch and measures
    the change, for any model. grad-cam, grad-cam++ and layer-cam need the Keras model (--model RUN, or a .keras
    file with --labels).

    With --summary or --faithfulness, INPUTS is one labelled source as for mien evaluate, and --out a folder.
    --summary draws the mean heatmap of each class and measures how much of it lies on the mouth, eyes, brows and
    beside the face. --faithfulness measures how fast the probability falls if the pixels that a heatmap shows are
    removed, compared with chance.
    """
    on_data = summary or faithfulness
    opened = open_model(
        model, parse_classes(labels) if labels is not None else None, method, "largest" if on_data else faces, detect,
        input_range, device, mirror,
    )  # fmt: skip
    if on_data:
        _refuse({"label": label, "array": array}, "is for images, not with --summary or --faithfulness")
        if len(inputs) > 1:
            raise ConfigError(f"{inputs[1]}: --summary and --faithfulness take one labelled source")
        wanted = parse_data_options(classes, rename)
        return _explain_data(opened, Path(inputs[0]), wanted, fixes, summary, faithfulness, limit or 200, out)
    given: dict[str, object] = {"limit": limit, "classes": classes, "map": rename or None}
    given |= {} if fixes is True else {"fixes" if fixes else "no-fixes": fixes}
    _refuse(given, "is for labelled data, with --summary or --faithfulness")
    say_device(opened.reader)
    return _explain_images(opened, inputs, out, label, array)


def _refuse(given: Mapping[str, object], why: str) -> None:
    for name, value in given.items():
        if value is not None:
            raise ConfigError(f"--{name}: {why}")


def _explain_images(
    opened: ExplainableModel, inputs: tuple[str, ...], out: Path | None, label: str | None, array: Path | None
) -> int:
    entries = list(Inputs(inputs, exclude=out))
    several = len(entries) > 1 or (out is not None and out.suffix.lower() != ".png")
    if len(entries) > 1:
        opened = replace(opened, reader=opened.reader.variant(isolated="costly"))
    _check_names(out, array, len(entries))
    targets = _targets(entries, out, several)
    images = [entry.name for entry in entries if entry.archive is None]
    for place in {target for target in targets if target is not None}:
        require_output(place, PNG, *images)
    if array is not None:
        require_output(array, "", *images)
    failed = 0
    for entry, target in zip(entries, targets, strict=True):
        try:
            found = _explain(opened, entry, label)
        except ImageError as error:
            if not several:
                raise
            failed += 1
            say(f"mien: {error}", err=True)
            continue
        if target is not None:
            from mien.viz.mosaic import save_png

            save_png(found.figure(), target)
        if array is not None:
            _write_array(found, array)
        say(f"{entry.name}: {_outcome(found)}  → {target or array}")
    return int(failed > 0)


def _check_names(out: Path | None, array: Path | None, images: int) -> None:
    """Refuse names that do not say what would be written."""
    if out is None and array is None:
        raise ConfigError("--out: say where to write; a .png file for one image, a folder for several")
    if array is not None and array.suffix not in (".npy", ".npz"):
        raise ConfigError(f"--array {array}: give a name that ends in .npy or .npz")
    if array is not None and images > 1:
        raise ConfigError(f"--array {array}: is for one image, there are {images}")
    if out is None:
        return
    if out.suffix.lower() != ".png":
        if out.is_file():
            raise OutputError(f"{out}: is a file; give a folder, or a name that ends in .png")
        refuse_file_name(out, "images are written as PNG; give a name that ends in .png, or a folder")
    elif images > 1:
        raise ConfigError(f"--out {out}: is one file for {images} images; give a folder")


def _explain(opened: ExplainableModel, entry: InputItem, label: str | None) -> Explanation:
    image = entry.image()
    if isinstance(image, ImageError):
        raise image
    try:
        return explain(image, model=opened, label=label)
    except ImageError as error:
        raise error.renamed(entry.name) from None


def _targets(entries: list[InputItem], out: Path | None, several: bool) -> list[Path | None]:
    if out is None or not several:
        return [out] * len(entries)
    stems = UniqueStems()
    return [out / f"{stems(entry.name)}.png" for entry in entries]


def _write_array(found: Explanation, path: Path) -> None:
    """Write the heatmaps; as .npz with the crops, their corners and the labels."""
    import numpy as np

    arrays = found.arrays()
    with new_file(path) as part, part.open("wb") as stream:
        if path.suffix == ".npy":
            np.save(stream, arrays["heats"], allow_pickle=False)
        else:
            np.savez_compressed(stream, allow_pickle=False, **arrays)


def _outcome(found: Explanation) -> str:
    """Say in one line what was explained."""
    faces = found.result.faces
    if not faces:
        return NO_FACE
    note = f"; {found.result.reason}" if found.result.reason else ""
    if len(found.heatmaps) > 1:
        return f"{len(found.heatmaps)} labels, {len(faces)} face{'s' * (len(faces) > 1)}{note}"
    explained = "; ".join(
        f"{'' if heat.heat.any() else 'no '}evidence for {heat.label}, answer {face.answer} {face.probability:.0%}"
        for heat, face in zip(found.faces, faces, strict=True)
    )
    return explained + note


def _explain_data(
    opened: ExplainableModel, data: Path, wanted: tuple[tuple[str, ...] | None, dict[str, str]],
    fixes: bool | Path, summary: bool, faithfulness: bool, limit: int, out: Path | None,
) -> int:  # fmt: skip
    from mien.cli.output.explain_tables import attention_table, faithfulness_table

    if out:
        refuse_file_name(out, "images are drawn into a folder; give the name of one")
        require_new_folder(out, data)
    classes, rename = wanted
    with progress_bar("explaining") as report:
        found = explain_dataset(
            data, classes=classes, rename=rename, fixes=fixes, model=opened, attention=summary,
            faithfulness=faithfulness, limit=limit, out=out, on_message=say_to_stderr, on_progress=report,
        )  # fmt: skip
    say(f"{found.images} images, {found.part}; model {found.model}")
    if found.attention:
        console().print(attention_table(found.attention))
        say(found.attention.conclusion)
    if found.faithfulness:
        console().print(faithfulness_table(found.faithfulness))
        say(found.faithfulness.conclusion)
    if out:
        say(f"all results are in {out / 'explain.html'}")
    return 0
