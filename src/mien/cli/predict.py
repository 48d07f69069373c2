"""`mien predict`: classify the expression in images, videos or a webcam."""

import sys
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from mien.cli.help import verb
from mien.cli.options import AS_TRAINED, detect_option, model_option, only_one, threshold_option
from mien.cli.predict_table import print_table, summary
from mien.cli.progress import item_bar
from mien.errors import ConfigError
from mien.inference.batch import BatchJob
from mien.inference.decision import Threshold
from mien.inference.reader import Faces, Reader, load
from mien.io.inputs import STDIN, Inputs, is_video
from mien.io.row_output import RowOutput
from mien.io.video import FPS
from mien.text import pluralize

if TYPE_CHECKING:
    from mien.viz.annotated_folder import AnnotatedFolder

_WHOLE = "this model was trained on whole images and classifies them whole"
_FIND = "--detect yes finds the faces first (mien train --detect yes trains for that)"
#: Seconds over which Ray's rate is taken: images come in whole parts, and seldom.
_RAY_RATE_OVER = 600.0


_HEADINGS = {
    "Model": ("model", "detect", "faces", "threshold"),
    "Output": ("jsonl_target", "json_target", "csv_target", "parquet_target", "draw"),
    "Videos and webcams": ("camera", "fps", "timeline"),
    "Speed": ("threads", "engine"),
}


@verb("predict", _HEADINGS)
@click.argument("inputs", nargs=-1)
@model_option
@threshold_option
@click.option(
    "--faces", type=click.Choice(["all", "largest"]), default="all", show_default=True, help="faces to classify"
)
@detect_option(AS_TRAINED)
@click.option("--threads", type=click.IntRange(1), metavar="N", show_default="one per core",
              help="threads to use")  # fmt: skip
@click.option("--json", "json_target", metavar="FILE|-", help="write one JSON array of rows")
@click.option("--jsonl", "jsonl_target", metavar="FILE|-", help="write one JSON row per line")
@click.option("--csv", "csv_target", metavar="FILE|-", help="write a CSV, one row per face")
@click.option("--parquet", "parquet_target", metavar="FILE|DIR", help="write a Parquet file, one row per face")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="run on this machine, or on a Ray cluster with --parquet DIR",
)
@click.option(
    "--draw",
    type=click.Path(path_type=Path),
    metavar="DIR|VIDEO",
    help="write annotated images into a new folder, or an annotated video",
)
@click.option("--camera", metavar="N|NAME", help="read a webcam, 0 for the first, until Ctrl-C")
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    metavar="N",
    show_default="5",
    help="frames to read per second",
)
@click.option("--timeline", type=click.Path(path_type=Path), metavar="PNG", help="plot each person's answers over time")
def command(
    inputs: tuple[str, ...], model: str | None, threshold: Threshold | None, faces: Faces, detect: bool | None,
    threads: int | None, json_target: str | None, jsonl_target: str | None, csv_target: str | None,
    parquet_target: str | None, engine: str, draw: Path | None, camera: str | None, fps: float | None,
    timeline: Path | None,
) -> int:  # fmt: skip
    """Classify the expression on each face in INPUTS: images, folders, globs, zip archives, a list.txt of paths.

    Mix inputs of any kind; - reads paths from standard input, one per line, as in a list.txt. In a quoted glob,
    ** matches any number of folders. A file that cannot be read becomes a row that says why. The others are still
    read, and the exit status is 1.

    Rows are kept in FILE.part as they come. Interrupt the command and start it again: it continues. It also draws
    the images that --draw has not drawn yet. --draw without a FILE needs a new or empty folder. A FILE that exists is
    never replaced.

    --engine ray reads the images on all machines of a Ray cluster (RAY_ADDRESS; else all cores here) into a
    folder of Parquet parts. Start it again to make the missing parts.

    Give a video (.mp4, .mov, .mkv, .avi, .webm, .m4v) or --camera alone. You get a row for each face in each
    frame, and a table of who was seen with which answers.
    """
    targets = {"json": json_target, "jsonl": jsonl_target, "csv": csv_target, "parquet": parquet_target}
    if engine == "ray":
        given = {**targets, "draw": draw, "camera": camera, "fps": fps, "timeline": timeline}
        folder = _parts_folder(inputs, given)
        return _predict_on_ray(inputs, folder, model, threshold, faces, detect, threads)
    kind = only_one(targets)
    output = RowOutput(targets[kind] or "", kind) if kind else None
    if output:
        for name in inputs:
            output.refuse_input(name)
    open_reader = partial(load, model, threads=threads, threshold=threshold, faces=faces, detect=detect)
    if camera is not None or any(map(is_video, inputs)):
        _check_video(inputs, camera, draw, timeline)
        return _predict_video(open_reader, inputs, camera, output, fps or FPS, draw, timeline)
    if not inputs:
        raise ConfigError("nothing to read; name images, a folder or a video, or give --camera 0")
    if fps is not None or timeline is not None:
        raise ConfigError(f"{'--fps' if timeline is None else '--timeline'}: needs a video or a webcam")
    return _predict_images(open_reader, inputs, output, faces, draw)


def _predict_images(
    open_reader: partial[Reader], names: tuple[str, ...], output: RowOutput | None, faces: Faces, draw: Path | None
) -> int:
    """Predict images; returns the exit status."""
    inputs, drawer = Inputs(names, _stdin(names), exclude=draw), _drawer(draw)
    reader = open_reader()
    with item_bar("reading images") as report:
        job = BatchJob(reader, inputs, output, options={"faces": faces}, drawer=drawer, on_progress=report)
        if output:
            job.write()
        else:
            with closing(job.rows()) as rows:
                print_table(rows)
    if drawer and drawer.failed:
        click.echo(f"mien: {pluralize(drawer.failed, 'image')} not drawn: deleted or changed in the meantime", err=True)
    found = job.summary
    if found.photographs and reader.overlooks_faces:
        share = f"{found.photographs} of {found.counts.total()}"
        click.echo(f"mien: {_WHOLE}, but {share} are as large as photographs; {_FIND}", err=True)
    return _close(found.counts)


def _predict_video(
    open_reader: partial[Reader], inputs: tuple[str, ...], camera: str | None, output: RowOutput | None, fps: float,
    draw: Path | None, timeline: Path | None,
) -> int:  # fmt: skip
    """Predict a video or a webcam; returns the exit status."""
    from mien.cli.predict_video import predict_camera, predict_video

    if output:
        output.refuse_existing()
    reader = open_reader()
    if camera is not None:
        status = predict_camera(reader, camera, output, fps)
    else:
        status = predict_video(reader, inputs[0], output, fps, draw, timeline)
    if reader.overlooks_faces:
        click.echo(f"mien: {_WHOLE}; {_FIND}", err=True)
    return status


def _predict_on_ray(
    names: tuple[str, ...], folder: Path, model: str | None, threshold: Threshold | None, faces: Faces,
    detect: bool | None, threads: int | None,
) -> int:  # fmt: skip
    """Predict images on a Ray cluster; returns the exit status."""
    from mien.inference.bundle import load_bundle
    from mien.inference.ray import require_ray
    from mien.inference.ray_batch import predict_to_parts

    require_ray()
    inputs = Inputs(names, _stdin(names), exclude=folder)
    with item_bar("reading images", _RAY_RATE_OVER) as report:
        counts = predict_to_parts(
            load_bundle(model), inputs, folder,
            threshold=threshold, faces=faces, detect=detect, workers=threads, on_progress=report,
        )  # fmt: skip
    return _close(counts)


def _close(counts: Mapping[str, int]) -> int:
    """Say how many images could not be read; returns the exit status."""
    if message := summary(counts):
        click.echo(f"mien: {message}", err=True)
    return int(counts.get("unreadable", 0) > 0)


def _stdin(names: tuple[str, ...]) -> BinaryIO | None:
    return sys.stdin.buffer if sys.stdin and STDIN in names else None


def _drawer(folder: Path | None) -> "AnnotatedFolder | None":
    if folder is None:
        return None
    from mien.viz.annotated_folder import AnnotatedFolder

    return AnnotatedFolder(folder)


def _check_video(inputs: tuple[str, ...], camera: str | None, draw: Path | None, timeline: Path | None) -> None:
    """Raise ConfigError for options that do not fit a video or a webcam."""
    if camera is not None and inputs:
        raise ConfigError(f"--camera {camera} and {inputs[0]}: give only one of them")
    if len(inputs) > 1:
        video = next(filter(is_video, inputs))
        raise ConfigError(f"{video}: give a video alone; run mien predict once for each video, and for the images")
    if camera is not None and (draw or timeline):
        raise ConfigError(f"{'--draw' if draw else '--timeline'}: does not work with --camera")


def _parts_folder(inputs: tuple[str, ...], given: Mapping[str, object]) -> Path:
    """Return the folder that --engine ray writes; raise ConfigError for options that do not fit it."""
    for name, value in given.items():
        if name != "parquet" and value is not None:
            raise ConfigError(f"--{name}: does not work with --engine ray, which writes --parquet DIR")
    target = given["parquet"]
    if not isinstance(target, str) or target == "-":
        raise ConfigError("--engine ray: give --parquet DIR, a folder for the parts of the result")
    if not inputs:
        raise ConfigError("nothing to read; name images or a folder")
    for name in inputs:
        if is_video(name):
            raise ConfigError(f"{name}: a video is read on one machine; leave out --engine ray")
        if name != STDIN and Path(name).absolute() == Path(target).absolute():
            raise ConfigError(f"--parquet {target}: is one of the inputs; give another folder")
    return Path(target)
