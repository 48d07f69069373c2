"""What several verbs share: arguments, writing results, progress bars and figures as text."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from mien.errors import ConfigError, OutputError
from mien.labels import parse_classes, parse_rename
from mien.metrics import Evaluation
from mien.output import write_text

Function = TypeVar("Function", bound=Callable[..., Any])


def console(err: bool = False) -> Console:
    """Return a console that is never narrower than a readable table."""
    found = Console(stderr=err, highlight=False)
    return found if found.is_terminal else Console(stderr=err, highlight=False, width=120)


def data_options(function: Function) -> Function:
    """Add `--classes` and `--map`, which every verb that reads labelled data takes."""
    function = click.option("--map", "rename", multiple=True, metavar="OLD=NEW", help="rename classes")(function)
    return click.option("--classes", metavar="A,B", help="use only these classes, in this order")(function)


def data_arguments(classes: str | None, rename: tuple[str, ...]) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """Read what `data_options` collected."""
    return (parse_classes(classes) if classes else None), parse_rename(rename)


def write_result(text: str, target: str) -> None:
    """Write text to a file, whole or not at all, or to standard output for `-`."""
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_text(Path(target), text)


def to_json(value: object) -> str:
    """Return JSON with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr (only on a terminal) and give a function to call with the share done."""
    screen = console(err=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


@contextmanager
def counting_bar(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show a bar that counts finished items."""
    screen = console(err=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def figures_table(evaluation: Evaluation, title: str) -> Table:
    """Lay out an evaluation: the overall figures, then one row per class, each with its interval."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in ("", "precision", "recall", "F1", "ROC-AUC"):
        table.add_column(name, justify="left")
    table.add_column("n", justify="right")
    for label, row in evaluation.per_class.items():
        table.add_row(label, str(row.precision), str(row.recall), str(row.f1), str(row.roc_auc), str(row.support))
    table.add_section()
    e = evaluation
    table.add_row("macro", str(e.macro_precision), str(e.macro_recall), str(e.macro_f1), str(e.roc_auc), str(e.n))
    table.add_row("[bold]accuracy[/]", f"[bold]{e.accuracy}[/]", "", "", "", "")
    table.caption = "95 % intervals in brackets"
    table.caption_justify = "left"
    return table


def free_folder(parent: Path, name: str) -> Path:
    """Return `parent/name`, or `parent/name-2`, …, whichever does not exist yet."""
    path, number = parent / name, 2
    while path.exists() or path.with_name(f"{path.name}.part").exists():
        path, number = parent / f"{name}-{number}", number + 1
    return path


def require_parent(target: str | Path) -> None:
    """Refuse an output file whose folder is a file, before long work starts."""
    path = Path(target)
    if str(target) != "-" and path.is_dir():
        raise OutputError(f"{path}: is a folder; give a file name")


def one_of(given: dict[str, Any]) -> str | None:
    """Return the name of the one option that was given, None for none; ConfigError for several."""
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise ConfigError(f"--{names[0]} and --{names[1]}: give only one of them")
    return names[0] if names else None
