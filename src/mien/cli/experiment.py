"""`mien experiment`: a grid of settings over seeds, run as one study; what matters and what is noise."""

import sys
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from mien.cli.options import data_options, only_one
from mien.cli.terminal import console, one_line
from mien.cli.train import BriefScreen, read_source
from mien.io.atomic import refuse_foreign
from mien.io.targets import require_writable, write_output
from mien.training.backend import require_keras
from mien.training.search.sweep import JOB, read_sweep
from mien.viz.charts import require_matplotlib


@click.command("experiment")
@click.argument("sweep", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="folder of the runs  [mien-runs/SWEEP]")
@click.option("--json", "json_target", metavar="FILE", help="also write the result as JSON, - for standard output")
@click.option("--csv", "csv_target", metavar="FILE", help="also write the runs as CSV, - for standard output")
@data_options
def command(
    sweep: Path, data: Path, out: Path | None, json_target: str | None, csv_target: str | None,
    classes: str | None, rename: tuple[str, ...],
) -> None:  # fmt: skip
    """Train every cell of the grid in SWEEP (a TOML file) on DATA, with several seeds.

    The same command goes on where it was interrupted; finished runs are kept. Ends with the mean and the 95 %
    interval of each cell, a plot, and a sentence that says what matters and what is noise.
    """
    only_one({"json": json_target, "csv": csv_target} if json_target == csv_target == "-" else {})
    for target in (json_target, csv_target):
        if target is not None:
            require_writable(target)
    found = read_sweep(sweep)
    out = out or Path("mien-runs") / sweep.stem
    # What a typo may spoil is looked at before Keras is loaded, which takes seconds.
    refuse_foreign(out, "experiment", JOB)
    source = read_source(data, classes, rename)
    require_matplotlib()
    require_keras("training", any(cell.config.deterministic for cell in found.cells()))
    from mien.training.search.experiment import PLOT, RESULT, TABLE, experiment

    total, begun = len(found.cells()), 0
    again = " ".join(["mien experiment", *map(str, sys.argv[2:])])

    with BriefScreen(again) as screen:

        def on_run(cell: Any, _: Path) -> BriefScreen:
            nonlocal begun
            begun += 1
            screen.begin(f"run {begun} of at most {total}: {cell.folder}")
            return screen

        outcome = experiment(source, found, out, screen.news, on_run)
    for target, path in ((json_target, out / RESULT), (csv_target, out / TABLE)):
        if target is not None:
            write_output(path.read_text(encoding="utf-8"), target)
    if "-" not in (json_target, csv_target):
        _print(outcome, out, PLOT)


def _print(outcome: Any, out: Path, plot: str) -> None:
    screen = console()
    table = Table(title=Text(one_line(outcome.sweep.title), "bold"), title_justify="left")
    for name in ("cell", "accuracy", "95 % interval", "seeds"):
        table.add_column(name)
    for level, mean in outcome.levels().items():
        interval = f"{mean.low:.4f} to {mean.high:.4f}" if mean.n > 1 else "unknown from one seed"
        table.add_row(Text(one_line(level)), f"{mean.mean:.4f}", interval, str(mean.n))
    table.caption, table.caption_justify = Text(one_line(f"on: {outcome.part}; t intervals over seeds")), "left"
    screen.print(table)
    screen.print(Text(one_line(outcome.sentence())), soft_wrap=True)
    screen.print(Text(one_line(f"everything is in {out}  ({plot}, experiment.csv, experiment.json, one run per cell)")),
                 soft_wrap=True)  # fmt: skip
