"""`mien compare`: evaluations side by side, and whether a difference is more than luck."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mien.cli.options import require_report
from mien.cli.terminal import console, one_line
from mien.io.atomic import new_folder
from mien.io.targets import to_json, write_output

if TYPE_CHECKING:
    from mien.report.document import Table


@click.command("compare")
@click.argument("reports", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="REPORT...")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="write compare.html, compare.json, a chart")
@click.option("--json", "json_target", metavar="FILE|-", help="write everything as JSON")
def command(reports: tuple[Path, ...], out: Path | None, json_target: str | None) -> int:
    """Set two or more evaluations side by side, and say whether each differs from the first by more than luck.

    A REPORT is a folder that mien evaluate --out has written, or a run folder. Pictures are paired by their file
    names; of reports on different pictures, those that all have are used.
    """
    from mien.evaluation.comparison import compare
    from mien.evaluation.predictions import read_predictions
    from mien.report.comparison import difference_table, side_by_side, write_page

    require_report(out, json_target)
    found = compare([read_predictions(path) for path in reports])
    if out:
        with new_folder(out) as folder:
            write_page(found, folder)
    if json_target:
        write_output(to_json(found.to_dict()), json_target)
    if json_target != "-":
        screen = console()
        for table in (side_by_side(found), difference_table(found)):
            screen.print(_laid_out(table))
        for one in found.differences:
            click.echo(one_line(one.sentence()))
        for note in found.notes:
            click.echo(one_line(note))
    return 0


def _laid_out(table: "Table") -> object:
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(caption=Text(one_line(table.caption)), caption_justify="left")
    for name in table.columns:
        drawn.add_column(Text(one_line(name)))
    for row in table.rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    return drawn
