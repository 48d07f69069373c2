"""`mien runs`: list runs with their accuracy, and how to resume the unfinished ones."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import click

from mien.cli.options import only_one
from mien.cli.terminal import console, one_line
from mien.io.layout import RUNS
from mien.io.targets import write_output
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_estimate
from mien.training.runs import SORT_KEYS, Run, list_runs


@click.command("runs")
@click.argument("folder", type=click.Path(path_type=Path), default=Path(RUNS))
@click.option("--sort", type=click.Choice(SORT_KEYS), default="accuracy", show_default=True, help="sort order")
@click.option("--json", "json_target", metavar="FILE", help="write JSON; - for standard output")
@click.option("--csv", "csv_target", metavar="FILE", help="write CSV; - for standard output")
def command(folder: Path, sort: str, json_target: str | None, csv_target: str | None) -> None:
    """List the runs in FOLDER (mien-runs) and its subfolders, with their accuracy."""
    only_one({"json": json_target, "csv": csv_target})
    found = list_runs(folder, sort)
    if json_target is not None:
        write_output(json.dumps([run.to_dict() for run in found], indent=2) + "\n", json_target)
    elif csv_target is not None:
        write_output(_csv(found), csv_target)
    else:
        _print(found, folder)


def _csv(found: list[Run]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(Run(Path(), "damaged").to_dict()), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**run.to_dict(), "classes": " ".join(run.classes)} for run in found)
    return buffer.getvalue()


def _print(found: list[Run], folder: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    screen = console()
    if not found:
        screen.print(Text(one_line(f"{folder}: holds no runs; mien train makes them")))
        return
    table = Table()
    for name in ("run", "state", "network", "accuracy", "on", "validation", "epochs", "classes"):
        table.add_column(name, overflow="fold")
    for run in found:
        inner = run.folder.relative_to(folder) if run.folder != folder else run.folder
        table.add_row(*(Text(one_line(text)) for text in (str(inner), *_cells(run))))
    screen.print(table)
    for run in found:
        if run.note:
            words = {"unfinished": "continue with", "failed": "failed:", "damaged": "damaged:"}[run.state]
            name = "" if run.state == "unfinished" else f"{run.folder}: "
            screen.print(Text(one_line(f"{name}{words} {run.note}")), soft_wrap=True)


def _cells(run: Run) -> tuple[Any, ...]:
    accuracy = ""
    if run.accuracy is not None and run.low is not None and run.high is not None:
        accuracy = format_estimate(Estimate(run.accuracy, run.low, run.high), digits=4)
    validation = f"{run.val_accuracy:.4f}" if run.val_accuracy is not None else ""
    classes = ", ".join(run.classes) if len(run.classes) <= 4 else f"{len(run.classes)} classes"
    return run.state, run.network, accuracy, run.part.split(" (")[0], validation, str(run.epochs), classes
