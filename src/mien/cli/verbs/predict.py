"""`mien predict`: classify the expression in images, videos or a webcam."""

import sys
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

import click

from mien.arguments import to_flags
from mien.cli.help import verb
from mien.cli.options import (
    AS_TRAINED,
    Number,
    detect_option,
    device_option,
    mirror_option,
    model_option,
    one_stdout,
    only_one,
    threads_option,
    threshold_option,
)
from mien.cli.output.predict_table import print_table, summary, written
from mien.cli.output.progress import item_bar
from mien.cli.output.terminal import say, say_device
from mien.errors import ConfigError
from mien.inference.caution import overlooked_faces
from mien.inference.jobs.batch import BatchJob
from mien.inference.reader import Reader, load
from mien.inference.reader_options import Faces
from mien.inference.thresholds import Threshold
from mien.io.inputs import STDIN, Inputs
from mien.io.row_output import RowOutput
from mien.io.sniffing import is_video
from mien.io.targets import same_file
from mien.io.video.containers import is_video_name
from mien.io.video.frames import FPS, MAX_FPS, MIN_FPS
from mien.runtime.providers import Device
from mien.text import pluralize

if TYPE_CHECKING:
    from mien.viz.annotated_folder import AnnotatedFolder, AnnotatedVideo

#: Seconds over which Ray's rate is taken: images come in whole parts, and seldom.
_RAY_RATE_OVER = 600.0


_HEADINGS = {
    "Model": ("model", "detect", "faces", "threshold"),
    "Output": ("jsonl_target", "json_target", "csv_target", "parquet_target", "draw"),
    "Videos and webcams": ("camera", "fps", "timeline"),
    "Speed": ("device", "mirror", "threads", "engine"),
}


@verb("predict", _HEADINGS)
@click.argument("inputs", nargs=-1)
@model_option
@threshold_option
@click.option(
    "--faces", type=click.Choice(["all", "largest"]), default="all", show_default=True, help="faces to classify"
)
@detect_option(AS_TRAINED)
@device_option
@mirror_option
@threads_option("threads to use")
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
    help="write annotated images and videos into a new folder; of one video, an annotated video",
)
@click.option("--camera", metavar="N|NAME", help="read a webcam, 0 for the first, until Ctrl-C")
@click.option("--fps", type=Number(MIN_FPS, MAX_FPS), metavar="N", show_default="5", help="frames to read per second")
@click.option("--timeline", type=click.Path(path_type=Path), metavar="PNG|DIR",
              help="plot each person's answers over time; several videos, into a new folder")  # fmt: skip
def command(
    inputs: tuple[str, ...], model: str | None, threshold: Threshold | None, faces: Faces, detect: bool | None,
    device: Device, mirror: bool | None, threads: int | None, json_target: str | None, jsonl_target: str | None,
    csv_target: str | None, parquet_target: str | None, engine: str, draw: Path | None, camera: str | None,
    fps: float | None, timeline: Path | None,
) -> int:  # fmt: skip
    """Classify the expression on each face in INPUTS: images, videos, folders, globs, zip archives, a list.txt.

    Mix inputs of any kind; - reads paths from standard input, one per line, as in a list.txt. In a quoted glob,
    ** matches any number of folders. A file that cannot be read becomes a row that says why. The others are still
    read, and the exit status is 1.

    Rows are kept in FILE.part as they come. Interrupt the command and start it again: it continues, also inside a
    video. It also draws what --draw has not drawn yet. --draw without a FILE needs a new or empty folder. A FILE that
    exists is never replaced. Give --jsonl, --csv and --parquet together to write all of them in one pass.

    Of a video you get a row for each face in each frame that is read, and a table of who was seen with which answers.
    A hard cut begins a new scene, with new people. --camera reads a webcam, alone.

    --engine ray reads images on all machines of a Ray cluster (RAY_ADDRESS; else all cores here) into a
    folder of Parquet parts. Start it again to make the missing parts.
    """
    targets = {"json": json_target, "jsonl": jsonl_target, "csv": csv_target, "parquet": parquet_target}
    if engine == "ray":
        given = {**targets, "draw": draw, "camera": camera, "fps": fps, "timeline": timeline}
        folder = _parts_folder(inputs, given)
        if device not in ("auto", "cpu"):
            raise ConfigError(f"--device {device}: does not work with --engine ray, whose workers run on the CPU")
        return _predict_on_ray(inputs, folder, model, threshold, faces, detect, mirror, threads)
    if camera is not None:
        _check_camera(inputs, camera, targets, draw, timeline)
    one_stdout(targets)
    outputs = [RowOutput(target, kind) for kind, target in targets.items() if target is not None]
    for output in outputs:
        for name in inputs:
            output.refuse_input(name)
    open_reader = partial(
        load, model, threads=threads, threshold=threshold, faces=faces, detect=detect, device=device, mirror=mirror
    )
    if camera is not None:
        return _predict_camera(open_reader, camera, outputs[0] if outputs else None, fps or FPS)
    if not inputs:
        raise ConfigError("nothing to read; name images, a folder or a video, or give --camera 0")
    return _predict_files(open_reader, inputs, outputs, faces, draw, fps, timeline)


def _predict_files(
    open_reader: partial[Reader], names: tuple[str, ...], outputs: list[RowOutput], faces: Faces, draw: Path | None,
    fps: float | None, timeline: Path | None,
) -> int:  # fmt: skip
    """Predict images and videos; returns the exit status."""
    from mien.cli.predict_video import VideoSummary, check_timeline, print_problems

    for option, path in (("--draw", draw), ("--timeline", timeline)):
        _check_drawing(option, path, names, outputs)
    if timeline:
        if draw and same_file(timeline, draw):
            raise ConfigError(f"--timeline {timeline}: is another output of this command too; give another name")
        check_timeline(timeline, names)
    inputs, drawer = Inputs(names, _stdin(names), exclude=draw), _drawer(draw)
    reader = open_reader()
    say_device(reader)
    to_stderr = any(output.target == "-" for output in outputs)
    seen = VideoSummary(fps or FPS, reader.answers, timeline)
    with item_bar("reading") as report:
        job = BatchJob(
            reader, inputs, *outputs, fps=fps or FPS, options={"faces": faces}, drawer=drawer, on_progress=report,
            on_row=seen.add,
        )  # fmt: skip
        _check_videos(job, draw, fps, timeline)
        if outputs:
            job.write()
        else:
            with closing(job.rows()) as rows:
                print_table(row for row in rows if "time" not in row)
    seen.print(to_stderr)
    found = job.summary
    for output in outputs:
        if not output.streams:
            say(written(output.target, output.kind, found), err=to_stderr)
    for line in found.read_again():
        say(f"mien: {line}", err=True)
    if drawer and drawer.failed:
        say(f"mien: {pluralize(drawer.failed, 'image')} not drawn: deleted or changed in the meantime", err=True)
    if reader.overlooks_faces:
        if found.frames:
            _say_overlooked(overlooked_faces())
        elif found.photographs:
            _say_overlooked(overlooked_faces(found.photographs, found.counts.total()))
    print_problems(found.problems)
    return max(_close(found.counts, found.frames, found.videos), int(bool(found.problems)))


def _predict_camera(open_reader: partial[Reader], camera: str, output: RowOutput | None, fps: float) -> int:
    """Predict a webcam; returns the exit status."""
    from mien.cli.predict_camera import predict_camera

    if output:
        output.refuse_existing()
    reader = open_reader()
    say_device(reader)
    status = predict_camera(reader, camera, output, fps)
    if reader.overlooks_faces:
        _say_overlooked(overlooked_faces())
    return status


def _say_overlooked(words: str) -> None:
    say(f"mien: {to_flags(words)}", err=True)


def _predict_on_ray(
    names: tuple[str, ...], folder: Path, model: str | None, threshold: Threshold | None, faces: Faces,
    detect: bool | None, mirror: bool | None, threads: int | None,
) -> int:  # fmt: skip
    """Predict images on a Ray cluster; returns the exit status."""
    from mien.inference.bundle import load_bundle
    from mien.inference.jobs.ray import require_ray
    from mien.inference.jobs.ray_batch import predict_to_parts
    from mien.io.parquet_parts import Changed

    require_ray()
    inputs = Inputs(names, _stdin(names), exclude=folder)
    changed: list[Changed] = []
    with item_bar("reading images", _RAY_RATE_OVER) as report:
        counts = predict_to_parts(
            load_bundle(model), inputs, folder,
            threshold=threshold, faces=faces, detect=detect, mirror=mirror, workers=threads,
            on_progress=report, on_changed=changed.append,
        )  # fmt: skip
    for one in changed:
        files = f"{one.first} has" if one.count == 1 else f"{one.first} and {one.count - 1} more files have"
        say(f"mien: {files} changed since an earlier call; the parts with them were written again", err=True)
    return _close(counts)


def _close(counts: Mapping[str, int], frames: Mapping[str, int] = MappingProxyType({}), videos: int = 0) -> int:
    """Say how many files could not be read; returns the exit status."""
    if message := summary(counts, frames, videos):
        say(f"mien: {message}", err=True)
    return int(counts.get("unreadable", 0) > 0)


def _stdin(names: tuple[str, ...]) -> BinaryIO | None:
    return sys.stdin.buffer if sys.stdin and STDIN in names else None


def _drawer(target: Path | None) -> "AnnotatedFolder | AnnotatedVideo | None":
    """Return what draws into a folder, or into a video if it is named like one."""
    if target is None:
        return None
    from mien.viz.annotated_folder import AnnotatedFolder, AnnotatedVideo

    return AnnotatedVideo(target) if is_video_name(str(target)) and not target.is_dir() else AnnotatedFolder(target)


def _check_drawing(option: str, path: Path | None, names: tuple[str, ...], outputs: list[RowOutput]) -> None:
    """Raise ConfigError if a drawing would be written to an input or another output."""
    if path is None:
        return
    if any(same_file(name, path) and not path.is_dir() for name in names):
        raise ConfigError(f"{option} {path}: is one of the inputs; give another file")
    if any(same_file(path, output.target) for output in outputs):
        raise ConfigError(f"{option} {path}: is another output of this command too; give another name")


def _check_videos(job: BatchJob, draw: Path | None, fps: float | None, timeline: Path | None) -> None:
    """Raise ConfigError for options that do not fit the number of videos."""
    single = job.count == job.videos == 1
    if job.videos == 0 and (fps is not None or timeline is not None):
        raise ConfigError(f"{'--fps' if timeline is None else '--timeline'}: needs a video or a webcam")
    if draw and is_video_name(str(draw)) and not draw.is_dir() and not single:
        raise ConfigError(f"{draw}: images are drawn into a folder, and so are several videos; give the name of one")
    if timeline and timeline.suffix.lower() == ".png" and not single:
        raise ConfigError(f"--timeline {timeline}: there is more than one video; give the name of a folder")


def _check_camera(
    inputs: tuple[str, ...], camera: str, targets: Mapping[str, str | None], draw: Path | None, timeline: Path | None
) -> None:
    """Raise ConfigError for options that do not fit a webcam."""
    if inputs:
        raise ConfigError(f"--camera {camera} and {inputs[0]}: give only one of them")
    only_one(dict(targets))
    if draw or timeline:
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
