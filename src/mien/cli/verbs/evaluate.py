"""`mien evaluate`: evaluate a model on labelled data."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

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
    threshold_option,
)
from mien.cli.output.progress import progress_bar
from mien.cli.output.tables import metrics_table
from mien.cli.output.terminal import console, say, say_to_stderr
from mien.errors import ConfigError
from mien.inference.answer_fields import ANSWER_FIELDS
from mien.inference.thresholds import Threshold
from mien.io.layout import REPORT
from mien.runtime.providers import Device

if TYPE_CHECKING:
    from mien.report.report import Evaluation

#: So many images without a face, and so many unreadable ones, are named.
_NAMED = 5


@verb("evaluate")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@model_option
@click.option("--answers", type=click.Path(path_type=Path), metavar="FILE",
              help="evaluate these answers (CSV, JSON lines) instead of a model")  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="file=NAME|label=NAME",
              help="columns of --answers, if others than the guessed ones")  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR",
    help="write report.html, metrics.json, predictions.csv and the charts as PNG",
)  # fmt: skip
@click.option("--json", "json_target", metavar="FILE|-", help="write the metrics as JSON")
@detect_option(AS_TRAINED)
@threshold_option
@device_option
@mirror_option
@click.option("--robustness", is_flag=True, help="measure accuracy on rotated, dark, blurred, ... images (minutes)")
@click.option(
    "--groups", type=click.Path(path_type=Path), metavar="CSV",
    help="compare metrics between groups: a column file, and one for each grouping",
)  # fmt: skip
@click.option("--cost", "costs", multiple=True, metavar="CLASS=N", show_default="1",
              help="two classes: cost of a wrong CLASS")  # fmt: skip
@click.option("--choose-threshold", is_flag=True, help="write the cheapest threshold into the bundle of --model")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="seed of all random choices")
@data_options
def command(
    data: Path | None, model: str | None, answers: Path | None, columns: tuple[str, ...], out: Path | None,
    json_target: str | None, detect: bool | None, threshold: Threshold | None, device: Device, mirror: bool | None,
    robustness: bool, groups: Path | None, costs: tuple[str, ...], choose_threshold: bool, seed: int,
    classes: str | None, rename: tuple[str, ...], fixes: bool | Path,
) -> int:  # fmt: skip
    """Evaluate a model, or the answers in a file, on DATA; or a model on the held-out part of its own run.

    If DATA has parts, the test part is used, or the validation part if it has no test part. A model of
    seven expressions is judged by happy against sad if DATA has these two classes, by the most probable
    one if it has other expressions, and by its answer if it has happy, sad and neither. A model that
    detects faces is judged by the largest one in each image; images without a face do not count. Without
    DATA, images are read as the run was trained.

    --answers takes a row per image: file, and label or a probability for each class, such as the rows of
    mien predict. Images without an answer do not count. --map renames classes of both.

    --out writes report.html, one file that opens anywhere: metrics with their confidence intervals,
    confusions, calibration, the cost of each threshold, images to look at, issues of DATA.
    """
    from mien.report.evaluation import evaluate

    for name, given in (("robustness", robustness), ("groups", groups)):
        if given and not (out or json_target):
            raise ConfigError(f"--{name}: its results go into a report; give --out DIR or --json FILE")
    wanted, renamed = parse_data_options(classes, rename)
    with progress_bar("evaluating") as report:
        found = evaluate(
            data, model=model, answers=answers, columns=_parse_columns(columns), classes=wanted, rename=renamed,
            fixes=fixes, detect=detect, threshold=threshold, device=device, mirror=mirror, robustness=robustness,
            groups=groups,
            costs=_parse_costs(costs), choose_threshold=choose_threshold, metrics_only=not (out or json_target),
            out=out, json_target=json_target, seed=seed, on_message=say_to_stderr, on_progress=report,
        )  # fmt: skip
    if json_target != "-":
        _print_metrics(found)
        if choose_threshold:
            _print_threshold(found)
        if out:
            say(f"all results are in {out / REPORT}")
    _warn_of_missing(found)
    if found.trained_on:
        say(
            f"mien: {found.trained_on} of these {len(found.predictions.names)} images were trained on, so the "
            "metrics are optimistic; leave DATA out to evaluate on the held-out part",
            err=True,
        )
    return int(bool(found.predictions.skipped or (found.answers and found.answers.bad)))


def _parse_costs(given: tuple[str, ...]) -> dict[str, float]:
    found = {}
    for pair in given:
        name, _, text = pair.rpartition("=")
        try:
            cost = float(text)
        except ValueError:
            cost = math.nan
        if not name or not (0 <= cost < math.inf):
            raise ConfigError(f"--cost {pair}: write it as CLASS=N, like sad=5, with a number of at least 0")
        found[name.strip()] = cost
    return found


def _parse_columns(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for pair in given:
        name, sign, column = pair.partition("=")
        if not (name.strip() and sign and column.strip()):
            raise ConfigError(f"--column {pair}: write it as file=NAME or label=NAME")
        found[name.strip()] = column.strip()
    return found


def _print_metrics(found: "Evaluation") -> None:
    note = f"judged by {ANSWER_FIELDS[found.predictions.answer_field]}"
    if found.reader and found.reader.detect:
        note += ", of the largest face in each image"
    console().print(metrics_table(found.metrics, f"Metrics on: {found.part}", note))


def _print_threshold(found: "Evaluation") -> None:
    if found.thresholds is None:
        return
    costs, (low, high) = found.thresholds, found.thresholds.saved
    before, now = costs.present.threshold, costs.cheapest.threshold
    saved = f"saves {costs.present.cost - costs.cheapest.cost:.2f} [{low:.2f}, {high:.2f}] per 100 images here"
    doubt = "" if low > 0 else ", not significantly"
    stays = f"stays at {now:g}, none is cheaper here"
    said = f"{now:g} in place of {before:g}, in {found.bundle} ({saved}{doubt})" if found.bundle else stays
    console().print(f"threshold {said}", soft_wrap=True)


def _warn_of_missing(found: "Evaluation") -> None:
    """Name a few of the images without a face and of the unreadable ones on stderr, and count them."""
    predictions, hint = found.predictions, "" if found.answers else ", --no-detect uses them whole"
    for name in predictions.no_face[:_NAMED]:
        say(f"mien: {name}: no face was found", err=True)
    if predictions.no_face:
        share = f"{len(predictions.no_face)} of {len(predictions.names) + len(predictions.no_face)}"
        say(f"mien: no face was found in {share} images; they do not count{hint}", err=True)
    for name, reason in predictions.skipped[:_NAMED]:
        say(f"mien: {name}: {reason}", err=True)
    if predictions.skipped:
        say(f"mien: {len(predictions.skipped)} images could not be read and do not count", err=True)
