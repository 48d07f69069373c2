"""`mien train`: labelled images in, an evaluated and exported classifier out."""

from pathlib import Path
from typing import Any

import click

from mien.cli.help import verb
from mien.cli.options import data_options, parse_data_options
from mien.cli.output.tables import baselines_table, metrics_table, plain
from mien.cli.output.terminal import console
from mien.cli.output.training_progress import TrainingProgress
from mien.cli.settings import default_tables, training_headings, training_options
from mien.io.layout import CURVES, HISTORY, METRICS, REPORT
from mien.training.result import TrainingResult
from mien.training.train import train


@verb("train", training_headings(("out", "resume", "classes", "rename", "config_file")), default_tables)
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), metavar="RUN", show_default="mien-runs/DATA-NETWORK",
              help="new folder for the run")  # fmt: skip
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN", help="continue an interrupted run")
@click.option("--folds", type=click.IntRange(3, 50), help="cross-validate, then train the final model")
@data_options
@training_options
def command(
    data: Path | None, out: Path | None, resume: Path | None, folds: int | None, classes: str | None,
    rename: tuple[str, ...], fixes: bool | Path, config_file: Path | None, **flags: Any,
) -> None:  # fmt: skip
    """Train on DATA: check, split, train, evaluate and export, all into one run folder.

    A small dataset fine-tunes the shipped model, which already knows faces, unless you name a network, an input or
    --from. --from none trains from scratch.
    """
    names, renames = parse_data_options(classes, rename)
    with TrainingProgress() as progress:
        result = train(
            data, out=out, classes=names, rename=renames, folds=folds or 0, resume=resume, fixes=fixes,
            config=config_file, reporter=progress, **flags,
        )  # fmt: skip
    _print(result)


def _print(result: TrainingResult) -> None:
    """Print the metrics, and where everything is."""
    screen = console()
    screen.print(metrics_table(result.predictions.metrics, f"Metrics on: {result.evaluated_on}"))
    screen.print(baselines_table(result.baselines))
    for sentence in result.baselines.sentences():
        screen.print(plain(sentence), soft_wrap=True)
    screen.print(f"run      {result.folder}  ({REPORT}, {METRICS}, {HISTORY}, {CURVES}, …)", soft_wrap=True)
    screen.print(f"use it   mien predict photo.jpg --model {result.folder}", soft_wrap=True)
