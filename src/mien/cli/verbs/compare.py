"""`mien compare`: compare evaluations on the same images."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.help import verb
from mien.cli.output.tables import estimate_cell
from mien.cli.output.terminal import console, say
from mien.errors import ConfigError
from mien.text import one_line

if TYPE_CHECKING:
    from mien.report.document import Table


@verb("compare")
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="REPORT...")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="write compare.html, compare.json, a chart")
@click.option("--json", "json_target", metavar="FILE|-", help="write everything as JSON")
def command(reports: tuple[Path, ...], out: Path | None, json_target: str | None) -> int:
    """Compare evaluations on the same images; test whether each differs significantly from the first.

    A REPORT is a folder that mien evaluate --out has written, or a run folder. Images are paired by their file names.
    If reports are on different images, those in common are used.
    """
    from mien.report.comparison import compare, difference_table, metrics_table

    if len(reports) < 2:
        raise ConfigError("compare: give at least two reports")
    found = compare(*reports, out=out, json_target=json_target)
    if json_target != "-":
        screen = console()
        for table in (metrics_table(found), difference_table(found)):
            screen.print(_render(table))
        for text in (*(one.sentence() for one in found.differences), *found.notes):
            say(text)
    return 0


def _render(table: "Table") -> object:
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(caption=Text(one_line(table.caption)), caption_justify="left")
    for name in table.columns:
        drawn.add_column(Text(one_line(name)))
    for row in table.rows:
        drawn.add_row(*map(estimate_cell, row))
    return drawn
