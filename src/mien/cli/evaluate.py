"""`mien evaluate`: measure a model on labelled data."""

from pathlib import Path
from typing import Any

import click

from mien.cli.common import (
    console,
    data_arguments,
    data_options,
    figures_table,
    model_option,
    progress_bar,
    require_parent,
    to_json,
    write_result,
)
from mien.cli.text import one_line
from mien.dataset import Manifest, read_manifest
from mien.errors import ConfigError
from mien.evaluation import READINGS, Scored, score
from mien.output import new_folder, refuse_existing
from mien.reader import load


@click.command("evaluate")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@model_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="write metrics.json, predictions.csv, plots"
)
@click.option("--json", "json_target", metavar="FILE|-", help="write the figures as JSON")
@click.option(
    "--detect/--no-detect", default=None, help="find faces, or read whole pictures  [as the model was trained]"
)
@data_options
def command(
    data: Path | None, model: str | None, out: Path | None, json_target: str | None, classes: str | None,
    rename: tuple[str, ...], detect: bool | None,
) -> int:  # fmt: skip
    """Measure a model on DATA; without DATA, on the part that the run held out.

    Of data with parts, the test part is used (or validation, where there is none). A model of seven
    expressions is judged happy against sad where DATA has these two classes, by the most probable one
    where it has other expressions, and by its answer where it has happy, sad and neither. A model that
    looks for faces is judged by the largest one in each picture; pictures in which none is found do not
    count. A run's own part is read as the run was trained.
    """
    from mien.plots import require_matplotlib
    from mien.report import metrics_dict, write_report

    if out:
        refuse_existing(out)
        require_parent(out)
        require_matplotlib()
    if json_target:
        require_parent(json_target)
    manifest, part = _choose(data, model, *data_arguments(classes, rename), detect)
    # A run's own samples are what it was trained on, crops already where it is a model of faces.
    reader = load(model, faces="largest", detect=False if data is None else detect)
    with progress_bar(f"reading {len(manifest.samples)} pictures") as report:
        scored = score(reader, manifest, report)
    framing = "face" if reader.detect else "whole"
    about: dict[str, Any] = {"model": reader.config.name, "sha256": reader.config.sha256, "framing": framing}
    if out:
        with new_folder(out) as folder:
            write_report(scored, folder, part, about)
    if json_target:
        write_result(to_json(metrics_dict(scored, part, about)), json_target)
    if json_target != "-":
        note = f"judged by {READINGS[scored.by]}" + (", of the largest face in each picture" if reader.detect else "")
        console().print(figures_table(scored.evaluation(), f"Figures on: {part}", note))
    _say_what_does_not_count(scored)
    return int(bool(scored.skipped))


def _say_what_does_not_count(scored: Scored) -> None:
    """Name a few of the pictures without a face and of the unreadable ones on stderr, and count them."""
    for name in scored.no_face[:5]:
        click.echo(f"mien: {one_line(name)}: no face was found", err=True)
    if scored.no_face:
        share = f"{len(scored.no_face)} of {len(scored.names) + len(scored.no_face)}"
        click.echo(
            f"mien: no face was found in {share} pictures; they do not count, --no-detect reads them whole", err=True
        )
    for name, reason in scored.skipped[:5]:
        click.echo(f"mien: {one_line(name)}: {one_line(reason)}", err=True)
    if scored.skipped:
        click.echo(f"mien: {len(scored.skipped)} pictures could not be read and do not count", err=True)


def _choose(
    data: Path | None, model: str | None, classes: tuple[str, ...] | None, rename: dict[str, str], detect: bool | None
) -> tuple[Manifest, str]:
    if data is not None:
        manifest = read_manifest(data, classes, rename)
        return _held_out(manifest)
    if model is None:
        raise ConfigError("give DATA to measure the shipped model on; or --model RUN, which has its own")
    if detect:
        raise ConfigError("--detect: needs DATA; a run is measured on what it was trained on")
    if classes or rename:
        raise ConfigError("--classes and --map: need DATA; a run is measured on its own part")
    folder = Path(model)
    if not (folder / "run.json").exists():
        raise ConfigError(f"{model}: is no run folder, so it has no data of its own; give DATA")
    from mien.train.backend import require_keras

    require_keras("reading a run's own split")
    from mien.train.run import describe_part, judged_manifest

    manifest, part = judged_manifest(folder)
    return manifest, describe_part(part)


def _held_out(manifest: Manifest) -> tuple[Manifest, str]:
    from dataclasses import replace

    parts = {sample.split for sample in manifest.samples}
    for part in ("test", "validation"):
        if part in parts:
            kept = tuple(sample for sample in manifest.samples if sample.split == part)
            return replace(manifest, samples=kept), f"{part} part of {manifest.path.name}"
    return manifest, f"all of {manifest.path.name}"
