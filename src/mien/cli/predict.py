"""`mien predict`: read the expression in pictures."""

import sys
from collections import Counter
from pathlib import Path

import click

from mien.cli.options import model_option
from mien.cli.predict_job import Job, Output
from mien.cli.predict_table import print_table, summary
from mien.errors import ConfigError
from mien.inference.reader import Faces, Reader, load
from mien.io.inputs import STDIN, Inputs, is_video
from mien.io.video import FPS

_FIND = "--detect finds the faces first (mien train --faces trains for that)"


@click.command("predict")
@click.argument("inputs", nargs=-1)
@model_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="two classes: the second is answered from this probability on  [the model's own, 0.5]",
)
@click.option("--faces", type=click.Choice(["all", "largest"]), default="all", show_default=True, help="faces to read")
@click.option(
    "--detect/--no-detect", default=None, help="find faces, or read whole pictures  [as the model was trained]"
)
@click.option("--threads", type=click.IntRange(1), metavar="N", help="threads to use  [one per core]")
@click.option("--json", "json_target", metavar="FILE|-", help="write one JSON array of rows")
@click.option("--jsonl", "jsonl_target", metavar="FILE|-", help="write one JSON row per line")
@click.option("--csv", "csv_target", metavar="FILE|-", help="write a CSV, one line per face")
@click.option("--parquet", "parquet_target", metavar="FILE|DIR", help="write a Parquet file, one line per face")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="this machine, or all of a Ray cluster, with --parquet DIR",
)
@click.option(
    "--draw",
    type=click.Path(path_type=Path),
    metavar="DIR|FILM",
    help="draw what was found into each picture, or into the film",
)
@click.option("--camera", metavar="N|NAME", help="read a camera of this machine, 0 is the first, until Ctrl-C")
@click.option(
    "--fps",
    type=click.FloatRange(0, 1000, min_open=True),
    metavar="N",
    help="film or camera: frames to read per second  [5]",
)
@click.option(
    "--timeline", type=click.Path(path_type=Path), metavar="PNG", help="film: plot what each person answered over time"
)
def command(
    inputs: tuple[str, ...], model: str | None, threshold: float | None, faces: Faces, detect: bool | None,
    threads: int | None, json_target: str | None, jsonl_target: str | None, csv_target: str | None,
    parquet_target: str | None, engine: str, draw: Path | None, camera: str | None, fps: float | None,
    timeline: Path | None,
) -> int:  # fmt: skip
    """Read the expression in INPUTS: pictures, folders, globs, zip archives, or a list.txt with a path per line.

    INPUTS may be of any kind in any mix; - reads paths from standard input. In a quoted glob, ** stands for
    any number of folders. A file that cannot be read becomes a row that says why; the others are still
    read, and the exit status is 1.

    Rows for a file are kept in FILE.part as they come. Whatever interrupts the command, given again it goes
    on from there, and with --draw draws what is not drawn yet; --draw alone takes a folder that is new or empty.
    A FILE that is there already is never replaced.

    With --engine ray the pictures are read on all machines of a Ray cluster (RAY_ADDRESS; else all cores here)
    into a folder of Parquet parts, and given again it makes the parts that are missing.

    A film (.mp4, .mov, .mkv, .avi, .webm, .m4v) is read alone: a row for each face in each frame that is read,
    and who was seen with what answers. So is a camera.
    """
    if engine == "ray":
        from mien.cli.predict_cluster import predict_on_ray

        refused: dict[str, object] = {
            "json": json_target,
            "jsonl": jsonl_target,
            "csv": csv_target,
            "draw": draw,
            "camera": camera,
        }
        refused |= {"fps": fps, "timeline": timeline}
        return _close(
            predict_on_ray(
                inputs, parquet_target, refused,
                model=model, threshold=threshold, faces=faces, detect=detect, threads=threads,
            )
        )  # fmt: skip
    output = Output.chosen({"json": json_target, "jsonl": jsonl_target, "csv": csv_target, "parquet": parquet_target})
    for name in inputs:
        output.refuse_input(name)
    if camera is not None or any(map(is_video, inputs)):
        output.refuse_finished(resumable=False)
        _check_film(inputs, camera, draw, timeline)
        reader = load(model, threads=threads, threshold=threshold, faces=faces, detect=detect)
        status = _read_film(reader, inputs, camera, output, fps or FPS, draw, timeline)
        if detect is None and not reader.detect:
            click.echo(f"mien: this model reads frames whole, as it was trained; {_FIND}", err=True)
        return status
    if not inputs:
        raise ConfigError("nothing to read; name pictures, a folder or a film, or give --camera 0")
    if fps is not None or timeline is not None:
        raise ConfigError(f"{'--fps' if timeline is None else '--timeline'}: is for a film or a camera")
    named = Inputs(inputs, sys.stdin.buffer if sys.stdin and STDIN in inputs else None, without=draw)
    reader = load(model, threads=threads, threshold=threshold, faces=faces, detect=detect)
    job = Job(reader, named, output, {"faces": faces}, draw)
    if output.kind is None:
        job.run(print_table)
    elif output.streams:
        job.run(lambda rows: output.write(rows, job.labels))
    else:
        job.run_to_file()
    if job.undrawn:
        click.echo(f"mien: {job.undrawn} pictures were gone or changed before they could be drawn", err=True)
    if job.photographs and detect is None and not reader.detect:
        click.echo(f"mien: {_read_whole(job)}", err=True)
    return _close(job.counts)


def _read_film(
    reader: Reader, inputs: tuple[str, ...], camera: str | None, output: Output, fps: float, draw: Path | None,
    timeline: Path | None,
) -> int:  # fmt: skip
    """Read a film, or a camera where one is named; returns the exit status."""
    from mien.cli.video import predict_camera, predict_clip

    if camera is not None:
        return predict_camera(reader, camera, output=output, fps=fps)
    return predict_clip(reader, inputs[0], output=output, fps=fps, draw=draw, timeline=timeline)


def _read_whole(job: Job) -> str:
    """Say that a model of crops has read photographs."""
    return (
        f"this model reads pictures whole, as it was trained, and by their size {job.photographs} of "
        f"{job.counts.total()} are photographs; {_FIND}"
    )


def _close(counts: Counter[str]) -> int:
    """Say what could not be read; returns the exit status."""
    if message := summary(counts):
        click.echo(f"mien: {message}", err=True)
    return int(counts["unreadable"] > 0)


def _check_film(inputs: tuple[str, ...], camera: str | None, draw: Path | None, timeline: Path | None) -> None:
    """Refuse what cannot be done with a film or a camera."""
    if camera is not None and inputs:
        raise ConfigError(f"--camera {camera} and {inputs[0]}: give only one of them")
    if len(inputs) > 1:
        film = next(filter(is_video, inputs))
        raise ConfigError(f"{film}: a film is read alone; run mien predict once for each film, and for the pictures")
    if camera is not None and (draw or timeline):
        raise ConfigError(f"{'--draw' if draw else '--timeline'}: is not for a camera")
