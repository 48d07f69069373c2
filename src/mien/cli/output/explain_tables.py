"""The tables that `mien explain --summary` and `--faithfulness` print."""

import re
from typing import TYPE_CHECKING

from mien.cli.output.tables import FoldedCell, estimate_cell, estimate_pieces
from mien.explanation.attention import AttentionSummary, ClassAttention
from mien.explanation.faithfulness import CURVES, Faithfulness
from mien.explanation.figures import METHODS
from mien.explanation.regions import REGIONS
from mien.text import one_line

if TYPE_CHECKING:
    from rich.table import Table


def attention_table(found: AttentionSummary) -> "Table":
    """Lay out the share of the evidence on each region, with its interval: one column per class."""
    from rich.table import Table
    from rich.text import Text

    title = f"Share of the evidence ({METHODS[found.method]}), and of the area"
    table = Table(title=Text(title, "bold"), title_justify="left")
    table.add_column("")
    for one in found.classes:
        table.add_column(Text(one_line(one.label)))
    table.add_column("area")
    for name in REGIONS:
        shares = [one.shares[name] for one in found.classes]
        cells = [estimate_cell(f"{one.value:.0%} [{one.interval[0]:.0%}, {one.interval[1]:.0%}]") for one in shares]
        table.add_row(name, *cells, f"{shares[0].area:.0%}")
    table.add_section()
    table.add_row("most at the border", *map(_border_cell, found.classes), "1.0×")
    table.add_row("images", *(str(one.images) for one in found.classes), "")
    return table


def _border_cell(one: ClassAttention) -> FoldedCell:
    return FoldedCell(re.findall(r"[^\[ ]+ |\[.*", one.border_peak_in_words))


def faithfulness_table(found: Faithfulness) -> "Table":
    """Lay out the areas under the curves, with their differences from the baselines."""
    from rich.table import Table
    from rich.text import Text

    title = f"Area under the curve of {METHODS[found.method]}, {found.images} images"
    table = Table(title=Text(title, "bold"), title_justify="left")
    for name in ("", found.method, *found.differences[CURVES[0]]):
        table.add_column(name)
    for curve in CURVES:
        areas = found.areas[curve]
        cells = [
            FoldedCell([f"{areas[name].mean():.3f}; ", *estimate_pieces(f"better by {difference}")])
            for name, difference in found.differences[curve].items()
        ]
        table.add_row(
            f"{curve} ({'low' if curve == 'deletion' else 'high'} is good)", f"{areas[found.method].mean():.3f}", *cells
        )
    table.caption = Text("paired differences in area with 95 % confidence intervals (bootstrap over images)")
    table.caption_justify = "left"
    return table
