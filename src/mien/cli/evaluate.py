"""`mien evaluate`: measure a model on labelled data."""

import csv
import json
import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.cli.options import data_options, model_option, parse_data_options, require_report
from mien.cli.progress import progress_bar
from mien.cli.tables import metrics_table
from mien.cli.terminal import console, one_line
from mien.data.dataset import Manifest, read_manifest
from mien.errors import ConfigError, DataError
from mien.evaluation.scoring import Predictions, score
from mien.inference.bundle import find_bundle, set_threshold
from mien.inference.decision import ANSWER_FIELDS
from mien.inference.reader import Faces, Reader, load
from mien.io.atomic import new_folder
from mien.io.layout import REPORT, RUN, SPLIT, is_run
from mien.io.targets import to_json, write_output

if TYPE_CHECKING:
    from mien.evaluation.thresholds import Thresholds
    from mien.report.report import ReportContext

#: Data of more pictures is audited in the part that is measured alone: finding copies takes a second for 600.
AUDITED = 10_000


@click.command("evaluate")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@model_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="write report.html, metrics.json, predictions.csv and the charts as PNG",
)  # fmt: skip
@click.option("--json", "json_target", metavar="FILE|-", help="write the figures as JSON")
@click.option(
    "--detect/--no-detect", default=None, help="find faces, or read whole pictures  [as the model was trained]"
)
@click.option(
    "--faces", type=click.Choice(["all", "largest"]), default="largest", show_default=True, help="the face to judge by"
)
@click.option("--robustness", is_flag=True, help="measure again with turned, dark, blurred, ... pictures (minutes)")
@click.option(
    "--groups", type=click.Path(path_type=Path), metavar="CSV",
    help="compare groups of people: a column file, and others",
)  # fmt: skip
@click.option(
    "--cost", "costs", multiple=True, metavar="CLASS=N", help="two classes: what answering CLASS wrongly costs  [1]"
)
@click.option("--choose-threshold", is_flag=True, help="write the cheapest threshold into the bundle of --model")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="of what is drawn at random")
@data_options
def command(
    data: Path | None, model: str | None, out: Path | None, json_target: str | None, detect: bool | None, faces: Faces,
    robustness: bool, groups: Path | None, costs: tuple[str, ...], choose_threshold: bool, seed: int,
    classes: str | None, rename: tuple[str, ...],
) -> int:  # fmt: skip
    """Measure a model on DATA; without DATA, on the part that the run held out.

    Of data with parts, the test part is used (or validation, where there is none). A model of seven
    expressions is judged happy against sad where DATA has these two classes, by the most probable one
    where it has other expressions, and by its answer where it has happy, sad and neither. A model that
    looks for faces is judged by the largest one in each picture; pictures in which none is found do not
    count. A run's own part is read as the run was trained.

    With --out, report.html says all there is to say, in one file that opens anywhere: figures with their
    intervals, which mistakes, how far probabilities can be trusted, what each threshold costs, pictures to
    look at, what is wrong with DATA.
    """
    from mien.report.report import metrics_dict, write_report

    prices = _costs(costs)
    _check(out, json_target, faces, robustness, groups)
    if choose_threshold:
        _refuse_unfit(model)
    require_report(out, json_target)
    whole, manifest, part = _choose(data, model, *parse_data_options(classes, rename), detect)
    _check_prices(prices, manifest)
    # A run's own samples are what it was trained on, crops already where it is a model of faces.
    reader = load(model, faces="largest", detect=False if data is None else detect)
    with progress_bar(f"reading {len(manifest.samples)} pictures") as report:
        scored = replace(score(reader, manifest, report), seed=seed)
    about, extras = _about(reader, data, model, seed), None
    if out or json_target:
        scored, extras = _measure(scored, reader, whole, manifest, robustness, groups)
    # By now it is known which pictures are copies, and which show one person.
    lines, written = _lines(scored, reader, prices, model if choose_threshold else None)
    if extras:
        extras = replace(extras, lines=lines, written=written, run=Path(model) if model else None)
    # The threshold comes last: where a report cannot be written, the model stays as it was.
    with new_folder(out) if out else nullcontext() as folder:
        if folder:
            write_report(scored, folder, part, about, extras)
        if json_target:
            write_output(to_json(metrics_dict(scored, part, about, extras)), json_target)
        if lines and written:
            _set_threshold(Path(written), lines, scored, part)
    if json_target != "-":
        note = f"judged by {ANSWER_FIELDS[scored.by]}" + (
            ", of the largest face in each picture" if reader.detect else ""
        )
        console().print(metrics_table(scored.evaluation(), f"Figures on: {part}", note))
        if lines and choose_threshold:
            before, now = lines.present.threshold, lines.cheapest.threshold
            stays = f"stays at {now:g}, none is cheaper here"
            said = f"{now:g} in place of {before:g}, in {written}" if written else stays
            console().print(f"threshold {said}", markup=False, soft_wrap=True)
        if out:
            click.echo(one_line(f"all of it is in {out / REPORT}"))
    _say_what_does_not_count(scored)
    if data and model:
        _say_what_was_trained_on(data, Path(model), scored)
    return int(bool(scored.skipped))


def _check(out: Path | None, json_target: str | None, faces: Faces, robustness: bool, groups: Path | None) -> None:
    if faces == "all":
        raise ConfigError("--faces all: a label is of a picture, so one face of each is judged; leave it at largest")
    for name, given in (("robustness", robustness), ("groups", groups)):
        if given and not (out or json_target):
            raise ConfigError(f"--{name}: its figures go into a report; give --out DIR or --json FILE")
    if groups is not None and not groups.exists():
        raise DataError(f"{groups}: no such file; give a CSV with a column file and one for each grouping")


def _costs(given: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for pair in given:
        name, _, text = pair.rpartition("=")
        try:
            cost = float(text)
        except ValueError:
            cost = math.nan
        if not name or not (0 <= cost < math.inf):
            raise ConfigError(f"--cost {pair}: write it as CLASS=N, like sad=5, with a number from 0 on")
        found[name.strip()] = cost
    if found and not any(found.values()) and len(found) > 1:
        raise ConfigError("--cost: all are 0, so that every threshold is as good; give one above 0")
    return found


def _check_prices(costs: dict[str, float], manifest: Manifest) -> None:
    from mien.evaluation.thresholds import check_costs

    if costs and len(manifest.classes) != 2:
        raise ConfigError(f"--cost: is for data of two classes, this has {len(manifest.classes)}; use --classes")
    check_costs(costs, manifest.classes)


def _refuse_unfit(model: str | None) -> None:
    """Refuse a model whose threshold cannot be written, before long work starts."""
    from mien.inference.bundle import SHIPPED, load_bundle

    if model is None or find_bundle(model).is_relative_to(SHIPPED):
        raise ConfigError("--choose-threshold: the shipped model stays as it is; give --model FOLDER, of your own")
    config = load_bundle(model).config
    if len(config.labels) != 2 or config.answer_from is not None:
        raise ConfigError(
            f"--choose-threshold: is for models that answer one of two labels; {model} has {len(config.labels)}"
        )


def _lines(
    scored: Predictions, reader: Reader, costs: dict[str, float], model: str | None
) -> tuple["Thresholds | None", str | None]:
    """Return what every threshold costs and, where one is to be chosen for `model`, the bundle it is written into."""
    from mien.evaluation.thresholds import measure_thresholds

    labels = reader.config.labels
    own = scored.by == "answer" and len(labels) == 2
    if len(scored.classes) != 2:
        return None, None
    found = measure_thresholds(scored, costs, reader.threshold if own else 0.5, labels[1] if own else None)
    if model is None or found.cheapest == found.present:
        return found, None
    return found, str(find_bundle(model))


def _set_threshold(bundle: Path, found: "Thresholds", scored: Predictions, part: str) -> None:
    why = {"on": part, "pictures": len(scored.names), "costs": dict(found.costs), "before": found.present.threshold}
    set_threshold(bundle, found.cheapest.threshold, why)


def _measure(
    scored: Predictions, reader: Reader, whole: Manifest, manifest: Manifest, robustness: bool, groups: Path | None
) -> tuple[Predictions, "ReportContext"]:
    """Measure what a report says besides: faults and copies, slices, groups and robustness."""
    from mien.data.audit import audit
    from mien.evaluation.provenance import grouped
    from mien.evaluation.robustness import measure_robustness
    from mien.evaluation.slices import measure_slices
    from mien.report.report import ReportContext
    from mien.report.sections.robustness import robustness_section
    from mien.report.sections.slices import slices_section

    sections, figures = [], {}
    audited = whole if len(whole.samples) <= AUDITED else manifest
    with progress_bar("looking for copies and faults") as report:
        faults = audit(audited, on_progress=report)
    scored = grouped(scored, manifest, faults.copies)
    if scored.crops is not None:
        by_slice = measure_slices(scored.crops, scored.detections if reader.detect else None, scored, scored.seed)
        sections.append(slices_section(by_slice))
        figures["slices"] = by_slice.to_dict()
    if groups is not None:
        from mien.evaluation.groups import measure_groups, read_groups
        from mien.report.sections.groups import groups_section

        by_group = measure_groups(scored, read_groups(groups, scored.names))
        sections.append(groups_section(by_group))
        figures["groups"] = by_group.to_dict()
    if robustness:
        if scored.crops is None:
            raise ConfigError("--robustness: these pictures are too large and too many to keep; give fewer")
        with progress_bar("changing pictures") as report:
            hardened = measure_robustness(
                reader, scored.crops, scored.truth, scored.classes, scored.by, scored.seed, on_progress=report
            )
        sections.append(robustness_section(hardened))
        figures["robustness"] = hardened.to_dict()
    scope = "all of the data" if audited is whole else "the part that was measured"
    return scored, ReportContext(reader, None, faults, scope, sections=tuple(sections), figures=figures)


def _about(reader: Reader, data: Path | None, model: str | None, seed: int) -> dict[str, Any]:
    from mien.evaluation.provenance import origin

    framing = "face" if reader.detect else "whole"
    return {
        "model": reader.config.name, "sha256": reader.config.sha256, "framing": framing,
        "data": str(data) if data else f"the part held out by {model}", **origin(seed),
    }  # fmt: skip


def _say_what_was_trained_on(data: Path, model: Path, scored: Predictions) -> None:
    """Say on stderr how many of the pictures the run itself was trained on, where DATA is what it was made from."""
    try:
        about = json.loads((model / RUN).read_text(encoding="utf-8"))
        with (model / SPLIT).open(newline="", encoding="utf-8") as stream:
            seen = {row["file"] for row in csv.DictReader(stream) if row["part"] == "train"}
        same = Path(about["source"]["path"]) == data.resolve()
    except (OSError, ValueError, KeyError, TypeError):
        return  # no run folder, or one that says nothing of its data
    count = len(seen.intersection(scored.names))
    if same and count:
        click.echo(
            f"mien: {count} of these {len(scored.names)} pictures were trained on, so the figures flatter; "
            "leave DATA out to judge the part that was held out",
            err=True,
        )


def _say_what_does_not_count(scored: Predictions) -> None:
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
) -> tuple[Manifest, Manifest, str]:
    """Return the whole of the data, the samples of it that are measured, and which these are in words."""
    if data is not None:
        whole = read_manifest(data, classes, rename)
        return whole, *held_out(whole)
    if model is None:
        raise ConfigError("give DATA to measure the shipped model on; or --model RUN, which has its own")
    if detect:
        raise ConfigError("--detect: needs DATA; a run is measured on what it was trained on")
    if classes or rename:
        raise ConfigError("--classes and --map: need DATA; a run is measured on its own part")
    folder = Path(model)
    if not is_run(folder):
        raise ConfigError(f"{model}: is no run folder, so it has no data of its own; give DATA")
    from mien.training.backend import require_keras

    require_keras("reading a run's own split")
    from mien.training.run import describe_part, judged_manifest

    manifest, part = judged_manifest(folder)
    return manifest, manifest, describe_part(part)


def held_out(manifest: Manifest) -> tuple[Manifest, str]:
    """Return the test part of a manifest, or its validation part or all of it where there is none, and its name."""
    parts = {sample.split for sample in manifest.samples}
    for part in ("test", "validation"):
        if part in parts:
            kept = tuple(sample for sample in manifest.samples if sample.split == part)
            return replace(manifest, samples=kept), f"{part} part of {manifest.path.name}"
    return manifest, f"all of {manifest.path.name}"
