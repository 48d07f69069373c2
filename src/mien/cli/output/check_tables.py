"""What `mien check` prints: the issues of a dataset, and what a clean copy holds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.arguments import to_flags
from mien.cli.output.tables import path_cell, plain
from mien.cli.output.terminal import console, say
from mien.data.clean import REPEATED
from mien.data.fixes.records import FILE_NAME
from mien.data.issues import ISSUE_KINDS
from mien.text import list_counts, pluralize

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.audit import Audit
    from mien.data.clean import CleanCopy
    from mien.data.issues import Issue

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
#: With more classes, a clean copy is counted in all, not by class, so that the table fits.
_CLASSES = 8


def print_audit(found: "Audit", every_file: bool = False) -> None:
    """Print the issues of a dataset as a table, and what is left for training.

    Args:
        found: the audit.
        every_file: also print every file of every issue, not only the first.
    """
    screen = console()
    counts = list_counts(found.manifest.counts())
    screen.print(plain(f"{found.manifest.path}: {len(found.manifest.samples)} files  ({counts})"), soft_wrap=True)
    for sentence in found.sentences:
        screen.print(plain(to_flags(sentence)), soft_wrap=True)
    if found.issues:
        screen.print(_issue_table(found.issues))
    else:
        screen.print("no issues found")
    if every_file:
        for issue in found.issues:
            _print_files(issue, found)
    kept = list_counts(found.usable.counts())
    screen.print(plain(f"usable for training: {len(found.usable.samples)} files  ({kept})"), soft_wrap=True)
    if not every_file and any(len(issue.files) > 1 for issue in found.issues):
        screen.print("every file: --all; the images of the issues: --sheet FILE.png")


def _issue_table(issues: "Sequence[Issue]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=False)
    for column in ("", "issue", "files", "first file, or detail", "fix"):
        whole = column in ("", "files")
        table.add_column(column, justify="right" if column == "files" else "left", overflow="fold", no_wrap=whole)
    for issue in issues:
        example = issue.files[0] if issue.files else ""
        about = f"{example}: {issue.detail}" if example and issue.detail else example or issue.detail
        severity = Text(str(issue.severity), _COLOURS[issue.severity])
        count = str(len(issue.files)) if issue.files else ""
        table.add_row(severity, issue.title, count, path_cell(about), plain(issue.fix))
    return table


def _print_files(issue: "Issue", found: "Audit") -> None:
    """Print the files of an issue, each with what was seen and with its copies."""
    from rich.text import Text

    if not issue.files:
        return
    screen = console()
    screen.print(Text(f"{issue.title} ({len(issue.files)})", _COLOURS[issue.severity]))
    copies = {name: group for group in issue.groups for name in group}
    for name in issue.files:
        note = found.note(issue, name)
        others = ", ".join(other for other in copies.get(name, ()) if other != name)
        text = ": ".join(filter(None, (name, note))) + (f"  = {others}" if others else "")
        screen.print(plain(f"  {text}"), soft_wrap=True)


def print_clean(copy: "CleanCopy") -> None:
    """Print how many files a clean copy has, why the others are not in it, by class, and what was decided of them."""
    from rich.table import Table
    from rich.text import Text

    classes = list(copy.files) if len(copy.files) <= _CLASSES else []
    title = f"wrote {len(copy)} of {sum(copy.files.values())} files to {copy.path}"
    table = Table(title=plain(title), title_justify="left")
    table.add_column("")
    for name in classes:
        table.add_column(plain(name), justify="right")
    table.add_column("all", justify="right")
    rows = [("files", copy.files, "")]
    rows += [(_title(kind), counts, "") for kind, counts in copy.left_out.items()]
    for title, counts, style in [*rows, ("written", copy.written, "bold")]:
        cells = [*(counts.get(name, 0) for name in classes), sum(counts.values())]
        sign = "" if title in ("files", "written") else "-"
        table.add_row(Text(title, style), *(Text(f"{sign}{cell}" if cell else "", style) for cell in cells))
    console(err=True).print(table)
    if copy.decisions:
        say(f"{copy.path / FILE_NAME}: {pluralize(copy.decisions, 'decision')} went along", err=True)


def _title(kind: str) -> str:
    return "named by several rows" if kind == REPEATED else ISSUE_KINDS[kind].title
