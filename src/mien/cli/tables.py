"""Tables that several verbs print."""

from typing import TYPE_CHECKING

from mien.cli.terminal import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from mien.metrics.estimates import ClassificationMetrics


def metrics_table(evaluation: "ClassificationMetrics", title: str, note: str = "") -> "Table":
    """Lay out an evaluation: the overall figures, then one row per class, each with its interval; a note below."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(title), "bold"), title_justify="left")
    for name in ("", "precision", "recall", "F1", "ROC-AUC"):
        table.add_column(name, justify="left")
    table.add_column("n", justify="right")
    for label, row in evaluation.per_class.items():
        figures = (row.precision, row.recall, row.f1, row.roc_auc, row.support)
        table.add_row(Text(one_line(label)), *map(str, figures))
    table.add_section()
    e = evaluation
    table.add_row("macro", str(e.macro_precision), str(e.macro_recall), str(e.macro_f1), str(e.roc_auc), str(e.n))
    table.add_row("[bold]accuracy[/]", f"[bold]{e.accuracy}[/]", "", "", "", "")
    table.caption = Text("95 % intervals in brackets" + (f"\n{one_line(note)}" if note else ""))
    table.caption_justify = "left"
    return table
