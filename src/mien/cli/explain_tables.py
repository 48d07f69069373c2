"""The tables that `mien explain --summary` and `--faithfulness` print."""

from typing import TYPE_CHECKING

from mien.cli.tables import FoldedCell, estimate_cell
from mien.cli.terminal import one_line
from mien.explanation.attention import AttentionSummary
from mien.explanation.faithfulness import CURVES, Faithfulness
from mien.explanation.figures import METHODS
from mien.explanation.regions import REGIONS

if TYPE_CHECKING:
    from rich.table import Table


def attention_table(found: AttentionSummary) -> "Table":
    """Lay out the share of the evidence on each region, with its interval, by class."""
    from rich.table import Table
    from rich.text import Text

    title = f"Share of the evidence ({METHODS[found.method]}), and of the area"
    table = Table(title=Text(title, "bold"), title_justify="left")
    for name in ("", *REGIONS, "most at the border", "n"):
        table.add_column(name)
    for one in found.classes:
        shares = [one.shares[name] for name in REGIONS]
        cells = [
            estimate_cell(f"{share.value:.0%} [{share.interval[0]:.0%}, {share.interval[1]:.0%}]") for share in shares
        ]
        place, density = one.border_peak
        table.add_row(Text(one_line(one.label)), *cells, f"{place} {density:.1f}×", str(one.images))
    table.add_section()
    area = found.classes[0].shares
    table.add_row("an even spread", *(f"{area[name].area:.0%}" for name in REGIONS), "1.0×", "")
    return table


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
            FoldedCell([f"{areas[name].mean():.3f}; ", f"better by {difference}"])
            for name, difference in found.differences[curve].items()
        ]
        table.add_row(
            f"{curve} ({'low' if curve == 'deletion' else 'high'} is good)", f"{areas[found.method].mean():.3f}", *cells
        )
    table.caption = Text("paired differences in area with 95 % confidence intervals (bootstrap over images)")
    table.caption_justify = "left"
    return table
