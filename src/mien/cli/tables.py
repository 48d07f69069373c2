"""Tables that several verbs print."""

from typing import TYPE_CHECKING

from mien.cli.terminal import console, one_line

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from mien.data.audit import Audit
    from mien.metrics.estimates import ClassificationMetrics


def metrics_table(evaluation: "ClassificationMetrics", title: str, note: str = "") -> "Table":
    """Return a table of metrics with their intervals: a row per class, then the overall ones, then a note."""
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


def plain(text: str) -> "Text":
    """Return text that may contain names of other people's files: never markup, always one line."""
    from rich.text import Text

    return Text(one_line(text))


def print_audit(found: "Audit") -> None:
    """Print the issues of a dataset as a table, and what is left for training."""
    from rich.table import Table
    from rich.text import Text

    colours = {"error": "red", "warning": "yellow", "note": "cyan"}
    screen = console()
    counts = "  ".join(f"{name} {count}" for name, count in found.manifest.counts().items())
    screen.print(plain(f"{found.manifest.path}: {len(found.manifest.samples)} files  ({counts})"), soft_wrap=True)
    if found.issues:
        table = Table(show_lines=False)
        for column in ("", "issue", "files", "first file, or detail", "fix"):
            table.add_column(column, justify="right" if column == "files" else "left", overflow="fold")
        for issue in found.issues:
            example = issue.files[0] if issue.files else ""
            about = f"{example}: {issue.detail}" if example and issue.detail else example or issue.detail
            severity = Text(str(issue.severity), colours[issue.severity])
            count = str(len(issue.files)) if issue.files else ""
            table.add_row(severity, issue.title, count, plain(about), plain(issue.fix))
        screen.print(table)
    else:
        screen.print("no issues found")
    kept = "  ".join(f"{name} {count}" for name, count in found.usable.counts().items())
    screen.print(plain(f"usable for training: {len(found.usable.samples)} files  ({kept})"), soft_wrap=True)
