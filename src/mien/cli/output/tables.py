"""Tables that several verbs print."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mien.text import one_line, pluralize

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    from mien.evaluation.baselines import Baselines
    from mien.metrics.classification import ClassificationMetrics


class FoldedCell:
    """A cell of a table that folds between its pieces, and inside a piece only if that is wider than the column."""

    def __init__(self, pieces: Sequence[str], style: str = "") -> None:
        self._pieces, self._style = [one_line(piece) for piece in pieces], style

    def __rich_measure__(self, console: "Console", options: "ConsoleOptions") -> "Measurement":
        from rich.cells import cell_len
        from rich.measure import Measurement

        narrow = max((cell_len(piece.rstrip(" ")) for piece in self._pieces), default=0)
        return Measurement(narrow, cell_len("".join(self._pieces).rstrip(" "))).with_maximum(options.max_width)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Text]":
        from rich.cells import cell_len
        from rich.text import Text

        lines = [""]
        for piece in self._pieces:
            if lines[-1] and cell_len((lines[-1] + piece).rstrip(" ")) > options.max_width:
                lines.append("")
            lines[-1] += piece
        yield Text("\n".join(line.rstrip(" ") for line in lines), self._style, overflow="fold")


def path_cell(text: str) -> FoldedCell:
    """Return a cell with a path, perhaps among words: it folds after a "/" and at spaces."""
    return FoldedCell(re.findall(r"[^/ ]*[/ ]|[^/ ]+", text))


def estimate_cell(text: str, style: str = "") -> FoldedCell:
    """Return a cell with an estimate: it folds before the interval, not inside."""
    return FoldedCell(estimate_pieces(text), style)


def estimate_pieces(text: str) -> list[str]:
    """Split an estimate into its value and its interval.

    Examples:
        >>> estimate_pieces("0.927 [0.913, 0.939]")
        ['0.927 ', '[0.913, 0.939]']
    """
    return re.findall(r"[^\[]+|\[[^\]]*\]?", text)


def metrics_table(found: "ClassificationMetrics", title: str, note: str = "") -> "Table":
    """Lay out metrics with their intervals: one row per class and their means, then the other overall metrics.

    Args:
        found: the metrics.
        title: the line above the table.
        note: a line below it; empty for none.
    """
    from rich.table import Table
    from rich.text import Text

    from mien.metrics.registry import OVERALL, PER_CLASS

    known = next(iter(found.per_class.values())).metrics
    columns = [metric for key, metric in PER_CLASS.items() if metric.in_terminal and key in known]
    # Without padding at the edges it fits 120 columns up to 999,999 images.
    table = Table(title=Text(one_line(title), "bold"), title_justify="left", pad_edge=False)
    for name in ("", *(metric.title for metric in columns)):
        table.add_column(name, justify="left")
    table.add_column("n", justify="right")
    for label, row in found.per_class.items():
        cells = (estimate_cell(str(row.metrics[metric.key])) for metric in columns)
        table.add_row(Text(one_line(label)), *cells, str(row.support))
    table.add_section()
    means = (estimate_cell(str(found.overall[metric.mean]) if metric.mean else "") for metric in columns)
    table.add_row("macro", *means, str(found.n))
    table.add_section()
    table.add_row(Text("all classes", "bold"), Text("value", "bold"))
    table.add_section()
    shown = {metric.mean for metric in columns}
    for key, overall in OVERALL.items():
        if key not in shown and key in found.overall:
            style = "bold" if key == "accuracy" else ""
            table.add_row(Text(overall.title, style), estimate_cell(str(found.overall[key]), style))
    table.caption = Text("95 % intervals in brackets" + (f"\n{one_line(note)}" if note else ""))
    table.caption_justify = "left"
    return table


def baselines_table(found: "Baselines") -> "Table":
    """Lay out the numbers to beat, and how far the new model is from each."""
    from rich.table import Table
    from rich.text import Text

    from mien.metrics.formatting import format_p_value, format_points

    n = found.largest_class.difference.n
    title = f"The numbers to beat, on the same {pluralize(n, 'image')}"
    table = Table(title=Text(title, "bold"), title_justify="left", pad_edge=False)
    for name in ("", "accuracy", "new model minus this, points", "p"):
        table.add_column(name)
    for one in found.rows():
        accuracy = estimate_cell(str(one.metrics.accuracy))
        points = estimate_cell(format_points(one.difference.metrics["accuracy"]))
        table.add_row(Text(one_line(one.name)), accuracy, points, format_p_value(one.difference.p_value))
    return table


def plain(text: str) -> "Text":
    """Return text that may contain names of other people's files: never markup, always one line."""
    from rich.text import Text

    return Text(one_line(text))
