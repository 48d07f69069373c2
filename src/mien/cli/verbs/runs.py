"""`mien runs`: list runs with their accuracy, and how to resume the unfinished ones."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mien.arguments import to_flags
from mien.cli.help import verb
from mien.cli.options import only_one
from mien.cli.output.tables import path_cell
from mien.cli.output.terminal import console
from mien.io.cells import csv_table
from mien.io.layout import RUNS
from mien.io.targets import require_output, write_output
from mien.metrics.estimates import Estimate
from mien.metrics.formatting import format_interval
from mien.text import one_line, pluralize
from mien.training.runs import SORT_KEYS, Run, group_runs, list_runs

if TYPE_CHECKING:
    from rich.table import Table

#: The columns that a narrow screen does without, first to last.
_DROPPED = ("classes", "validation", "epochs", "data")
_COLUMNS = list(Run(Path(), "damaged").to_dict())
_NARROW_RUN = 20  # columns that a run's name should have at least, with its border


@verb("runs")
@click.argument("folder", type=click.Path(path_type=Path), default=Path(RUNS))
@click.option("--sort", type=click.Choice(SORT_KEYS), default="accuracy", show_default=True, help="sort order")
@click.option("--json", "json_target", metavar="FILE", help="write JSON; - for standard output")
@click.option("--csv", "csv_target", metavar="FILE", help="write CSV; - for standard output")
def command(folder: Path, sort: str, json_target: str | None, csv_target: str | None) -> None:
    """List the runs in FOLDER (mien-runs) and its subfolders, with their accuracy.

    Runs that are judged on the same images stand together, below the numbers to beat there. Accuracies on different
    images are not ranked.
    """
    only_one({"json": json_target, "csv": csv_target})
    if json_target is not None:
        require_output(json_target, r'\[(\]|\{"run":)')
    elif csv_target is not None:
        require_output(csv_target, ",".join(_COLUMNS))
    found = [replace(run, note=to_flags(run.note)) for run in list_runs(folder, sort)]
    if json_target is not None:
        write_output(json.dumps([run.to_dict() for run in found], indent=2) + "\n", json_target)
    elif csv_target is not None:
        write_output(_csv(found), csv_target)
    else:
        _print(found, folder)


def _csv(found: list[Run]) -> str:
    return csv_table(_COLUMNS, ({**run.to_dict(), "classes": " ".join(run.classes)} for run in found))


def _print(found: list[Run], folder: Path) -> None:
    from rich.text import Text

    screen = console()
    if not found:
        screen.print(Text(one_line(f"{folder}: holds no runs; mien train makes them")))
        return
    for group in group_runs(found):
        screen.print(Text(one_line(_heading(group)), "bold"))
        screen.print(_table([{"run": _name(run, folder), **_cells(run)} for run in group], screen.width))
        if any(run.best for run in group):
            said = (
                "* highest accuracy on these images; mien compare RUN RUN tests whether the difference is significant"
            )
            screen.print(Text(said))
    for run in found:
        if run.note:
            words = {"unfinished": "continue with", "failed": "failed:", "damaged": "damaged:"}[run.state]
            name = "" if run.state == "unfinished" else f"{run.folder}: "
            screen.print(Text(one_line(f"{name}{words} {run.note}")), soft_wrap=True)


def _table(rows: list[dict[str, str]], width: int) -> "Table":
    """Lay out the rows, in a narrow screen without the columns that matter least."""
    from rich.table import Table
    from rich.text import Text

    needed = {name: max(len(name), *(len(row[name]) for row in rows)) + 3 for name in rows[0]}
    needed["run"] = min(needed["run"], _NARROW_RUN)
    columns = list(rows[0])
    for name in _DROPPED:
        if sum(needed[column] for column in columns) < width:
            break
        columns = [column for column in columns if column != name]
    table = Table()
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name not in ("run", "95 % interval", "classes"))
    for row in rows:
        cells: dict[str, Any] = {name: Text(one_line(text)) for name, text in row.items()}
        cells["run"] = path_cell(row["run"])
        table.add_row(*(cells[name] for name in columns))
    return table


def _name(run: Run, folder: Path) -> str:
    return str(run.folder if run.folder == folder else run.folder.relative_to(folder))


def _heading(group: Sequence[Run]) -> str:
    """Say which images a group of runs is judged on, and the numbers to beat there."""
    first = group[0]
    if first.images is None:
        return "not finished"
    said = [f"{first.data}, {first.part}: {pluralize(first.images, 'image')}"]
    for name, values in (
        ("largest class", {run.largest_class for run in group} - {None}),
        ("shipped model", {run.shipped for run in group} - {None}),
    ):
        if values:
            said.append(f"{name} {' or '.join(sorted(f'{value:.4f}' for value in values))}")
    return "; ".join(said)


def _cells(run: Run) -> dict[str, str]:
    found: dict[str, str] = {"network": run.network}
    if run.accuracy is None or run.low is None or run.high is None:
        found = {"state": run.state, "data": run.data, **found}
    else:
        found["accuracy"] = f"{run.accuracy:.4f}{' *' if run.best else ''}"
        found["95 % interval"] = format_interval(Estimate(run.accuracy, run.low, run.high), digits=4)
    found["validation"] = f"{run.val_accuracy:.4f}" if run.val_accuracy is not None else ""
    found["epochs"] = str(run.epochs or "")
    found["classes"] = ", ".join(run.classes) if len(run.classes) <= 4 else f"{len(run.classes)} classes"
    return found
